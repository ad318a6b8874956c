"""Pickups of parcels by a driver: scheduling, cancellation and completion."""

from __future__ import annotations

import secrets
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request, now
from carriers.sandbox.pickit import scans, webhooks
from carriers.sandbox.pickit.errors import Invalid, PickitRefusal


def schedule(carrier: SimulatedCarrier, request: Request) -> Answer:
    body = request.json()
    for field in ("pickup_date", "window", "address", "packages_count"):
        if not body.get(field):
            raise Invalid("This field is required", field)
    name = f"PCK-{secrets.randbelow(10**9):09}"
    pickup = {
        "pickup_id": name,
        "account": request.account,
        "confirmation_number": f"CONF-{secrets.randbelow(10**8):08}",
        "status": "scheduled",
        "scheduled_date": body["pickup_date"],
        "window": body["window"],
        "driver": {"name": "John Driver", "phone": "+1555123456"},
        "estimated_arrival": body["pickup_date"],
        "tracking_url": f"https://track.pickit.net/pickup/{name}",
        "shipment_ids": [str(number) for number in body.get("shipment_ids") or []],
        "address": body["address"],
        "total_weight_kg": body.get("total_weight_kg"),
        "packages_count": body["packages_count"],
    }
    carrier.store.put("pickup", name, pickup)
    address = {key: body["address"].get(key, "") for key in ("street", "city", "state")}
    data = {key: pickup[key] for key in ("pickup_id", "confirmation_number", "scheduled_date")}
    data |= {"pickup_window": pickup["window"], "address": address, "driver_assigned": False}
    webhooks.send_event(carrier, request.account, "pickup.scheduled", now(), data, subject=name)
    return Answer(201, {key: value for key, value in pickup.items() if key not in ("account", "address")})


def cancel(carrier: SimulatedCarrier, request: Request, name: str) -> Answer:
    """Cancel a pickup. A repeated request gets the same answer."""
    reason = str(request.json().get("reason", ""))
    with carrier.store.atomic():
        pickup = carrier.store.get("pickup", name)
        if not pickup or pickup["account"] != request.account:
            raise PickitRefusal(404, "PICKUP_NOT_FOUND", f"No pickup {name}")
        if pickup["status"] == "completed":
            raise PickitRefusal(409, "CANNOT_CANCEL", "The pickup is completed already")
        if pickup["status"] != "cancelled":
            pickup |= {"status": "cancelled", "cancelled_at": now(), "reason": reason}
            carrier.store.put("pickup", name, pickup)
    return Answer(200, {key: pickup[key] for key in ("pickup_id", "status", "cancelled_at", "reason")})


def complete(carrier: SimulatedCarrier, name: str) -> dict[str, Any]:
    """Complete a pickup: its shipments are picked up, and its webhook is sent. Raises ``KeyError``."""
    pickup = carrier.store.get("pickup", name)
    if pickup is None:
        raise KeyError(name)
    at = now()
    carrier.store.put("pickup", name, pickup | {"status": "completed"})
    data = {
        "pickup_id": name,
        "completed_at": at,
        "packages_collected": pickup["packages_count"],
        "total_weight_kg": pickup["total_weight_kg"],
        "driver": {"name": "John Driver", "id": "DRV-123"},
        "shipment_ids": pickup["shipment_ids"],
        "notes": "All packages collected successfully",
    }
    for number in pickup["shipment_ids"]:
        if carrier.store.get("shipment", number):
            scans.advance(carrier, number, {"to": "picked_up", "at": at, "webhook": False})
    webhooks.send_event(carrier, pickup["account"], "pickup.completed", at, data, subject=name)
    return data
