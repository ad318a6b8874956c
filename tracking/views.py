"""API endpoints of the tracking-number generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.views import ApiViewSet
from apikeys.http import correlation
from apikeys.http.errors import ValidationFailed
from apikeys.models import scopes
from tracking import numbers, serializers, services, wire
from tracking.numbers import NumberRequest

CORRELATION_ID = OpenApiParameter(
    correlation.HEADER,
    str,
    OpenApiParameter.HEADER,
    description="The same request with the same id gets the same number. 1 to 64 of A-Za-z0-9._:-",
)


@method_decorator(cache_control(no_store=True), name="dispatch")
class TrackingNumberViewSet(ApiViewSet):
    """Tracking numbers. They need an API key only if ``TRACKING_NUMBERS_NEED_KEY`` is set."""

    scopes: ClassVar = dict.fromkeys(("retrieve", "create"), scopes.TRACKING_WRITE)

    def get_authenticators(self) -> list[Any]:
        return super().get_authenticators() if settings.TRACKING_NUMBERS_NEED_KEY else []

    def get_permissions(self) -> list[Any]:
        return super().get_permissions() if settings.TRACKING_NUMBERS_NEED_KEY else []

    @extend_schema(
        operation_id="next_tracking_number",
        parameters=[serializers.NumberQuerySerializer, CORRELATION_ID],
        responses={200: serializers.TrackingNumberSerializer},
        tags=["tracking numbers"],
        auth=[],
    )
    def retrieve(self, request: Request) -> Response:
        """Issue a tracking number. The same request with the same correlation id gets the same number."""
        number_request = _build_request(serializers.validate_query(request.query_params.dict()))
        issued = services.issue(number_request, correlation_id=correlation.current())
        return Response(wire.show_number(issued, number_request))

    @extend_schema(
        operation_id="create_tracking_numbers",
        parameters=[CORRELATION_ID],
        request=serializers.NumbersRequestSerializer,
        responses={201: serializers.NumbersSerializer},
        tags=["tracking numbers"],
        auth=[],
    )
    def create(self, request: Request) -> Response:
        """Issue up to 1,000 tracking numbers, all or none.

        The same list with the same X-Correlation-ID gets the same numbers.
        """
        items = self.validate(serializers.NumbersRequestSerializer, request.data)["numbers"]
        prefix = correlation.current()[:_PREFIX_LENGTH]
        correlation_ids = [item.pop("correlation_id", f"{prefix}:{index}") for index, item in enumerate(items)]
        number_requests = [_build_request(item) for item in items]
        issued = services.issue_all(list(zip(number_requests, correlation_ids, strict=True)))
        shown = [wire.show_number(*pair) for pair in zip(issued, number_requests, strict=True)]
        return Response({"tracking_numbers": shown, "count": len(shown)}, status=status.HTTP_201_CREATED)

    def authenticate_caller(self, request: Request) -> Any:
        if settings.TRACKING_NUMBERS_NEED_KEY:
            return super().authenticate_caller(request)
        self.count("public")
        return None


_PREFIX_LENGTH = 60  # of a correlation id, so that an index in the list fits into 64 characters


def _build_request(data: Mapping[str, Any]) -> NumberRequest:
    fields = {name: data[name] for name in data if name not in ("number_format", "service_indicator")}
    indicator = data.get("service_indicator", "")
    if data["number_format"] == "s10":
        return NumberRequest(**fields, indicator=indicator or numbers.DEFAULT_INDICATOR)
    if indicator:
        raise ValidationFailed(details={"service_indicator": [_("Only S10 numbers have a service indicator.")]})
    return NumberRequest(**fields)
