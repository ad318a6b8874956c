"""Validation of bodies, field by field: the document's schema, and assumptions where it has none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

Check = Callable[[Any], str]  # returns an error message, or an empty string

_REQUIRED = "This field is required"


def _pincode(value: Any) -> str:
    good = isinstance(value, str) and re.fullmatch(r"[0-9]{6}", value)
    return "" if good else "Invalid pincode format"


def _phone(value: Any) -> str:
    good = isinstance(value, str) and re.fullmatch(r"[0-9]{10}", value)
    return "" if good else "10 digits are expected"


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _text(most: int) -> Check:
    def check(value: Any) -> str:
        if value is None or value == "":
            return _REQUIRED
        if not isinstance(value, str):
            return "A text is expected"
        return "" if len(value) <= most else f"At most {most} characters"

    return check


def _number(low: float, high: float, message: str) -> Check:
    return lambda value: "" if _is_number(value, low, high) else message


def _optional(check: Check) -> Check:
    """Return a check that accepts None, and an empty text if ``check`` is one of texts."""
    return lambda value: "" if value is None or (value == "" and check("") == _REQUIRED) else check(value)


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false is expected"


def _email(value: Any) -> str:
    good = isinstance(value, str) and re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", value)
    return "" if good else "Invalid email"


def _date(value: Any) -> str:
    try:
        datetime.strptime(value, "%Y-%m-%d %H:%M")  # noqa: DTZ007 in India's time zone, like all times of Velocity
    except (TypeError, ValueError):
        return "YYYY-MM-DD HH:mm is expected"
    return ""


def _weight(value: Any) -> str:
    if _is_number(value, 0.1, 30):
        return ""
    return "Weight exceeds maximum limit" if _is_number(value, 30, 10**9) else "0.1 to 30 kg"


def _items(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return "At least one item is needed"
    errors = (f"Item {number}: {message}" for number, item in enumerate(value, start=1) if (message := _item(item)))
    return next(errors, "")


def _item(item: Any) -> str:
    if not isinstance(item, dict):
        return "an object is expected"
    units = item.get("units")
    if not _is_number(units, 1, 10**6) or units != int(units):
        return "units: a whole number of at least 1"
    return next((f"{name}: {message}" for name, message in _find_errors(item, _ITEM).items()), "")


def _vendor(value: Any) -> str:
    good = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    return "" if good else "An object with string values is expected"


_PRICE = _number(0, 10**9, "A number of at least 0 is expected")
_ITEM = {
    "name": _text(10**4),
    "sku": _optional(_text(10**4)),
    "selling_price": _PRICE,
    "discount": _optional(_PRICE),
    "tax": _optional(_PRICE),
}
_ADDRESS = {
    "customer_name": _text(100),
    "last_name": _optional(_text(100)),
    "address": _text(200),
    "city": _text(50),
    "pincode": _pincode,
    "state": _text(50),
    "country": _optional(_text(50)),
    "email": _optional(_email),
    "phone": _phone,
}
_SIDE = _number(1, 200, "1 to 200 cm are expected")
_PARCEL = {"weight": _weight, "length": _SIDE, "breadth": _SIDE, "height": _SIDE}
_MONEY = {
    "sub_total": _PRICE,
    "payment_method": lambda value: "" if value in ("COD", "PREPAID") else "COD or PREPAID is expected",
    "cod_collectible": _optional(_PRICE),
}
_ORDER = {
    "order_id": _text(50),
    "order_date": _date,
    "channel_id": _optional(_text(50)),
    "print_label": _optional(_flag),
    "shipping_is_billing": _optional(_flag),
    "order_items": _items,
    "vendor_details": _optional(_vendor),
    "original_awb": _optional(_text(50)),
    "return_reason": _optional(_text(500)),
}
_WAREHOUSE = {
    "name": _text(100),
    "phone": _phone,
    "email": _optional(_email),
    "address": _text(200),
    "address_2": _optional(_text(200)),
    "city": _text(50),
    "state": _text(50),
    "country": _text(50),
    "pin_code": _pincode,
    "return_address": _optional(_text(200)),
    "return_city": _optional(_text(50)),
    "return_state": _optional(_text(50)),
    "return_country": _optional(_text(50)),
    "return_pin_code": _optional(_pincode),
}
_ROUTE = {
    "pickup_pincode": _pincode,
    "delivery_pincode": _pincode,
    "weight": _number(0.001, 1000, "Weight is required"),
    "cod": _optional(lambda value: "" if _is_number(value, 0, 1) and value in (0, 1) else "0 or 1 is expected"),
}
# Fields that an order update may change.
CHANGEABLE = {
    **{f"shipping_{name}": check for name, check in _ADDRESS.items()},
    **_PARCEL,
    **_MONEY,
    "order_items": _items,
}


def check_order(body: Mapping[str, Any]) -> dict[str, str]:
    """Check a forward order: the buyer, and the recipient if that is another person. Returns messages by field."""
    roles = ("billing", "shipping") if body.get("shipping_is_billing") is False else ("billing",)
    errors = _find_errors(body, _ORDER | _PARCEL | _MONEY | _addresses(roles))
    if body.get("warehouse_id") is not None:  # without a warehouse, only "Warehouse not found" is reported
        errors |= _find_errors(body, {"pickup_location": _text(100)})
    return errors | _check_cod(body)


def check_return(body: Mapping[str, Any]) -> dict[str, str]:
    """Check a reverse order: the buyer's address, and the destination unless a warehouse is the destination."""
    to_warehouse = body.get("warehouse_id") is not None and body.get("shipping_pincode") is None
    roles = ("pickup",) if to_warehouse else ("pickup", "shipping")
    errors = _find_errors(body, _ORDER | _PARCEL | _MONEY | _addresses(roles))
    return errors | ({"payment_method": "Returns are PREPAID"} if body.get("payment_method") == "COD" else {})


def check_update(body: Mapping[str, Any], *, before: Mapping[str, Any]) -> dict[str, str]:
    """Check the changed fields of an order, then the order as a whole."""
    errors = _find_errors(body, {name: check for name, check in CHANGEABLE.items() if name in body})
    return errors or _check_cod({**before, **body})


def check_warehouse(body: Mapping[str, Any]) -> dict[str, str]:
    """Check a warehouse. If both pincodes are the same, an error is reported once."""
    errors = _find_errors(body, _WAREHOUSE)
    if body.get("return_pin_code") == body.get("pin_code"):
        errors.pop("return_pin_code", None)
    return errors


def check_route(body: Mapping[str, Any]) -> dict[str, str]:
    return _find_errors(body, _ROUTE)


def _find_errors(body: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, str]:
    return {name: message for name, check in checks.items() if (message := check(body.get(name)))}


def _addresses(roles: Iterable[str]) -> dict[str, Check]:
    return {f"{role}_{name}": check for role in roles for name, check in _ADDRESS.items()}


def _check_cod(body: Mapping[str, Any]) -> dict[str, str]:
    paid = body.get("payment_method") != "COD" or _is_number(body.get("cod_collectible"), 0.01, 10**9)
    return {} if paid else {"cod_collectible": "Required for COD orders"}
