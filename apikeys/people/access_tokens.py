"""Access and refresh tokens of people (JWT), issued with simplejwt.

An access token is valid for 15 minutes. A refresh token is valid for ``REFRESH_TOKEN_DAYS`` and for one use: each use
issues a new one and blacklists the old one. Both name the person, the merchant and the mode. Permissions are read from
the membership on every call, so a changed role or an ended membership takes effect immediately.
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
from apikeys.db.tenancy import Caller, Mode, Tenant
from apikeys.http.errors import NotAuthenticated
from apikeys.models import Membership, User
from apikeys.models.scopes import OF_ROLES

_DAY_S = 24 * 3600


@dataclass(frozen=True)
class TokenPair:
    """An access token, valid for ``expires_in`` seconds, and a refresh token."""

    access: str
    refresh: str
    expires_in: int
    membership: Membership
    mode: str


def issue_tokens(user: User, membership: Membership, mode: str) -> TokenPair:
    """Issue a pair of tokens to a person who has just signed in."""
    refresh = RefreshToken.for_user(user)
    refresh["merchant"], refresh["mode"] = str(membership.merchant_id), mode
    # simplejwt has stored the whole token. With only its id, a copy of the database gives no access.
    OutstandingToken.objects.filter(jti=refresh["jti"]).update(token=f"jti:{refresh['jti']}")
    lifetime = int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds())
    return TokenPair(str(refresh.access_token), str(refresh), lifetime, membership, mode)


def renew_tokens(raw_token: str) -> TokenPair:
    """Exchange a refresh token for a new pair. Raises ``NotAuthenticated``, also for a token that was used before."""
    refresh = _parse_refresh_token(raw_token)
    with transaction.atomic():
        membership = _membership_of(refresh)
        row = OutstandingToken.objects.filter(jti=refresh["jti"]).first()
        if row is not None:
            # Of two concurrent uses only one creates the row: it is unique per token.
            _blacklisted, is_first_use = BlacklistedToken.objects.get_or_create(token=row)
            if is_first_use:
                return issue_tokens(membership.user, membership, refresh["mode"])
    raise NotAuthenticated


def revoke_refresh_token(raw_token: str) -> None:
    """Revoke a refresh token by deleting its row. An invalid token is ignored."""
    try:
        OutstandingToken.objects.filter(jti=_parse_refresh_token(raw_token)["jti"]).delete()
    except NotAuthenticated:
        return


def revoke_all_tokens(user: User) -> None:
    """Revoke every refresh token of a person."""
    OutstandingToken.objects.filter(user=user, blacklistedtoken=None).delete()


def caller_for_token(raw_token: str) -> Caller:
    """Return the ``Caller`` for an access token. Raises ``NotAuthenticated``."""
    try:
        token = AccessToken(raw_token)
    except TokenError as error:
        raise NotAuthenticated from error
    membership = _membership_of(token)
    return Caller(
        tenant=Tenant(membership.merchant_id, token["mode"]),
        name=f"person:{membership.user_id}",
        scopes=OF_ROLES[membership.role],
        user_rate=membership.user.per_minute,
        merchant_rate=membership.merchant.per_minute,
        language=membership.merchant.language,
    )


def _parse_refresh_token(raw_token: str) -> RefreshToken:
    try:
        return RefreshToken(raw_token)
    except TokenError as error:
        _record_reuse(raw_token)
        raise NotAuthenticated from error


def _record_reuse(raw_token: str) -> None:
    """Record that a used refresh token was sent again: it was copied, or the response to its first use was lost."""
    try:
        claims = token_backend.decode(raw_token)
        used = BlacklistedToken.objects.filter(token__jti=claims["jti"]).exists()
        tenant = Tenant(uuid.UUID(claims["merchant"]), Mode(claims["mode"]))
    except (TokenBackendError, KeyError, ValueError):
        return
    if used and security.is_first_in_period(f"reuse:{claims['jti']}", _DAY_S):
        person = uuid.UUID(claims[api_settings.USER_ID_CLAIM])
        events.record(security.TOKEN_REUSED, tenant=tenant, subject_id=person)


def _membership_of(token: Token) -> Membership:
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
