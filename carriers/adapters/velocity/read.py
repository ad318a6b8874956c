"""Read Velocity's responses and webhooks into the canonical types.

``docs/carriers/velocity.md`` documents the wire format. Readers raise ``ValueError`` with the path of a field that is
missing, of the wrong type or out of range.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from carriers import types
from carriers.adapters.records import Record, lookup_key, now, to_storable
from carriers.adapters.scans import MAX_CODE, MAX_TEXT, build_scan, find_code
from carriers.types import Status

ZONE = ZoneInfo("Asia/Kolkata")
CURRENCY = "INR"
TOKEN_LIFE = timedelta(hours=24)
FILES = ("label", "manifest")
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
# Code of an exception, or its ``ndr_reason``, -> its reason and who must act: Velocity waits for the seller.
REASONS = {"NDR": ("other", "sender"), "CUSTOMER_NOT_AVAILABLE": ("not_home", "sender")}
# Tracking histories contain words instead of codes: docs/carriers/velocity.md#status
CODES_BY_WORD = {
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
# Fields of an event that have a column of their own; the others are its details.
_COLUMNS = {"event", "awb", "order_id", "status", "status_code", "location", "timestamp", "description"}
# Details that have another name here.
_RENAMED_DETAILS = {"attempt": "attempts"}


def record(answer: Any, path: str = "") -> Record:
    """Return a response as a record; its times without an offset are Indian."""
    return Record(answer, path, zone=ZONE)


def token(answer: Record) -> types.Token:
    """Return a token. The response has no expiry; the document states 24 hours."""
    return types.Token(value=answer.token("token"), expires_at=datetime.now(UTC) + TOKEN_LIFE)


def offers(answer: Record, *, cod: bool) -> list[types.Offer]:
    """Return one offer per courier, the cheapest first; with cash on delivery only couriers that collect it."""
    if not answer.flag("is_serviceable"):
        return []
    found = answer.each("available_carriers", _offer)
    able = [offer for offer in found if offer.extras["cod_available"] or not cod]
    return sorted(able, key=lambda offer: (offer.total_price, offer.transit_days or 0))


def _offer(item: Record) -> types.Offer:
    rate, collects = item.amount("rate"), item.lenient(Record.flag, "cod_available", False)
    return types.Offer(
        service_type=f"courier_{item.text('courier_company_id', most=20)}",
        total_price=rate,
        currency=CURRENCY,
        breakdown={"base_rate": rate},
        transit_days=item.lenient(Record.integer, "estimated_delivery_days", None),
        extras={"courier_name": item.lenient(Record.text, "courier_name", ""), "cod_available": collects},
    )


def found_shipment(row: Record) -> types.BookedShipment:
    """Return an order of a lookup. Its status says whether it is cancelled, so it must be readable."""
    row.word("status", "")
    return shipment(row)


def shipment(answer: Record) -> types.BookedShipment:
    """Return a booked order without its files. Only a lookup reports the time of booking."""
    charges = answer.lenient(Record.amount, "freight_charges", None)
    urls = {
        "label": answer.text("label_url", ""),  # not lenient: without it the label is lost
        "manifest": answer.lenient(Record.text, "manifest_url", ""),
    }
    return types.BookedShipment(
        reference=answer.text("order_id"),
        tracking_number=answer.identifier("awb"),
        carrier_shipment_id=answer.lenient(Record.text, "shipment_id", "", most=64),
        documents=tuple(document(kind, url) for kind, url in urls.items() if url),
        created_at=answer.lenient(Record.time, "created_at", None) or now(),
        total_price=charges,
        currency="" if charges is None else CURRENCY,
        cancelled=code_of(answer.lenient(Record.text, "status", "")) == "CANCELLED",
        extras={
            "courier_name": answer.lenient(Record.text, "courier_name", ""),
            "courier_company_id": answer.lenient(Record.text, "courier_company_id", ""),
        },
        carrier_state={f"{kind}_url": url for kind, url in urls.items() if url},
    )


def document(kind: str, url: str, content: bytes = b"") -> types.Document:
    """Return a file of an order; all are PDFs."""
    return types.Document(kind=kind, format="PDF", content=content, url=url, size="4x6" if kind == "label" else "")


def tracks(answer: Any, numbers: Iterable[str]) -> dict[str, types.Track]:
    """Return the tracks of the requested numbers; others in the response are left out."""
    requested = {lookup_key(number): number for number in numbers}
    found: dict[str, tuple[str, types.Track]] = {}

    def read(item: Record) -> None:
        if number := requested.get(lookup_key(item.text("awb"))):
            track = (item.lenient(Record.text, "order_id", "").casefold(), _track(item, number))
            found[number] = _merge(found[number], track) if number in found else track

    record({"the body": answer}).each("the body", read)
    return {number: track for number, (_order_id, track) in found.items()}


def _track(item: Record, number: str) -> types.Track:
    scans = item.each("tracking_history", _scan)
    return types.Track(
        tracking_number=number,
        scans=tuple(sorted(scans, key=lambda scan: scan.occurred_at)),
        estimated_delivery=item.lenient(Record.deadline, "estimated_delivery", None),
        current_location=item.lenient(Record.text, "current_location", "")[:MAX_TEXT],
        extras={name: item.lenient(Record.text, name, "") for name in ("courier_name", "status_code")},
    )


def _merge(before: tuple[str, types.Track], after: tuple[str, types.Track]) -> tuple[str, types.Track]:
    """Return one (order id, track) for a number that is in the response twice.

    Two tracks of one order are joined. Of two orders, the younger parcel's track is returned, by its last scan; a
    parcel without scans is the youngest, as the final scan of an older parcel must not become its own.
    """
    (order_id, track), (other_id, other) = before, after
    if order_id and other_id and order_id != other_id:
        return max(before, after, key=_age)
    scans = sorted((*track.scans, *other.scans), key=lambda scan: scan.occurred_at)
    estimate = other.estimated_delivery or track.estimated_delivery
    return order_id or other_id, replace(other, scans=tuple(scans), estimated_delivery=estimate)


def _age(entry: tuple[str, types.Track]) -> tuple[bool, list[datetime]]:
    scans = entry[1].scans
    return not scans, [scan.occurred_at for scan in scans[-1:]]


def _scan(event: Record) -> types.Scan:
    """Return the scan of an entry in a history, or of a webhook."""
    details = to_storable(event.value)
    return build_scan(
        code_of(event.text("status_code", "") or event.text("status")),
        event.text("timestamp"),
        statuses=STATUSES,
        descriptions=DESCRIPTIONS,
        zone=ZONE,
        description=event.lenient(Record.text, "description", ""),
        location=event.lenient(Record.text, "location", ""),
        reasons=REASONS,
        cause=details.get("ndr_reason"),
        details={_RENAMED_DETAILS.get(name, name): value for name, value in details.items() if name not in _COLUMNS},
    )


def code_of(word: str) -> str:
    """Return the code for a code or word in any spelling; an unknown one is returned as it is."""
    code = find_code(word, STATUSES.keys() | CODES_BY_WORD.keys())
    return CODES_BY_WORD.get(code, code)


def cancellation(answer: Record, reason: str) -> types.Cancellation:
    """Return a cancellation; Velocity does not report its time."""
    if code_of(answer.text("status")) != "CANCELLED":
        raise ValueError("status is not CANCELLED")
    return types.Cancellation(tracking_number=answer.text("awb"), cancelled_at=None, reason=reason)


def warehouse(answer: Record, name: str) -> types.RegisteredWarehouse:
    return types.RegisteredWarehouse(
        carrier_id=answer.text("warehouse_id", most=64),
        name=answer.lenient(Record.text, "name", name),
        active=answer.lenient(Record.text, "status", "active").casefold() == "active",
    )


def updated(answer: Record) -> types.UpdatedOrder:
    changed = answer.lenient(Record.texts, "updated_fields", ())
    return types.UpdatedOrder(tracking_number=answer.text("awb"), changed=changed)


def report(answer: Record, kind: str) -> types.Report:
    rows = tuple(answer.each("data", lambda row: to_storable(row.value)))
    return types.Report(kind=kind, rows=rows, totals=answer.lenient(Record.mapping, "totals", {}))


# Webhooks


def webhook(event: Record) -> types.WebhookReport:
    """Return the scan of a status event. Events without AWB or status are of other kinds, such as COD remittances."""
    number = event.text("awb", "")
    kind = event.text("event", "status_update", most=MAX_CODE) if number else event.text("event", most=MAX_CODE)
    if not number or not (event.text("status_code", "") or event.text("status", "")):
        return types.WebhookReport(event_type=kind)
    estimate = event.lenient(Record.deadline, "estimated_delivery", None)
    reported = types.ReportedScan(tracking_number=number, scan=_scan(event), estimated_delivery=estimate)
    return types.WebhookReport(event_type=kind, scans=(reported,))
