"""Build UPS's requests (``docs/carriers/ups.md``) from the canonical types.

Empty fields are left out, because UPS refuses them. Numbers are texts, except in Time in Transit. Weights and lengths
are in the system of the origin, rounded up.
"""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Sequence
from datetime import date
from decimal import ROUND_DOWN, Decimal
from typing import Any

from carriers import types
from carriers.adapters.ups import customs
from carriers.adapters.ups.tables import IMPERIAL, WITH_STATES, has_parcel_options, has_parcel_references
from carriers.adapters.values import filled
from carriers.types import PaymentMethod
from carriers.types.units import convert, round_up

LINES, WIDTH, WIDE = 3, 35, 100  # of a street; wide in searches and checks
PRESENT = "Y"  # of indicators, whose value UPS ignores
STOCK = {"Height": "6", "Width": "4"}  # inches
EMAILS, POINT_EMAIL = ("6", "7", "8"), "012"  # of shipping, exception and delivery; of arrival at an Access Point


def rate(order: types.Order, account: str) -> dict[str, Any]:
    """Build a rate request: for one service, or for all if the order names none."""
    shipment = _shipment(order, account, "PackagingType")
    for party in ("Shipper", "ShipTo", "ShipFrom", "AlternateDeliveryAddress"):  # Rating takes no contacts
        parts = shipment.get(party, {})
        shipment[party] = {name: parts[name] for name in ("Name", "ShipperNumber", "Address") if name in parts}
    shipment["ShipmentServiceOptions"] = _options(order) | {"Notification": [], "EUDeMinimisIndicator": ""}
    shipment["PaymentDetails"] = {"ShipmentCharge": [_charge("01", order.options.payer, account)]}
    option = "Rate" if order.service_type else "Shop"
    return filled({"RateRequest": {"Request": {"RequestOption": option}, "Shipment": shipment}})


def shipment(order: types.Order, account: str, document_ids: Sequence[str] = ()) -> dict[str, Any]:
    """Build a label request, also of a return. UPS repeats the context, which is our reference."""
    buyer = _party(customs.buyer(order)[1]) if customs.makes_invoice(order) else {}
    forms, duties = customs.forms(order, document_ids, buyer), customs.duty_payer(order)
    charges = [_charge("01", order.options.payer, account), _charge("02", duties, account) if duties else {}]
    body = _shipment(order, account, "Packaging") | customs.declaration(order) | {
        "Description": customs.goods(order),
        "ReturnService": {"Code": "9" if order.return_of else ""},  # UPS Print Return Label
        "PaymentInformation": {"ShipmentCharge": charges},
        "ReferenceNumber": [] if has_parcel_references(order) else _references(order),
        "ShipmentDate": f"{order.ship_at:%Y%m%d}" if order.ship_at else "",
        "ShipmentServiceOptions": _options(order) | {"InternationalForms": forms},
    }  # fmt: skip
    request = {"RequestOption": "nonvalidate", "SubVersion": "2409"}
    request["TransactionReference"] = {"CustomerContext": order.reference}
    return filled({"ShipmentRequest": {"Request": request, "Shipment": body, "LabelSpecification": _label(order)}})


def recovery(ref: types.ShipmentRef, account: str = "") -> dict[str, Any]:
    """Build a request for the labels of a shipment or, with the account number, of our reference."""
    by = {"ReferenceValues": {"ReferenceNumber": {"Value": ref.reference}, "ShipperNumber": account}}
    by = by if account else {"TrackingNumber": ref.tracking_number}
    body = {"Request": {"RequestOption": "non_validate"}, "LabelSpecification": _label(ref.order)} | by
    return {"LabelRecoveryRequest": body}


def upload(document: types.Document, account: str) -> dict[str, Any]:
    extension = {"TIFF": "tif"}.get(document.format, document.format.lower())
    form = {
        "UserCreatedFormFileName": f"{document.kind}.{extension}", "UserCreatedFormFileFormat": extension,
        "UserCreatedFormFile": base64.b64encode(document.content).decode(),
        "UserCreatedFormDocumentType": "002" if document.kind == "invoice" else "008",
    }  # fmt: skip
    request = {"TransactionReference": {"CustomerContext": document.kind}}
    return {"UploadRequest": {"Request": request, "ShipperNumber": account, "UserCreatedForm": [form]}}


def pickup(request: types.PickupRequest, account: str) -> dict[str, Any]:
    """Build a pickup: one row for each service and country of destination of the shipments."""
    address, country = request.address, request.address.country
    parcels = [(ref.order, package) for ref in request.shipments for package in ref.order.packages]
    rows = Counter((order.service_type or "", order.destination.country) for order, _package in parcels)
    rows = rows or Counter({("03" if country in IMPERIAL else "11", country): request.packages_count})
    total = request.total_weight_kg or sum((package.weight_kg for _order, package in parcels), Decimal(0))
    name, contact = _names(address)
    start, end = (text.replace(":", "") for text in (request.window_start, request.window_end))
    body = {
        "Request": {"TransactionReference": {"CustomerContext": request.reference}},
        "RatePickupIndicator": "Y",
        "Shipper": {"Account": {"AccountNumber": account, "AccountCountryCode": country}},
        "PickupDateInfo": {"CloseTime": end, "ReadyTime": start, "PickupDate": f"{request.pickup_date:%Y%m%d}"},
        "PickupAddress": {
            "CompanyName": name, "ContactName": contact, "Phone": {"Number": phone(address)},
            "AddressLine": [pickup_street(address)],
            "City": address.city, "StateProvince": address.state, "PostalCode": _postal_code(address),
            "CountryCode": country, "ResidentialIndicator": "Y" if address.residential else "N",
            "PickupPoint": request.parcel_location,
        },
        "AlternateAddressIndicator": "Y",
        "PickupPiece": [
            {"ServiceCode": code.zfill(3), "Quantity": str(count), "DestinationCountryCode": to, "ContainerCode": "01"}
            for (code, to), count in rows.items()
        ],
        "TotalWeight": {"Weight": weight(total, country), "UnitOfMeasurement": _unit(country)} if total else {},
        "OverweightIndicator": "Y" if any(package.weight_kg > 32 for _order, package in parcels) else "N",
        "TrackingData": [{"TrackingNumber": number} for number in request.tracking_numbers],
        "PaymentMethod": "01", "SpecialInstruction": request.special_instructions, "ReferenceNumber": request.reference,
    }  # fmt: skip
    return filled({"PickupCreationRequest": body})


def pickup_street(address: types.Address) -> str:
    """Return the street in one line, as UPS takes one."""
    return ", ".join(address.lines(9, 1000))


def locator(search: types.PointSearch, point_id: str = "") -> dict[str, Any]:
    """Build a search for active Access Points, or for the one of an id."""
    key = _key_format(search.address or types.Address(country=search.country)) | {"CountryCode": search.country}
    where = {"AddressKeyFormat": key | {"AddressLine": ", ".join(key["AddressLine"])}}
    if search.latitude is not None and search.longitude is not None:
        where["Geocode"] = {"Latitude": f"{search.latitude:.6f}", "Longitude": f"{search.longitude:.6f}"}
    body = {
        "Request": {"RequestAction": "Locator"}, "OriginAddress": where, "Translate": {"Locale": "en_US"},
        "UnitOfMeasurement": {"Code": "KM"},
        "LocationSearchCriteria": {
            "MaximumListSize": str(min(max(search.limit, 1), 50)),
            "SearchRadius": str(min(max(math.ceil(search.radius_km), 5), 150)),
            "AccessPointSearch": {"PublicAccessPointID": point_id} if point_id else {"AccessPointStatus": "01"},
        },
    }  # fmt: skip
    return filled({"LocatorRequest": body})


def transit(order: types.Order, today: date) -> dict[str, Any]:
    country, value = order.origin.country, customs.total_value(order)
    total = sum((package.weight_kg for package in order.packages), Decimal(0))
    body: dict[str, Any] = {
        "shipDate": f"{order.ship_at or today:%Y-%m-%d}", "numberOfPackages": len(order.packages),
        "weight": Decimal(weight(total, country)), "weightUnitOfMeasure": _unit(country),
        "residentialIndicator": "01" if order.destination.residential else "02",
        "billType": "02" if order.customs and order.customs.contents == "documents" else "03",
    }  # fmt: skip
    if value and order.currency:
        body |= {"shipmentContentsValue": value, "shipmentContentsCurrencyCode": order.currency}
    for end, address in (("origin", order.origin), ("destination", order.destination)):
        parts = {"CountryCode": address.country, "PostalCode": address.postal_code, "CityName": address.city}
        body |= {end + name: part for name, part in (parts | {"StateProvince": state(address)}).items()}
    return filled(body)


def address_check(address: types.Address) -> dict[str, Any]:
    code, extension = address.postal_code[:5], re.sub(r"\D", "", address.postal_code)[5:]
    key = _key_format(address) | {"PostcodePrimaryLow": code, "PostcodeExtendedLow": extension}
    return filled({"XAVRequest": {"AddressKeyFormat": key}})


def owner_of(order: types.Order) -> types.Address:
    """Return the address of the account's owner, where undeliverable parcels go [unconfirmed]."""
    return order.destination if order.return_of else order.return_address or order.origin


def state(address: types.Address) -> str:
    """Return the code of a state; empty for a name, in countries whose addresses do not need the state."""
    return address.state if address.country in WITH_STATES or len(address.state) <= 5 else ""


def phone(address: types.Address) -> str:
    digits = re.sub(r"\D", "", address.contact_phone)
    return digits[1:] if address.country in ("US", "CA", "PR") and len(digits) == 11 else digits


def insured_values(order: types.Order) -> list[Decimal | None]:
    """Return the amount to insure of each parcel: its declared value, or an equal part if they are another sum."""
    insured, count = order.options.insured_value, len(order.packages)
    declared = [package.declared_value for package in order.packages]
    if insured is None or sum(value or Decimal(0) for value in declared) == insured:
        return declared if insured else [None] * count
    part = (insured / count).quantize(Decimal("0.01"), ROUND_DOWN)
    return [insured - part * (count - 1)] + [part] * (count - 1)


# Parts of requests


def _label(order: types.Order) -> dict[str, Any]:
    code = "GIF" if order.label_format == "PDF" else order.label_format  # UPS makes no PDF
    return {"LabelImageFormat": {"Code": code}, "LabelStockSize": STOCK}


def _shipment(order: types.Order, account: str, packaging: str) -> dict[str, Any]:
    """Return what a price and a label need: the parties, the service and the parcels."""
    owner, point, recipient = owner_of(order), order.pickup_point, _party(order.destination)
    recipient["Address"]["ResidentialAddressIndicator"] = PRESENT if order.destination.residential else ""
    found: dict[str, Any] = {
        "Shipper": _party(owner) | {"ShipperNumber": account}, "ShipTo": recipient,
        "ShipFrom": {} if owner is order.origin else _party(order.origin) | {"EMailAddress": ""},
        "Service": {"Code": order.service_type}, "InvoiceLineTotal": customs.line_total(order),
        "ShipmentRatingOptions": {"NegotiatedRatesIndicator": PRESENT},
        "Package": [_package(order, number, packaging) for number in range(1, len(order.packages) + 1)],
    }  # fmt: skip
    if point:
        found["ShipmentIndicationType"] = [{"Code": order.options.carrier.get("access_point", "01")}]
        found["AlternateDeliveryAddress"] = {
            "Name": point.name, "AttentionName": _names(order.destination)[1], "UPSAccessPointID": point.id,
            "Address": _address(point.address),
        }  # fmt: skip
    return found


def _names(address: types.Address) -> tuple[str, str]:
    return address.company or address.contact_name, address.contact_name or address.company


def _party(address: types.Address) -> dict[str, Any]:
    name, contact = _names(address)
    found = {"Name": name, "AttentionName": contact, "Phone": {"Number": phone(address)}}
    return found | {"EMailAddress": address.contact_email, "Address": _address(address)}


def _address(address: types.Address) -> dict[str, Any]:
    return {
        "AddressLine": list(address.lines(LINES, WIDTH)), "City": address.city, "StateProvinceCode": state(address),
        "PostalCode": _postal_code(address), "CountryCode": address.country,
    }  # fmt: skip


def _key_format(address: types.Address) -> dict[str, Any]:
    return {
        "AddressLine": list(address.lines(LINES, WIDE)), "PoliticalDivision2": address.city,
        "PoliticalDivision1": state(address), "PostcodePrimaryLow": _postal_code(address),
        "CountryCode": address.country,
    }  # fmt: skip


def _postal_code(address: types.Address) -> str:
    """Return a postal code; those of North America without hyphen and blank, as UPS takes nine characters."""
    is_plain = address.country in ("US", "PR", "CA")
    return re.sub(r"[\s-]", "", address.postal_code) if is_plain else address.postal_code


def _charge(kind: str, payer: types.Payer, account: str) -> dict[str, Any]:
    if payer.who == "sender":
        return {"Type": kind, "BillShipper": {"AccountNumber": account}}
    is_recipient, place = payer.who == "recipient", {"PostalCode": payer.postal_code}
    bill = {"AccountNumber": payer.account_number}
    bill["Address"] = place if is_recipient else place | {"CountryCode": payer.country}
    return {"Type": kind, "BillReceiver" if is_recipient else "BillThirdParty": bill}


def _references(order: types.Order) -> list[dict[str, str]]:
    return [{"Value": value} for value in (order.reference, order.customer_reference) if value]


def _package(order: types.Order, number: int, packaging: str) -> dict[str, Any]:
    package, country = order.packages[number - 1], order.origin.country
    is_label, is_imperial = packaging == "Packaging", country in IMPERIAL
    size = {"Code": "IN", "Description": "Inches"} if is_imperial else {"Code": "CM", "Description": "Centimeters"}
    given = [side for side in (package.length_cm, package.width_cm, package.height_cm) if side]
    sides = sorted((round_up(convert(side, "cm", size["Code"].lower()), 0) for side in given), reverse=True)
    measures = dict(zip(("Length", "Width", "Height"), map(str, sides), strict=True)) if len(sides) == 3 else {}
    unit = {"Code": _unit(country), "Description": "Pounds" if is_imperial else "Kilograms"}
    return {
        packaging: {"Code": package.packaging or "02"},  # the merchant's own box
        "Description": (package.description or customs.goods(order)) if order.return_of and is_label else "",
        "Dimensions": {"UnitOfMeasurement": size} | measures if measures else {},
        "PackageWeight": {"UnitOfMeasurement": unit, "Weight": weight(package.weight_kg, country)},
        "ReferenceNumber": _references(order) if is_label and has_parcel_references(order) else [],
        "PackageServiceOptions": _package_options(order, number, is_label=is_label),
    }  # fmt: skip


def _package_options(order: types.Order, number: int, *, is_label: bool) -> dict[str, Any]:
    insured, dangerous = insured_values(order)[number - 1], enumerate(order.options.dangerous_goods)
    hazards = [_hazard(order, position) for position, one in dangerous if one.parcel == number] if is_label else []
    value = {"CurrencyCode": order.currency, "MonetaryValue": f"{insured:f}"} if insured else {}
    found = {"DeclaredValue": value, "HazMat": hazards, "PackageIdentifier": str(number) if hazards else ""}
    if has_parcel_options(order):
        kind = {"any": "2", "adult": "3"}.get(order.options.signature, "")
        found |= {"DeliveryConfirmation": {"DCISType": kind}} | _cod(order, "0")
    return found


def _hazard(order: types.Order, position: int) -> dict[str, Any]:
    """Return dangerous goods; ``options.carrier`` has UPS's fields that ours lack, in the same order."""
    dangerous = order.options.dangerous_goods[position]
    return order.options.carrier["dangerous_goods"][position] | {
        "IDNumber": f"UN{dangerous.un_number}", "ClassDivisionNumber": dangerous.hazard_class,
        "PackagingGroupType": dangerous.packing_group, "Quantity": f"{dangerous.quantity:f}",
        "UOM": dangerous.unit.replace("l", "L"), "PackagingTypeQuantity": "1",
        "ChemicalRecordIdentifier": str(position + 1),
    }  # fmt: skip


def _unit(country: str) -> str:
    return "LBS" if country in IMPERIAL else "KGS"


def weight(weight_kg: Decimal, country: str) -> str:
    return f"{round_up(convert(weight_kg, 'kg', 'lb' if country in IMPERIAL else 'kg'), 1):f}"


def _options(order: types.Order) -> dict[str, Any]:
    """Return the options of the whole shipment."""
    options, is_to_point = order.options, order.pickup_point is not None
    codes = [*(EMAILS if options.notify else ()), *([POINT_EMAIL] if is_to_point else [])]
    email = {"EMail": {"EMailAddress": [order.destination.contact_email]}}
    found: dict[str, Any] = {
        "SaturdayDeliveryIndicator": PRESENT if options.saturday else "",
        "DirectDeliveryOnlyIndicator": PRESENT if options.carrier.get("direct_delivery") else "",
        "DeliverToAddresseeOnlyIndicator": PRESENT if options.signature == "recipient" else "",
        "Notification": [{"NotificationCode": code} | email for code in codes if order.destination.contact_email],
        "EUDeMinimisIndicator": customs.de_minimis(order),
    }  # fmt: skip
    if not has_parcel_options(order):
        kind = {"any": "1", "adult": "2"}.get(options.signature, "")
        found |= {"DeliveryConfirmation": {"DCISType": kind}} | _cod(order, "1")
    return found


def _cod(order: types.Order, funds: str) -> dict[str, Any]:
    """Return cash on delivery. ``funds``: what the driver takes, unless the order says it."""
    if order.payment_method != PaymentMethod.COD:
        return {}
    amount = {"CurrencyCode": order.currency, "MonetaryValue": f"{order.cod_amount:f}"}
    if order.pickup_point:
        return {"AccessPointCOD": amount}
    return {"COD": {"CODFundsCode": order.options.carrier.get("cod_funds", funds), "CODAmount": amount}}
