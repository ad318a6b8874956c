"""Endpoints for pickups."""

from __future__ import annotations

import uuid
from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.http import pagination
from apikeys.models import scopes
from shipping import openapi_examples
from shipping.models import Pickup
from shipping.pickups import pickups, rendering, serializers, windows
from shipping.shipments import serializers as shipment_serializers

PICKUP = OpenApiParameter(
    "pickup", str, OpenApiParameter.PATH, description="Our id, the carrier's or the confirmation number."
)


class PickupViewSet(ApiViewSet):
    """Pickups of the merchant."""

    scopes: ClassVar = {
        **dict.fromkeys(("create", "cancel"), scopes.SHIPMENTS_WRITE),
        **dict.fromkeys(("list", "retrieve", "windows"), scopes.SHIPMENTS_READ),
    }

    def render(self, request: Request, pickup_id: uuid.UUID) -> Response:
        """Render a pickup as the response to the request that created it."""
        row = pickups.get_pickup(self.tenant, str(pickup_id))
        waiting = row.state in (Pickup.State.PENDING, Pickup.State.NEEDS_REVIEW)
        return Response(rendering.pickup(row), status=status.HTTP_202_ACCEPTED if waiting else status.HTTP_200_OK)

    @extend_schema(
        request=serializers.PickupRequestSerializer,
        responses={200: rendering.PickupSerializer, 202: rendering.PickupSerializer},
        tags=["pickups"],
    )
    @idempotent(render)
    def create(self, request: Request) -> Response:
        """Schedule a pickup. Returns 202 if the carrier did not answer and the outcome is unknown."""
        order = self.validate(serializers.PickupRequestSerializer, request.data)
        pickup, warnings = pickups.schedule(self.tenant, order)
        self.body_warnings += tuple(warnings)
        return self.render(request, pickup.id)

    @extend_schema(
        parameters=[serializers.PickupListSerializer],
        responses={200: rendering.PickupListSerializer},
        tags=["pickups"],
    )
    def list(self, request: Request) -> Response:
        """List pickups, the newest first."""
        query = self.validate(serializers.PickupListSerializer, request.query_params)
        rows = pickups.filter_pickups(self.tenant, query)
        page, page_info = pagination.newest_first(rows, limit=query["limit"], cursor=query.get("cursor"))
        return Response({"pickups": [rendering.pickup(row) for row in page], "pagination": page_info})

    @extend_schema(parameters=[PICKUP], responses={200: rendering.PickupSerializer}, tags=["pickups"])
    def retrieve(self, request: Request, pickup: str) -> Response:
        """Get one pickup."""
        return Response(rendering.pickup(pickups.get_pickup(self.tenant, pickup)))

    @extend_schema(
        parameters=[PICKUP],
        request=shipment_serializers.CancelRequestSerializer,
        responses={200: rendering.PickupSerializer},
        tags=["pickups"],
    )
    def cancel(self, request: Request, pickup: str) -> Response:
        """Cancel a pickup. A repeated call returns the same cancellation."""
        data = self.validate(shipment_serializers.CancelRequestSerializer, request.data)
        return Response(rendering.pickup(pickups.cancel(self.tenant, pickup, reason=data["reason"])))

    @extend_schema(
        request=serializers.PickupWindowsRequestSerializer,
        examples=openapi_examples.PICKUP_WINDOWS,
        responses={200: rendering.PickupWindowsSerializer},
        tags=["pickups"],
    )
    def windows(self, request: Request) -> Response:
        """List the times at which a carrier can pick up. Nothing is booked or stored."""
        order = self.validate(serializers.PickupWindowsRequestSerializer, request.data)
        adapter, found = windows.find_windows(self.tenant, order)
        return Response(rendering.pickup_windows(adapter.name, found))
