"""Tracking over HTTP: from the carrier, and from the stored checkpoints."""

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
    """Where a parcel is."""

    scopes: ClassVar = {"read": scopes.TRACKING_READ, "retrieve": scopes.TRACKING_READ}

    @extend_schema(
        request=serializers.TrackingRequestSerializer,
        responses={200: tracking_rendering.TRACK_ANSWER},
        tags=["tracking"],
    )
    def read(self, request: Request) -> Response:
        """Ask the carrier for a parcel that was booked through Waybill, or for up to fifty at once.

        Of ``tracking_numbers`` each is answered for itself, in ``results``: as alone, or by the error that it would
        have been refused with.
        """
        asked = self.validate(serializers.TrackingRequestSerializer, request.data)
        if "tracking_numbers" in asked:
            found = tracking.read(self.tenant, carrier=asked["carrier"], names=asked["tracking_numbers"])
            return Response(tracking_rendering.tracks(found))
        shipment, stale = tracking.track(self.tenant, carrier=asked["carrier"], number=asked["tracking_number"])
        return Response(tracking_rendering.track(shipment, stale=stale))

    @extend_schema(parameters=[NAME], responses={200: tracking_rendering.HistorySerializer}, tags=["tracking"])
    def retrieve(self, request: Request, name: str) -> Response:
        """The stored history of a unit: the merchant's own, or a booked shipment."""
        correlation.note(request._request, tracking_id=name)
        if rows := histories.find(self.tenant, name):
            return Response(tracking_rendering.history_of(rows))
        unit = lookup.find_unit(self.tenant, name)
        if unit is None:
            raise TrackingNotFound
        return Response(tracking_rendering.history(unit))
