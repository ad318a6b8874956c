"""Couriers: prices, serviceability, and the choice of one for an order."""

from __future__ import annotations

import math
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Refusal, Request
from carriers.sandbox.velocity import validation
from carriers.sandbox.velocity.errors import Invalid, refuse_if

COURIERS = (
    {"courier_name": "Delhivery Surface", "courier_company_id": "1", "days": 3, "rate": 45, "cod": True},
    {"courier_name": "DTDC Express", "courier_company_id": "5", "days": 2, "rate": 60, "cod": True},
    {"courier_name": "Xpressbees Air", "courier_company_id": "9", "days": 1, "rate": 95, "cod": False},
)
RATES = {courier["courier_company_id"]: courier["rate"] for courier in COURIERS}
UNSERVED = {"999999", "000000"}


def list_serving(carrier: SimulatedCarrier, request: Request) -> Answer:
    body = request.json()
    refuse_if(validation.check_route(body))
    code = body["delivery_pincode"]
    if {code, body["pickup_pincode"]} & UNSERVED:
        text = "No carriers service this pincode"
        answer = {"delivery_pincode": code, "is_serviceable": False, "available_carriers": [], "message": text}
        raise Refusal(422, answer)
    offers = [
        {
            "courier_name": courier["courier_name"],
            "courier_company_id": courier["courier_company_id"],
            "estimated_delivery_days": courier["days"],
            "rate": freight(courier["rate"], body["weight"]),
            "cod_available": courier["cod"],
        }
        for courier in COURIERS
        if courier["cod"] or not body.get("cod")
    ]
    return Answer(200, {"delivery_pincode": code, "is_serviceable": True, "available_carriers": offers})


def freight(rate: float, weight: float) -> float:
    """Return the price in INR: the courier's rate for the first half kilogram, and 20 for each further one."""
    return rate + 20 * max(0, math.ceil(float(weight) * 2) - 1)


def requested(body: dict[str, Any]) -> dict[str, Any]:
    """Return the courier that an order names. Raises ``Invalid``."""
    found = [one for one in COURIERS if one["courier_company_id"] == str(body.get("courier_company_id"))]
    if not found:
        raise Invalid({"courier_company_id": "Unknown courier"})
    if body.get("payment_method") == "COD" and not found[0]["cod"]:
        raise Invalid({"courier_company_id": "This courier does not collect cash"})
    return found[0]


def refuse_unserved(destination: str | None, *origins: str | None) -> None:
    """Raises ``Refusal`` if a pincode is not served."""
    unserved = next((code for code in (destination, *origins) if code in UNSERVED), None)
    if unserved:
        end = "Destination" if unserved == destination else "Pickup"
        text = f"{end} pincode not serviceable"
        raise Refusal(422, {"message": text, "pincode": unserved, "available_carriers": []})
