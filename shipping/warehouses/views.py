"""Endpoints for warehouses."""

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
from shipping.warehouses import registrations, rendering, serializers, warehouses


class WarehouseViewSet(ApiViewSet):
    """Warehouses of the merchant."""

    scopes: ClassVar = {
        **dict.fromkeys(("list", "retrieve"), scopes.SHIPMENTS_READ),
        **dict.fromkeys(("create", "update", "destroy", "register"), scopes.SHIPMENTS_WRITE),
    }

    def render(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """Render a warehouse as the response to the request that created it."""
        rows = registrations.prefetch_registrations(Warehouse.objects.of(self.tenant))
        return Response(self._render_with_warnings(rows.get(id=warehouse_id)), status=status.HTTP_201_CREATED)

    def _render_with_warnings(self, row: Warehouse) -> dict[str, Any]:
        return rendering.warehouse_with_warnings(row, is_muted=bool(input_warnings.read_setting(self.tenant)))

    def repeat(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """Render the same for a repeated request, which first resumes the registrations of an interrupted one."""
        warehouses.resume(self.tenant, warehouse_id)
        return self.render(request, warehouse_id)

    @extend_schema(parameters=[PageSerializer], responses={200: rendering.WarehouseListSerializer}, tags=["warehouses"])
    def list(self, request: Request) -> Response:
        """List the merchant's warehouses, the newest first."""
        query = self.validate(PageSerializer, request.query_params)
        rows = registrations.prefetch_registrations(Warehouse.objects.of(self.tenant).filter(is_active=True))
        page, page_info = pagination.newest_first(rows, **query)
        return Response({"warehouses": [rendering.warehouse(row) for row in page], "pagination": page_info})

    @extend_schema(
        request=serializers.WarehouseRequestSerializer,
        responses={201: rendering.WarehouseWithWarningsSerializer},
        tags=["warehouses"],
    )
    @idempotent(repeat)
    def create(self, request: Request) -> Response:
        """Create a warehouse and register it at the named carriers."""
        data = self.validate(serializers.WarehouseRequestSerializer, request.data)
        return self.render(request, warehouses.create(self.tenant, data).id)

    @extend_schema(responses={200: rendering.WarehouseSerializer}, tags=["warehouses"])
    def retrieve(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """Get one warehouse."""
        return Response(rendering.warehouse(warehouses.get_warehouse(self.tenant, warehouse_id)))

    @extend_schema(
        request=serializers.WarehouseSerializer,
        responses={200: rendering.WarehouseWithWarningsSerializer},
        tags=["warehouses"],
    )
    def update(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """Change a warehouse, here and at the carriers where it is registered."""
        row = warehouses.get_warehouse(self.tenant, warehouse_id)
        warehouses.update(row, self.validate(serializers.WarehouseSerializer, request.data))
        return Response(self._render_with_warnings(row))

    @extend_schema(request=None, responses={204: None}, tags=["warehouses"])
    def destroy(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """Close a warehouse. Shipments that departed from it do not change."""
        warehouses.close(self.tenant, warehouse_id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def render_registration(self, request: Request, registration_id: uuid.UUID) -> Response:
        """Render the current state of a registration.

        ``pending`` means that the carrier's answer was lost; a request with a new key registers again.
        """
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
        """Register a warehouse at a carrier, or store the name that it has there already."""
        warehouse = warehouses.get_warehouse(self.tenant, warehouse_id)
        data = self.validate(serializers.RegistrationRequestSerializer, request.data)
        carrier_id = data.get("carrier_warehouse_id", "")
        row = registrations.register(self.tenant, warehouse, carrier=data["carrier"], carrier_id=carrier_id)
        return Response(rendering.registration(row))
