"""Velocity's webhooks: signature headers and status updates."""

from __future__ import annotations

from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import now
from carriers.sandbox.webhooks import timestamp_signature


def sign(body: bytes, secret: str, event_type: str) -> dict[str, str]:
    """Return the two headers, with the current time. Velocity's events have no type."""
    timestamp = now()
    return {
        "Content-Type": "application/json",
        "X-Velocity-Signature": timestamp_signature(body, secret, timestamp),
        "X-Velocity-Timestamp": timestamp,
    }


def send_status_update(carrier: SimulatedCarrier, order: dict[str, Any], code: str, event: dict[str, Any]) -> None:
    body = {"event": "status_update", "awb": order["awb"], "order_id": order["order_id"], "status_code": code}
    body |= {"courier_name": order["courier_name"], "estimated_delivery": order["estimated_delivery"]} | event
    carrier.send_webhook(order["account"], body, subject=order["awb"])
