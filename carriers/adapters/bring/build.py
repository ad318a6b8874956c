"""Build Bring's requests (``docs/carriers/bring.md``): grams in the Shipping Guide, kilograms in bookings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from carriers import types
from carriers.adapters.bring import tables
from carriers.adapters.values import filled
from carriers.types import parcel_reference
from carriers.types.units import round_up

LINES, WIDTH = 2, 35  # of an address; names, cities and references have the same width
TOKEN_HEADER = "X-Webhook-Token"  # noqa: S105 its name
_LEAD = timedelta(minutes=10)  # a booking's time must be in the future
_NOTHING = Decimal(0)


def quote(order: types.Order, fields: Mapping[str, str], *, with_price: bool) -> dict[str, Any]:
    """Build a request for prices and days; of the usual products, unless the order names one."""
    products = [order.service_type] if order.service_type else re.findall(r"\w+", fields.get("products", ""))
    ship_at = shipping_time(order)
    consignment = {
        "id": "1",
        "fromCountryCode": order.origin.country,
        "fromPostalCode": order.origin.postal_code,
        "toCountryCode": order.destination.country,
        "toPostalCode": order.destination.postal_code,
        "shippingDate": {name: f"{getattr(ship_at, name):02}" for name in ("year", "month", "day", "hour", "minute")},
        "products": [
            {"id": product, "customerNumber": fields["customer_number"]}
            for product in products or tables.USUAL[is_abroad(order)]
        ],
        "packages": [
            {"id": str(number), "grossWeight": _grams(package.weight_kg), **_sides(package)}
            for number, package in enumerate(order.packages, 1)
        ],
        "additionalServices": [
            {"id": tables.GUIDE_CODES.get(one["id"], one["id"])} for one in _additional(order, fields)
        ],
    }
    parts = {"withPrice": with_price, "withEnvironmentalData": with_price, "withExpectedDelivery": True}
    return filled({"language": "EN", "consignments": [consignment], "withGuiInformation": False, **parts})


def sample(postal_code: str, city: str, country: str) -> types.Order:
    """Return an order of a kilogram inside a postal code or, outside the Nordic countries, from Oslo to it."""
    place = types.Address(country=country, postal_code=postal_code, city=city)
    oslo = types.Address(country="NO", postal_code="0150", city="Oslo")
    parcel = types.Package(weight_kg=Decimal(1))
    origin = place if country in tables.COUNTRIES else oslo
    return types.Order(origin=origin, destination=place, packages=(parcel,), service_type=None)


def booking(order: types.Order, fields: Mapping[str, str], *, is_test: bool) -> dict[str, Any]:
    """Build a booking of one consignment. Its correlation ids are our references, which the answer repeats."""
    parties = {"sender": _party(order.origin, is_test), "recipient": _party(order.destination, is_test)}
    parties["recipient"]["reference"] = order.customer_reference
    parties[reference_holder(order)]["reference"] = order.reference
    if order.return_address:
        parties["returnTo"] = _place(order.return_address)
    if order.pickup_point:
        parties["pickupPoint"] = {"id": order.pickup_point.id, "countryCode": order.pickup_point.address.country}
    product = {
        "id": order.service_type,
        "customerNumber": fields["customer_number"],
        "additionalServices": _additional(order, fields),
        "messageForRecipient": order.options.carrier.get("message_for_recipient"),
    }
    if order.service_type == "CARGO_INTERNATIONAL":
        product["incotermRule"] = order.customs.incoterm if order.customs else "DAP"
    consignment = {
        "shippingDateTime": shipping_time(order).isoformat(timespec="seconds"),
        "correlationId": order.reference,
        "parties": parties,
        "product": product,
        "packages": [_package(order.reference, number, package) for number, package in enumerate(order.packages, 1)],
    }
    if "qr" in order.wanted_documents:
        consignment["generateQrCodes"] = True
    if order.customs:
        consignment["customsInformation"] = _customs(order, order.customs)
        parties["exporter"] = _place(order.origin, tax_numbers(order, "vat", "eori", party="sender"))
        role = "importer" if order.customs.importer else "recipient"
        importer = order.customs.importer or order.destination
        parties["importer"] = _place(importer, tax_numbers(order, "vat", "eori", party=role))
    return filled({"schemaVersion": 1, "testIndicator": is_test, "consignments": [consignment]})


def pickup(request: types.PickupRequest, fields: Mapping[str, str], *, is_test: bool) -> dict[str, Any]:
    address, orders = request.address, [ref.order for ref in request.shipments]
    contact = _contact(address, is_test)
    weights = (package.weight_kg for order in orders for package in order.packages)
    is_cargo = bool(orders) and all("cargo" in tables.KINDS.get(order.service_type or "", ()) for order in orders)
    body = {
        "customerInformation": {
            "customerNumber": fields["customer_number"],
            "companyName": address.company or address.contact_name,
        },
        "pickupAddress": {
            "street": ", ".join(address.lines(9, 1000)),
            "postalCode": address.postal_code,
            "city": address.city,
            "email": contact["email"],
            "phoneNumber": contact["phoneNumber"],
            "message": ". ".join(filter(None, (request.parcel_location, request.special_instructions))),
        },
        "pickupDate": request.pickup_date.date().isoformat(),
        "pickupIsReadyAtTime": request.window_start,
        "pickupTimeZone": str(tables.ZONE),
        "countryCode": address.country,
        "service": "CARGO" if is_cargo else "PARCEL",
        "pickupDetails": {
            "package": {
                "count": request.packages_count,
                "weightInGrams": _grams(request.total_weight_kg or sum(weights, _NOTHING)) or None,
            }
        },
        "testIndicator": is_test,
    }
    return filled(body)


def subscription(numbers: Sequence[str], url: str, secret: str) -> dict[str, Any]:
    header = {"key": TOKEN_HEADER, "value": secret}
    return {
        "trackingIds": list(numbers),
        "event_groups": [status for status in tables.STATUSES["status"] if status != "UNKNOWN"],
        "configuration": {"url": url, "content_type": "application/json", "headers": [header]},
    }


def shipping_time(order: types.Order) -> datetime:
    """Return the time of dispatch: the requested one, or soon if that is over or close."""
    soon = datetime.now(UTC) + _LEAD
    return max(order.ship_at or soon, soon).astimezone(tables.ZONE)


def is_abroad(order: types.Order) -> bool:
    """Return whether an order is not for Bring's services inside Norway."""
    return not order.origin.country == order.destination.country == "NO"


def reference_holder(order: types.Order) -> str:
    """Return the party with our reference: Bring refuses a sender's reference beside an IOSS number."""
    return "recipient" if tax_numbers(order, "ioss") else "sender"


def tax_numbers(order: types.Order, *kinds: str, party: str = "") -> list[str]:
    """Return the tax numbers of some kinds, of all parties or of one."""
    known = order.customs.tax_ids if order.customs else ()
    return [one.number for one in known if one.kind in kinds and party in ("", one.party)]


def _place(address: types.Address, tax_ids: Sequence[str] = ()) -> dict[str, Any]:
    first, *more = address.lines(LINES, WIDTH) or ("",)
    name = address.company or address.contact_name
    where = {"name": name, "addressLine": first, "addressLine2": "".join(more), "postalCode": address.postal_code}
    return where | {"city": address.city, "countryCode": address.country, "vatNumber": "".join(tax_ids[:1])}


def _party(address: types.Address, is_test: bool) -> dict[str, Any]:
    return _place(address) | {"contact": _contact(address, is_test)}


def _contact(address: types.Address, is_test: bool) -> dict[str, str]:
    """Return the contact; in a test, a phone number and an e-mail address that reach nobody."""
    phone, email = address.contact_phone, address.contact_email
    if is_test:
        phone = phone and tables.DUMMY_PHONES.get(address.country, tables.DUMMY_PHONES["NO"])
        email = email and tables.DUMMY_EMAIL
    return {"name": address.contact_name or address.company, "email": email, "phoneNumber": phone}


def _additional(order: types.Order, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the additional services of an order, with their codes in bookings."""
    options = order.options
    found: list[dict[str, Any]] = [dict(one) for one in options.carrier.get("additional_services", ())]
    codes = {
        "1229": bool(options.min_age),
        tables.SIGNATURES.get(options.signature, ""): bool(options.signature),
        "0068": bool(options.insured_value),
        "1062": options.saturday,
        "EVARSLING": options.notify,
    }
    found += [{"id": code} for code, is_requested in codes.items() if is_requested]
    if grams := options.carrier.get("limited_quantities_g"):
        found.append({"id": "0003", "limitedQuantitiesGrossWeight": str(grams)})
    if order.payment_method == types.PaymentMethod.COD:
        account = {"accountNumber": fields.get("cod_account_number"), "accountType": fields.get("cod_account_type")}
        found.append({"id": "1000", **account, "amount": order.cod_amount, "currencyCode": order.currency})
    for goods in options.dangerous_goods:
        in_kg, in_litres = str(_grams(goods.quantity)), str(goods.quantity)
        kinds = {"packingGroup": goods.packing_group, "dangerClass": goods.hazard_class}
        kinds |= {"safetyMarkCode": goods.hazard_class, "commodity": order.packages[goods.parcel - 1].description}
        kinds |= {"weightInGrams": in_kg} if goods.unit == "kg" else {"volumeInLitres": in_litres}
        found.append({"id": "1245", "unNumber": goods.un_number, **kinds})
    return found


def _package(reference: str, number: int, package: types.Package) -> dict[str, Any]:
    return {
        "weightInKg": package.weight_kg,
        "correlationId": parcel_reference(reference, number),
        "goodsDescription": package.description,
        "packageType": package.packaging,
        "dimensions": {f"{name}InCm": side for name, side in _sides(package).items()},
    }


def _sides(package: types.Package) -> dict[str, int]:
    """Return the sides in whole centimetres; nothing if one is unknown."""
    sides = {"length": package.length_cm, "width": package.width_cm, "height": package.height_cm}
    return {name: int(round_up(side, 0)) for name, side in sides.items() if side} if all(sides.values()) else {}


def _customs(order: types.Order, customs: types.Customs) -> dict[str, Any]:
    """Build customs information. That of Norwegian goods in transit through other countries has a type."""
    nature = {"type": tables.NATURES.get(customs.contents, "OTHER")}
    if nature["type"] == "OTHER":
        nature["detail"] = customs.export_reason or customs.contents
    numbers = {kind: "".join(tax_numbers(order, kind)) for kind in ("ioss", "voec")}
    built = {"consent": bool(customs.signer), "natureOfCargo": nature, "type": "" if is_abroad(order) else "NVIT"}
    return built | numbers | {"customsDeclarations": [_customs_line(order, item) for item in order.items]}


def _customs_line(order: types.Order, item: types.Item) -> dict[str, Any]:
    """Build a line. Its gross weight is its share of the parcels' weight, by net weight."""
    net, *others = ((one.weight_kg or _NOTHING) * one.quantity for one in (item, *order.items))
    parcels = sum((package.weight_kg for package in order.packages), _NOTHING)
    return {
        "goodsDescription": item.description or item.name,
        "amount": (item.unit_price if item.unit_value is None else item.unit_value) * item.quantity,
        "currency": order.currency,
        "customsArticleNumber": re.sub(r"\D", "", item.hs_code),
        "netWeight": net,
        "grossWeight": round_up(parcels * net / sum(others), 3) if net else None,
        "countryCodeOrigin": item.origin_country,
        "numberOfPieces": item.quantity,
    }


def _grams(weight_kg: Decimal) -> int:
    return int(round_up(weight_kg * 1000, 0))
