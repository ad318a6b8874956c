"""The tracking-number generator over HTTP."""

from __future__ import annotations

from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys import correlation
from apikeys.views import PublicViewSet
from tracking import serializers, services, wire
from tracking.numbers import NumberRequest

CORRELATION_ID = OpenApiParameter(
    correlation.HEADER,
    str,
    OpenApiParameter.HEADER,
    description="The same request under the same id answers the same number. 1 to 64 of A-Za-z0-9._:-",
)


@method_decorator(cache_control(no_store=True), name="dispatch")
class NextTrackingNumberViewSet(PublicViewSet):
    """No key needed."""

    @extend_schema(
        operation_id="next_tracking_number",
        parameters=[serializers.NextNumberSerializer, CORRELATION_ID],
        responses={200: serializers.TrackingNumberSerializer},
        tags=["tracking numbers"],
        auth=[],
    )
    def retrieve(self, request: Request) -> Response:
        """A new tracking number, or the one that this request was given before under the same correlation id."""
        wanted = NumberRequest(**self.validated(serializers.NextNumberSerializer, request.query_params.dict()))
        issued = services.issue(wanted, correlation_id=correlation.current())
        return Response(wire.number(issued, wanted))
