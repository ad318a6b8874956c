"""Who calls: a program by ``X-API-Key: …`` or ``Authorization: Bearer wb_…``, a person by ``Bearer <access token>``."""

from __future__ import annotations

from typing import Any

from django.utils import translation
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apikeys.audit import security
from apikeys.http import actors
from apikeys.http.callers import Caller
from apikeys.http.errors import InvalidApiKey, PermissionRefused
from apikeys.keys.verification import caller_for_key, refusal_reason, verify_key
from apikeys.people import access_tokens

FROM_ELSEWHERE = _("This API key does not work from this address.")


class ApiKeyAuthentication(BaseAuthentication):
    """Sets ``request.auth`` to the ``Caller`` and ``request.tenant``.

    Raises ``InvalidApiKey`` for a key that does not open, ``PermissionRefused`` for one that may not be used from
    where it comes.
    """

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        given = _given_key(request)
        if given is None:
            return None
        row = verify_key(given)
        if row is None:
            raise InvalidApiKey
        if reason := refusal_reason(row, actors.current().address):
            security.record_refused_key(row, reason)
            raise PermissionRefused(details={"address": [FROM_ELSEWHERE]}) if reason == "address" else InvalidApiKey
        return _admit(request, caller_for_key(row))

    def authenticate_header(self, request: Request) -> str:
        return 'ApiKey realm="api"'


class PersonAuthentication(BaseAuthentication):
    """The same for a person with an access token (``apikeys.people.tokens``). Raises ``NotAuthenticated``."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        scheme, value = _authorization(request)
        if scheme != "bearer" or value.startswith("wb_") or "HTTP_X_API_KEY" in request.META:
            return None
        return _admit(request, access_tokens.caller_for_token(value))

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class IsCaller(BasePermission):
    """Refuses a request that nobody stands behind."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.auth is None:
            raise InvalidApiKey
        return True


def _admit(request: Request, caller: Caller) -> tuple[None, Caller]:
    request._request.tenant = caller.tenant
    actors.identify(caller.name)
    if "HTTP_ACCEPT_LANGUAGE" not in request.META and caller.language != translation.get_language():
        translation.activate(caller.language)  # for this request: LocaleMiddleware sets each one's anew
    return None, caller


def _given_key(request: Request) -> str | None:
    header = request.META.get("HTTP_X_API_KEY")
    if header is not None:
        return header
    scheme, value = _authorization(request)
    # Imported keys are taken only in X-API-Key: a bearer value is one of ours or a token of a person.
    if scheme == "bearer":
        return value if value.startswith("wb_") else None
    return "" if scheme else None


def _authorization(request: Request) -> tuple[str, str]:
    scheme, _blank, value = get_authorization_header(request).decode("latin-1").partition(" ")
    return scheme.lower(), value.strip()
