"""Pickit's webhooks: signature headers and event bodies."""

from __future__ import annotations

from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import now
from carriers.sandbox.webhooks import timestamp_signature

EVENT_OF_STATUS = {"exception": "shipment.failed"}
# The document has no webhook for these.
STATUSES_WITHOUT_WEBHOOK = {"out_for_delivery", "returned", "cancelled"}


def sign(body: bytes, secret: str, event_type: str) -> dict[str, str]:
    """Return the three documented headers, with the current time."""
    timestamp = now()
    return {
        "Content-Type": "application/json",
        "X-Pickit-Signature": timestamp_signature(body, secret, timestamp),
        "X-Pickit-Timestamp": timestamp,
        "X-Pickit-Event": event_type,
    }


def send_shipment_event(
    carrier: SimulatedCarrier, shipment: dict[str, Any], event: dict[str, Any], data: dict[str, Any]
) -> None:
    event_type = EVENT_OF_STATUS.get(event["status"], f"shipment.{event['status']}")
    body = {"tracking_number": shipment["tracking_number"]} | data
    for field in ("pickup_time", "delivered_at"):
        if field in body:
            body[field] = event["timestamp"]
    account = shipment["account"] or "pickit-platform"
    send_event(carrier, account, event_type, event["timestamp"], body, subject=shipment["tracking_number"])


def send_event(
    carrier: SimulatedCarrier, account: str, event_type: str, at: str, data: dict[str, Any], *, subject: str
) -> None:
    event = {"event_type": event_type, "timestamp": at, "data": data}
    carrier.send_webhook(account, event, subject=subject)
