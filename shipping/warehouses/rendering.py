"""Responses about warehouses."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apikeys.http.pagination import PaginationSerializer as CursorPaginationSerializer
from apikeys.http.rendering import rfc3339
from carriers.adapters.registry import adapter_class
from shipping.common import input_warnings
from shipping.common.conversion import to_address
from shipping.common.responses import ODD, WarningSerializer
from shipping.models import (
    Warehouse,
    WarehouseRegistration,
)
from shipping.warehouses import warehouses


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


class KeptWarehouseSerializer(WarehouseSerializer):
    """What the answer to keeping or changing a place tells besides."""

    warnings = WarningSerializer(many=True, help_text=ODD)


class WarehouseListSerializer(serializers.Serializer):
    warehouses = WarehouseSerializer(many=True)
    pagination = CursorPaginationSerializer()


def warehouse(row: Warehouse) -> dict[str, Any]:
    """A place, with what each account that the merchant can order from calls it."""
    return {
        "id": str(row.id),
        "name": row.name,
        "address": row.address,
        "return_address": row.return_address,
        "registrations": [registration(one) for one in warehouses.usable(row)],
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
    }


def kept_warehouse(row: Warehouse, *, is_muted: bool) -> dict[str, Any]:
    """The same with what looks wrong with it."""
    stored = {} if is_muted else {"address": row.address, "return_address": row.return_address}
    addresses = {name: to_address(values) for name, values in stored.items() if values}
    return warehouse(row) | {"warnings": input_warnings.of_addresses(addresses)}


def registration(row: WarehouseRegistration) -> dict[str, Any]:
    """What one carrier's account calls a place."""
    return {
        "carrier": adapter_class(row.credential.carrier).name,
        "credential": "own" if row.credential.merchant_id else "platform",
        "state": row.state,
        "carrier_warehouse_id": row.carrier_warehouse_id or None,
        "failure": row.failure,
    }
