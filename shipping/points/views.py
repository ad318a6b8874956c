"""Endpoints for pickup points."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.http.rendering import rfc3339
from apikeys.models import scopes
from carriers.api.base import CARRIER, CarrierViewSet
from carriers.http import metrics
from shipping.common import lookup
from shipping.points import points, rendering, serializers


class PickupPointViewSet(CarrierViewSet):
    """Pickup points of a carrier."""

    scopes: ClassVar = dict.fromkeys(("list", "retrieve"), scopes.SHIPMENTS_READ)

    @extend_schema(
        parameters=[CARRIER, serializers.PointSearchSerializer],
        responses={200: rendering.PickupPointListSerializer},
        tags=["pickup points"],
    )
    def list(self, request: Request, carrier: str = "") -> Response:
        """Search active points near coordinates or an address, the nearest first.

        ``as_of`` is the time of the carrier's answer. A search by address is for carriers that can search so.
        """
        credential, adapter = self.open_carrier(request, carrier)
        search = self.validate(serializers.PointSearchSerializer, request.query_params)
        found = points.search_points(credential, adapter, search)
        metrics.points_searched(adapter.slug).inc()
        return Response(rendering.pickup_points(found.points) | {"as_of": rfc3339(found.as_of)})

    @extend_schema(
        parameters=[CARRIER, serializers.PointQuerySerializer],
        responses={200: rendering.PickupPointDetailSerializer},
        tags=["pickup points"],
    )
    def retrieve(self, request: Request, point_id: str, carrier: str = "") -> Response:
        """Get one point with all its details."""
        credential, adapter = self.open_carrier(request, carrier)
        query = self.validate(serializers.PointQuerySerializer, request.query_params)
        found = points.get_point(credential, adapter, lookup.clean_name(point_id), query["country"])
        return Response(rendering.pickup_point(found.points[0]) | {"as_of": rfc3339(found.as_of)})
