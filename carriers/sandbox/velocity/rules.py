"""What Velocity finds wrong with a body, field by field: the document's validation schema, else what we assume."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

Check = Callable[[Any], str]  # a sentence about the value; empty: nothing is wrong

_REQUIRED = "This field is required"


def pincode(value: Any) -> str:
    good = isinstance(value, str) and re.fullmatch(r"[0-9]{6}", value)
    return "" if good else "Invalid pincode format"


def phone(value: Any) -> str:
    good = isinstance(value, str) and re.fullmatch(r"[0-9]{10}", value)
    return "" if good else "10 digits are expected"


def is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _text(most: int) -> Check:
    def check(value: Any) -> str:
        if value is None or value == "":
            return _REQUIRED
        if not isinstance(value, str):
            return "A text is expected"
        return "" if len(value) <= most else f"At most {most} characters"

    return check


def _number(low: float, high: float, sentence: str) -> Check:
    return lambda value: "" if is_number(value, low, high) else sentence


def _if_given(check: Check) -> Check:
    """None is nothing, and so is the empty text where a text is expected."""
    return lambda value: "" if value is None or (value == "" and check("") == _REQUIRED) else check(value)


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false is expected"


def _email(value: Any) -> str:
    good = isinstance(value, str) and re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", value)
    return "" if good else "Invalid email"


def _date(value: Any) -> str:
    try:
        datetime.strptime(value, "%Y-%m-%d %H:%M")  # noqa: DTZ007 India's, as all of its times
    except (TypeError, ValueError):
        return "YYYY-MM-DD HH:mm is expected"
    return ""


def _weight(value: Any) -> str:
    if is_number(value, 0.1, 30):
        return ""
    return "Weight exceeds maximum limit" if is_number(value, 30, 10**9) else "0.1 to 30 kg"


def _items(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return "At least one item is needed"
    told = (f"Item {place}: {sentence}" for place, item in enumerate(value, start=1) if (sentence := _item(item)))
    return next(told, "")


def _item(item: Any) -> str:
    if not isinstance(item, dict):
        return "an object is expected"
    units = item.get("units")
    if not is_number(units, 1, 10**6) or units != int(units):
        return "units: a whole number of at least 1"
    return next((f"{name}: {sentence}" for name, sentence in mistakes(item, _ITEM).items()), "")


def _vendor(value: Any) -> str:
    good = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    return "" if good else "An object of texts is expected"


_PRICE = _number(0, 10**9, "A number of at least 0 is expected")
_ITEM = {
    "name": _text(10**4),
    "sku": _if_given(_text(10**4)),
    "selling_price": _PRICE,
    "discount": _if_given(_PRICE),
    "tax": _if_given(_PRICE),
}
_ADDRESS = {
    "customer_name": _text(100),
    "last_name": _if_given(_text(100)),
    "address": _text(200),
    "city": _text(50),
    "pincode": pincode,
    "state": _text(50),
    "country": _if_given(_text(50)),
    "email": _if_given(_email),
    "phone": phone,
}
_SIDE = _number(1, 200, "1 to 200 cm are expected")
_PARCEL = {"weight": _weight, "length": _SIDE, "breadth": _SIDE, "height": _SIDE}
_MONEY = {
    "sub_total": _PRICE,
    "payment_method": lambda value: "" if value in ("COD", "PREPAID") else "COD or PREPAID is expected",
    "cod_collectible": _if_given(_PRICE),
}
_ORDER = {
    "order_id": _text(50),
    "order_date": _date,
    "channel_id": _if_given(_text(50)),
    "print_label": _if_given(_flag),
    "shipping_is_billing": _if_given(_flag),
    "order_items": _items,
    "vendor_details": _if_given(_vendor),
    "original_awb": _if_given(_text(50)),
    "return_reason": _if_given(_text(500)),
}
_WAREHOUSE = {
    "name": _text(100),
    "phone": phone,
    "email": _if_given(_email),
    "address": _text(200),
    "address_2": _if_given(_text(200)),
    "city": _text(50),
    "state": _text(50),
    "country": _text(50),
    "pin_code": pincode,
    "return_address": _if_given(_text(200)),
    "return_city": _if_given(_text(50)),
    "return_state": _if_given(_text(50)),
    "return_country": _if_given(_text(50)),
    "return_pin_code": _if_given(pincode),
}
_ROUTE = {
    "pickup_pincode": pincode,
    "delivery_pincode": pincode,
    "weight": _number(0.001, 1000, "Weight is required"),
    "cod": _if_given(lambda value: "" if is_number(value, 0, 1) and value in (0, 1) else "0 or 1 is expected"),
}
# What an order update may change.
CHANGEABLE = {
    **{f"shipping_{name}": check for name, check in _ADDRESS.items()},
    **_PARCEL,
    **_MONEY,
    "order_items": _items,
}


def mistakes(body: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, str]:
    """Each wrong field with its sentence."""
    return {name: sentence for name, check in checks.items() if (sentence := check(body.get(name)))}


def of_order(body: Mapping[str, Any]) -> dict[str, str]:
    """A forward order: the buyer, and the recipient where that is somebody else."""
    roles = ("billing", "shipping") if body.get("shipping_is_billing") is False else ("billing",)
    found = mistakes(body, _ORDER | _PARCEL | _MONEY | _addresses(roles))
    if body.get("warehouse_id") is not None:  # one without is told that no such warehouse is found
        found |= mistakes(body, {"pickup_location": _text(100)})
    return found | _unpaid(body)


def of_return(body: Mapping[str, Any]) -> dict[str, str]:
    """A reverse order: the buyer's place, and where it goes back to unless a warehouse says it."""
    named = body.get("warehouse_id") is not None and body.get("shipping_pincode") is None
    found = mistakes(body, _ORDER | _PARCEL | _MONEY | _addresses(("pickup",) if named else ("pickup", "shipping")))
    return found | ({"payment_method": "Returns are PREPAID"} if body.get("payment_method") == "COD" else {})


def of_update(body: Mapping[str, Any], *, before: Mapping[str, Any]) -> dict[str, str]:
    """A change of an order: only what is sent counts."""
    found = mistakes(body, {name: check for name, check in CHANGEABLE.items() if name in body})
    return found or _unpaid({**before, **body})


def of_warehouse(body: Mapping[str, Any]) -> dict[str, str]:
    """A wrong pincode is told once where the goods come back to the same place."""
    found = mistakes(body, _WAREHOUSE)
    if body.get("return_pin_code") == body.get("pin_code"):
        found.pop("return_pin_code", None)
    return found


def of_route(body: Mapping[str, Any]) -> dict[str, str]:
    return mistakes(body, _ROUTE)


def _addresses(roles: Iterable[str]) -> dict[str, Check]:
    return {f"{role}_{name}": check for role in roles for name, check in _ADDRESS.items()}


def _unpaid(body: Mapping[str, Any]) -> dict[str, str]:
    paid = body.get("payment_method") != "COD" or is_number(body.get("cod_collectible"), 0.01, 10**9)
    return {} if paid else {"cod_collectible": "Required for COD orders"}
