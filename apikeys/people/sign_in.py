"""Sign-in of people: a password, a code for those with a second factor, and a limit on failures.

The portal and the token endpoint both use these functions, so failures at one count at the other.
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
from apikeys.people import access_tokens, second_factor

BACKEND = "apikeys.people.sign_in.EmailBackend"


class EmailBackend(ModelBackend):
    """Django's backend, which also accepts the e-mail address, in any case, as the user name."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        person = find_person(username or "")
        return super().authenticate(request, username=person.username if person else username, password=password)


def find_person(account: str) -> User | None:
    """Return the person with this e-mail address (in any case) or this user name."""
    if "@" in account and (known := User.objects.filter(email__iexact=account).order_by("id").first()):
        return known
    return User.objects.filter(username=account).first()


def sign_in_for_tokens(request: HttpRequest, *, email: str, password: str, otp: str = "") -> User:
    """Check a person's password and, if they have a second factor, the code ``otp``.

    Args:
        email: the e-mail address or the user name.
    Raises:
        NotAuthenticated: the same for an unknown person, a wrong password and a wrong code.
        RateLimited: the account is locked for the request's address.
    """
    user = check_password(request, email=email, password=password)
    if second_factor.is_enrolled(user):
        check_code(request, user, otp)
    AxesProxyHandler.reset_attempts(ip_address=actors.client_address(request), username=user.get_username())
    _record_sign_in(user, "token")
    return user


def check_password(request: HttpRequest, *, email: str, password: str) -> User:
    """Check the first factor and return the person. Raises like ``sign_in_for_tokens``."""
    user = auth.authenticate(request, username=email, password=password)
    if user is not None:
        return user
    person = find_person(email)
    if _is_locked(request):
        security.record_refused_sign_in(person and person.id, email, reason="locked")
        raise _account_locked()
    reason = "inactive" if person is not None and not person.is_active else "wrong_password"
    security.record_refused_sign_in(person and person.id, email, reason=reason)
    raise NotAuthenticated


def check_code(request: HttpRequest, user: User, code: str) -> Device:
    """Check the second factor and return the device that the code belongs to. Raises like ``sign_in_for_tokens``."""
    account = {"username": user.get_username()}
    if not AxesProxyHandler.is_allowed(request, account):
        security.record_refused_sign_in(user.id, "", reason="locked")
        raise _account_locked()
    device = second_factor.match_code(user, code)
    if device is not None:
        return device
    user_login_failed.send(sender=__name__, credentials=account, request=request)
    security.record_refused_sign_in(user.id, "", reason="wrong_code")
    raise _account_locked() if _is_locked(request) else NotAuthenticated


def open_session(request: HttpRequest, user: User, device: Device | None = None) -> None:
    """Open a session, under a new key, for a person who has passed the checks above."""
    if device is not None:
        user.otp_device = device  # django-otp stores it in the session when the user logs in
    auth.login(request, user, backend=BACKEND)
    request.session.cycle_key()
    _record_sign_in(user, "portal")


@transaction.atomic
def finish_password_change(user: User, *, how: str) -> None:
    """After a new password: revoke refresh tokens, unlock the account, record the change and notify the person.

    Sessions end without this, since Django binds them to the password.
    """
    access_tokens.revoke_all_tokens(user)
    AxesProxyHandler.reset_attempts(username=user.get_username())
    events.record(security.PASSWORD_CHANGED, tenant=None, subject_id=user.id, data={"how": how})
    mail.notify_person(user, "password_changed")


def lockout_name(request: HttpRequest, credentials: Mapping[str, Any] | None) -> str:
    """Return the name under which django-axes counts failures: the user name, for the e-mail address too.

    Unknown names are stored only as a digest, since people type passwords into the wrong field.
    """
    account = str((credentials or {}).get("username") or "")
    person = find_person(account)
    if person is not None:
        return person.get_username()
    return hmac.new(settings.API_KEY_PEPPER.encode(), account.lower().encode(), hashlib.sha256).hexdigest()


def keep_response(request: HttpRequest, response: HttpResponse, credentials: Mapping[str, Any] | None) -> HttpResponse:
    """Return the view's own response: by default django-axes replaces it when an account is locked."""
    return response


def _is_locked(request: HttpRequest) -> bool:
    return bool(getattr(request, "axes_locked_out", False))


def _account_locked() -> RateLimited:
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    minutes = max(1, seconds // 60)
    text = ngettext(
        "Too many failed attempts to sign in. Try again in %(minutes)d minute.",
        "Too many failed attempts to sign in. Try again in %(minutes)d minutes.",
        minutes,
    )
    return RateLimited(text % {"minutes": minutes}, details={"limit": ["sign_in"]}, retry_after_s=seconds)


def _record_sign_in(user: User, how: str) -> None:
    actors.identify(f"person:{user.id}")
    events.record(security.SIGNED_IN, tenant=None, subject_id=user.id, data={"how": how})
