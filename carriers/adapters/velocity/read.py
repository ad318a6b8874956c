"""Answers and webhooks on Velocity's wire (``docs/carriers/velocity.md``), to the canonical types.

Every reader raises ``ValueError`` naming the field for what is missing, of the wrong type or absurd.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from carriers import types
from carriers.adapters.records import UNREADABLE, Record, read_time, storable
from carriers.types import Status

ZONE = ZoneInfo("Asia/Kolkata")
CURRENCY = "INR"
TOKEN_LIFE = timedelta(hours=24)
# docs/carriers/velocity.md#status
STATUSES = {
    "NEW": Status.CREATED,
    "PKP": Status.PICKED_UP,
    "IT": Status.IN_TRANSIT,
    "OFD": Status.OUT_FOR_DELIVERY,
    "DEL": Status.DELIVERED,
    "NDR": Status.NDR,
    "RTO": Status.RTO,
    "LOST": Status.LOST,
    "DAMAGED": Status.DAMAGED,
    "CANCELLED": Status.CANCELLED,
}
DESCRIPTIONS = {
    "NEW": "Shipment created",
    "PKP": "Picked up from warehouse",
    "IT": "In transit",
    "OFD": "Out for delivery",
    "DEL": "Delivered",
    "NDR": "Non-delivery report",
    "RTO": "Return to origin",
    "LOST": "Shipment lost",
    "DAMAGED": "Shipment damaged",
    "CANCELLED": "Shipment cancelled",
}
# A tracking history writes words where everything else writes codes: docs/carriers/velocity.md#status
CODES_OF_WORDS = {
    "new": "NEW",
    "created": "NEW",
    "picked_up": "PKP",
    "in_transit": "IT",
    "out_for_delivery": "OFD",
    "delivered": "DEL",
    "ndr": "NDR",
    "rto": "RTO",
    "lost": "LOST",
    "damaged": "DAMAGED",
    "cancelled": "CANCELLED",
}
# What of an event has a column of its own; the rest are its details.
_COLUMNS = {"event", "awb", "order_id", "status", "status_code", "location", "timestamp", "description"}
# Details that have a word of ours.
_WORDS = {"attempt": "attempts"}
_CODE, _TEXT = 64, 200  # characters of a code, of a place or sentence


def told(answer: Any, path: str = "") -> Record:
    """An answer whose times are India's where they have no offset."""
    return Record(answer, path, zone=ZONE)


def listed(answer: Any) -> list[Record]:
    """An answer that is a list of objects."""
    return told({"the body": answer}).records("the body")


def token(answer: Record) -> types.Token:
    """Its life is not told: the document says a day."""
    value = answer.text("token")
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError("the token cannot be used")
    return types.Token(value=value, expires_at=datetime.now(UTC) + TOKEN_LIFE)


def offers(answer: Record, *, cod: bool) -> list[types.Offer]:
    """One offer a courier, the cheapest first; with cash on delivery only those that collect it."""
    if not answer.flag("is_serviceable"):
        return []
    found = [(item, item.flag("cod_available", False)) for item in answer.records("available_carriers")]
    made = [_offer(item, collects) for item, collects in found if collects or not cod]
    return sorted(made, key=lambda one: (one.total_price, one.transit_days or 0))


def _offer(item: Record, collects: bool) -> types.Offer:
    rate = item.amount("rate")
    return types.Offer(
        service_type=f"courier_{item.text('courier_company_id', most=20)}",
        total_price=rate,
        currency=CURRENCY,
        breakdown={"base_rate": rate},
        transit_days=item.integer("estimated_delivery_days", None),
        extras={"courier_name": item.text("courier_name"), "cod_available": collects},
    )


def label(answer: Record) -> types.BookedLabel:
    """A booked order; its files are fetched apart. The time of booking is told only by a look-up."""
    charges = answer.hint(Record.amount, "freight_charges", None)
    return types.BookedLabel(
        reference=answer.text("order_id"),
        tracking_number=answer.identifier("awb"),
        carrier_shipment_id=answer.text("shipment_id", most=64),
        content=b"",
        label_format="PDF",
        label_size="4x6",
        # To the second, as scans are told: one of the same second must not look older than the booking.
        created_at=answer.hint(Record.time, "created_at", None) or datetime.now(UTC).replace(microsecond=0),
        carrier_label_url=answer.text("label_url", ""),  # all that is sold
        carrier_manifest_url=answer.hint(Record.text, "manifest_url", ""),
        total_price=charges,
        currency="" if charges is None else CURRENCY,
        cancelled=code_of(answer.text("status", "")) == "CANCELLED",
        extras={
            "courier_name": answer.hint(Record.text, "courier_name", ""),
            "courier_company_id": answer.hint(Record.text, "courier_company_id", ""),
        },
    )


def tracks(answer: Any, asked: Iterable[str]) -> dict[str, types.Track]:
    """By the numbers that were asked; what nobody asked for is left out.

    One that cannot be read costs only itself, unless it is all that there is.
    """
    wanted = {number.casefold(): number for number in asked}
    found: dict[str, tuple[str, types.Track]] = {}
    problems = []
    for item in listed(answer):
        try:
            if number := wanted.get(item.text("awb").casefold()):
                told = (item.hint(Record.text, "order_id", "").casefold(), _track(item, number))
                found[number] = _both(found[number], told) if number in found else told
        except UNREADABLE as error:
            problems.append(error)
    if problems and not found:
        raise problems[0]
    return {number: track for number, (_order, track) in found.items()}


def _track(item: Record, number: str) -> types.Track:
    scans = [_past_scan(event) for event in item.records("tracking_history")]
    return types.Track(
        tracking_number=number,
        scans=tuple(sorted(scans, key=lambda scan: scan.occurred_at)),
        estimated_delivery=item.hint(_day, "estimated_delivery", None),
        current_location=item.hint(Record.text, "current_location", "")[:_TEXT],
        extras={name: item.hint(Record.text, name, "") for name in ("courier_name", "status_code")},
    )


def _both(before: tuple[str, types.Track], after: tuple[str, types.Track]) -> tuple[str, types.Track]:
    """Of a number that is told of twice: all of one order; of two orders the younger parcel's, by its last scan.

    Where one of the two has none, nothing is said of either yet: an older parcel's end must not become a new one's.
    """
    (order, one), (another, other) = before, after
    if order and another and order != another:
        return max(before, after, key=_age)
    scans = sorted((*one.scans, *other.scans), key=lambda scan: scan.occurred_at)
    estimate = other.estimated_delivery or one.estimated_delivery
    return order or another, replace(other, scans=tuple(scans), estimated_delivery=estimate)


def _age(told: tuple[str, types.Track]) -> tuple[bool, list[datetime]]:
    scans = told[1].scans
    return not scans, [scan.occurred_at for scan in scans[-1:]]


def _past_scan(event: Record) -> types.Scan:
    return _scan(
        code_of(event.text("status_code", "") or event.text("status")),
        event.text("timestamp"),
        description=event.hint(Record.text, "description", ""),
        location=event.hint(Record.text, "location", ""),
        details=_details(event, _COLUMNS),
    )


def _scan(code: str, told_at: str, *, description: str, location: str, details: Mapping[str, Any]) -> types.Scan:
    moment, assumed = read_time(told_at, zone=ZONE)
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


def code_of(word: str) -> str:
    """The code of a code or word in any case; what no table knows stays as it came."""
    upper = word.strip().upper()
    return upper if upper in STATUSES else CODES_OF_WORDS.get(word.strip().lower(), word)


def _day(item: Record, name: str, default: None) -> datetime | None:
    """A time as it is; a bare day as its last minute in India, which is the same day in UTC."""
    text = item.text(name, default)
    if text is default or len(text) > 10:
        return item.time(name, default)
    day = read_time(text, name, zone=ZONE)[0].astimezone(ZONE).date()
    return datetime.combine(day, time(23, 59), tzinfo=ZONE).astimezone(UTC)


def _details(item: Record, columns: Collection[str]) -> dict[str, Any]:
    return {_WORDS.get(name, name): value for name, value in storable(item.value).items() if name not in columns}


def cancellation(answer: Record, reason: str) -> types.Cancellation:
    """Velocity tells no time of it."""
    if code_of(answer.text("status")) != "CANCELLED":
        raise ValueError("status is not CANCELLED")
    return types.Cancellation(tracking_number=answer.text("awb"), cancelled_at=None, reason=reason)


def warehouse(answer: Record) -> types.RegisteredWarehouse:
    return types.RegisteredWarehouse(
        carrier_id=answer.text("warehouse_id", most=64),
        name=answer.text("name"),
        active=answer.text("status", "active") == "active",
    )


def updated(answer: Record) -> types.UpdatedOrder:
    changed = answer.texts("updated_fields") if "updated_fields" in answer.value else ()
    return types.UpdatedOrder(tracking_number=answer.text("awb"), changed=changed)


def report(answer: Record, kind: str) -> types.Report:
    rows = tuple(storable(row.value) for row in answer.records("data"))
    return types.Report(kind=kind, rows=rows, totals=answer.free("totals"))


def with_files(label: types.BookedLabel, content: bytes, manifest: bytes) -> types.BookedLabel:
    return replace(label, content=content, manifest=manifest)


# Webhooks


def news(event: Record) -> types.WebhookNews:
    """What a status event says; one without an AWB is about something else (COD remitted, weight disputed)."""
    number = event.text("awb", "")
    kind = event.text("event", "status_update", most=_CODE) if number else event.text("event", most=_CODE)
    if not number or not (event.text("status_code", "") or event.text("status", "")):
        return types.WebhookNews(event_type=kind)
    scan = _scan(
        code_of(event.text("status_code", "") or event.text("status")),
        event.text("timestamp"),
        description=event.hint(Record.text, "description", ""),
        location=event.hint(Record.text, "location", ""),
        details=_details(event, _COLUMNS),
    )
    estimate = event.hint(_day, "estimated_delivery", None)
    reported = types.ReportedScan(tracking_number=number, scan=scan, estimated_delivery=estimate)
    return types.WebhookNews(event_type=kind, scans=(reported,))
