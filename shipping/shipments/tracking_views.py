"""Endpoints for tracking: at the carrier, and from stored checkpoints."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.views import ApiViewSet
from apikeys.http import correlation
from apikeys.http.errors import TrackingNotFound
from apikeys.models import scopes
from shipping.common import lookup
from shipping.shipments import histories, serializers, tracking, tracking_rendering
from shipping.shipments.views import NAME


class TrackingViewSet(ApiViewSet):
    """Tracks and histories of parcels."""

    scopes: ClassVar = {"track": scopes.TRACKING_READ, "retrieve": scopes.TRACKING_READ}

    @extend_schema(
        request=serializers.TrackingRequestSerializer,
        responses={200: tracking_rendering.TRACK_ANSWER},
        tags=["tracking"],
    )
    def track(self, request: Request) -> Response:
        """Request the track of a booked parcel from its carrier, or the tracks of up to fifty.

        With ``tracking_numbers``, ``results`` has a track or an error for each.
        """
        query = self.validate(serializers.TrackingRequestSerializer, request.data)
        if "tracking_numbers" in query:
            results = tracking.track_many(self.tenant, carrier=query["carrier"], names=query["tracking_numbers"])
            return Response(tracking_rendering.tracks(results))
        shipment, stale = tracking.track(self.tenant, carrier=query["carrier"], number=query["tracking_number"])
        return Response(tracking_rendering.track(shipment, stale=stale))

    @extend_schema(parameters=[NAME], responses={200: tracking_rendering.HistorySerializer}, tags=["tracking"])
    def retrieve(self, request: Request, name: str) -> Response:
        """Get the stored history of a unit: self-tracked or booked."""
        correlation.note(request._request, tracking_id=name)
        if rows := histories.read_history(self.tenant, name):
            return Response(tracking_rendering.history_from_rows(rows))
        unit = lookup.find_unit(self.tenant, name)
        if unit is None:
            raise TrackingNotFound
        return Response(tracking_rendering.history(unit))
