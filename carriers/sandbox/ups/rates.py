"""Prices and Rating. Prices are assumed: they only have the right form and grow with weight and distance."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.ups import transit, validation
from carriers.sandbox.ups.errors import Invalid, NotValid, succeed
from carriers.sandbox.ups.services import NOT_SIMULATED, SERVICES, UNGUARANTEED, services_between
from carriers.sandbox.ups.validation import EU, Consignment, get_element

REQUEST_OPTIONS = {"rate", "shop", "ratetimeintransit", "shoptimeintransit"}
BILL_TYPES = {"02", "03", "04"}


_CURRENCIES = {
    "US": "USD",
    "PR": "USD",
    "CA": "CAD",
    "MX": "MXN",
    "GB": "GBP",
    "CH": "CHF",
    "PL": "PLN",
    "SE": "SEK",
    "DK": "DKK",
    "CZ": "CZK",
    "HU": "HUF",
    "RO": "RON",
}
_POUNDS = {"LBS": Decimal(1), "KGS": Decimal("2.2046"), "OZS": Decimal("0.0625")}
_FUEL = Decimal("0.15")
NOT_ELIGIBLE = ("120900", "User Id and Shipper Number combination is not eligible to receive Account Based Rates.")
MAY_VARY = ("110971", "Your invoice may vary from the displayed reference rates")


def rate(carrier: SimulatedCarrier, request: Request, version: str, option: str) -> Answer:
    """Answer with the prices of one service, or of all."""
    body = request.json().get("RateRequest")
    if not isinstance(body, dict) or not isinstance(body.get("Shipment"), dict):
        raise NotValid("RateRequest.Shipment")
    kind = option.lower()
    if kind not in REQUEST_OPTIONS:
        raise Invalid("110051", "Invalid RequestOption")
    consignment = validation.read(body["Shipment"], "11", carrier.store.get("account", request.account) or {})
    codes = (_requested_code(consignment),) if kind.startswith("rate") else services_between(consignment)
    with_times = kind.endswith("timeintransit") or request.query.get("additionalinfo") == "timeintransit"
    if with_times and _bill_type(consignment) not in BILL_TYPES:
        raise NotValid("Shipment.DeliveryTimeInformation.PackageBillType")
    alerts = [MAY_VARY]
    if consignment.wants_negotiated and not consignment.discount:
        alerts.append(NOT_ELIGIBLE)
    wants_items = str(get_element(body, "Request").get("SubVersion") or "") >= "1601"
    rated = [_show(consignment, code, version, with_times=with_times, with_items=wants_items) for code in codes]
    shown = validation.list_since(rated, version, 2409)
    return succeed("RateResponse", body.get("Request"), {"RatedShipment": shown}, tuple(alerts))


def _requested_code(consignment: Consignment) -> str:
    """Return the requested service. Raises ``Invalid`` if it does not serve the route."""
    if consignment.service not in (*SERVICES, *NOT_SIMULATED):
        consignment.refuse("0500")
    if consignment.service not in services_between(consignment):
        consignment.refuse("1210")
    return consignment.service


def price(consignment: Consignment, code: str) -> dict[str, Any]:
    """Return the price of a service: amounts of the shipment and of each package.

    A package costs the base of the service and its price for each pound, twice as much abroad. Fuel is 15 % of that.
    """
    service, factor = SERVICES[code], 2 if consignment.is_abroad else 1
    packages = []
    for package in consignment.packages:
        pounds = compute_billing_weight(package) * _POUNDS[package["unit"]]
        base = _cents((Decimal(service.base) + Decimal(service.per_pound) * pounds) * factor)
        packages.append({"base": base, "fuel": _cents(base * _FUEL), "options": _options_price(package)})
    transportation = sum((one["base"] + one["fuel"] for one in packages), Decimal(0))
    options = sum((one["options"] for one in packages), Decimal(0)) + _shipment_options_price(consignment)
    total = transportation + options
    return {
        "currency": _CURRENCIES.get(
            consignment.origin["country"], "EUR" if consignment.origin["country"] in EU else "USD"
        ),
        "packages": packages,
        "base": sum((one["base"] for one in packages), Decimal(0)),
        "fuel": sum((one["fuel"] for one in packages), Decimal(0)),
        "transportation": transportation,
        "options": options,
        "total": total,
        "negotiated": _cents(total * (100 - consignment.discount) / 100) if consignment.is_negotiated else None,
    }


def compute_billing_weight(package: dict[str, Any]) -> Decimal:
    """Return the higher of weight and dimensional weight (divisors 139 and 5000), rounded up to half a unit."""
    weight = Decimal(package["weight"])
    if package["dimensions"]:
        length, width, height = map(Decimal, package["dimensions"])
        weight = max(weight, length * width * height / (139 if package["length_unit"] == "IN" else 5000))
    return Decimal(math.ceil(weight * 2)) / 2


def show_charges(amounts: dict[str, Any]) -> dict[str, Any]:
    """Return the charges of a shipment, as Rating and Shipping show them."""
    names = {"TransportationCharges": "transportation", "ServiceOptionsCharges": "options", "TotalCharges": "total"}
    return {name: show_money(amounts[key], amounts["currency"]) for name, key in names.items()}


def show_billing_weight(consignment: Consignment) -> dict[str, Any]:
    weight = sum((compute_billing_weight(package) for package in consignment.packages), Decimal(0))
    unit = consignment.packages[0]["unit"]
    return _weight(weight, "LBS" if unit == "OZS" else unit)


def show_money(amount: Decimal, currency: str) -> dict[str, str]:
    return {"CurrencyCode": currency, "MonetaryValue": f"{amount:.2f}"}


def show_items(amounts: dict[str, Any]) -> list[dict[str, str]]:
    """Return the fuel surcharge as an itemized charge."""
    return [{"Code": "375"} | show_money(amounts["fuel"], amounts["currency"])]


def _show(consignment: Consignment, code: str, version: str, *, with_times: bool, with_items: bool) -> dict[str, Any]:
    amounts = price(consignment, code)
    currency = amounts["currency"]
    days = transit.count_business_days(consignment, SERVICES[code])
    packages = [
        {
            "TransportationCharges": show_money(one["base"] + one["fuel"], currency),
            "ServiceOptionsCharges": show_money(one["options"], currency),
            "TotalCharges": show_money(one["base"] + one["fuel"] + one["options"], currency),
            "Weight": package["weight"],
            "BillingWeight": _weight(compute_billing_weight(package), package["unit"]),
        }
        for one, package in zip(amounts["packages"], consignment.packages, strict=True)
    ]
    shown = {
        "Service": {"Code": code, "Description": ""},
        "RatedShipmentAlert": validation.list_since([{"Code": MAY_VARY[0], "Description": MAY_VARY[1]}], version, 2403),
        "BillingWeight": show_billing_weight(consignment),
        "RatedPackage": validation.list_since(packages, version, 2403),
    } | show_charges(amounts)
    if with_items:
        shown["BaseServiceCharge"] = show_money(amounts["base"], currency)
        shown["ItemizedCharges"] = validation.list_since(show_items(amounts), version, 2403)
    if amounts["negotiated"] is not None:
        shown["NegotiatedRateCharges"] = {"TotalCharge": show_money(amounts["negotiated"], currency)}
    if code not in UNGUARANTEED:
        shown["GuaranteedDelivery"] = {"BusinessDaysInTransit": str(days)}
    if with_times:
        shown["TimeInTransit"] = transit.show_for_rating(
            consignment, code, SERVICES[code], bill_type=_bill_type(consignment)
        )
    return shown


def _bill_type(consignment: Consignment) -> str:
    return str(get_element(consignment.body, "DeliveryTimeInformation").get("PackageBillType") or "")


def _options_price(package: dict[str, Any]) -> Decimal:
    amount = Decimal("6.40") if package["signature"] else Decimal(0)
    declared = Decimal(package["declared_value"])
    return amount + (_cents(declared * Decimal("0.011")) if declared > 100 else Decimal(0))


def _shipment_options_price(consignment: Consignment) -> Decimal:
    amount = Decimal("6.40") if consignment.has_signature else Decimal(0)
    amount += Decimal("16.00") if consignment.is_saturday else Decimal(0)
    return amount + (Decimal("5.45") if consignment.destination["is_residential"] else Decimal(0))


def _weight(weight: Decimal, unit: str) -> dict[str, Any]:
    names = {"LBS": "Pounds", "KGS": "Kilograms", "OZS": "Ounces"}
    return {"UnitOfMeasurement": {"Code": unit, "Description": names[unit]}, "Weight": f"{weight:.1f}"}


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
