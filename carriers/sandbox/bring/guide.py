"""The Shipping Guide: prices, delivery dates and coverage.

Weights are in grams here and in kilograms in the Booking API. Prices are made up, apart from that of the sample: 145.75
for one kilogram with service 5000.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from carriers.sandbox.bring import places, products
from carriers.sandbox.bring.errors import GuideRefusal
from carriers.sandbox.bring.products import AdditionalService, Service
from carriers.sandbox.bring.validation import MAX_YEAR, ZONE, as_list, as_number, as_object, as_text, country_of
from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request

_CENT = Decimal("0.01")
_FIRST_KG = {"5000": "145.75", "5800": "119.00", "5600": "189.00", "3584": "69.00", "3570": "65.00", "4850": "249.00"}
_NEXT_KG, _ABROAD = Decimal("8.50"), Decimal("1.6")
_ADDITIONAL = {"EVARSLING": Decimal(0), "1000": Decimal(65)}
_DAYS = {"4850": 1, "5000": 1, "EXPRESS_NORDIC_0900": 1, "5200": 1}
_CURRENCIES = {"NO": "NOK", "SE": "SEK", "DK": "DKK", "FI": "EUR"}
_VAT = Decimal("0.25")
_MAX_ALTERNATIVES = 9
_Money = dict[str, Any]


def list_products(carrier: SimulatedCarrier, request: Request) -> Answer:
    body = request.json()
    consignments = as_list(body.get("consignments"))
    _refuse_invalid(consignments)
    customers = (carrier.store.get("account", request.account) or {})["customers"]
    traces: list[str] = []
    shown = [
        {"consignmentId": as_text(one.get("id")), "products": _show_products(one, body, customers, traces)}
        for one in consignments
    ]
    return Answer(200, {"traceMessages": traces, "consignments": shown, "uniqueId": str(uuid.uuid4())})


def deliver_after(start: date, days: int) -> date:
    """Return the day after a number of working days."""
    while days:
        start += timedelta(days=1)
        days -= start.weekday() < 5
    return start


def working_days(service: Service, sender: str, recipient: str) -> int:
    return _DAYS.get(service.id, 2) + (2 if sender != recipient else 0)


def _refuse_invalid(consignments: list[dict[str, Any]]) -> None:
    """Raises ``GuideRefusal``. The format and "product code is required" are known from real answers."""
    fields = {} if consignments else {"consignments": "consignments are required"}
    for number, one in enumerate(consignments):
        at = f"consignments[{number}]"
        if not as_list(one.get("products")):
            fields[f"{at}.products"] = "product code is required"
        if not as_list(one.get("packages")):
            fields[f"{at}.packages"] = "packages are required"
        for end in ("from", "to"):
            country = as_text(one.get(f"{end}CountryCode")).upper()
            if not country:
                fields[f"{at}.{end}CountryCode"] = "country code is required"
            elif country in places.DIGITS and places.find(country, one.get(f"{end}PostalCode")) is None:
                fields[f"{at}.{end}PostalCode"] = f"Invalid postal code {one.get(f'{end}PostalCode')}"
        for index, package in enumerate(as_list(one.get("packages"))):
            if _grams(package) <= 0 and _volume(package) <= 0:
                fields[f"{at}.packages[{index}]"] = "Weight, volume or dimensions must be given"
        if one.get("shippingDate") and _shipping_date(one) is None:
            fields[f"{at}.shippingDate"] = "Wrong date format"
    if fields:
        raise GuideRefusal(fields)


def _show_products(
    consignment: dict[str, Any], body: dict[str, Any], customers: list[str], traces: list[str]
) -> list[dict[str, Any]]:
    shown = []
    for requested in as_list(consignment["products"]):
        service = products.SERVICES.get(as_text(requested.get("id")))
        error = _find_error(service, requested, consignment, customers)
        if error:  # a service that cannot be used is in the list all the same
            shown.append({"id": requested.get("id"), "errors": [{"code": "INVALID_ARGUMENT", "description": error}]})
        else:
            shown.append(_show_product(service, requested, consignment, body, traces))
    return shown


def _find_error(
    service: Service | None, requested: dict[str, Any], consignment: dict[str, Any], customers: list[str]
) -> str:
    """Return why a service is not offered. The first text is known from a real answer, the others are assumed."""
    if service is None or not service.in_guide:
        return f"Unknown product ID or product {requested.get('id')} not applicable for given EDI flag."
    number = as_text(requested.get("customerNumber"))
    if number and products.find_customer(number) not in customers:
        return "Logged-in user does not have access to specified customer"
    if number and not products.may_use(products.find_customer(number), service):
        return "Customer number is not applicable for specified product"
    sender, recipient = _countries(consignment)
    if not service.serves(sender, recipient):
        return f"Product {service.id} can not be sent from country {sender} to country {recipient}"
    packages = as_list(consignment["packages"])
    if len(packages) > service.max_packages:
        return "Too many packages"
    for package in packages:
        sides = sorted((as_number(package.get(side)) for side in ("length", "width", "height")), reverse=True)
        too_long = sides[0] > service.max_cm or sum(sides) > service.max_girth_cm
        if too_long or _grams(package) > service.max_kg_to(recipient) * 1000:
            return f"The shipment is too big to send with product {service.id}"
    return ""


def _show_product(
    service: Service,
    requested: dict[str, Any],
    consignment: dict[str, Any],
    body: dict[str, Any],
    traces: list[str],
) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": service.id, "productionCode": service.code}
    if body.get("withGuiInformation", True):
        shown["guiInformation"] = _show_texts(service)
    if body.get("withPrice", True):
        additional = _find_additional(service, consignment, traces)
        price = _price(service, consignment)
        shown["price"] = {"listPrice": _show_price(price, additional, consignment)}
        if requested.get("customerNumber"):
            net = (price * Decimal("0.9")).quantize(_CENT, ROUND_HALF_UP)
            shown["price"]["netPrice"] = _show_price(net, additional, consignment)
        shown["price"]["zones"] = {"totalZoneCount": 1}
    if body.get("withExpectedDelivery", True):
        shown["expectedDelivery"] = _show_delivery(service, consignment, body)
    if body.get("withEnvironmentalData"):
        leg = {"transportLeg": "LAST_MILE", "fossilFree": True, "details": {"electric": 0.6, "bio": 0.4}}
        shown["environmentalData"] = [leg | {"description": "The parcel is delivered with fossil-free fuel"}]
    return shown


def _show_texts(service: Service) -> dict[str, Any]:
    return {
        "sortOrder": "0",
        "mainDisplayCategory": service.family,
        "subDisplayCategory": "",
        "trackable": True,
        "logo": "POSTEN" if service.family == products.DOMESTIC_NORWAY else "BRING",
        "displayName": service.name,
        "productName": service.name,
        "descriptionText": f"{service.name}, with tracking.",
        "helpText": "",
        "shortName": service.name,
        "deliveryType": "",
        "maxWeightInKgs": str(service.max_kg),
    }


def _find_additional(
    service: Service, consignment: dict[str, Any], traces: list[str]
) -> list[tuple[str, AdditionalService]]:
    """Return the requested additional services. Those that a service does not have are ignored, with a message."""
    requested = consignment.get("additionalServices")
    items = requested if isinstance(requested, list) else []
    codes = [as_text(one.get("id") if isinstance(one, dict) else one) for one in items]
    found = []
    for code in codes:
        known = products.ADDITIONAL.get(code)
        if known and known.applies_to(service.id):
            found.append((code, known))
        else:
            traces.append(f"Additional service {code} is not applicable for product {service.id}")
    return found


def _price(service: Service, consignment: dict[str, Any]) -> Decimal:
    """Return the list price without VAT: of the first kilogram, and of each one that is begun after it."""
    sender, recipient = _countries(consignment)
    total = Decimal(0)
    for package in as_list(consignment["packages"]):
        next_kg = max(0, -(-int(_grams(package)) // 1000) - 1)
        total += Decimal(_FIRST_KG.get(service.id, "159.00")) + _NEXT_KG * next_kg
    return (total * (_ABROAD if sender != recipient else 1)).quantize(_CENT, ROUND_HALF_UP)


def _show_price(
    price: Decimal, additional: list[tuple[str, AdditionalService]], consignment: dict[str, Any]
) -> dict[str, Any]:
    costs = [_ADDITIONAL.get(known.code, Decimal(15)) for _, known in additional]
    shown: dict[str, Any] = {"priceWithoutAdditionalServices": _show_money(price)}
    if additional:
        shown["additionalServices"] = [
            {
                "additionalServiceId": code,
                "additionalServiceDescription": known.name,
                "additionalServicePrice": _show_money(cost),
                "additionalServiceCodeFromProductionSystem": known.code,
            }
            for (code, known), cost in zip(additional, costs, strict=True)
        ]
    currency = _CURRENCIES.get(_countries(consignment)[0], "NOK")
    return shown | {"priceWithAdditionalServices": _show_money(price + sum(costs)), "currencyCode": currency}


def _show_money(amount: Decimal) -> _Money:
    vat = (amount * _VAT).quantize(_CENT, ROUND_HALF_UP)
    parts = {"amountWithoutVAT": amount, "vat": vat, "amountWithVAT": amount + vat}
    return {name: f"{value:.2f}" for name, value in parts.items()}


def _show_delivery(service: Service, consignment: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    days = working_days(service, *_countries(consignment))
    shipped = _shipping_date(consignment) or datetime.now(ZONE).date()
    delivery = deliver_after(shipped, days)
    wanted = min(int(as_number(body.get("numberOfAlternativeDeliveryDates"))), _MAX_ALTERNATIVES)
    alternatives = [deliver_after(delivery, number) for number in range(1, wanted + 1)]
    slot = {"startTime": {"hour": "9", "minute": "0"}, "endTime": {"hour": "13", "minute": "0"}}
    return {
        "workingDays": str(days),
        "userMessage": "",
        "formattedExpectedDeliveryDate": f"{delivery:%d.%m.%Y}",
        "expectedDeliveryDate": _show_date(delivery) | {"timeSlots": [slot]},
        # The items are assumed: the sample's list is empty.
        "alternativeDeliveryDates": [_show_date(one) for one in alternatives],
    }


def _show_date(day: date) -> dict[str, str]:
    return {"year": str(day.year), "month": str(day.month), "day": str(day.day)}


def _shipping_date(consignment: dict[str, Any]) -> date | None:
    parts = as_object(consignment.get("shippingDate"))
    try:
        day = date(*(int(as_text(parts.get(name))) for name in ("year", "month", "day")))
    except (ValueError, OverflowError):
        return None
    return day if day.year <= MAX_YEAR else None


def _countries(consignment: dict[str, Any]) -> tuple[str, str]:
    ends = (as_text(consignment.get(f"{end}CountryCode")) for end in ("from", "to"))
    sender, recipient = (country_of({"countryCode": country}) for country in ends)
    return sender, recipient


def _grams(package: dict[str, Any]) -> float:
    return as_number(package.get("grossWeight"))


def _volume(package: dict[str, Any]) -> float:
    length, width, height = (as_number(package.get(side)) for side in ("length", "width", "height"))
    return as_number(package.get("volumeInDm3")) or length * width * height
