"""The base of every API view: key, limits, tenant, error shape."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from apikeys import limits
from apikeys.tenancy import Tenant


class ApiViewSet(GenericViewSet):
    """Counts the request against its key and sends the limit's headers."""

    queryset: Any = None

    @property
    def tenant(self) -> Tenant:
        """Whose data this request may touch."""
        return self.request._request.tenant

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, then count, then look at the rest."""
        if self.permission_classes and request.auth is not None:
            self.usage = limits.count(request, request.auth)
            limits.refuse_if_exceeded(self.usage)
        super().initial(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """Add the limit's headers to every answer, errors included."""
        usage = getattr(self, "usage", None)
        for name, value in usage.headers().items() if usage else ():
            response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)

    def checked(self, serializer: Any, data: Any) -> Any:
        """Validated data, or ``ValidationError`` naming each field."""
        bound = serializer(data=data, context={"tenant": self.tenant})
        bound.is_valid(raise_exception=True)
        return bound.validated_data
