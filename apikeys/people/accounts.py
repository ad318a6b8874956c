"""People prove who they are: a password, a code where they have a second factor, and not too many wrong ones.

Both ways in (the portal's sessions and access tokens) come through here, so failures of one count for the other.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import ngettext
from django_otp.models import Device

from apikeys.audit import events, mail, security
from apikeys.http import actors
from apikeys.http.errors import NotAuthenticated, RateLimited
from apikeys.models import User
from apikeys.people import second_factor, tokens

BACKEND = "apikeys.people.accounts.EmailBackend"


class EmailBackend(ModelBackend):
    """Django's own, which also takes the e-mail address in any case for the user name."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        person = find(username or "")
        return super().authenticate(request, username=person.username if person else username, password=password)


def find(account: str) -> User | None:
    """The person with this e-mail (in any case) or this user name."""
    if "@" in account and (known := User.objects.filter(email__iexact=account).order_by("id").first()):
        return known
    return User.objects.filter(username=account).first()


def sign_in(request: HttpRequest, *, email: str, password: str, otp: str = "") -> User:
    """The person with this e-mail (or user name) and password; ``otp`` where they have a second factor.

    Raises ``NotAuthenticated``, the same for an unknown person, a wrong password and a wrong code; ``RateLimited``
    while the account is locked for the request's address.
    """
    user = check_password(request, email=email, password=password)
    if second_factor.is_enrolled(user):
        check_code(request, user, otp)
    AxesProxyHandler.reset_attempts(ip_address=actors.client_address(request), username=user.get_username())
    _record_entry(user, "token")
    return user


def check_password(request: HttpRequest, *, email: str, password: str) -> User:
    """The person behind the first factor. Raises like ``sign_in``."""
    user = auth.authenticate(request, username=email, password=password)
    if user is not None:
        return user
    person = find(email)
    if _is_locked(request):
        security.sign_in_refused(person and person.id, email, reason="locked")
        raise _locked()
    security.sign_in_refused(person and person.id, email, reason=_reason(person))
    raise NotAuthenticated


def check_code(request: HttpRequest, user: User, code: str) -> Device:
    """The device or recovery code that the second factor was proved with. Raises like ``sign_in``."""
    account = {"username": user.get_username()}
    if not AxesProxyHandler.is_allowed(request, account):
        security.sign_in_refused(user.id, "", reason="locked")
        raise _locked()
    device = second_factor.match(user, code)
    if device is not None:
        return device
    user_login_failed.send(sender=__name__, credentials=account, request=request)
    security.sign_in_refused(user.id, "", reason="wrong_code")
    raise _locked() if _is_locked(request) else NotAuthenticated


def open_session(request: HttpRequest, user: User, device: Device | None = None) -> None:
    """Sign a person in who has proved who they are; the session gets a new key."""
    if device is not None:
        user.otp_device = device  # django-otp takes it into the session
    auth.login(request, user, backend=BACKEND)
    request.session.cycle_key()
    _record_entry(user, "portal")


@transaction.atomic
def password_changed(user: User, *, how: str) -> None:
    """What follows from a new password: refresh tokens end, locks open, the person is told.

    Sessions end by themselves, since Django binds them to the password.
    """
    tokens.end_all(user)
    AxesProxyHandler.reset_attempts(username=user.get_username())
    events.record(security.PASSWORD_CHANGED, tenant=None, subject_id=user.id, data={"how": how})
    mail.tell(user, "password_changed")


def lock_account(request: HttpRequest, credentials: Mapping[str, Any] | None) -> str:
    """What django-axes counts failures by: the person, however they spell their name.

    Of unknown names only a digest is kept; people type passwords into the wrong field.
    """
    given = str((credentials or {}).get("username") or "")
    person = find(given)
    if person is not None:
        return person.get_username()
    return hmac.new(settings.API_KEY_PEPPER.encode(), given.lower().encode(), hashlib.sha256).hexdigest()


def keep_answer(request: HttpRequest, response: HttpResponse, credentials: Mapping[str, Any] | None) -> HttpResponse:
    """django-axes would answer for a view that was locked out; ours say it themselves."""
    return response


def _is_locked(request: HttpRequest) -> bool:
    return bool(getattr(request, "axes_locked_out", False))


def _locked() -> RateLimited:
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    minutes = max(1, seconds // 60)
    text = ngettext(
        "Too many failed attempts to sign in. Try again in %(minutes)d minute.",
        "Too many failed attempts to sign in. Try again in %(minutes)d minutes.",
        minutes,
    )
    return RateLimited(text % {"minutes": minutes}, details={"limit": ["sign_in"]}, retry_after_s=seconds)


def _reason(person: User | None) -> str:
    return "inactive" if person is not None and not person.is_active else "wrong_password"


def _record_entry(user: User, how: str) -> None:
    actors.identify(f"person:{user.id}")
    events.record(security.SIGNED_IN, tenant=None, subject_id=user.id, data={"how": how})
