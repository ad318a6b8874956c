"""Warehouses over HTTP."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.http import pagination
from apikeys.http.pagination import PageSerializer
from apikeys.models import scopes
from shipping.common import input_warnings
from shipping.models import Warehouse, WarehouseRegistration
from shipping.warehouses import rendering, serializers, warehouses


class WarehouseViewSet(ApiViewSet):
    """Places of departure."""

    scopes: ClassVar = {
        **dict.fromkeys(("list", "retrieve"), scopes.SHIPMENTS_READ),
        **dict.fromkeys(("create", "update", "destroy", "register"), scopes.SHIPMENTS_WRITE),
    }

    def render(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """A place, as the request that made it is answered."""
        rows = warehouses.with_registrations(Warehouse.objects.of(self.tenant))
        return Response(self._kept(rows.get(id=warehouse_id)), status=status.HTTP_201_CREATED)

    def _kept(self, row: Warehouse) -> dict[str, Any]:
        return rendering.kept_warehouse(row, is_muted=bool(input_warnings.muted(self.tenant)))

    def repeat(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """The same for a repetition, which tells the carriers that the first request did not come to."""
        warehouses.tell_rest(self.tenant, warehouse_id)
        return self.render(request, warehouse_id)

    @extend_schema(parameters=[PageSerializer], responses={200: rendering.WarehouseListSerializer}, tags=["warehouses"])
    def list(self, request: Request) -> Response:
        """The merchant's places, the newest first."""
        asked = self.validate(PageSerializer, request.query_params)
        rows = warehouses.with_registrations(Warehouse.objects.of(self.tenant).filter(is_active=True))
        page, page_info = pagination.newest_first(rows, **asked)
        return Response({"warehouses": [rendering.warehouse(row) for row in page], "pagination": page_info})

    @extend_schema(
        request=serializers.WarehouseRequestSerializer,
        responses={201: rendering.KeptWarehouseSerializer},
        tags=["warehouses"],
    )
    @idempotent(repeat)
    def create(self, request: Request) -> Response:
        """Keep a place, and tell the named carriers of it."""
        place = self.validate(serializers.WarehouseRequestSerializer, request.data)
        return self.render(request, warehouses.create(self.tenant, place).id)

    @extend_schema(responses={200: rendering.WarehouseSerializer}, tags=["warehouses"])
    def retrieve(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """One place."""
        return Response(rendering.warehouse(warehouses.find(self.tenant, warehouse_id)))

    @extend_schema(
        request=serializers.WarehouseSerializer,
        responses={200: rendering.KeptWarehouseSerializer},
        tags=["warehouses"],
    )
    def update(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """Change a place, here and at the carriers that know it."""
        row = warehouses.find(self.tenant, warehouse_id)
        warehouses.change(row, self.validate(serializers.WarehouseSerializer, request.data))
        return Response(self._kept(row))

    @extend_schema(request=None, responses={204: None}, tags=["warehouses"])
    def destroy(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """Close a place; what departed from it stays as it is."""
        warehouses.close(self.tenant, warehouse_id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def render_registration(self, request: Request, registration_id: uuid.UUID) -> Response:
        """A registration as it stands; ``pending`` where the carrier's answer was lost: ask under a new key."""
        rows = WarehouseRegistration.objects.select_related("credential").filter(
            warehouse__in=Warehouse.objects.of(self.tenant)
        )
        return Response(rendering.registration(rows.get(id=registration_id)))

    @extend_schema(
        request=serializers.RegistrationRequestSerializer,
        responses={200: rendering.RegistrationSerializer},
        tags=["warehouses"],
    )
    @idempotent(render_registration)
    def register(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """Tell a carrier of a place, or say what the carrier calls it already."""
        place = warehouses.find(self.tenant, warehouse_id)
        data = self.validate(serializers.RegistrationRequestSerializer, request.data)
        known_as = data.get("carrier_warehouse_id", "")
        row = warehouses.register(self.tenant, place, carrier=data["carrier"], known_as=known_as)
        return Response(rendering.registration(row))
