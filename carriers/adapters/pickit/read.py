"""Read Pickit's responses and webhooks into the canonical types.

``docs/carriers/pickit.md`` documents the wire format. Readers raise ``ValueError`` with the path of a field that is
missing, of the wrong type or out of range.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from carriers import types
from carriers.adapters.records import Record, now
from carriers.adapters.scans import build_scan
from carriers.adapters.values import read_time
from carriers.types import Status

# Codes of scans, in tracking and in webhooks: docs/carriers/pickit.md#status
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
# Code of an exception, or its ``failure_reason``, -> its reason and who must act (empty: nobody).
REASONS = {"exception": ("other", ""), "CUSTOMER_NOT_AVAILABLE": ("not_home", "")}
# Webhook event -> the code of the same scan in tracking: docs/carriers/pickit.md#status
EVENTS = {
    "shipment.created": "created",
    "shipment.picked_up": "picked_up",
    "shipment.in_transit": "in_transit",
    "shipment.at_pickup_point": "at_pickup_point",
    "shipment.delivered": "delivered",
    "shipment.failed": "exception",
}
# Webhook event -> the field with the time of the scan; other scans have the event's timestamp.
EVENT_TIMES = {"shipment.picked_up": "pickup_time", "shipment.delivered": "delivered_at"}
PICKUP_EVENTS = {"pickup.scheduled": "scheduled", "pickup.completed": "completed"}
# Parts of a price: docs/carriers/pickit.md#requests-and-answers
CHARGES = ("base_rate", "fuel_surcharge", "insurance", "handling_fee", "pickup_point_fee")
_build_scan = partial(build_scan, statuses=STATUSES, descriptions=DESCRIPTIONS, reasons=REASONS)


def _scan(code: str, occurred_text: str, *, details: Mapping[str, Any], **texts: str) -> types.Scan:
    return _build_scan(code, occurred_text, details=details, cause=details.get("failure_reason"), **texts)


def token(answer: Record) -> types.Token:
    seconds = answer.integer("expires_in", most=10**9)
    if not seconds:
        raise ValueError("the token is not usable")
    return types.Token(value=answer.token("access_token"), expires_at=datetime.now(UTC) + timedelta(seconds=seconds))


def offer(answer: Record, service_type: str | None, country: str) -> types.Offer:
    total = answer.amount("total_price")
    breakdown = {name: answer.lenient(Record.number, name, Decimal(0)) for name in CHARGES}
    if rest := total - sum(breakdown.values()):
        breakdown["other"] = rest
    return types.Offer(
        service_type=service_type or "",
        total_price=total,
        currency=answer.currency("currency", country),
        breakdown=breakdown,
        transit_days=answer.lenient(Record.integer, "estimated_transit_days", None),
        estimated_delivery=answer.lenient(Record.deadline, "estimated_delivery", None),
        carrier_quote_id=answer.lenient(Record.text, "quote_id", "", most=64),
        valid_until=answer.lenient(Record.deadline, "valid_until", None),
        extras={
            "service_level": answer.lenient(Record.text, "service_level", ""),
            "pickup_point_available": answer.lenient(Record.flag, "pickup_point_available", False),
        },
    )


def found_shipment(row: Record) -> types.BookedShipment:
    """Return a shipment of a lookup. Its status says whether it is voided, so it must be readable."""
    row.word("status", "")
    return shipment(row, "")


def shipment(answer: Record, country: str) -> types.BookedShipment:
    """Return a bought shipment. Only reference, tracking number and label are needed to use it.

    Args:
        country: of the sender, whose currency a symbol may mean, as in a quote; empty: not known.
    """
    total = answer.lenient(Record.amount, "total_price", None)
    return types.BookedShipment(
        reference=answer.text("reference"),
        tracking_number=answer.identifier("tracking_number"),
        carrier_shipment_id=answer.lenient(Record.text, "shipment_id", "", most=64),
        documents=(_label(answer.record("label")),),
        created_at=answer.lenient(Record.time, "created_at", None) or now(),
        estimated_delivery=answer.lenient(Record.deadline, "estimated_delivery", None),
        total_price=total,
        currency="" if total is None else answer.currency("currency", country),
        pickup_code=answer.lenient(Record.text, "pickup_code", ""),
        cancelled=answer.lenient(Record.text, "status", "").casefold() == "cancelled",
        extras={
            "barcode": answer.lenient(Record.text, "barcode", ""),
            "qr_code": answer.lenient(Record.text, "qr_code", ""),
            "pickup_point": _chosen_point(answer.optional("pickup_point")),
        },
    )


def _label(label: Record) -> types.Document:
    content, label_format = label.file("data")
    return types.Document(
        kind="label",
        format=label_format,
        content=content,
        url=label.lenient(Record.text, "url", ""),
        size=label.lenient(Record.text, "size", "", most=8),
    )


def _chosen_point(point: Record) -> dict[str, str] | None:
    parts = {part: point.lenient(Record.text, part, "") for part in ("id", "name", "address")}
    return parts if any(parts.values()) else None


def cancelled_at(answer: Record) -> datetime:
    return answer.lenient(Record.time, "cancelled_at", None) or now()


def cancellation(answer: Record, reason: str) -> types.Cancellation:
    return types.Cancellation(
        tracking_number=answer.text("tracking_number"),
        cancelled_at=cancelled_at(answer),
        reason=answer.lenient(Record.text, "reason", reason),
        refund_status=answer.lenient(Record.text, "refund_status", ""),
        refund_amount=answer.lenient(Record.amount, "refund_amount", None),
    )


def track(answer: Record, number: str) -> types.Track:
    extras = {
        "pickup_point": answer.lenient(Record.mapping, "pickup_point", {}),
        "pickup_code": answer.lenient(Record.text, "pickup_code", ""),
        "delivery_attempts": answer.lenient(Record.integer, "delivery_attempts", 0),
    }
    return types.Track(
        tracking_number=number,
        scans=tuple(sorted(answer.each("events", _track_scan), key=lambda scan: scan.occurred_at)),
        estimated_delivery=answer.lenient(Record.deadline, "estimated_delivery", None),
        current_location=answer.lenient(Record.text, "current_location", ""),
        extras={name: value for name, value in extras.items() if value},
    )


def _track_scan(event: Record) -> types.Scan:
    return _scan(
        event.text("status"),
        event.text("timestamp"),
        description=event.lenient(Record.text, "description", ""),
        location=event.lenient(Record.text, "location", ""),
        details=event.lenient(Record.mapping, "details", {}),
    )


def proof(answer: Record) -> types.ProofOfDelivery:
    latitude, longitude = answer.optional("coordinates").position()
    texts = ("signed_by", "signature_image", "delivery_photo", "location", "delivery_type", "notes")
    return types.ProofOfDelivery(
        tracking_number=answer.text("tracking_number"),
        delivered_at=answer.lenient(Record.time, "delivered_at", None),
        pickup_code_used=answer.lenient(Record.text, "pickup_code_used", None),
        latitude=latitude,
        longitude=longitude,
        **{name: answer.lenient(Record.text, name, "") for name in texts},
    )


def pickup(answer: Record, request: types.PickupRequest) -> types.BookedPickup:
    """Return a booked pickup; what it does not repeat readably is as requested."""
    window, driver = answer.optional("window"), answer.optional("driver")
    return types.BookedPickup(
        carrier_pickup_id=answer.text("pickup_id", most=64).strip(),
        confirmation_number=answer.lenient(Record.text, "confirmation_number", "", most=64),
        scheduled_date=answer.lenient(Record.local_time, "scheduled_date", request.pickup_date),
        window_start=window.lenient(Record.text, "start", request.window_start),
        window_end=window.lenient(Record.text, "end", request.window_end),
        status=answer.lenient(Record.text, "status", "scheduled"),
        extras={
            "driver_name": driver.lenient(Record.text, "name", ""),
            "driver_phone": driver.lenient(Record.text, "phone", ""),
            "estimated_arrival": answer.lenient(Record.text, "estimated_arrival", None),
            "tracking_url": answer.lenient(Record.text, "tracking_url", ""),
        },
    )


def point(item: Record) -> types.PickupPoint:
    """Return a pickup point: usable with an id, a position and a state."""
    address, coordinates = item.optional("address"), item.record("location")
    distance = item.lenient(Record.number, "distance", None)
    parts = ("country", "street", "city", "state", "postal_code")
    return types.PickupPoint(
        id=item.text("id"),
        name=item.lenient(Record.text, "name", item.text("id")),
        kind=item.lenient(Record.text, "type", ""),
        code=item.lenient(Record.text, "code", ""),
        active=item.word("status", "active") == "active",
        address=types.Address(**{name: address.lenient(Record.text, name, "") for name in parts}),
        latitude=float(coordinates.number("lat")),
        longitude=float(coordinates.number("lng")),
        distance_km=None if distance is None else float(distance),
        opening_hours=item.lenient(Record.mapping, "opening_hours", {}),
        services=item.lenient(Record.texts, "services", ()),
        capacity=item.lenient(Record.integers, "capacity", {}),
        accessibility=item.lenient(Record.mapping, "accessibility", {}),
        images=item.lenient(Record.texts, "images", ()),
        instructions=item.lenient(Record.text, "instructions", ""),
    )


def coverage(area: Record, postal_code: str, city: str, country: str) -> types.Coverage:
    """Return the coverage of a location; its names are as requested where they are not repeated readably."""
    return types.Coverage(
        postal_code=area.lenient(Record.text, "postal_code", postal_code),
        city=area.lenient(Record.text, "city", city),
        country=area.lenient(Record.text, "country", country),
        service_available=area.flag("service_available"),
        service_types=area.lenient(Record.texts, "service_types", ()),
        estimated_transit_days=area.lenient(Record.integers, "estimated_transit_days", {}),
        nearby_pickup_points=area.lenient(Record.integer, "nearby_pickup_points", 0),
        coverage_quality=area.lenient(Record.text, "coverage_quality", ""),
        restrictions=area.lenient(Record.texts, "restrictions", ()),
        surcharges=area.lenient(Record.mapping, "surcharges", {}),
    )


# Webhooks


def webhook(event: Record) -> types.WebhookReport:
    kind = event.word("event_type")
    if kind in PICKUP_EVENTS:
        return _pickup_report(kind, event.text("timestamp"), Record(event.mapping("data"), "data"))
    if kind in EVENTS or _is_new_shipment_event(kind, event.value.get("data")):
        return _shipment_report(kind, event.text("timestamp"), Record(event.mapping("data"), "data"))
    return types.WebhookReport(event_type=kind)


def _is_new_shipment_event(kind: str, data: Any) -> bool:
    """Return whether an event that Pickit does not document is a scan: its code is then unknown, not lost."""
    return kind.startswith("shipment.") and len(kind) > 9 and isinstance(data, Mapping) and "tracking_number" in data


def _shipment_report(kind: str, sent_at: str, data: Record) -> types.WebhookReport:
    location = "location" if data.lenient(Record.text, "location", "") else "current_location"
    columns = {"tracking_number", "shipment_id", location, EVENT_TIMES.get(kind)}
    scan = _scan(
        EVENTS.get(kind) or kind.removeprefix("shipment."),
        data.text(EVENT_TIMES[kind], sent_at) if kind in EVENT_TIMES else sent_at,
        description=data.lenient(Record.text, "failure_details", ""),
        location=data.lenient(Record.text, location, "") or data.lenient(_name_of, "pickup_point", ""),
        details={name: value for name, value in data.value.items() if name not in columns},
    )
    estimates = (data.lenient(Record.deadline, name, None) for name in ("estimated_delivery", "rescheduled_for"))
    estimate = next((time for time in estimates if time), None)
    number = data.text("tracking_number")
    return types.WebhookReport(
        event_type=kind,
        scans=(types.ReportedScan(tracking_number=number, scan=scan, estimated_delivery=estimate),),
    )


def _name_of(data: Record, name: str, default: str) -> str:
    return data.record(name, Record({})).text("name", default)


def _pickup_report(kind: str, sent_at: str, data: Record) -> types.WebhookReport:
    is_completed = kind == "pickup.completed"
    occurred_text = data.text("completed_at", sent_at) if is_completed else sent_at
    columns = {"completed_at", "shipment_ids"}
    details = {name: value for name, value in data.value.items() if name not in columns}
    pickup = types.ReportedPickup(
        carrier_pickup_id=data.text("pickup_id"),
        status=PICKUP_EVENTS[kind],
        occurred_at=read_time(occurred_text)[0],
        details={name: value for name, value in details.items() if name != "pickup_id"},
    )
    scans = [
        types.ReportedScan(tracking_number=number, scan=_scan("picked_up", occurred_text, details=details))
        for number in (data.texts("shipment_ids") if is_completed else ())
    ]
    return types.WebhookReport(event_type=kind, scans=tuple(scans), pickups=(pickup,))
