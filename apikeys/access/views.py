"""The base of every API view: who calls, what they may do, how often, whose data; and the error shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from apikeys.access import limits, usage
from apikeys.access.limits import Facts
from apikeys.db.tenancy import Tenant
from apikeys.http import actors
from apikeys.http.callers import Caller
from apikeys.http.errors import InvalidApiKey, NotAuthenticated, PermissionRefused
from apikeys.models import UsageDay


class CountedMixin:
    """Counts each request against the limits that apply, and sends the nearest one's headers."""

    usage: limits.Usage | None = None

    def count(self, *policies: str, caller: Caller | None = None, account: str = "") -> None:
        """Raises ``RateLimited``, or ``Unavailable`` when a limit that must hold cannot be counted."""
        facts = Facts(actors.current().address or "0.0.0.0", caller, account)  # noqa: S104 no socket, no address
        self.usage = limits.count(facts, policies)
        limits.refuse_if_exceeded(self.usage)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """Add the limit's headers to every answer, errors included."""
        for name, value in self.usage.headers().items() if self.usage else ():
            response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)


class CountedViewSet(CountedMixin, GenericViewSet):
    """The base of the API's viewsets."""

    queryset: Any = None
    # Actions that change what opens doors; counted against the sensitive limit besides.
    sensitive: ClassVar[frozenset[str]] = frozenset()

    def validated(self, serializer: Any, data: Any, **context: Any) -> Any:
        """Validated data, or ``ValidationError`` naming each field."""
        bound = serializer(data=data, context=context)
        bound.is_valid(raise_exception=True)
        return bound.validated_data

    def _sensitive(self) -> tuple[str, ...]:
        return ("sensitive",) if self.action in self.sensitive else ()


class PublicViewSet(CountedViewSet):
    """For everybody: counted by address."""

    authentication_classes = ()
    permission_classes = ()
    policies: ClassVar[tuple[str, ...]] = ("public",)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count, then look at the rest."""
        self.count(*self.policies, *self._sensitive())
        super().initial(request, *args, **kwargs)


class ApiViewSet(CountedViewSet):
    """For keys and people, each with the scope that ``scopes`` asks for an action."""

    # action: scope. An action that stands not here is open to nobody.
    scopes: ClassVar[Mapping[str, str]] = {}
    # What concerns the whole merchant is closed to a key that is bound to a store.
    merchant_wide: ClassVar[bool] = False

    @property
    def tenant(self) -> Tenant:
        """Whose data this request may touch."""
        return self.request._request.tenant

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Establish the caller, count, check what they may do, then look at the rest."""
        caller = self._caller(request)
        if caller is not None:
            self.count(*limits.OF_CALLERS, *self._sensitive(), caller=caller)
        super().initial(request, *args, **kwargs)
        self._check_scope(caller)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """Count the use of the key."""
        tenant = getattr(request._request, "tenant", None) if isinstance(request, Request) else None
        if tenant is not None and tenant.key_id:
            usage.count(UsageDay.Kind.KEY, tenant.key_id, tenant, failed=response.status_code >= 400)
        return super().finalize_response(request, response, *args, **kwargs)

    def checked(self, serializer: Any, data: Any) -> Any:
        """``validated``, for serializers that look at the merchant's data."""
        return self.validated(serializer, data, tenant=self.tenant, caller=self.request.auth)

    def _caller(self, request: Request) -> Caller | None:
        """Who calls. Whoever shows nothing that opens is counted by address, so that guessing is slow."""
        try:
            if request.auth is not None:
                return request.auth
        except (InvalidApiKey, NotAuthenticated, PermissionRefused):
            self.count("public")
            raise
        self.count("public")
        return None

    def _check_scope(self, caller: Caller | None) -> None:
        action = self.action_map.get((self.request.method or "").lower())
        if caller is None or action is None:  # the latter: 405
            return
        scope = self.scopes.get(action)
        if scope is None or not caller.may(scope):
            raise PermissionRefused(details={"scope": [scope or _("Nobody may do this.")]})
        if self.merchant_wide and caller.tenant.store_id:
            raise PermissionRefused(details={"store": [_("This key is bound to a store.")]})
