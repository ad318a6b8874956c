"""Who calls: ``X-API-Key: …`` or ``Authorization: Bearer wb_…``."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apikeys import keys
from apikeys.errors import InvalidApiKey


class ApiKeyAuthentication(BaseAuthentication):
    """Sets ``request.auth`` to the ``ApiKey`` and ``request.tenant``.

    Raises ``InvalidApiKey`` for a key that does not open.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        given = _given_key(request)
        if given is None:
            return None
        key = keys.find(given)
        if key is None:
            raise InvalidApiKey
        request._request.tenant = key.tenant
        return (None, key)

    def authenticate_header(self, request: Request) -> str:
        return 'ApiKey realm="api"'


class HasApiKey(BasePermission):
    """Refuses a request without a key."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.auth is None:
            raise InvalidApiKey
        return True


def _given_key(request: Request) -> str | None:
    header = request.META.get("HTTP_X_API_KEY")
    if header is not None:
        return header
    scheme, _, value = get_authorization_header(request).decode("latin-1").partition(" ")
    if not scheme:
        return None
    # Imported keys are taken only in X-API-Key: a bearer value is one of ours or a token of another kind.
    return value.strip() if scheme.lower() == "bearer" and value.strip().startswith("wb_") else ""
