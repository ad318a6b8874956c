"""Scans: statuses, their tracking events and the data of their webhooks."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import now, rfc3339
from carriers.sandbox.pickit import points, webhooks

# The usual sequences of statuses. A shipment with a pickup point has the second one.
TO_THE_DOOR = ("created", "picked_up", "in_transit", "out_for_delivery", "delivered")
TO_A_POINT = ("created", "picked_up", "in_transit", "at_pickup_point", "delivered")
STATUSES = {*TO_THE_DOOR, *TO_A_POINT, "exception", "returned", "cancelled"}
FINAL = {"delivered", "returned", "cancelled"}
# Magic words. An order that has one as its id or recipient gets these scans as soon as it is bought.
_OUT = ("picked_up", "in_transit", "out_for_delivery")
ORDER_SCANS = {
    "SANDBOX-PICKED-UP": _OUT[:1],
    "SANDBOX-IN-TRANSIT": _OUT[:2],
    "SANDBOX-OUT-FOR-DELIVERY": _OUT,
    "SANDBOX-AT-PICKUP-POINT": (*_OUT[:2], "at_pickup_point"),
    "SANDBOX-DELIVERED": (*_OUT, "delivered"),
    "SANDBOX-EXCEPTION": (*_OUT, "exception"),
    "SANDBOX-RETURNED": (*_OUT, "exception", "returned"),
    "SANDBOX-CANCELLED": ("cancelled",),
    "SANDBOX-UNKNOWN": (*_OUT[:2], "held_at_customs"),
}
_DESCRIPTIONS = {
    "created": "Shipment created",
    "picked_up": "Package picked up",
    "in_transit": "Package in transit to destination",
    "at_pickup_point": "Available at pickup point",
    "out_for_delivery": "Out for delivery",
    "delivered": "Successfully delivered",
    "returned": "Returned to sender",
    "cancelled": "Shipment cancelled",
}
# Details that only tracking shows, not the webhook.
_TRACKING_DETAILS = {"in_transit": {"vehicle": "VAN-123"}}
# Data of webhooks that tracking events show outside their details, or not at all.
_NO_DETAILS = ("pickup_time", "delivered_at", "location", "current_location")


def advance(carrier: SimulatedCarrier, number: str, change: dict[str, Any]) -> dict[str, Any]:
    """Add a scan to a shipment and send its webhook.

    Args:
        change: ``to`` (default: the next status), ``at``, ``details``, ``webhook``, ``pickup_point_id``, and ``force``
            to accept any status.

    Raises: KeyError for an unknown number, ValueError for an unknown status.
    """
    with carrier.store.atomic():
        shipment = carrier.store.get("shipment", number)
        if shipment is None:
            raise KeyError(number)
        status = change.get("to") or _next_status(shipment)
        if status not in STATUSES and not change.get("force"):
            raise ValueError(f"unknown status {status}; known: {', '.join(sorted(STATUSES))}")
        if status == "at_pickup_point":
            _assign_point(shipment, change.get("pickup_point_id") or points.DOCUMENTED["id"])
        data = _webhook_data(shipment, status) | (change.get("details") or {})
        event = _scan(shipment, status, change.get("at") or now(), data)
        shipment["events"] = sorted([*shipment["events"], event], key=lambda one: _parse_time(one["timestamp"]))
        shipment["status"] = shipment["events"][-1]["status"]
        save(carrier, shipment)
    if change.get("webhook", status not in webhooks.STATUSES_WITHOUT_WEBHOOK):
        webhooks.send_shipment_event(carrier, shipment, event, data)
    return event


def make_event(status: str, at: str, description: str, location: str, details: dict[str, Any]) -> dict[str, Any]:
    return {"timestamp": at, "status": status, "description": description, "location": location, "details": details}


def save(carrier: SimulatedCarrier, shipment: dict[str, Any]) -> None:
    carrier.store.put("shipment", shipment["tracking_number"], shipment, reference=shipment["reference"])


def new_pickup_code() -> str:
    return f"PICKUP-{secrets.randbelow(10**6):06}"


def created_data(shipment: dict[str, Any]) -> dict[str, Any]:
    """Return the data of the webhook ``shipment.created``."""
    ends = {
        end: {key: shipment[end].get(key, "") for key in ("city", "state", "country")}
        for end in ("origin", "destination")
    }
    return ends | {
        "shipment_id": shipment["shipment_id"],
        "service_type": shipment["service_type"].upper(),
        "estimated_delivery": shipment["estimated_delivery"],
    }


def _scan(shipment: dict[str, Any], status: str, at: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return a tracking event made from the data of its webhook."""
    point = shipment["pickup_point"]
    location = data.get("location") or data.get("current_location")
    if not location and point and status in ("at_pickup_point", "delivered"):
        location = point["name"]
    description = data.get("failure_details") or _DESCRIPTIONS.get(status, status)
    details = {key: value for key, value in data.items() if key not in _NO_DETAILS}
    location = location or shipment["destination"].get("city", "")
    return make_event(status, at, description, location, _TRACKING_DETAILS.get(status, {}) | details)


def _assign_point(shipment: dict[str, Any], point_id: str) -> None:
    if not shipment["pickup_point"]:
        point = points.find(point_id)
        if point is None:
            raise ValueError(f"unknown pickup point {point_id}")
        shipment["pickup_point"] = points.summary(point)
    shipment["pickup_code"] = shipment["pickup_code"] or new_pickup_code()


def _next_status(shipment: dict[str, Any]) -> str:
    sequence = TO_A_POINT if shipment["pickup_point"] else TO_THE_DOOR
    reached = [sequence.index(event["status"]) for event in shipment["events"] if event["status"] in sequence]
    return sequence[min(max(reached, default=-1) + 1, len(sequence) - 1)]


def _parse_time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _webhook_data(shipment: dict[str, Any], status: str) -> dict[str, Any]:
    """Return the data of a status's webhook, without the tracking number."""
    point = shipment["pickup_point"]
    match status:
        case "created":
            return created_data(shipment)
        case "picked_up":
            origin = shipment["origin"]
            return {
                "pickup_time": "",
                "driver": {"name": "John Driver", "id": "DRV-123"},
                "vehicle": "VAN-456",
                "location": ", ".join(filter(None, (origin.get("city"), origin.get("state")))),
            }
        case "in_transit":
            return {
                "current_location": "New York Distribution Center",
                "next_location": "Manhattan Hub",
                "estimated_arrival": shipment["estimated_delivery"],
                "route": "NYC-001",
                "progress_percentage": 65,
            }
        case "at_pickup_point":
            return {
                "pickup_point": point,
                "pickup_code": shipment["pickup_code"],
                "locker_number": "A-15",
                "hold_until": rfc3339(datetime.now(UTC) + timedelta(days=7)),
                "customer_notified": True,
                "notification_channels": ["SMS", "EMAIL"],
            }
        case "delivered":
            data = {"delivered_at": "", "delivery_type": "PICKUP_POINT" if point else "HOME_DELIVERY"}
            if point:
                data |= {"pickup_point": {key: point[key] for key in ("id", "name")}}
                data |= {"pickup_code_used": shipment["pickup_code"]}
            data["collected_by"] = shipment["destination"].get("contact_name") or "Recipient"
            return data | {"proof_of_delivery": {"signature": True, "photo": True, "id_verified": bool(point)}}
        case "exception":
            return {
                "failure_reason": "CUSTOMER_NOT_AVAILABLE",
                "failure_details": "No answer at door, no safe location",
                "attempts": 1 + sum(event["status"] == "exception" for event in shipment["events"]),
                "next_action": "RETURN_TO_DEPOT",
                "rescheduled_for": rfc3339(datetime.now(UTC) + timedelta(days=1)),
            }
    return {}
