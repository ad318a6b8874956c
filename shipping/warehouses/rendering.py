"""Responses about warehouses."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apikeys.http.pagination import PaginationSerializer as CursorPaginationSerializer
from apikeys.http.rendering import rfc3339
from carriers.adapters.registry import adapter_class
from shipping.common import input_warnings
from shipping.common.conversion import to_address
from shipping.common.response_fields import WARNINGS_HELP, WarningSerializer
from shipping.models import Warehouse, WarehouseRegistration
from shipping.warehouses.registrations import usable_registrations


class RegistrationSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    credential = serializers.ChoiceField(choices=["own", "platform"])
    state = serializers.ChoiceField(choices=WarehouseRegistration.State.choices)
    carrier_warehouse_id = serializers.CharField(allow_null=True)
    failure = serializers.DictField(allow_null=True)


class WarehouseSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    address = serializers.DictField()
    return_address = serializers.DictField(allow_null=True)
    registrations = RegistrationSerializer(many=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


@extend_schema_serializer(component_name="KeptWarehouse")
class WarehouseWithWarningsSerializer(WarehouseSerializer):
    """The response to creating or changing a warehouse."""

    warnings = WarningSerializer(many=True, help_text=WARNINGS_HELP)


class WarehouseListSerializer(serializers.Serializer):
    warehouses = WarehouseSerializer(many=True)
    pagination = CursorPaginationSerializer()


def warehouse(row: Warehouse) -> dict[str, Any]:
    """Render a warehouse with its registrations at credentials that the merchant can order with."""
    return {
        "id": str(row.id),
        "name": row.name,
        "address": row.address,
        "return_address": row.return_address,
        "registrations": [registration(one) for one in usable_registrations(row)],
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
    }


def warehouse_with_warnings(row: Warehouse, *, is_muted: bool) -> dict[str, Any]:
    """Render a warehouse with warnings about doubtful addresses."""
    stored = {} if is_muted else {"address": row.address, "return_address": row.return_address}
    addresses = {name: to_address(values) for name, values in stored.items() if values}
    return warehouse(row) | {"warnings": input_warnings.check_addresses(addresses)}


def registration(row: WarehouseRegistration) -> dict[str, Any]:
    """Render the registration of a warehouse with one credential."""
    return {
        "carrier": adapter_class(row.credential.carrier).name,
        "credential": "own" if row.credential.merchant_id else "platform",
        "state": row.state,
        "carrier_warehouse_id": row.carrier_warehouse_id or None,
        "failure": row.failure,
    }
