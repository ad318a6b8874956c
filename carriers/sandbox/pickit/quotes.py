"""Prices and service coverage."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request, rfc3339
from carriers.sandbox.pickit import points
from carriers.sandbox.pickit.errors import Invalid
from carriers.sandbox.pickit.validation import UNSERVED, check_route, is_without_postal_codes

# Decimals of currencies that do not have two (ISO 4217).
_DECIMALS = dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"), 0)
_DECIMALS |= dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)
FACTORS = {"standard": 1.0, "express": 1.8, "pickup_point": 0.9}
DAYS = {"standard": 2, "express": 1, "pickup_point": 2}


def quote(carrier: SimulatedCarrier, request: Request) -> Answer:
    body = request.json()
    service = check_route(body, need_street=False)
    point = points.find(str(body["pickup_point_id"])) if body.get("pickup_point_id") else points.DOCUMENTED
    available = {"pickup_point_available": bool(point) and point["status"] == "active"}
    return Answer(200, {"quote_id": f"QT-{secrets.randbelow(10**6):06}"} | price(body, service) | available)


def price(body: dict[str, Any], service: str) -> dict[str, Any]:
    """Return the price of an order, its parts and the delivery date.

    The base rate is 7.50 and 1.00 per kg, times the factor of the service. Added are 15 % for fuel, 0.5 % of the
    declared value and 0.50 per package.
    """
    packages = body["packages"]
    currency = packages[0].get("currency") or "USD"
    digits = _DECIMALS.get(currency, 2)
    base = round((7.5 + sum(float(package["weight_kg"]) for package in packages)) * FACTORS[service], digits)
    parts = {
        "base_rate": base,
        "fuel_surcharge": round(base * 0.15, digits),
        "insurance": round(sum(float(package.get("declared_value") or 0) for package in packages) * 0.005, digits),
        "handling_fee": round(0.5 * len(packages), digits),
        "pickup_point_fee": 0.0,
    }
    delivery = datetime.now(UTC).replace(hour=15, minute=0, second=0, microsecond=0) + timedelta(days=DAYS[service])
    return parts | {
        "total_price": round(sum(parts.values()), digits),
        "currency": currency,
        "estimated_transit_days": DAYS[service],
        "service_level": service.upper(),
        "estimated_delivery": rfc3339(delivery),
        "pickup_point_available": True,
        "valid_until": rfc3339(datetime.now(UTC) + timedelta(hours=24)),
    }


def show_coverage(carrier: SimulatedCarrier, request: Request) -> Answer:
    country = request.query.get("country", "US")
    needed = ("city",) if is_without_postal_codes(country) else ("postal_code", "city")
    missing = next((name for name in needed if not request.query.get(name)), None)
    if missing:
        raise Invalid("This parameter is required", missing)
    code = request.query.get("postal_code", "")
    served = not code.startswith(UNSERVED)
    coverage = {
        "postal_code": code,
        "city": request.query["city"],
        "country": country,
        "service_available": served,
        "service_types": [name.upper() for name in FACTORS] if served else [],
        "estimated_transit_days": {name.upper(): days for name, days in DAYS.items()} if served else {},
        "nearby_pickup_points": 15 if served else 0,
        "coverage_quality": "EXCELLENT" if served else "NONE",
        "restrictions": [],
        "surcharges": {"residential": False, "extended_area": False},
    }
    return Answer(200, {"data": coverage})
