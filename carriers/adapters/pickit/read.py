"""Answers and webhooks on Pickit's wire (``docs/carriers/pickit.md``), to the canonical types.

Every reader raises ``ValueError`` naming the field for what is missing, of the wrong type or absurd.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from carriers import types
from carriers.adapters.records import Record, read_time
from carriers.types import Status

# The codes of a scan, by tracking and by webhook: docs/carriers/pickit.md#status
STATUSES = {
    "created": Status.CREATED,
    "picked_up": Status.PICKED_UP,
    "in_transit": Status.IN_TRANSIT,
    "at_pickup_point": Status.AT_PICKUP_POINT,
    "out_for_delivery": Status.OUT_FOR_DELIVERY,
    "delivered": Status.DELIVERED,
    "exception": Status.EXCEPTION,
    "returned": Status.RETURNED,
    "cancelled": Status.CANCELLED,
}
DESCRIPTIONS = {
    "created": "Shipment created",
    "picked_up": "Package picked up",
    "in_transit": "Package in transit",
    "at_pickup_point": "Package waiting at the pickup point",
    "out_for_delivery": "Out for delivery",
    "delivered": "Package delivered",
    "exception": "Delivery attempt failed",
    "returned": "Package returned to the sender",
    "cancelled": "Shipment cancelled",
}
# Webhook event -> the code that tracking shows for the same scan: docs/carriers/pickit.md#status
EVENTS = {
    "shipment.created": "created",
    "shipment.picked_up": "picked_up",
    "shipment.in_transit": "in_transit",
    "shipment.at_pickup_point": "at_pickup_point",
    "shipment.delivered": "delivered",
    "shipment.failed": "exception",
}
# The field of an event that holds the scan's own time; the others happen at the event's timestamp.
EVENT_TIMES = {"shipment.picked_up": "pickup_time", "shipment.delivered": "delivered_at"}
PICKUP_EVENTS = {"pickup.scheduled": "scheduled", "pickup.completed": "completed"}
# Parts of the price that Pickit tells apart: docs/carriers/pickit.md#requests-and-answers
CHARGES = ("base_rate", "fuel_surcharge", "insurance", "handling_fee", "pickup_point_fee")
_CODE, _TEXT = 64, 200  # characters of a code, of a place or sentence


def token(answer: Record) -> types.Token:
    value, seconds = answer.text("access_token"), answer.integer("expires_in", most=10**9)
    if not re.fullmatch(r"[\x21-\x7e]+", value) or not seconds:
        raise ValueError("the token cannot be used")
    return types.Token(value=value, expires_at=datetime.now(UTC) + timedelta(seconds=seconds))


def offer(answer: Record, asked: str) -> types.Offer:
    total = answer.amount("total_price")
    breakdown = {name: answer.number(name, Decimal(0)) for name in CHARGES}
    if rest := total - sum(breakdown.values()):
        breakdown["other"] = rest
    return types.Offer(
        service_type=asked,
        total_price=total,
        currency=answer.text("currency", most=3),
        breakdown=breakdown,
        transit_days=answer.integer("estimated_transit_days"),
        estimated_delivery=answer.hint(Record.time, "estimated_delivery", None),
        carrier_quote_id=answer.text("quote_id", most=64),
        valid_until=answer.time("valid_until", None),
        extras={
            "service_level": answer.hint(Record.text, "service_level", ""),
            "pickup_point_available": answer.flag("pickup_point_available", False),
        },
    )


def label(answer: Record) -> types.BookedLabel:
    label = answer.record("label")
    total, currency = answer.hint(_price, "total_price", (None, ""))
    return types.BookedLabel(
        reference=answer.text("reference"),
        tracking_number=answer.identifier("tracking_number"),
        carrier_shipment_id=answer.text("shipment_id", most=64),
        content=label.file("data", label.text("format")),
        label_format=label.text("format").upper(),
        label_size=label.text("size", most=8),
        created_at=answer.time("created_at"),
        carrier_label_url=label.hint(Record.text, "url", ""),
        estimated_delivery=answer.hint(Record.time, "estimated_delivery", None),
        total_price=total,
        currency=currency,
        pickup_code=answer.hint(Record.text, "pickup_code", ""),
        cancelled=answer.text("status", "") == "cancelled",
        extras={
            "barcode": answer.hint(Record.text, "barcode", ""),
            "qr_code": answer.hint(Record.text, "qr_code", ""),
            "pickup_point": answer.hint(_chosen_point, "pickup_point", None),
        },
    )


def _price(answer: Record, name: str, default: tuple[None, str]) -> tuple[Decimal | None, str]:
    """An amount and its currency, or neither."""
    total = answer.amount(name, None)
    return default if total is None else (total, answer.text("currency", most=3))


def _chosen_point(answer: Record, name: str, default: None) -> dict[str, str] | None:
    point = answer.record(name, default)
    return {part: point.text(part) for part in ("id", "name", "address")} if point else default


def cancellation(answer: Record, reason: str) -> types.Cancellation:
    return types.Cancellation(
        tracking_number=answer.text("tracking_number"),
        cancelled_at=answer.time("cancelled_at"),
        reason=answer.text("reason", reason),
        refund_status=answer.hint(Record.text, "refund_status", ""),
        refund_amount=answer.hint(Record.amount, "refund_amount", None),
    )


def track(answer: Record, number: str) -> types.Track:
    facts = {
        "pickup_point": answer.hint(Record.free, "pickup_point", {}),
        "pickup_code": answer.hint(Record.text, "pickup_code", ""),
        "delivery_attempts": answer.hint(Record.integer, "delivery_attempts", 0),
    }
    scans = [_track_scan(event) for event in answer.records("events")]
    return types.Track(
        tracking_number=number,
        scans=tuple(sorted(scans, key=lambda scan: scan.occurred_at)),
        estimated_delivery=answer.hint(Record.time, "estimated_delivery", None),
        current_location=answer.hint(Record.text, "current_location", ""),
        extras={name: value for name, value in facts.items() if value},
    )


def _track_scan(event: Record) -> types.Scan:
    return _scan(
        event.text("status"),
        event.text("timestamp"),
        description=event.hint(Record.text, "description", ""),
        location=event.hint(Record.text, "location", ""),
        details=event.hint(Record.free, "details", {}),
    )


def _scan(
    code: str, told_at: str, *, details: Mapping[str, Any], description: str = "", location: str = ""
) -> types.Scan:
    moment, assumed = read_time(told_at)
    return types.Scan(
        code=code[:_CODE],
        status=STATUSES.get(code, Status.UNKNOWN),
        occurred_at=moment,
        occurred_text=told_at,
        tz_assumed=assumed,
        description=(description or DESCRIPTIONS.get(code, code))[:_TEXT],
        location=location[:_TEXT],
        details=details,
    )


def proof(answer: Record) -> types.ProofOfDelivery:
    place = answer.record("coordinates", None)
    return types.ProofOfDelivery(
        tracking_number=answer.text("tracking_number"),
        delivered_at=answer.time("delivered_at"),
        signed_by=answer.text("signed_by", ""),
        signature_image=answer.text("signature_image", ""),
        delivery_photo=answer.text("delivery_photo", ""),
        location=answer.text("location", ""),
        pickup_code_used=answer.text("pickup_code_used", None),
        delivery_type=answer.text("delivery_type", ""),
        latitude=float(place.number("lat")) if place else None,
        longitude=float(place.number("lng")) if place else None,
        notes=answer.text("notes", ""),
    )


def pickup(answer: Record) -> types.BookedPickup:
    window, driver = answer.record("window"), Record(answer.free("driver"), "driver")
    return types.BookedPickup(
        carrier_pickup_id=answer.text("pickup_id", most=64),
        confirmation_number=answer.text("confirmation_number", most=64),
        scheduled_date=answer.time("scheduled_date"),
        window_start=window.text("start"),
        window_end=window.text("end"),
        status=answer.text("status", "scheduled"),
        extras={
            "driver_name": driver.text("name", ""),
            "driver_phone": driver.text("phone", ""),
            "estimated_arrival": answer.text("estimated_arrival", None),
            "tracking_url": answer.text("tracking_url", ""),
        },
    )


def point(item: Record) -> types.PickupPoint:
    address, place = item.record("address"), item.record("location")
    distance = item.number("distance", None)
    parts = ("street", "city", "state", "postal_code")
    return types.PickupPoint(
        id=item.text("id"),
        name=item.text("name"),
        kind=item.text("type"),
        code=item.text("code", ""),
        active=item.text("status", "active") == "active",
        address=types.Address(country=address.text("country", ""), **{name: address.text(name, "") for name in parts}),
        latitude=float(place.number("lat")),
        longitude=float(place.number("lng")),
        distance_km=None if distance is None else float(distance),
        opening_hours=item.free("opening_hours"),
        services=item.texts("services"),
        capacity=item.integers("capacity"),
        accessibility=item.free("accessibility"),
        images=item.texts("images"),
        instructions=item.text("instructions", ""),
    )


def coverage(place: Record) -> types.Coverage:
    return types.Coverage(
        postal_code=place.text("postal_code"),
        city=place.text("city"),
        country=place.text("country"),
        service_available=place.flag("service_available"),
        service_types=place.texts("service_types"),
        estimated_transit_days=place.integers("estimated_transit_days"),
        nearby_pickup_points=place.integer("nearby_pickup_points", 0),
        coverage_quality=place.text("coverage_quality", ""),
        restrictions=place.texts("restrictions"),
        surcharges=place.free("surcharges"),
    )


# Webhooks


def news(event: Record) -> types.WebhookNews:
    kind = event.text("event_type")
    if kind in PICKUP_EVENTS:
        return _pickup_news(kind, event.text("timestamp"), Record(event.free("data"), "data"))
    if kind in EVENTS or _about_a_shipment(kind, event.value.get("data")):
        return _shipment_news(kind, event.text("timestamp"), Record(event.free("data"), "data"))
    return types.WebhookNews(event_type=kind)


def _about_a_shipment(kind: str, data: Any) -> bool:
    return kind.startswith("shipment.") and len(kind) > 9 and isinstance(data, Mapping) and "tracking_number" in data


def _shipment_news(kind: str, told_at: str, data: Record) -> types.WebhookNews:
    place = "location" if data.hint(Record.text, "location", "") else "current_location"
    columns = {"tracking_number", "shipment_id", place, EVENT_TIMES.get(kind)}
    scan = _scan(
        EVENTS.get(kind) or kind.removeprefix("shipment."),
        data.text(EVENT_TIMES[kind], told_at) if kind in EVENT_TIMES else told_at,
        description=data.hint(Record.text, "failure_details", ""),
        location=data.hint(Record.text, place, "") or data.hint(_name_of, "pickup_point", ""),
        details={name: value for name, value in data.value.items() if name not in columns},
    )
    told = (data.hint(Record.time, name, None) for name in ("estimated_delivery", "rescheduled_for"))
    estimate = next((time for time in told if time), None)
    number = data.text("tracking_number")
    return types.WebhookNews(
        event_type=kind,
        scans=(types.ReportedScan(tracking_number=number, scan=scan, estimated_delivery=estimate),),
    )


def _name_of(data: Record, name: str, default: str) -> str:
    return data.record(name, Record({})).text("name", default)


def _pickup_news(kind: str, told_at: str, data: Record) -> types.WebhookNews:
    done = kind == "pickup.completed"
    at = data.text("completed_at", told_at) if done else told_at
    columns = {"completed_at", "shipment_ids"}
    details = {name: value for name, value in data.value.items() if name not in columns}
    pickup = types.ReportedPickup(
        carrier_pickup_id=data.text("pickup_id"),
        status=PICKUP_EVENTS[kind],
        occurred_at=read_time(at)[0],
        details={name: value for name, value in details.items() if name != "pickup_id"},
    )
    scans = [
        types.ReportedScan(tracking_number=number, scan=_scan("picked_up", at, details=details))
        for number in (data.texts("shipment_ids") if done else ())
    ]
    return types.WebhookNews(event_type=kind, scans=tuple(scans), pickups=(pickup,))
