"""Authentication of API requests.

Programs send ``X-API-Key: …`` or ``Authorization: Bearer wb_…``, people ``Authorization: Bearer <access token>``.
"""

from __future__ import annotations

from typing import Any

from django.utils import translation
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apikeys.access import unknown_keys
from apikeys.audit import security
from apikeys.db.tenancy import Caller
from apikeys.http import actors
from apikeys.http.errors import InvalidApiKey, PermissionRefused
from apikeys.keys.verification import caller_for_key, refusal_reason, verify_key
from apikeys.people import access_tokens

ADDRESS_REFUSED = _("This API key does not work from this address.")


class ApiKeyAuthentication(BaseAuthentication):
    """Authenticate an API key: set ``request.auth`` to the ``Caller``, and the tenant on Django's request.

    Raises: ``InvalidApiKey``, or ``PermissionRefused`` for a valid key from an address that is not allowed.
    """

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        key = _read_key(request)
        if key is None:
            return None
        row = verify_key(key)
        if row is None:
            if key:
                unknown_keys.count(actors.current().address or "0.0.0.0")  # noqa: S104 a Unix socket has no address
            raise InvalidApiKey
        if reason := refusal_reason(row, actors.current().address):
            security.record_refused_key(row, reason)
            raise PermissionRefused(details={"address": [ADDRESS_REFUSED]}) if reason == "address" else InvalidApiKey
        return _admit(request, caller_for_key(row))

    def authenticate_header(self, request: Request) -> str:
        return 'ApiKey realm="api"'


class PersonAuthentication(BaseAuthentication):
    """Authenticate a person by access token, in the same way. Raises ``NotAuthenticated``."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        scheme, value = _read_authorization(request)
        if scheme != "bearer" or value.startswith("wb_") or "HTTP_X_API_KEY" in request.META:
            return None
        return _admit(request, access_tokens.caller_for_token(value))

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class IsCaller(BasePermission):
    """Refuse requests without a caller."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.auth is None:
            raise InvalidApiKey
        return True


def _admit(request: Request, caller: Caller) -> tuple[None, Caller]:
    request._request.tenant = caller.tenant
    actors.identify(caller.name)
    if "HTTP_ACCEPT_LANGUAGE" not in request.META and caller.language != translation.get_language():
        translation.activate(caller.language)  # LocaleMiddleware sets the next request's language
    return None, caller


def _read_key(request: Request) -> str | None:
    header = request.META.get("HTTP_X_API_KEY")
    if header is not None:
        return header
    scheme, value = _read_authorization(request)
    # Imported keys are accepted only in X-API-Key: a bearer value is a wb_ key or a person's access token.
    if scheme == "bearer":
        return value if value.startswith("wb_") else None
    return "" if scheme else None


def _read_authorization(request: Request) -> tuple[str, str]:
    scheme, _blank, value = get_authorization_header(request).decode("latin-1").partition(" ")
    return scheme.lower(), value.strip()
