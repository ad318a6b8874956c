"""The data of events about shipments, pickups and checkpoints: ids and facts, no personal data."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from apikeys.http.rendering import rfc3339
from carriers.adapters.registry import adapter_class


def shipment_facts(shipment: Any) -> dict[str, object]:
    """Return the event data of a ``Shipment``, or of an object with the same columns."""
    return {
        "shipment_id": str(shipment.id),
        "tracking_number": shipment.tracking_number,
        "carrier": shipment.carrier_name or None,
        "order_id": shipment.order_id or None,
        "status": shipment.status or None,
        "booking_state": shipment.booking_state,
        "estimated_delivery": rfc3339(shipment.estimated_delivery),
        "delivered_at": rfc3339(shipment.delivered_at),
    }


def pickup_facts(pickup: Any) -> dict[str, object]:
    """Return the event data of a ``Pickup``."""
    return {
        "pickup_id": str(pickup.id),
        "carrier": adapter_class(pickup.carrier).name,
        "confirmation_number": pickup.confirmation_number,
        "status": pickup.state,
        "scheduled_date": rfc3339(pickup.scheduled_date),
        "scheduled_day": pickup.day.isoformat(),
        "shipment_ids": [str(value) for value in pickup.shipments.values_list("id", flat=True)],
    }


def scan_facts(
    checkpoint_id: uuid.UUID,
    *,
    status: str,
    code: str,
    description: str,
    location: str,
    occurred_at: datetime,
    tz_assumed: bool,
    suspect_time: bool = False,
    parcel: str | None = None,
    reason: str | None = None,
    action_required_by: str | None = None,
) -> dict[str, object]:
    """Return the event data of one checkpoint."""
    return {
        "checkpoint": {
            "id": str(checkpoint_id),
            "status": status,
            "code": code,
            "description": description,
            "location": location,
            "occurred_at": rfc3339(occurred_at),
            "tz_assumed": tz_assumed,
            "suspect_time": suspect_time,
            "parcel": parcel,
            "reason": reason,
            "action_required_by": action_required_by,
        }
    }
