"""Read Bring's answers and webhooks (``docs/carriers/bring.md``) into the canonical types.

Readers raise ``ValueError`` with the path of a field that is missing, of the wrong type or out of range.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from carriers import types
from carriers.adapters.bring import tables
from carriers.adapters.records import Record, lookup_key, now, to_storable
from carriers.adapters.scans import MAX_CODE, MAX_TEXT, find_code
from carriers.adapters.values import read_time
from carriers.types import parcel_reference


class Problem(NamedTuple):
    """An error in an answer: its code, also with "-" for "_" and without the party, and the Shipping Guide's field."""

    code: str
    key: str
    party: str
    field: str
    message: str


def problems(answer: Any) -> list[Problem]:
    """Return the errors in an answer; each of Bring's APIs has a form of its own."""
    if not isinstance(answer, dict) or answer.get("confirmation"):  # what is confirmed is booked
        return []
    parts = [part for name in ("consignments", "consignmentSet", "shipments") for part in _objects(answer.get(name))]
    listed = [error for name in ("errors", "fieldErrors", "error") for error in _objects(answer.get(name))]
    if "uuid" in answer and "reason" in answer:
        listed.append({"code": answer.get("status"), "message": answer["reason"]})
    found = [_problem(Record(one)) for one in listed]
    return [problem for part in parts for problem in problems(part)] + [one for one in found if one.message]


def _problem(error: Record) -> Problem:
    code = error.lenient(Record.text, "code", "")
    key, _, party = re.sub(r"-(SENDER|RECIPIENT)$", r"|\1", code.replace("_", "-")).partition("|")
    field = re.sub(r".*\.|\[\d+\]", "", error.lenient(Record.text, "field", ""))
    texts = [Record(one).lenient(Record.text, "message", "") for one in _objects(error.value.get("messages"))]
    message = next(filter(None, texts), "") or error.lenient(Record.text, "message", "")
    return Problem(code, key, party if party in tables.PARTIES else "", field, message)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def first(answer: Record, name: str) -> Record:
    """Return the first object of a list, which is the one of our request."""
    return next(iter(answer.records(name)), None) or Record(None, f"{name}[0]")  # raises ValueError


def short_number(number: str) -> str:
    """Return a customer number as requests may have it: ``PARCELS_NORWAY-00000000005`` is ``5``."""
    return number.rpartition("-")[2].lstrip("0")


# The Shipping Guide


def products(answer: Record, read: Callable[[Record], Any]) -> tuple[list[Any], str]:
    """Return what ``read`` makes of the products that can be sent, and why the others cannot."""
    listed = first(answer, "consignments").each("products", lambda one: (_refusals(one), _refusals(one) or read(one)))
    refused = dict.fromkeys(text for texts, _product in listed for text in texts)
    return [product for texts, product in listed if not texts], "; ".join(refused)


def _refusals(product: Record) -> list[str]:
    errors = [Record(one) for one in _objects(product.value.get("errors"))]
    return [
        error.lenient(Record.text, "description", "") or error.lenient(Record.text, "code", "?") for error in errors
    ]


def offer(product: Record, country: str) -> types.Offer:
    """Return the price of a product, with value added tax: that of the agreement, or else the list price."""
    code, prices = product.text("id"), product.record("price")
    is_net = "netPrice" in prices.value
    price = prices.record("netPrice" if is_net else "listPrice")
    with_all, alone = price.record("priceWithAdditionalServices"), price.optional("priceWithoutAdditionalServices")
    total = with_all.amount("amountWithVAT")
    breakdown = {
        "base_rate": alone.lenient(Record.amount, "amountWithoutVAT", Decimal(0)),
        "vat": with_all.lenient(Record.amount, "vat", Decimal(0)),
    }
    if rest := total - sum(breakdown.values()):
        breakdown["other"] = rest  # the additional services
    time = transit_time(product)
    return types.Offer(
        service_type=code,
        service_name=tables.SERVICES.get(code, code),
        total_price=total,
        currency=price.currency("currencyCode", country),
        breakdown=breakdown,
        transit_days=time.days,
        estimated_delivery=time.delivers_at,
        price_kind="negotiated" if is_net else "list",
        extras={"environmental_data": to_storable(_objects(product.value.get("environmentalData")))},
    )


def transit_time(product: Record) -> types.TransitTime:
    """Return working days, the most of a range such as "1-2", and the end of the day or slot of delivery."""
    expected = product.optional("expectedDelivery")
    days = re.findall(r"\d{1,3}", expected.lenient(Record.text, "workingDays", ""))
    day = expected.optional("expectedDeliveryDate")
    slots = [Record(one).optional("endTime") for one in _objects(day.value.get("timeSlots"))]
    date = ".".join(day.lenient(Record.text, name, "") for name in ("day", "month", "year"))
    time = ":".join(slots[-1].lenient(Record.text, name, "") for name in ("hour", "minute")) if slots else ""
    return types.TransitTime(
        service_type=product.text("id"), days=int(days[-1]) if days else None, delivers_at=_end(date, time)
    )


def _end(day: str, time: str) -> datetime | None:
    """Return the time of a day such as 20.04.2021 in Norway; without one, its last minute."""
    try:
        moment = datetime.strptime(f"{day} {time or '23:59'}", "%d.%m.%Y %H:%M").replace(tzinfo=tables.ZONE)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def coverage(times: Sequence[types.TransitTime], refused: str, place: types.Address) -> types.Coverage:
    return types.Coverage(
        postal_code=place.postal_code,
        city=place.city,
        country=place.country,
        service_available=bool(times),
        service_types=tuple(time.service_type for time in times),
        estimated_transit_days={time.service_type: time.days for time in times if time.days is not None},
        restrictions=(refused,) if refused else (),
    )


# Bookings


def booked(consignment: Record, order: types.Order) -> types.BookedShipment:
    """Return a booking. Each parcel needs its number, and the shipment the link of its label."""
    confirmation = consignment.record("confirmation")
    links, times = confirmation.record("links"), confirmation.optional("dateAndTimes")
    packages = {package.text("correlationId"): package for package in confirmation.records("packages")}
    references = [parcel_reference(order.reference, number) for number in range(1, len(order.packages) + 1)]
    if not set(references) <= set(packages):
        raise ValueError("packages lacks one of the parcels")
    parcels = [packages[reference] for reference in references]
    label_format = "ZPL" if order.service_type == tables.RFID else "PDF"
    files = [("label", label_format, links.text("labels"), 0), ("waybill", "PDF", _link(links, "waybill"), 0)]
    files += [("qr", "PNG", _link(parcel, "qrCodeLink"), number) for number, parcel in enumerate(parcels, 1)]
    codes = [parcel.lenient(Record.text, "labelFreeCode", "") for parcel in parcels]
    return types.BookedShipment(
        reference=consignment.text("correlationId"),
        tracking_number=confirmation.identifier("consignmentNumber"),
        created_at=now(),
        parcels=_parcels(parcels, order.reference),
        service_type=order.service_type or "",
        estimated_delivery=times.lenient(Record.time, "expectedDelivery", None),
        extras={"tracking_url": _link(links, "tracking"), "label_free_codes": [code for code in codes if code]},
        carrier_state={"files": [list(file) for file in files if file[2]]},
    )


def found(consignment: Record, ref: types.ShipmentRef) -> types.BookedShipment:
    """Return a booking that a search found. It has no label: only the answer of the booking links that."""
    return types.BookedShipment(
        reference=ref.reference,
        tracking_number=consignment.identifier("consignmentId"),
        created_at=ref.booked_at,
        parcels=_parcels(consignment.records("packageSet"), ref.reference),
    )


def _parcels(packages: Sequence[Record], reference: str) -> tuple[types.ParcelRef, ...]:
    numbers = [(number, package.identifier("packageNumber")) for number, package in enumerate(packages, 1)]
    return tuple(
        types.ParcelRef(number=number, tracking_number=one, reference=parcel_reference(reference, number))
        for number, one in numbers
    )


def _link(links: Record, name: str) -> str:
    return links.lenient(Record.text, name, "")


def documents(carrier_state: Mapping[str, Any], kinds: Collection[str]) -> list[types.Document]:
    """Return the files of these kinds that a booking links, without their content."""
    files = carrier_state.get("files", ())
    return [
        types.Document(kind=kind, format=format_, url=url, parcel=parcel)
        for kind, format_, url, parcel in files
        if kind in kinds
    ]


def pickup(answer: Record, request: types.PickupRequest) -> types.BookedPickup:
    confirmation = answer.record("pickupConfirmation")
    number = confirmation.text("packageNumber", most=64)
    return types.BookedPickup(
        carrier_pickup_id=number,
        confirmation_number=number,
        scheduled_date=request.pickup_date,
        window_start=request.window_start,
        window_end=request.window_end,
        extras={"tracking_url": _link(confirmation, "url")},
    )


# Tracking


def track(consignments: Sequence[Record], number: str) -> types.Track:
    """Return the scans of all parcels. Raises ``ValueError`` if the answer is about another number."""
    packages = [package for consignment in consignments for package in consignment.records("packageSet")]
    names = [one.text("consignmentId", "") for one in consignments] + [one.text("packageNumber") for one in packages]
    if lookup_key(number) not in map(lookup_key, names):
        raise ValueError("consignmentSet has another number")
    scans = sorted((scan for package in packages for scan in _scans(package)), key=lambda scan: scan.occurred_at)
    hours = [package.optional("estimatedTimeSpanOfDelivery") for package in packages]
    ends = [
        _end(package.lenient(Record.text, "dateOfEstimatedDelivery", ""), _link(span, "endTime"))
        for package, span in zip(packages, hours, strict=True)
    ]
    point = next(filter(None, (_link(package, "expectedPickupUnitName") for package in packages)), "")
    return types.Track(
        tracking_number=number,
        scans=tuple(scans),
        estimated_delivery=max(filter(None, ends), default=None),
        current_location=next((scan.location for scan in reversed(scans) if scan.location), ""),
        extras={"pickup_point": point} if point else {},
    )


def _scans(package: Record) -> list[types.Scan]:
    """Return the scans of a package, oldest first; Bring lists the newest first."""
    number = package.identifier("packageNumber")
    return package.each("eventSet", lambda event: _scan(event, number))[::-1]


def _scan(event: Record, number: str) -> types.Scan:
    """Return a scan. Its code is Bring's status, with the codes of event and cause if they are reported."""
    status = find_code(event.word("status"), tables.STATUSES["status"])
    names = ("event", "cause", "measure")
    codes = [event.lenient(Record.text, f"lm{name.title()}Code", "").strip() for name in names]
    meaning = tables.find_meaning(status, *codes[:2])
    occurred_text = event.text("dateIso")
    occurred_at, is_assumed = read_time(occurred_text, zone=tables.ZONE)
    words = html.unescape(re.sub(r"<[^>]*>", " ", event.lenient(Record.text, "description", ""))).split()
    place = " ".join(event.lenient(Record.text, name, "") for name in ("postalCode", "city")).strip()
    details = {name: tables.describe(name, code) for name, code in zip(names, codes, strict=True)}
    details |= {"unit": event.lenient(Record.text, "unitId", "")}
    details |= {"insignificant": event.lenient(Record.flag, "insignificant", False)}
    return types.Scan(
        code="/".join((status, *codes[:2])).rstrip("/")[:MAX_CODE],
        status=meaning.status,
        occurred_at=occurred_at,
        occurred_text=occurred_text,
        parcel="" if event.lenient(Record.flag, "consignmentEvent", False) else number,
        reason=meaning.reason,
        action_required_by=meaning.action_required_by,
        tz_assumed=is_assumed,
        description=(" ".join(words) or meaning.description or status)[:MAX_TEXT],
        location=", ".join(filter(None, (place, event.lenient(Record.text, "countryCode", ""))))[:MAX_TEXT],
        details={name: value for name, value in details.items() if value},
    )


def proof(consignments: Sequence[Record], number: str) -> tuple[types.ProofOfDelivery | None, str]:
    """Return the last delivery with the link of the signature's picture; None before delivery."""
    packages = [package for consignment in consignments for package in consignment.records("packageSet")]
    events = [event for one in packages for event in one.each("eventSet", lambda event: (_scan(event, number), event))]
    ends = [(scan, event) for scan, event in events if scan.status in ("delivered", "returned")]
    if not ends:
        return None, ""
    scan, event = max(ends, key=lambda end: end[0].occurred_at)
    signature = event.optional("recipientSignature")
    delivery = types.ProofOfDelivery(
        tracking_number=number,
        delivered_at=scan.occurred_at,
        signed_by=signature.lenient(Record.text, "name", ""),
        location=scan.location,
        notes=scan.description,
    )
    return delivery, _link(signature, "linkToImage")


# Pickup points, subscriptions and webhooks


def point(item: Record) -> types.PickupPoint:
    """Return a pickup point with its visiting address: the other one may be a post-office box."""
    kind, distance = item.lenient(Record.text, "type", ""), item.lenient(Record.number, "distanceInKm", None)
    sizes = item.optional("maxParcelDimensions")
    sides = [sizes.lenient(Record.number, name, None) for name in ("length", "width", "height")]
    visiting = {"street": "visitingAddress", "postal_code": "visitingPostalCode", "city": "visitingCity"}
    postal = {"street": "address", "postal_code": "postalCode", "city": "city"}
    hours = [Record(one) for one in _objects(item.value.get("openingHours"))]
    return types.PickupPoint(
        id=item.text("id"),
        name=item.lenient(Record.text, "name", item.text("id")),
        kind="LOCKER" if kind in tables.LOCKERS else "STORE",
        code=kind,
        address=types.Address(
            country=item.text("countryCode").upper(),
            **{name: _link(item, visiting[name]) or _link(item, postal[name]) for name in postal},
        ),
        latitude=float(item.number("latitude")),
        longitude=float(item.number("longitude")),
        distance_km=None if distance is None else float(distance),
        opening_hours={
            _link(one, "day").lower(): f"{_clock(one, 'opening')}-{_clock(one, 'closing')}" for one in hours
        },
        instructions=_link(item, "locationDescription"),
        carrier_state={"type": kind, "max_cm": [float(side) for side in sides if side]},
    )


def _clock(hours: Record, name: str) -> str:
    return re.sub(r"^(\d\d)(\d\d)$", r"\1:\2", _link(hours, name))


def subscription(webhook: Record) -> types.Subscription:
    return types.Subscription(
        carrier_id=webhook.identifier("id"),
        numbers=(webhook.text("trackingId"),),
        expires_at=webhook.lenient(Record.time, "expiry", None),
    )


def own_subscriptions(webhooks: Record, numbers: Collection[str], url: str) -> list[str]:
    """Return the ids of the subscriptions of these numbers that report to our URL."""
    listed = webhooks.each("webhooks", lambda one: (subscription(one), _link(one.optional("configuration"), "url")))
    return [one.carrier_id for one, its_url in listed if its_url == url and set(one.numbers) & set(numbers)]


def webhook(event: Record) -> types.WebhookReport:
    """Return which shipment to track: an event has neither a location nor an event code."""
    number = event.text("shipment", "") or event.text("package")
    return types.WebhookReport(event_type=event.word("status"), reread=(number,))
