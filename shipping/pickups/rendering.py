"""Responses about pickups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers

from apikeys.http.pagination import PaginationSerializer as CursorPaginationSerializer
from apikeys.http.rendering import rfc3339
from carriers.adapters.registry import adapter_class
from carriers.types import PickupWindow
from shipping.labels.rendering import PENDING_REASON_HELP
from shipping.models import Pickup


class PickupSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    pickup_id = serializers.UUIDField()
    confirmation_number = serializers.CharField()
    scheduled_date = serializers.DateTimeField()
    scheduled_day = serializers.DateField(help_text="The calendar day of `scheduled_date` where the parcels are.")
    pickup_window_start = serializers.CharField()
    pickup_window_end = serializers.CharField()
    status = serializers.ChoiceField(choices=Pickup.State.choices)
    metadata = serializers.DictField()
    shipment_ids = serializers.ListField(child=serializers.UUIDField())
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    cancelled_at = serializers.DateTimeField(allow_null=True)
    cancel_reason = serializers.CharField(allow_null=True)
    pending_reason = serializers.DictField(allow_null=True, help_text=PENDING_REASON_HELP)


class PickupListSerializer(serializers.Serializer):
    pickups = PickupSerializer(many=True)
    pagination = CursorPaginationSerializer()


def pickup(row: Pickup) -> dict[str, Any]:
    """Render a pickup as documented."""
    return {
        "carrier": adapter_class(row.carrier).name,
        "pickup_id": str(row.id),
        "confirmation_number": row.confirmation_number,
        "scheduled_date": rfc3339(row.scheduled_date),
        "scheduled_day": row.day.isoformat(),
        "pickup_window_start": row.window_start,
        "pickup_window_end": row.window_end,
        "status": row.state,
        "metadata": row.carrier_details | {"carrier_pickup_id": row.carrier_pickup_id},
        "shipment_ids": sorted(str(shipment.id) for shipment in row.shipments.all()),
        "created_at": rfc3339(row.created_at),
        "completed_at": row.completed_at and rfc3339(row.completed_at),
        "cancelled_at": row.cancelled_at and rfc3339(row.cancelled_at),
        "cancel_reason": row.cancel_reason,
        "pending_reason": row.pending_reason,
    }


class PickupWindowSerializer(serializers.Serializer):
    day = serializers.DateField(help_text="Where the parcels are.")
    start = serializers.CharField(help_text="HH:MM, local; empty: not stated.")
    end = serializers.CharField(help_text="HH:MM, local; empty: not stated.")
    book_until = serializers.DateTimeField(allow_null=True, help_text="Latest time to book a pickup then.")


class PickupWindowsSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    pickup_windows = PickupWindowSerializer(many=True, help_text="Empty if the carrier cannot pick up there.")


def pickup_windows(carrier: str, windows: Sequence[PickupWindow]) -> dict[str, Any]:
    """Render the times at which a carrier can pick up."""
    return {
        "carrier": carrier,
        "pickup_windows": [
            {
                "day": one.day.isoformat(),
                "start": one.start,
                "end": one.end,
                "book_until": rfc3339(one.book_until),
            }
            for one in windows
        ],
    }
