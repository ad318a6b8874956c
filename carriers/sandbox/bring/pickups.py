"""Pickup orders: ``pickupOrder`` of the Booking API. There is no cancellation.

Its body has ``pickupDetails`` of 2024 (``package``, ``pallet``, ``postContainer``) or one of the two older forms.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from carriers.sandbox.bring import numbers, places, products
from carriers.sandbox.bring.errors import make_error
from carriers.sandbox.bring.validation import MAX_YEAR, ZONE, as_number, as_object, as_text
from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Refusal, Request

_COUNTRIES = {"NO": "NO", "SE": "SE", "DK": "DK", "SV": "SE"}  # SV stands in Bring's Swedish sample
_OLD_DETAILS = ("parcelsInformation", "cargoInformation", "parcelsInternationalInformation")
_MOST_KG = 9999


def order(carrier: SimulatedCarrier, request: Request) -> Answer:
    body = request.json()
    customers = (carrier.store.get("account", request.account) or {})["customers"]
    found = _find_errors(body, customers)
    if found:
        raise Refusal(400, {"pickupConfirmation": None, "errors": found})
    number = numbers.new_package_number(products.SERVICES["5800"], "NO", "NO")
    pickup = {"account": request.account, "is_test": bool(body.get("testIndicator")), "body": body, "number": number}
    carrier.store.put("bring_pickup", number, pickup)
    first = datetime.combine(datetime.fromisoformat(body["pickupDate"]), time(), ZONE)
    confirmation = {
        "status": "OK",
        "earliestPickupDate": _milliseconds(first),
        "latestPickupDate": _milliseconds(first + timedelta(days=1)),
        "url": f"http://www.mybring.com/order/pickup/receipt/{number}",
        "packageNumber": number,
    }
    return Answer(200, {"pickupConfirmation": confirmation, "errors": None})


def _find_errors(body: dict[str, Any], customers: list[str]) -> list[dict[str, Any]]:
    number = products.find_customer(as_object(body.get("customerInformation")).get("customerNumber"))
    details = _read_details(body)
    country = _COUNTRIES.get(as_text(body.get("countryCode")).upper(), "")
    address = as_object(body.get("pickupAddress"))
    is_cargo = body.get("service") == "CARGO" or bool(body.get("cargoInformation"))
    checks = {
        "PICKUP-INPUT-004": number in customers,
        "PICKUP-INPUT-003": bool(details),
        "PICKUP-INPUT-009": not details or details["count"] > 0,
        "PICKUP-INPUT-010": bool(country),
        "PICKUP-INPUT-002": not country or places.find(country, address.get("postalCode")) is not None,
        "PICKUP-INPUT-008": not (is_cargo and details) or 0 < details["grams"] <= _MOST_KG * 1000,
    }
    codes = [code for code, is_valid in checks.items() if not is_valid]
    if any(not as_text(address.get(name)) for name in ("street", "city")):  # the code is assumed
        codes.append("PICKUP-INPUT-001")
    codes += _check_time(body, needs_time=is_cargo)
    return [make_error(code) for code in codes]


def _check_time(body: dict[str, Any], *, needs_time: bool) -> list[str]:
    ready = as_text(body.get("pickupIsReadyAtTime"))
    if needs_time and not ready:
        return ["PICKUP-INPUT-005"]
    try:
        moment = datetime.combine(
            datetime.strptime(as_text(body.get("pickupDate")), "%Y-%m-%d"),  # noqa: DTZ007 in Norwegian time
            time.fromisoformat(ready) if ready else time.max,
            ZONE,
        )
    except ValueError:
        return ["PICKUP-INPUT-006"]
    if moment.year > MAX_YEAR:
        return ["PICKUP-INPUT-006"]
    if moment <= datetime.now(ZONE):
        return ["PICKUP-INPUT-013" if ready else "PICKUP-INPUT-007"]
    return []


def _read_details(body: dict[str, Any]) -> dict[str, float]:
    """Return the number of parcels, pallets and containers and their weight in grams, or nothing."""
    details = as_object(body.get("pickupDetails"))
    items = [as_object(details.get(name)) for name in ("package", "pallet", "postContainer")]
    if any(items):
        return {name: sum(as_number(item.get(key)) for item in items) for name, key in _ITEM.items()}
    old = details or next((as_object(body.get(name)) for name in _OLD_DETAILS if body.get(name)), {})
    if not old:
        return {}
    count = sum(as_number(value) for name, value in old.items() if name.startswith("numberOf"))
    return {"count": count, "grams": as_number(old.get("weightInGrams"))}


_ITEM = {"count": "count", "grams": "weightInGrams"}


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
