"""Read UPS's answers and events (``docs/carriers/ups.md``). Readers raise ``ValueError`` with the path of a field."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from carriers import types
from carriers.adapters.records import Record, now
from carriers.adapters.scans import MAX_CODE, MAX_TEXT
from carriers.adapters.ups.tables import LEVELS, LISTS, find_meaning, service_name
from carriers.adapters.values import read_date_and_time, read_time
from carriers.adapters.zones import zone_of
from carriers.types import Status

NO_INFORMATION = "TW0001"  # of a number that UPS does not know, or of which it shows no scans
VOIDED, DELIVERED = "M/VP", "011"
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")  # 1 to 7
_TRACKING = "type code statusCode date time gmtDate gmtTime"
_EVENT = "type code descriptionCode localActivityDate localActivityTime gmtActivityDate gmtActivityTime"


def token(answer: Record) -> types.Token:
    seconds = answer.integer("expires_in", most=10**9)
    if not seconds:
        raise ValueError("the token is not usable")
    return types.Token(value=answer.token("access_token"), expires_at=datetime.now(UTC) + timedelta(seconds=seconds))


def refusal(answer: Record) -> tuple[str, str] | None:
    """Return code and words of an answer that states a failure; Locator has an envelope of its own."""
    response = answer.optional("Response")
    if response.optional_texts("ResponseStatusCode") == ["0"] and response.value.get("Error"):
        code, words = response.optional("Error").optional_texts("ErrorCode", "ErrorDescription")
        return code or "0", words
    code, words = response.optional("ResponseStatus").optional_texts("Code", "Description")
    return (code, words) if code == "0" and words != "Success" else None


def errors_of(answer: Record) -> list[tuple[str, str]]:
    """Return codes and texts of an error answer."""
    rows = answer.record("response").one_or_many("errors").records("errors")
    return [(row.text("code"), row.text("message", "")) for row in rows]


def some_texts(answer: Record, name: str) -> tuple[str, ...]:
    if not (found := answer.texts(name)):
        raise ValueError(f"{name} has no text")
    return found


# Prices and bookings


def offers(answer: Record, country: str) -> list[types.Offer]:
    rated = answer.one_or_many("RatedShipment").each("RatedShipment", lambda row: _offer(row, country))
    return sorted(rated, key=lambda offer: offer.total_price)


def _offer(row: Record, country: str) -> types.Offer:
    code, charges, negotiated = row.record("Service").text("Code"), row.record("TotalCharges"), _negotiated(row)
    price = charges.amount("MonetaryValue") if negotiated is None else negotiated
    names = {"transportation": "TransportationCharges", "service_options": "ServiceOptionsCharges"}
    breakdown = {ours: _amount(row.optional(name), Decimal(0)) for ours, name in names.items()}
    if rest := price - sum(breakdown.values()):
        breakdown["other" if negotiated is None else "negotiated_discount"] = rest
    return types.Offer(
        service_type=code, service_name=service_name(code, country), total_price=price, breakdown=breakdown,
        currency=charges.currency("CurrencyCode", country), price_kind="list" if negotiated is None else "negotiated",
        transit_days=row.optional("GuaranteedDelivery").lenient(Record.integer, "BusinessDaysInTransit", None),
    )  # fmt: skip


def _negotiated(row: Record) -> Decimal | None:
    return _amount(row.optional("NegotiatedRateCharges").optional("TotalCharge"), None)


def _amount(charge: Record, default: Decimal | None) -> Decimal | None:
    return charge.lenient(Record.amount, "MonetaryValue", default)


def booked(answer: Record, order: types.Order) -> types.BookedShipment:
    """Return a bought shipment, with a number and a label of each parcel."""
    context = answer.optional("Response").optional("TransactionReference")
    if context.value.get("CustomerContext"):
        context.expect("CustomerContext", order.reference)
    results = answer.record("ShipmentResults").one_or_many("PackageResults")
    rows, number = results.records("PackageResults"), results.identifier("ShipmentIdentificationNumber")
    listed, price = results.optional("ShipmentCharges").optional("TotalCharges"), _negotiated(results)
    price = _amount(listed, None) if price is None else price
    currency = "" if price is None else listed.currency("CurrencyCode", order.origin.country)
    images = [
        ("invoice", results.optional("Form"), "Image", 0),
        ("other", results.optional("CODTurnInPage"), "Image", 0),
    ]
    images += [("receipt", row, "ShippingReceipt", place) for place, row in enumerate(rows, start=1)]
    ref = types.ShipmentRef(reference=order.reference, order=order, booked_at=now(), ship_at=now())
    documents = _documents(ref, rows, "ShippingLabel", images)
    return _shipment(ref, number, rows, documents=documents, total_price=price, currency=currency)


def recovered(answer: Record, ref: types.ShipmentRef) -> types.BookedShipment:
    """Return a shipment with the labels that UPS has kept: those of its parcels that are not voided."""
    rows, name = answer.one_or_many("LabelResults").records("LabelResults"), "ShipmentIdentificationNumber"
    documents = _documents(ref, rows, "LabelImage", [("invoice", row.optional("Form"), "Image", 0) for row in rows])
    number = answer.identifier(name) if name in answer.value else rows[0].identifier("TrackingNumber")
    return _shipment(ref, number, rows, documents=documents)


def tracked_shipments(answer: Record, ref: types.ShipmentRef) -> list[types.BookedShipment]:
    """Return the shipments, without labels, that tracking has found by our reference."""
    shipments = map(packages_of, answer.record("trackResponse").one_or_many("shipment").records("shipment"))
    found = []
    for rows in filter(None, shipments):
        for row in rows:
            stated = [one.text("number") for one in row.one_or_many("referenceNumber").records("referenceNumber")]
            if stated and ref.reference not in stated:
                raise ValueError(f"{row.path}.referenceNumber is not the requested one")
        is_voided = all(VOIDED in {scan.code for scan in _activities(row)} for row in rows)
        number = rows[0].identifier("trackingNumber")
        found.append(_shipment(ref, number, rows, name="trackingNumber", cancelled=is_voided))
    return found


def places_of(ref: types.ShipmentRef) -> dict[str, int]:
    """Return the numbers of a shipment's parcels by their tracking numbers."""
    return {parcel.tracking_number: parcel.number for parcel in ref.parcels if parcel.tracking_number}


def _shipment(
    ref: types.ShipmentRef, number: str, rows: Sequence[Record], *, name: str = "TrackingNumber", **fields: Any
) -> types.BookedShipment:
    numbers = enumerate((row.identifier(name) for row in rows), start=1)
    parcels = tuple(types.ParcelRef(number=place, tracking_number=text) for place, text in numbers)
    return types.BookedShipment(
        reference=ref.reference, tracking_number=number, carrier_shipment_id=number, created_at=ref.booked_at,
        parcels=parcels, service_type=ref.order.service_type or "", **fields,
    )  # fmt: skip


def _documents(
    ref: types.ShipmentRef, rows: Sequence[Record], label: str, images: Sequence[tuple[str, Record, str, int]]
) -> tuple[types.Document, ...]:
    """Return the label of each parcel, and those ``images`` that can be read: a paid label counts without them."""
    known = places_of(ref)
    if not rows or (not known and len(rows) != len(ref.order.packages)):
        raise ValueError(f"{label}: the answer does not have each parcel")
    found = [_document(row, label, [], "label", known.get(row.text("TrackingNumber"), place))
             for place, row in enumerate(rows, start=1)]  # fmt: skip
    for kind, row, name, place in images:
        found.append(row.lenient(_document, name, [], kind=kind, parcel=place) if row.value.get(name) else [])
    return tuple(document for documents in found for document in documents)


def _document(row: Record, name: str, _default: Any, kind: str, parcel: int) -> list[types.Document]:
    image = row.record(name)
    code = image.optional("ImageFormat" if "ImageFormat" in image.value else "LabelImageFormat").optional_texts("Code")
    content, found = image.file("GraphicImage", code[0].upper())
    size = "4x6" if kind == "label" else ""
    return [types.Document(kind=kind, format=found, content=content, parcel=parcel, size=size)]


def not_voided(answer: Record) -> str:
    """Return the words of an answer that nothing, or only a part, was voided; empty: all was."""
    status = answer.record("SummaryResult").record("Status")
    if status.text("Code") not in ("0", "1"):
        raise ValueError("SummaryResult.Status.Code is not 0 or 1")
    return "" if status.text("Code") == "1" else status.optional_texts("Description")[0] or "Not voided"


# Tracking


def packages(answer: Record) -> list[Record]:
    """Return the packages of a page; none for a number without information."""
    shipments = answer.record("trackResponse").one_or_many("shipment").records("shipment")
    if not shipments:
        raise ValueError("trackResponse.shipment is empty")
    return packages_of(shipments[0])


def packages_of(shipment: Record) -> list[Record]:
    rows = shipment.one_or_many("package").records("package")
    warnings = shipment.one_or_many("warnings").records("warnings")
    if not rows and all(warning.text("code", "") != NO_INFORMATION for warning in warnings):
        raise ValueError("trackResponse.shipment has neither packages nor the reason")
    return rows


def track(rows: Sequence[Record], number: str) -> types.Track:
    scans = [scan for row in rows for scan in reversed(_activities(row))]  # UPS has the newest first
    scans.sort(key=lambda scan: scan.occurred_at)
    estimates = [row.lenient(_estimate, "deliveryDate", None) for row in rows]
    (pickup_by,) = rows[0].optional("accessPointInformation").optional_texts("pickupByDate")
    return types.Track(
        tracking_number=number, scans=tuple(scans), estimated_delivery=max(filter(None, estimates), default=None),
        current_location=next((scan.location for scan in reversed(scans) if scan.location), ""),
        extras={"pickup_by": pickup_by} if pickup_by else {},
    )  # fmt: skip


def event(answer: Record) -> types.WebhookReport:
    """Return the scan of a Track Alert, with the code and instant of the same scan in tracking.

    Times of Quantum View have no offset, so the parcels that it reports are only to be tracked again.
    """
    if "QuantumViewResponse" in answer.value:
        numbers = re.findall(r'"TrackingNumber": "(\w{1,50})"', json.dumps(answer.value), re.A)
        return types.WebhookReport(event_type="QuantumView", reread=tuple(dict.fromkeys(numbers)))
    number, (signed_by,) = answer.identifier("trackingNumber"), answer.optional_texts("receivedBy")
    status, place = answer.record("activityStatus"), answer.optional("activityLocation")
    scan = _scan(answer, status, place, _EVENT, number, {"signed_by": signed_by})
    return types.WebhookReport(event_type=scan.code, scans=(types.ReportedScan(tracking_number=number, scan=scan),))


def _activities(package: Record) -> list[types.Scan]:
    (number,), delivery = package.optional_texts("trackingNumber"), package.optional("deliveryInformation")
    details = dict(zip(("signed_by", "left_at"), delivery.optional_texts("receivedBy", "location"), strict=True))

    def read(row: Record) -> types.Scan:
        status, place = row.record("status"), row.optional("location").optional("address")
        is_delivery = status.value.get("statusCode") == DELIVERED
        return _scan(row, status, place, _TRACKING, number[:50], details if is_delivery else {})

    return package.one_or_many("activity").each("activity", read)


def _scan(row: Record, status: Record, place: Record, names: str, parcel: str, details: dict[str, str]) -> types.Scan:
    """Return a scan. Its code names the list, because UPS's lists share codes.

    Times are local. The offset is -05:00 in tracking and -04.00 in events; the time in GMT comes without one.
    """
    kind, code, status_code = status.optional_texts(*names.split()[:3])
    named = f"{LISTS.get(kind, kind)}/{code}" if code else status_code or kind
    if not named:
        raise ValueError(f"{status.path} has no code")
    city, area, *countries = place.optional_texts("city", "stateProvince", "countryCode", "country")
    country, (description,) = next(filter(None, countries), ""), status.optional_texts("description")
    day, clock, gmt_day, gmt_clock, offset = (row.text(name, "") for name in (*names.split()[3:], "gmtOffset"))
    parts, zone = ((gmt_day, gmt_clock, "Z") if gmt_clock else (day, clock, offset)), zone_of(country, area)
    occurred_at, is_assumed = read_date_and_time(*parts, f"{row.path or 'the event'}: the time", zone=zone)
    meaning = find_meaning(kind, code, status_code)
    return types.Scan(
        code=named[:MAX_CODE], status=meaning.status, reason=meaning.reason, parcel=parcel,
        action_required_by=meaning.action_required_by, occurred_at=occurred_at.astimezone(UTC),
        occurred_text=" ".join(filter(None, (day, clock, offset))) or f"{gmt_day} {gmt_clock}", tz_assumed=is_assumed,
        description=(description or named)[:MAX_TEXT],
        location=", ".join(filter(None, (city, area, country)))[:MAX_TEXT],
        details={name: text for name, text in ({"status_code": status_code} | details).items() if text},
    )  # fmt: skip


def _estimate(package: Record, name: str, default: None) -> datetime | None:
    """Return when a parcel will be delivered: the rescheduled day, else the scheduled one, in its recipient's zone."""
    days = {row.text("type", ""): row.text("date", "") for row in package.one_or_many(name).records(name)}
    clock = package.optional("deliveryTime").optional_texts("endTime")[0] or "235900"
    ends = package.one_or_many("packageAddress").records("packageAddress")
    parts = ends[-1].record("address").optional_texts("countryCode", "stateProvince") if ends else ["", ""]
    day = days.get("RDD") or days.get("SDD")
    return read_date_and_time(day, clock, "", name, zone=zone_of(*parts))[0].astimezone(UTC) if day else default


def proof(rows: Sequence[Record], ref: types.ShipmentRef) -> types.ProofOfDelivery | None:
    """Return the proof of delivery of the delivered parcels; None if there is none yet."""
    delivered = [(row, scan) for row in rows for scan in _activities(row) if scan.status is Status.DELIVERED]
    if not delivered:
        return None
    documents: list[types.Document] = []
    for row in rows:
        own, place = row.optional("deliveryInformation"), places_of(ref).get(row.optional_texts("trackingNumber")[0], 0)
        texts = {"GIF": own.optional("signature").value.get("image"), "HTML": own.optional("pod").value.get("content")}
        for code, text in texts.items():
            image = Record({"pod": {"GraphicImage": text, "ImageFormat": {"Code": code}}}, row.path)
            documents += image.lenient(_document, "pod", [], kind="pod", parcel=place) if text else []
    signature = next((base64.b64encode(one.content).decode() for one in documents if one.format == "GIF"), "")
    information = delivered[0][0].optional("deliveryInformation")
    (signed_by, location), (photo,) = (
        information.optional_texts("receivedBy", "location"),
        information.optional("deliveryPhoto").optional_texts("photo"),
    )
    return types.ProofOfDelivery(
        tracking_number=ref.tracking_number, delivered_at=delivered[0][1].occurred_at, signed_by=signed_by,
        location=location, documents=tuple(documents),
        signature_image=f"data:image/gif;base64,{signature}" if signature else "",
        delivery_photo=f"data:image/jpeg;base64,{photo}" if photo else "",
    )  # fmt: skip


# Pickups, points, transit times, addresses


def pickup(answer: Record, request: types.PickupRequest) -> types.BookedPickup:
    number, rate = answer.identifier("PRN"), answer.optional("RateResult")
    price = rate.lenient(Record.amount, "GrandTotalOfAllCharge", None)
    currency = "" if price is None else rate.currency("CurrencyCode", request.address.country)
    return types.BookedPickup(
        carrier_pickup_id=number, confirmation_number=number, scheduled_date=request.pickup_date,
        window_start=request.window_start, window_end=request.window_end, total_price=price, currency=currency,
    )  # fmt: skip


def pending_pickups(answer: Record, request: types.PickupRequest) -> list[types.BookedPickup]:
    rows = answer.one_or_many("PendingStatus").records("PendingStatus")
    numbered = [(row.word("PRN"), row) for row in rows]  # an unreadable one may be this request's
    return [pickup(row, request) for _, row in numbered if row.text("ReferenceNumber", "") == request.reference]


def points(answer: Record) -> list[types.PickupPoint]:
    return answer.record("SearchResults").one_or_many("DropLocation").each("DropLocation", _point)


def _point(row: Record) -> types.PickupPoint:
    address, code, access = row.record("AddressKeyFormat"), row.record("Geocode"), row.record("AccessPointInformation")
    name, *parts = address.optional_texts(
        "ConsigneeName", "PoliticalDivision2", "PoliticalDivision1", "PostcodePrimaryLow"
    )
    parts, away = dict(zip(("city", "state", "postal_code"), parts, strict=True)), row.optional("Distance")
    street = ", ".join(address.lenient(Record.texts, "AddressLine", ()))
    distance = away.lenient(Record.number, "Value", None)
    return types.PickupPoint(
        id=access.identifier("PublicAccessPointID"), name=name or access.text("PublicAccessPointID"), kind="STORE",
        address=types.Address(country=address.text("CountryCode"), street=street, **parts),
        latitude=float(code.number("Latitude")), longitude=float(code.number("Longitude")),
        active=access.optional("AccessPointStatus").text("Code", "01") == "01",
        distance_km=None if distance is None else float(distance),
        opening_hours=row.optional("OperatingHours").lenient(_hours, "StandardHours", {}),
    )  # fmt: skip


def _hours(row: Record, name: str, default: dict[str, str]) -> dict[str, str]:
    """Return opening hours. UPS's have no leading zeros, midnight is 0, and day 1 is Sunday."""
    found = dict(default)
    for day in [day for one in row.one_or_many(name).records(name)[:1] for day in one.records("DayOfWeek")]:
        opens, closes = (day.text(key, "").zfill(4) for key in ("OpenHours", "CloseHours"))
        if day.value.get("OpenHours"):
            until = "24:00" if closes == "0000" else f"{closes[:2]}:{closes[2:]}"
            found[DAYS[day.integer("Day", most=7) - 1]] = f"{opens[:2]}:{opens[2:]}-{until}"
    return found


def transit_times(answer: Record, order: types.Order) -> list[types.TransitTime]:
    start, end = (zone_of(one.country, one.state) for one in (order.origin, order.destination))

    def read(row: Record) -> types.TransitTime:
        level, delivers_at = row.text("serviceLevel"), f"{row.text('deliveryDate')}T{row.text('deliveryTime', '23:59')}"
        book_until = Record({"at": "T".join(row.optional_texts("pickupDate", "cstccutoffTime"))}, zone=start)
        return types.TransitTime(
            service_type=LEVELS.get(level, level), days=row.lenient(Record.integer, "businessTransitDays", None),
            delivers_at=read_time(delivers_at, f"{row.path}.deliveryDate", zone=end)[0],
            book_until=book_until.lenient(Record.time, "at", None),
        )  # fmt: skip

    return answer.record("emsResponse").one_or_many("services").each("services", read)


def checked(answer: Record) -> types.AddressCheck:
    outcomes = {"ValidAddressIndicator": True, "AmbiguousAddressIndicator": False, "NoCandidatesIndicator": False}
    found = [ok for name, ok in outcomes.items() if name in answer.value]
    if not found:
        raise ValueError("XAVResponse has no outcome")
    (kind,) = answer.optional("AddressClassification").optional_texts("Code")
    suggestions = answer.one_or_many("Candidate").each(
        "Candidate", lambda row: _address(row.record("AddressKeyFormat"))
    )
    residential = {"1": False, "2": True}.get(kind)  # commercial, residential, else not known
    return types.AddressCheck(ok=found[0], residential=residential, suggestions=tuple(suggestions))


def _address(key: Record) -> types.Address:
    names = ("PoliticalDivision2", "PoliticalDivision1", "PostcodePrimaryLow", "PostcodeExtendedLow")
    city, state, *codes = key.optional_texts(*names)
    street, *others = (*key.lenient(Record.texts, "AddressLine", ()), "")
    return types.Address(
        country=key.text("CountryCode"), state=state, city=city, postal_code="-".join(filter(None, codes)),
        street=street, street2=", ".join(filter(None, others)),
    )  # fmt: skip
