"""The tracking-number generator over HTTP."""

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
    description="The same request under the same id answers the same number. 1 to 64 of A-Za-z0-9._:-",
)


@method_decorator(cache_control(no_store=True), name="dispatch")
class TrackingNumberViewSet(ApiViewSet):
    """No key needed, unless ``TRACKING_NUMBERS_NEED_KEY``."""

    scopes: ClassVar = dict.fromkeys(("retrieve", "create"), scopes.TRACKING_WRITE)

    def get_authenticators(self) -> list[Any]:
        return super().get_authenticators() if settings.TRACKING_NUMBERS_NEED_KEY else []

    def get_permissions(self) -> list[Any]:
        return super().get_permissions() if settings.TRACKING_NUMBERS_NEED_KEY else []

    @extend_schema(
        operation_id="next_tracking_number",
        parameters=[serializers.WantedNumberSerializer, CORRELATION_ID],
        responses={200: serializers.TrackingNumberSerializer},
        tags=["tracking numbers"],
        auth=[],
    )
    def retrieve(self, request: Request) -> Response:
        """A new tracking number, or the one that this request was given before under the same correlation id."""
        wanted = _wanted(serializers.wanted(request.query_params.dict()))
        return Response(wire.number(services.issue(wanted, correlation_id=correlation.current()), wanted))

    @extend_schema(
        operation_id="create_tracking_numbers",
        parameters=[CORRELATION_ID],
        request=serializers.NumbersRequestSerializer,
        responses={201: serializers.NumbersSerializer},
        tags=["tracking numbers"],
        auth=[],
    )
    def create(self, request: Request) -> Response:
        """Up to a thousand at once, all or none; the same list under the same X-Correlation-ID gives the same ones."""
        asked = self.validate(serializers.NumbersRequestSerializer, request.data)["numbers"]
        made = correlation.current()[:_ROOM]
        names = [one.pop("correlation_id", f"{made}:{place}") for place, one in enumerate(asked)]
        all_wanted = [_wanted(one) for one in asked]
        issued = services.issue_all(list(zip(all_wanted, names, strict=True)))
        shown = [wire.number(one, wanted) for one, wanted in zip(issued, all_wanted, strict=True)]
        return Response({"tracking_numbers": shown, "count": len(shown)}, status=status.HTTP_201_CREATED)

    def authenticate_caller(self, request: Request) -> Any:
        if settings.TRACKING_NUMBERS_NEED_KEY:
            return super().authenticate_caller(request)
        self.count("public")
        return None


_ROOM = 60  # of an id, so that the place in the list fits behind it


def _wanted(data: Mapping[str, Any]) -> NumberRequest:
    fields = {name: data[name] for name in data if name not in ("number_format", "service_indicator")}
    indicator = data.get("service_indicator", "")
    if data["number_format"] == "s10":
        return NumberRequest(**fields, indicator=indicator or numbers.DEFAULT_INDICATOR)
    if indicator:
        raise ValidationFailed(details={"service_indicator": [_("Only S10 numbers have a service indicator.")]})
    return NumberRequest(**fields)
