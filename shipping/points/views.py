"""Pickup points over HTTP."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.http.rendering import rfc3339
from apikeys.models import scopes
from carriers.api.base import CARRIER, CarrierViewSet
from carriers.http import metrics
from shipping.points import points, rendering, serializers


class PickupPointViewSet(CarrierViewSet):
    """Places to collect a parcel from."""

    scopes: ClassVar = dict.fromkeys(("list", "retrieve"), scopes.SHIPMENTS_READ)

    @extend_schema(
        parameters=[CARRIER, serializers.PointSearchSerializer],
        responses={200: rendering.PickupPointListSerializer},
        tags=["pickup points"],
    )
    def list(self, request: Request, carrier: str = "") -> Response:
        """Active points around a place, the nearest first, as the carrier told at ``as_of``, mostly within the hour."""
        credential, adapter = self.open_carrier(request, carrier)
        search = self.validate(serializers.PointSearchSerializer, request.query_params)
        found = points.near(credential, adapter, search)
        metrics.points_searched(adapter.slug).inc()
        return Response(rendering.pickup_points(found.points) | {"as_of": rfc3339(found.as_of)})

    @extend_schema(parameters=[CARRIER], responses={200: rendering.PickupPointDetailSerializer}, tags=["pickup points"])
    def retrieve(self, request: Request, point_id: str, carrier: str = "") -> Response:
        """One point with everything that the carrier says of it."""
        found = points.one(*self.open_carrier(request, carrier), point_id)
        return Response(rendering.pickup_point(found.points[0]) | {"as_of": rfc3339(found.as_of)})
