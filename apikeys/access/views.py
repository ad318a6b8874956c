"""Base classes of the API views: authentication, rate limits, scopes and validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, ClassVar

from django.http import QueryDict
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from apikeys.access import limits, usage
from apikeys.access.limits import RequestFacts
from apikeys.db.tenancy import Caller, Tenant
from apikeys.http import actors, request_data
from apikeys.http.errors import InvalidApiKey, NotAuthenticated, PermissionRefused, ValidationFailed
from apikeys.models import UsageDay


class OptionsMixin:
    """Answer OPTIONS requests, which DRF refuses without metadata classes."""

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the path's methods in ``Allow``. The OpenAPI document describes them."""
        return Response(status=204, headers={"Allow": ", ".join(self.allowed_methods)})


class CountedMixin(OptionsMixin):
    """Count requests against rate limits and send the headers of the limit closest to being reached."""

    usage: limits.Usage | None = None

    def count(self, *policies: str, caller: Caller | None = None, account: str = "") -> None:
        """Count the request against these policies.

        Raises ``RateLimited``, or ``Unavailable`` if a policy that fails closed cannot be counted.
        """
        facts = RequestFacts(actors.current().address or "0.0.0.0", caller, account)  # noqa: S104 a Unix socket has no address
        self.usage = limits.count(facts, policies)
        limits.refuse_if_exceeded(self.usage)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """Add the rate limit's headers to every response, errors included."""
        for name, value in self.usage.headers().items() if self.usage else ():
            response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)


class CountedViewSet(CountedMixin, GenericViewSet):
    """Base class of all viewsets of the API."""

    queryset: Any = None
    # Actions that change access; also counted against the policy ``sensitive``.
    sensitive: ClassVar[frozenset[str]] = frozenset()

    # Query parameters that all actions of the view read.
    shared_parameters: ClassVar[frozenset[str]] = frozenset()
    # Warnings about this request's body; the response gets them.
    body_warnings: tuple[request_data.Warning_, ...] = ()

    def validate(self, serializer: Any, data: Any, **context: Any) -> Any:
        """Return the validated data. Raises DRF's ``ValidationError``, which names each field.

        Unknown fields of a body become warnings. With ``Prefer: handling=strict`` they are refused, as unknown
        parameters of a query always are. The serializer's context has ``tenant``, which is None for a request without a
        caller.
        """
        tenant = getattr(self.request._request, "tenant", None)
        bound = serializer(data=data, context={"tenant": tenant} | context)
        if isinstance(data, QueryDict):
            bound.initial_data = request_data.read_query(bound, data, others=self.shared_parameters)
        else:
            self.warn_of_unknown(request_data.find_unknown(bound, data))
            bound.initial_data = request_data.without_nulls(bound, data)
        bound.is_valid(raise_exception=True)
        return bound.validated_data

    def warn_of_unknown(self, found: Iterable[request_data.Warning_]) -> None:
        """Add warnings about unknown fields to the response. Raises ``ValidationFailed`` if the caller wants that."""
        warnings = tuple(islice(found, request_data.MAX_WARNINGS))
        if warnings and request_data.is_strict(self.request.META.get("HTTP_PREFER", "")):
            raise ValidationFailed(details={one["field"]: [one["message"]] for one in warnings})
        self.body_warnings += warnings

    def take_body_warnings(self) -> tuple[request_data.Warning_, ...]:
        """Return the warnings that are not in a response yet."""
        warnings, self.body_warnings = self.body_warnings, ()
        return warnings

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """Add the warnings about the body to a response that succeeds."""
        if isinstance(response, Response) and response.status_code < 400:
            request_data.add_warnings(response, self.take_body_warnings())
        return super().finalize_response(request, response, *args, **kwargs)

    def _sensitive_policy(self) -> tuple[str, ...]:
        return ("sensitive",) if self.action in self.sensitive else ()


class PublicViewSet(CountedViewSet):
    """Views that need no API key. Requests are counted by address."""

    authentication_classes = ()
    permission_classes = ()
    policies: ClassVar[tuple[str, ...]] = ("public",)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count the request before DRF's own checks."""
        self.count(*self.policies, *self._sensitive_policy())
        super().initial(request, *args, **kwargs)


class ApiViewSet(CountedViewSet):
    """Views for API keys and people. Each action needs a scope."""

    # Scope per action. An action that is not listed is refused.
    scopes: ClassVar[Mapping[str, str]] = {}
    # Whether the view covers the whole merchant. A key that is bound to a store is then refused.
    merchant_wide: ClassVar[bool] = False

    @property
    def tenant(self) -> Tenant:
        """The tenant of this request; every query filters by it."""
        return self.request._request.tenant

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate and count the request, run DRF's own checks, then check scope and store."""
        caller = self.authenticate_caller(request)
        if caller is not None:
            self.count(*limits.OF_CALLERS, *self._sensitive_policy(), caller=caller)
        super().initial(request, *args, **kwargs)
        action = self.action_map.get((request.method or "").lower())
        if caller is None or action is None:  # without an action, the response is 405
            return
        scope = self.scopes.get(action)
        if scope is None or not caller.may(scope):
            raise PermissionRefused(details={"scope": [scope or _("No caller may do this.")]})
        if self.merchant_wide and caller.tenant.store_id:
            raise PermissionRefused(details={"store": [_("This key is bound to a store.")]})

    def authenticate_caller(self, request: Request) -> Caller | None:
        """Return the caller. Requests without a valid one are counted by address, which slows down guessing."""
        try:
            if request.auth is not None:
                return request.auth
        except (InvalidApiKey, NotAuthenticated, PermissionRefused):
            self.count("public")
            raise
        self.count("public")
        return None

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """Count the use of the API key."""
        tenant = getattr(request._request, "tenant", None) if isinstance(request, Request) else None
        if tenant is not None and tenant.key_id:
            usage.count(UsageDay.Kind.KEY, tenant.key_id, tenant, failed=response.status_code >= 400)
        return super().finalize_response(request, response, *args, **kwargs)
