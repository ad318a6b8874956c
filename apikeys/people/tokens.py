"""Access and refresh tokens of people (JWT), by simplejwt.

An access token lives for 15 minutes, a refresh token for ``REFRESH_TOKEN_DAYS`` and for one use: each refresh gives a
new one and blacklists the old. Both name the person, the merchant and the mode; what the person may do is read from
their membership on every call, so a changed role or an ended membership counts at once.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db import transaction
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.state import token_backend
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token
from rest_framework_simplejwt.utils import get_md5_hash_password

from apikeys.audit import events, security
from apikeys.db.tenancy import Mode, Tenant
from apikeys.http.callers import Caller
from apikeys.http.errors import NotAuthenticated
from apikeys.models import Membership, User
from apikeys.models.scopes import OF_ROLES

_DAY_S = 24 * 3600


@dataclass(frozen=True)
class Pair:
    """What a person is given; ``expires_in`` seconds for the access token."""

    access: str
    refresh: str
    expires_in: int
    membership: Membership
    mode: str


def issue(user: User, membership: Membership, mode: str) -> Pair:
    """A fresh pair for a person who has just proved who they are."""
    refresh = RefreshToken.for_user(user)
    refresh["merchant"], refresh["mode"] = str(membership.merchant_id), mode
    # The row that simplejwt made holds the token as it was before it named the merchant.
    OutstandingToken.objects.filter(jti=refresh["jti"]).update(token=_fingerprint(refresh))
    return _pair(refresh, membership)


def renew(given: str) -> Pair:
    """A new pair for a refresh token, which is then used up. Raises ``NotAuthenticated``, for its second use also."""
    refresh = _refresh_token(given)
    with transaction.atomic():
        membership = _membership(refresh)
        if _use_up(refresh):
            return issue(membership.user, membership, refresh["mode"])
    raise NotAuthenticated


def end(given: str) -> None:
    """Forget a refresh token, which ends it; one that is none changes nothing."""
    try:
        OutstandingToken.objects.filter(jti=_refresh_token(given)["jti"]).delete()
    except NotAuthenticated:
        return


def end_all(user: User) -> None:
    """End every refresh token of a person."""
    OutstandingToken.objects.filter(user=user, blacklistedtoken=None).delete()


def caller(given: str) -> Caller:
    """The person behind an access token. Raises ``NotAuthenticated``."""
    try:
        token = AccessToken(given)
    except TokenError as error:
        raise NotAuthenticated from error
    membership = _membership(token)
    return Caller(
        tenant=Tenant(membership.merchant_id, token["mode"]),
        name=f"person:{membership.user_id}",
        scopes=OF_ROLES[membership.role],
        merchant_rate=membership.merchant.per_minute,
        language=membership.merchant.language,
    )


def _refresh_token(given: str) -> RefreshToken:
    try:
        return RefreshToken(given)
    except TokenError as error:
        _tell_of_reuse(given)
        raise NotAuthenticated from error


def _tell_of_reuse(given: str) -> None:
    """A token that was used up comes again: it was copied, or the answer to its first use was lost."""
    try:
        claims = token_backend.decode(given)
        used = BlacklistedToken.objects.filter(token__jti=claims["jti"]).exists()
        tenant = Tenant(uuid.UUID(claims["merchant"]), Mode(claims["mode"]))
    except (TokenBackendError, KeyError, ValueError):
        return
    if used and security.once(f"reuse:{claims['jti']}", _DAY_S):
        person = uuid.UUID(claims[api_settings.USER_ID_CLAIM])
        events.record(security.TOKEN_REUSED, tenant=tenant, subject_id=person)


def _membership(token: Token) -> Membership:
    try:
        person, merchant = uuid.UUID(token[api_settings.USER_ID_CLAIM]), uuid.UUID(token["merchant"])
        mode, password = Mode(token["mode"]), token[api_settings.REVOKE_TOKEN_CLAIM]
    except (KeyError, ValueError, TypeError) as error:
        raise NotAuthenticated from error
    found = Membership.objects.select_related("user", "merchant").filter(
        user_id=person, merchant_id=merchant, user__is_active=True, merchant__is_active=True
    )
    membership = found.first()
    if membership is None or not mode or password != get_md5_hash_password(membership.user.password):
        raise NotAuthenticated
    return membership


def _use_up(refresh: RefreshToken) -> bool:
    """Whether this call is the one that used the token up: the database lets only one row in."""
    row = OutstandingToken.objects.filter(jti=refresh["jti"]).first()
    if row is None:
        return False
    _blacklisted, is_first = BlacklistedToken.objects.get_or_create(token=row)
    return is_first


def _pair(refresh: RefreshToken, membership: Membership) -> Pair:
    lifetime = int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds())
    return Pair(str(refresh.access_token), str(refresh), lifetime, membership, refresh["mode"])


def _fingerprint(refresh: RefreshToken) -> str:
    """simplejwt keeps the whole token in its table; a copy of the database must not let anybody in."""
    return f"jti:{refresh['jti']}"
