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
_TRACKING = ("type", "code", "statusCode", "date", "time", "gmtDate", "gmtTime")
_EVENT = (
    "type",
    "code",
    "descriptionCode",
    "localActivityDate",
    "localActivityTime",
    "gmtActivityDate",
    "gmtActivityTime",
)


def token(answer: Record) -> types.Token:
    seconds = answer.integer("expires_in", most=10**9)
    if not seconds:
        raise ValueError("the token is not usable")
    return types.Token(value=answer.token("access_token"), expires_at=datetime.now(UTC) + timedelta(seconds=seconds))


def refusal(answer: Record) -> tuple[str, str] | None:
    """Return code and words of an answer that states a failure; Locator has an envelope of its own."""
    response = answer.optional("Response")
    status, error = response.optional("ResponseStatus"), response.optional("Error")
    code, words = (status.lenient(Record.text, name, "") for name in ("Code", "Description"))
    if error.value and response.lenient(Record.text, "ResponseStatusCode", "") == "0":
        texts = [error.lenient(Record.text, name, "") for name in ("ErrorCode", "ErrorDescription")]
        return texts[0] or "0", texts[1]
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
    code, charges = row.record("Service").text("Code"), row.record("TotalCharges")
    listed, negotiated = charges.amount("MonetaryValue"), _negotiated(row)
    price = listed if negotiated is None else negotiated
    names = {"transportation": "TransportationCharges", "service_options": "ServiceOptionsCharges"}
    breakdown = {ours: _amount(row.optional(name), Decimal(0)) for ours, name in names.items()}
    if rest := price - sum(breakdown.values()):
        breakdown["other" if negotiated is None else "negotiated_discount"] = rest
    return types.Offer(
        service_type=code,
        service_name=service_name(code, country),
        total_price=price,
        currency=charges.currency("CurrencyCode", country),
        price_kind="list" if negotiated is None else "negotiated",
        breakdown=breakdown,
        transit_days=row.optional("GuaranteedDelivery").lenient(Record.integer, "BusinessDaysInTransit", None),
    )


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
    rows = results.records("PackageResults")
    listed, price = results.optional("ShipmentCharges").optional("TotalCharges"), _negotiated(results)
    price = _amount(listed, None) if price is None else price
    currency = "" if price is None else listed.currency("CurrencyCode", order.origin.country)
    images = [
        ("invoice", results.optional("Form"), "Image", 0),
        ("other", results.optional("CODTurnInPage"), "Image", 0),
    ]
    images += [("receipt", row, "ShippingReceipt", number) for number, row in enumerate(rows, start=1)]
    ref = types.ShipmentRef(reference=order.reference, order=order, booked_at=now(), ship_at=now())
    number = results.identifier("ShipmentIdentificationNumber")
    return _shipment(ref, number, rows, "ShippingLabel", images, total_price=price, currency=currency)


def recovered(answer: Record, ref: types.ShipmentRef) -> types.BookedShipment:
    """Return a shipment with the labels that UPS has kept; without rows, several shipments have the reference."""
    rows = answer.one_or_many("LabelResults").records("LabelResults")
    name = "ShipmentIdentificationNumber"
    number = answer.identifier(name) if name in answer.value else next(iter(rows), answer).identifier("TrackingNumber")
    images = [("invoice", row.optional("Form"), "Image", 0) for row in rows]
    return _shipment(ref, number, rows, "LabelImage", images)


def _shipment(
    ref: types.ShipmentRef, number: str, rows: Sequence[Record], label: str, images: Sequence[Any], **fields: Any
) -> types.BookedShipment:
    """Return a shipment with the label of each parcel, and those ``images`` that can be read."""
    known = places_of(ref)
    if not rows or (not known and len(rows) != len(ref.order.packages)):
        raise ValueError(f"{label}: the answer does not have each parcel")
    numbers = [row.identifier("TrackingNumber") for row in rows]
    places = [known.get(text, place) for place, text in enumerate(numbers, start=1)]
    documents = [_document(row, label, "label", place) for place, row in zip(places, rows, strict=True)]
    for kind, row, name, place in images:
        documents += row.lenient(_good_to_have, name, [], kind=kind, parcel=place)
    return types.BookedShipment(
        reference=ref.reference,
        tracking_number=number,
        carrier_shipment_id=number,
        created_at=ref.booked_at,
        parcels=tuple(
            types.ParcelRef(number=place, tracking_number=text) for place, text in zip(places, numbers, strict=True)
        ),
        documents=tuple(documents),
        service_type=ref.order.service_type or "",
        **fields,
    )


def places_of(ref: types.ShipmentRef) -> dict[str, int]:
    """Return the numbers of a shipment's parcels by their tracking numbers."""
    return {parcel.tracking_number: parcel.number for parcel in ref.parcels if parcel.tracking_number}


def _document(row: Record, name: str, kind: str, parcel: int = 0) -> types.Document:
    image = row.record(name)
    code = image.optional("ImageFormat" if "ImageFormat" in image.value else "LabelImageFormat")
    content, found = image.file("GraphicImage", code.lenient(Record.text, "Code", "").upper())
    return types.Document(
        kind=kind, format=found, content=content, parcel=parcel, size="4x6" if kind == "label" else ""
    )


def _good_to_have(row: Record, name: str, default: list[Any], *, kind: str, parcel: int) -> list[types.Document]:
    return [_document(row, name, kind, parcel)] if row.value.get(name) else default


def tracked_shipments(answer: Record, ref: types.ShipmentRef) -> list[types.BookedShipment]:
    """Return the shipments, without labels, that tracking has found by our reference."""
    rows = answer.record("trackResponse").one_or_many("shipment").records("shipment")
    found = [packages_of(row) for row in rows]
    return [_tracked_shipment(packages, ref) for packages in found if packages]


def _tracked_shipment(rows: Sequence[Record], ref: types.ShipmentRef) -> types.BookedShipment:
    for row in rows:
        stated = [one.text("number") for one in row.one_or_many("referenceNumber").records("referenceNumber")]
        if stated and ref.reference not in stated:
            raise ValueError(f"{row.path}.referenceNumber is not the requested one")
    numbers = [row.identifier("trackingNumber") for row in rows]
    codes = [{scan.code for scan in _activities(row)} for row in rows]
    return types.BookedShipment(
        reference=ref.reference,
        tracking_number=numbers[0],
        carrier_shipment_id=numbers[0],
        created_at=ref.booked_at,
        parcels=tuple(
            types.ParcelRef(number=place, tracking_number=text) for place, text in enumerate(numbers, start=1)
        ),
        service_type=ref.order.service_type or "",
        cancelled=all(VOIDED in found for found in codes),
    )


def not_voided(answer: Record) -> str:
    """Return the words of an answer that nothing, or only a part, was voided; empty: all was."""
    status = answer.record("SummaryResult").record("Status")
    code = status.text("Code")
    if code not in ("0", "1"):
        raise ValueError("SummaryResult.Status.Code is not 0 or 1")
    return "" if code == "1" else status.lenient(Record.text, "Description", "") or "Not voided"


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
    pickup_by = rows[0].optional("accessPointInformation").lenient(Record.text, "pickupByDate", "")
    return types.Track(
        tracking_number=number,
        scans=tuple(scans),
        estimated_delivery=max(
            filter(None, (row.lenient(_estimate, "deliveryDate", None) for row in rows)), default=None
        ),
        current_location=next((scan.location for scan in reversed(scans) if scan.location), ""),
        extras={"pickup_by": pickup_by} if pickup_by else {},
    )


def _activities(package: Record) -> list[types.Scan]:
    return package.one_or_many("activity").each("activity", lambda row: _activity(row, package))


def _activity(row: Record, package: Record) -> types.Scan:
    status = row.record("status")
    delivery = package.optional("deliveryInformation") if status.value.get("statusCode") == DELIVERED else Record({})
    details = {"signed_by": "receivedBy", "left_at": "location"}
    details = {ours: delivery.lenient(Record.text, name, "") for ours, name in details.items()}
    parcel = package.lenient(Record.text, "trackingNumber", "", most=50)
    return _scan(row, status, row.optional("location").optional("address"), _TRACKING, parcel, details)


def event(answer: Record) -> types.WebhookReport:
    """Return the scan of a Track Alert, with the code and instant of the same scan in tracking.

    Times of Quantum View have no offset, so the parcels that it reports are only to be tracked again.
    """
    if "QuantumViewResponse" in answer.value:
        numbers = re.findall(r'"TrackingNumber": "(\w{1,50})"', json.dumps(answer.value), re.A)
        return types.WebhookReport(event_type="QuantumView", reread=tuple(dict.fromkeys(numbers)))
    number, details = answer.identifier("trackingNumber"), {"signed_by": answer.lenient(Record.text, "receivedBy", "")}
    status, address = answer.record("activityStatus"), answer.optional("activityLocation")
    scan = _scan(answer, status, address, _EVENT, number, details)
    return types.WebhookReport(event_type=scan.code, scans=(types.ReportedScan(tracking_number=number, scan=scan),))


def _scan(
    row: Record, status: Record, address: Record, names: Sequence[str], parcel: str, details: dict[str, str]
) -> types.Scan:
    """Return a scan. Its code names the list, because UPS's lists share codes.

    Times are local. The offset is -05:00 in tracking and -04.00 in events; the time in GMT comes without one.
    """
    kind, code, status_code = (status.lenient(Record.text, name, "").strip() for name in names[:3])
    named = f"{LISTS.get(kind, kind)}/{code}" if code else status_code or kind
    if not named:
        raise ValueError(f"{status.path} has no code")
    city, area, *countries = (
        address.lenient(Record.text, name, "") for name in ("city", "stateProvince", "countryCode", "country")
    )
    country, offset = next(filter(None, countries), ""), row.text("gmtOffset", "")
    day, clock, gmt_day, gmt_clock = (row.text(name, "") for name in names[3:])
    parts, zone = ((gmt_day, gmt_clock, "Z") if gmt_clock else (day, clock, offset)), zone_of(country, area)
    occurred_at, is_assumed = read_date_and_time(*parts, f"{row.path or 'the event'}: the time", zone=zone)
    meaning = find_meaning(kind, code, status_code)
    return types.Scan(
        code=named[:MAX_CODE],
        status=meaning.status,
        occurred_at=occurred_at.astimezone(UTC),
        occurred_text=" ".join(filter(None, (day, clock, offset))) or f"{gmt_day} {gmt_clock}",
        parcel=parcel,
        reason=meaning.reason,
        action_required_by=meaning.action_required_by,
        tz_assumed=is_assumed,
        description=(status.lenient(Record.text, "description", "").strip() or named)[:MAX_TEXT],
        location=", ".join(filter(None, (city, area, country)))[:MAX_TEXT],
        details={name: text for name, text in ({"status_code": status_code} | details).items() if text},
    )


def _estimate(package: Record, name: str, default: None) -> datetime | None:
    """Return when a parcel will be delivered: the rescheduled day, else the scheduled one, in its recipient's zone."""
    days = {row.text("type", ""): row.text("date", "") for row in package.one_or_many(name).records(name)}
    clock = package.optional("deliveryTime").lenient(Record.text, "endTime", "") or "235900"
    ends = package.one_or_many("packageAddress").records("packageAddress")
    parts = (
        [ends[-1].record("address").text(part, "") for part in ("countryCode", "stateProvince")] if ends else ["", ""]
    )
    day = days.get("RDD") or days.get("SDD")
    return read_date_and_time(day, clock, "", name, zone=zone_of(*parts))[0].astimezone(UTC) if day else default


def proof(rows: Sequence[Record], ref: types.ShipmentRef) -> types.ProofOfDelivery | None:
    """Return the proof of delivery of the delivered parcels; None if there is none yet."""
    delivered = [(row, scan) for row in rows for scan in _activities(row) if scan.status is Status.DELIVERED]
    if not delivered:
        return None
    places = places_of(ref)
    information, documents = delivered[0][0].optional("deliveryInformation"), []
    for row in rows:
        own, place = row.optional("deliveryInformation"), places.get(row.lenient(Record.text, "trackingNumber", ""), 0)
        texts = {"GIF": own.optional("signature").value.get("image"), "HTML": own.optional("pod").value.get("content")}
        for code, text in texts.items():
            image = Record({"pod": {"GraphicImage": text, "ImageFormat": {"Code": code}} if text else None}, row.path)
            documents += image.lenient(_good_to_have, "pod", [], kind="pod", parcel=place)
    signature = next((one.content for one in documents if one.format == "GIF"), b"")
    photo = information.optional("deliveryPhoto").lenient(Record.text, "photo", "")
    return types.ProofOfDelivery(
        tracking_number=ref.tracking_number,
        delivered_at=delivered[0][1].occurred_at,
        signed_by=information.lenient(Record.text, "receivedBy", ""),
        signature_image=f"data:image/gif;base64,{base64.b64encode(signature).decode()}" if signature else "",
        delivery_photo=f"data:image/jpeg;base64,{photo}" if photo else "",
        location=information.lenient(Record.text, "location", ""),
        documents=tuple(documents),
    )


# Pickups, points, transit times, addresses


def pickup(answer: Record, request: types.PickupRequest, **fields: Any) -> types.BookedPickup:
    number = answer.identifier("PRN")
    return types.BookedPickup(
        carrier_pickup_id=number,
        confirmation_number=number,
        scheduled_date=request.pickup_date,
        window_start=request.window_start,
        window_end=request.window_end,
        **fields,
    )


def pickup_price(answer: Record, country: str) -> dict[str, Any]:
    rate = answer.optional("RateResult")
    price = rate.lenient(Record.amount, "GrandTotalOfAllCharge", None)
    return {} if price is None else {"total_price": price, "currency": rate.currency("CurrencyCode", country)}


def pending_pickups(answer: Record, request: types.PickupRequest) -> list[types.BookedPickup]:
    rows = answer.one_or_many("PendingStatus").records("PendingStatus")
    numbered = [(row.word("PRN"), row) for row in rows]  # an unreadable one may be this request's
    return [pickup(row, request) for _, row in numbered if row.text("ReferenceNumber", "") == request.reference]


def points(answer: Record) -> list[types.PickupPoint]:
    return answer.record("SearchResults").one_or_many("DropLocation").each("DropLocation", _point)


def _point(row: Record) -> types.PickupPoint:
    address, code, access = row.record("AddressKeyFormat"), row.record("Geocode"), row.record("AccessPointInformation")
    names = {"city": "PoliticalDivision2", "state": "PoliticalDivision1", "postal_code": "PostcodePrimaryLow"}
    parts = {ours: address.lenient(Record.text, name, "") for ours, name in names.items()}
    away = row.optional("Distance").lenient(Record.number, "Value", None)
    street = ", ".join(address.lenient(Record.texts, "AddressLine", ()))
    return types.PickupPoint(
        id=access.identifier("PublicAccessPointID"),
        name=address.lenient(Record.text, "ConsigneeName", access.text("PublicAccessPointID")),
        kind="STORE",
        address=types.Address(country=address.text("CountryCode"), street=street, **parts),
        latitude=float(code.number("Latitude")),
        longitude=float(code.number("Longitude")),
        active=access.optional("AccessPointStatus").text("Code", "01") == "01",
        distance_km=None if away is None else float(away),
        opening_hours=row.optional("OperatingHours").lenient(_hours, "StandardHours", {}),
    )


def _hours(row: Record, name: str, default: dict[str, str]) -> dict[str, str]:
    """Return opening hours. UPS's have no leading zeros, midnight is 0, and day 1 is Sunday."""
    found = dict(default)
    days = [
        day
        for one in row.one_or_many(name).records(name)[:1]
        for day in one.one_or_many("DayOfWeek").records("DayOfWeek")
    ]
    for day in days:
        opens, closes = (day.text(key, "").zfill(4) for key in ("OpenHours", "CloseHours"))
        if day.value.get("OpenHours"):
            until = "24:00" if closes == "0000" else f"{closes[:2]}:{closes[2:]}"
            found[DAYS[day.integer("Day", most=7) - 1]] = f"{opens[:2]}:{opens[2:]}-{until}"
    return found


def transit_times(answer: Record, order: types.Order) -> list[types.TransitTime]:
    rows = answer.record("emsResponse").one_or_many("services")
    return rows.each("services", lambda row: _transit_time(row, order))


def _transit_time(row: Record, order: types.Order) -> types.TransitTime:
    level, (start, end) = (
        row.text("serviceLevel"),
        (zone_of(one.country, one.state) for one in (order.origin, order.destination)),
    )
    book_until = f"{row.lenient(Record.text, 'pickupDate', '')}T{row.lenient(Record.text, 'cstccutoffTime', '')}"
    delivers_at = f"{row.text('deliveryDate')}T{row.text('deliveryTime', '23:59:00')}"
    return types.TransitTime(
        service_type=LEVELS.get(level, level),
        days=row.lenient(Record.integer, "businessTransitDays", None),
        delivers_at=read_time(delivers_at, f"{row.path}.deliveryDate", zone=end)[0],
        book_until=Record({"at": book_until}, zone=start).lenient(Record.time, "at", None),
    )


def checked(answer: Record) -> types.AddressCheck:
    outcomes = {"ValidAddressIndicator": True, "AmbiguousAddressIndicator": False, "NoCandidatesIndicator": False}
    found = [ok for name, ok in outcomes.items() if name in answer.value]
    if not found:
        raise ValueError("XAVResponse has no outcome")
    kind = answer.optional("AddressClassification").lenient(Record.text, "Code", "")
    suggestions = answer.one_or_many("Candidate").each(
        "Candidate", lambda row: _address(row.record("AddressKeyFormat"))
    )
    residential = {"1": False, "2": True}.get(kind)  # commercial, residential, else not known
    return types.AddressCheck(ok=found[0], residential=residential, suggestions=tuple(suggestions))


def _address(key: Record) -> types.Address:
    lines, names = key.lenient(Record.texts, "AddressLine", ()), ("PostcodePrimaryLow", "PostcodeExtendedLow")
    return types.Address(
        country=key.text("CountryCode"),
        state=key.lenient(Record.text, "PoliticalDivision1", ""),
        city=key.lenient(Record.text, "PoliticalDivision2", ""),
        postal_code="-".join(filter(None, (key.lenient(Record.text, name, "") for name in names))),
        street=lines[0] if lines else "",
        street2=", ".join(lines[1:]),
    )
