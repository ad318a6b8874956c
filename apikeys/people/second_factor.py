"""The second factor: codes of an authenticator app (TOTP, by django-otp) and recovery codes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

import django_otp
import segno
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from apikeys.audit import events, mail, security
from apikeys.http.errors import Conflict
from apikeys.models import User

RECOVERY_CODES = 10
_CODE = re.compile(r"\d{6}")
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def is_enrolled(user: User) -> bool:
    """Return whether a person signs in with a second factor."""
    return django_otp.user_has_device(user)


def match_code(user: User, code: str) -> Device | None:
    """Return the device that a code belongs to, and use up the code.

    The rows are locked, so of two concurrent uses of a code only one succeeds.
    """
    typed = re.sub(r"[\s-]", "", code).lower()
    model, text = (TOTPDevice, typed) if _CODE.fullmatch(typed) else (StaticDevice, _digest(user, typed))
    with transaction.atomic():
        devices = model.objects.select_for_update().filter(user=user, confirmed=True).order_by("id")
        return next((device for device in devices if device.verify_token(text)), None)


def start_enrolment(user: User) -> TOTPDevice:
    """Create a device to confirm; it replaces an unconfirmed one. Raises ``Conflict`` if one is confirmed."""
    with transaction.atomic():
        _lock(user)
        if is_enrolled(user):
            raise Conflict(_("A second factor is set up already."))
        TOTPDevice.objects.filter(user=user).delete()
        return TOTPDevice.objects.create(user=user, name="authenticator", confirmed=False)


def pending_device(user: User) -> TOTPDevice | None:
    """Return the device that is not confirmed yet."""
    return TOTPDevice.objects.filter(user=user, confirmed=False).order_by("-id").first()


def confirm_enrolment(user: User, code: str) -> tuple[TOTPDevice, list[str]] | None:
    """Confirm the pending device with its first code. From then on, sign-in requires a code.

    Returns: the device and the recovery codes, which cannot be shown again; None for a wrong code.
    Raises: ``Conflict`` if no device is pending.
    """
    with transaction.atomic():
        _lock(user)
        device = pending_device(user)
        if device is None or is_enrolled(user):
            raise Conflict(_("There is no second factor to confirm."))
        if not device.verify_token(re.sub(r"\s", "", code)):
            return None
        device.confirmed = True
        device.save()
        codes = _replace_recovery_codes(user)
        events.record(security.TWO_FACTOR_CHANGED, tenant=None, subject_id=user.id, data={"enabled": True})
    mail.notify_person(user, "two_factor_on")
    return device, codes


@transaction.atomic
def remove(user: User) -> None:
    """Remove the second factor: sign-in then needs only the password."""
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
    events.record(security.TWO_FACTOR_CHANGED, tenant=None, subject_id=user.id, data={"enabled": False})
    mail.notify_person(user, "two_factor_off")


def recovery_codes_left(user: User) -> int:
    """Return the number of unused recovery codes."""
    return sum(device.token_set.count() for device in StaticDevice.objects.filter(user=user, confirmed=True))


def secret_text(device: TOTPDevice) -> str:
    """Return the secret for manual entry: base 32, in groups of four characters."""
    text = base64.b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def qr_code(device: TOTPDevice) -> str:
    """Return the secret as a QR code in inline SVG."""
    drawn = segno.make(device.config_url, error="m")
    return drawn.svg_inline(scale=4, border=3, dark="#000", light="#fff", title=_("QR code for your authenticator"))


def _lock(user: User) -> None:
    User.objects.select_for_update(no_key=True).get(id=user.id)


def _replace_recovery_codes(user: User) -> list[str]:
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes")
    codes = ["".join(secrets.choice(_ALPHABET) for _character in range(12)) for _code in range(RECOVERY_CODES)]
    for code in codes:
        device.token_set.create(token=_digest(user, code))
    return ["-".join(code[start : start + 4] for start in (0, 4, 8)) for code in codes]


def _digest(user: User, code: str) -> str:
    """Return the stored form of a recovery code: 80 bits in base 32, the length of django-otp's column."""
    known = hmac.new(settings.API_KEY_PEPPER.encode(), f"recovery:{user.id}:{code}".encode(), hashlib.sha256)
    return base64.b32encode(known.digest()[:10]).decode()
