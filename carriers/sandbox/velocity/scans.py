"""Scans: status codes and the history of an order. All times are in Indian time."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.velocity import webhooks

ZONE = ZoneInfo("Asia/Kolkata")
# Status codes with their words in histories and refusals. A code outside the table is its own word.
WORDS = {
    "NEW": "new",
    "PKP": "picked_up",
    "IT": "in_transit",
    "OFD": "out_for_delivery",
    "DEL": "delivered",
    "NDR": "ndr",
    "RTO": "rto",
    "LOST": "lost",
    "DAMAGED": "damaged",
    "CANCELLED": "cancelled",
}
SEQUENCE = ("NEW", "PKP", "IT", "OFD", "DEL")
CANCELLABLE = {"NEW", "PKP", "IT"}
# Magic pincodes. Orders to them get these scans as soon as they are booked.
PINCODE_SCANS = {
    "999001": ("PKP",),
    "999002": ("PKP", "IT"),
    "999003": ("PKP", "IT", "OFD"),
    "999004": ("PKP", "IT", "OFD", "DEL"),
    "999005": ("PKP", "IT", "OFD", "NDR"),
    "999006": ("PKP", "IT", "OFD", "NDR", "RTO"),
    "999007": ("PKP", "IT", "LOST"),
    "999008": ("PKP", "IT", "DAMAGED"),
    "999009": ("CANCELLED",),
    "999010": ("PKP", "HELD"),  # an undocumented code
}
_CODES = {word: code for code, word in WORDS.items()}
_TIME = "%Y-%m-%d %H:%M:%S"
_DESCRIPTIONS = {
    "NEW": "Order created",
    "PKP": "Shipment picked up",
    "IT": "In transit to destination",
    "OFD": "Out for delivery",
    "DEL": "Delivered",
    "NDR": "Delivery attempted",
    "RTO": "Returning to origin",
    "LOST": "Shipment lost",
    "DAMAGED": "Shipment damaged",
    "CANCELLED": "Order cancelled",
}


def advance(carrier: SimulatedCarrier, number: str, change: dict[str, Any]) -> dict[str, Any]:
    """Add a scan to an order and send its webhook.

    Args:
        change: ``to`` (default: the next code), ``at``, ``details``, ``webhook``, and ``force`` to accept any code.

    Raises: KeyError for an unknown AWB, ValueError for an unknown code.
    """
    at = _to_local(change["at"]) if change.get("at") else local_now()
    with carrier.store.atomic():
        order = carrier.store.get("velocity_order", number)
        if order is None:
            raise KeyError(number)
        code = str(change.get("to") or _next_code(order))
        code = code.upper() if code.upper() in WORDS else _CODES.get(code.lower(), code)
        if code not in WORDS and not change.get("force"):
            raise ValueError(f"unknown code {code}; known: {', '.join(WORDS)}")
        details = {"timestamp": at}
        if code == "NDR":
            attempt = 1 + sum(event["status"] == "ndr" for event in order["history"])
            details |= {"ndr_reason": "CUSTOMER_NOT_AVAILABLE", "attempt": attempt}
        event = add_event(order, code, details | (change.get("details") or {}))
        save(carrier, order)
    if change.get("webhook", True):
        webhooks.send_status_update(carrier, order, code, event)
    return event


def add_event(order: dict[str, Any], code: str, details: dict[str, Any]) -> dict[str, Any]:
    """Add an event to the history; the latest one decides the status."""
    event = {
        "status": word_of(code),
        "location": _location(order, code),
        "timestamp": local_now(),
        "description": _DESCRIPTIONS.get(code, code),
    } | details
    order["history"] = sorted([*order["history"], event], key=lambda one: one["timestamp"])
    last = order["history"][-1]["status"]
    order["status_code"] = _CODES.get(last, last.upper())
    return event


def save(carrier: SimulatedCarrier, order: dict[str, Any]) -> None:
    carrier.store.put("velocity_order", order["awb"], order, reference=order["order_id"])


def word_of(code: str) -> str:
    return WORDS.get(code, code.lower())


def local_now() -> str:
    return datetime.now(ZONE).strftime(_TIME)


def _to_local(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return (moment.astimezone(ZONE) if moment.tzinfo else moment).strftime(_TIME)


def _next_code(order: dict[str, Any]) -> str:
    reached = SEQUENCE.index(order["status_code"]) if order["status_code"] in SEQUENCE else len(SEQUENCE) - 2
    return SEQUENCE[min(reached + 1, len(SEQUENCE) - 1)]


def _location(order: dict[str, Any], code: str) -> str:
    body = order["body"]
    if code in ("NEW", "PKP"):
        city = (body.get("vendor_details") or {}).get("city") or body.get("pickup_city") or "Origin"
        return f"{city} Warehouse".title()
    return f"{body.get(order['to'] + '_city', '')} Hub".strip()
