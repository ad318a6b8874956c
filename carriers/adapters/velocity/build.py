"""Build Velocity's request bodies (``docs/carriers/velocity.md``) from the canonical types."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from carriers import types
from carriers.types import PaymentMethod

COUNTRY = "India"  # the only one that it serves
# An extension at the end of a phone number: "ext. 12", "x12", "#12".
_EXTENSION = r"(?i)(?:ext(?:n|ension)?|(?<![a-z])x|[#,;])(?![a-z])\W*[0-9]{1,6}\W*$"
CHOSEN_COURIER = r"courier_(\w+)"


def login(fields: Mapping[str, str]) -> dict[str, str]:
    return {"username": fields["username"], "password": fields["password"]}


def serviceability(order: types.Order) -> dict[str, Any]:
    return {
        "pickup_pincode": order.origin.postal_code,
        "delivery_pincode": order.destination.postal_code,
        "cod": int(order.payment_method == PaymentMethod.COD),
        "weight": _weight(order.packages),
    }


def forward_order(order: types.Order, *, zone: tzinfo, channel_id: str = "") -> dict[str, Any]:
    """Build a forward order. Its number is our reference, by which Velocity finds it and refuses a second one."""
    buyer = order.billing_address or order.destination
    body = _head(order, zone, channel_id) | _address("billing", buyer)
    body |= {"shipping_is_billing": order.billing_address is None, "print_label": True}
    if order.billing_address is not None:
        body |= _address("shipping", order.destination)
    body |= _goods(order) | _measures(order.packages)
    if order.payment_method == PaymentMethod.COD:
        body["cod_collectible"] = order.cod_amount
    return _filled(body | _departure(order.warehouse) | _courier(order))


def reverse_order(order: types.Order, *, zone: tzinfo, channel_id: str = "") -> dict[str, Any]:
    """Build a reverse order, from the buyer to a warehouse; it is always prepaid."""
    body = _head(order, zone, channel_id) | _address("pickup", order.origin) | _goods(order)
    body |= {"original_awb": order.return_of.tracking_number, "return_reason": order.reason, "print_label": True}
    body |= _measures(order.packages) | _courier(order)
    if order.warehouse:
        body["warehouse_id"] = order.warehouse.carrier_id
    return _filled(body | _address("shipping", order.destination))


def change(update: types.OrderUpdate) -> dict[str, Any]:
    """Build a change with the new values only; Velocity keeps the others."""
    body: dict[str, Any] = {"awb": update.tracking_number}
    if update.destination is not None:
        body |= _address("shipping", update.destination)
    if update.packages is not None:
        body |= _measures(update.packages)
    if update.items is not None:
        body |= {"order_items": [_item(item) for item in update.items], "sub_total": _sub_total(update.items)}
    if update.payment_method is not None:
        body["payment_method"] = update.payment_method.upper()
    cod_amount: Decimal | int | None = update.cod_amount
    if cod_amount is None and update.payment_method == PaymentMethod.PREPAID:
        cod_amount = 0  # else Velocity keeps the former amount
    return _filled(body | {"cod_collectible": cod_amount})


def warehouse(request: types.WarehouseRequest) -> dict[str, Any]:
    address, back = request.warehouse.address, request.return_address or request.warehouse.address
    first, *more = _lines(address) or [""]
    return _filled(
        {
            "warehouse_id": request.warehouse.carrier_id,
            "name": request.warehouse.name,
            "phone": phone(address.contact_phone),
            "email": address.contact_email,
            "address": first,
            "address_2": ", ".join(more),
            "city": address.city,
            "state": address.state,
            "country": _country(address),
            "pin_code": address.postal_code,
            "return_address": ", ".join(_lines(back)),
            "return_city": back.city,
            "return_state": back.state,
            "return_country": _country(back),
            "return_pin_code": back.postal_code,
        }
    )


def _lines(address: types.Address) -> list[str]:
    first = " ".join(filter(None, (address.street, address.house_number)))
    lines = [line for text in (first, address.street2, address.street3) for line in text.splitlines()]
    return [line.strip() for line in lines if line.strip()]


def _country(address: types.Address) -> str:
    return COUNTRY if address.country == "IN" else address.country


def phone(text: str) -> str:
    """Return the ten digits of an Indian number, without +91, the trunk prefix 0, an extension or punctuation.

    Any other number keeps all its digits; Velocity refuses it if it is wrong.
    """
    ascii_digits = "".join(str(unicodedata.digit(sign)) if sign.isdigit() else sign for sign in text)
    digits = re.sub(r"[^0-9]", "", re.sub(_EXTENSION, "", ascii_digits))
    national = re.fullmatch(r"(?:0{0,2}91)?0?([1-9][0-9]{9})", digits)
    return national[1] if national else digits


def chosen_courier(order: types.Order) -> str:
    """Return the id of the courier that the merchant chose from a quote; empty: Velocity chooses."""
    found = re.fullmatch(CHOSEN_COURIER, order.service_type or "")
    return found[1] if found else ""


def _head(order: types.Order, zone: tzinfo, channel_id: str) -> dict[str, Any]:
    ordered_at = (order.ordered_at or datetime.now(UTC)).astimezone(zone)
    return {
        "order_id": order.reference,
        "order_date": ordered_at.strftime("%Y-%m-%d %H:%M"),
        "channel_id": channel_id,
    }


def _address(role: str, address: types.Address) -> dict[str, Any]:
    first, _, last = (address.contact_name or address.company).strip().partition(" ")
    return {
        f"{role}_customer_name": first,
        f"{role}_last_name": last.strip(),
        f"{role}_address": ", ".join(_lines(address)),
        f"{role}_city": address.city,
        f"{role}_pincode": address.postal_code,
        f"{role}_state": address.state,
        f"{role}_country": _country(address),
        f"{role}_email": address.contact_email,
        f"{role}_phone": phone(address.contact_phone),
    }


def _goods(order: types.Order) -> dict[str, Any]:
    items = order.items or (_unnamed(order),)
    return {
        "order_items": [_item(item) for item in items],
        "payment_method": order.payment_method.upper(),
        "sub_total": _sub_total(items),
    }


def _unnamed(order: types.Order) -> types.Item:
    """Return one item for an order without items, as Velocity requires at least one."""
    name = next((package.description for package in order.packages if package.description), order.order_id)
    declared = sum((package.declared_value or Decimal(0) for package in order.packages), Decimal(0))
    return types.Item(name=name, unit_price=declared or order.cod_amount or Decimal(0))


def _item(item: types.Item) -> dict[str, Any]:
    return {
        "name": item.name,
        "sku": item.sku or f"SKU-{item.name[:10]}",
        "units": item.quantity,
        "selling_price": item.unit_price,
        "discount": item.discount,
        "tax": item.tax,
    }


def _sub_total(items: Sequence[types.Item]) -> Decimal:
    return sum((item.unit_price * item.quantity - item.discount for item in items), Decimal(0))


def _measures(packages: Sequence[types.Package]) -> dict[str, Any]:
    """Return the measures of all parcels stacked into one; only their weight if a side is unknown."""
    measured = {"weight": _weight(packages)}
    sides = [(package.length_cm, package.width_cm, package.height_cm) for package in packages]
    if not any(None in side for side in sides):
        lengths, widths, heights = zip(*sides, strict=True)
        measured |= {"length": max(lengths), "breadth": max(widths), "height": sum(heights)}
    return measured


def _weight(packages: Sequence[types.Package]) -> Decimal:
    return sum((package.weight_kg for package in packages), Decimal(0))


def _departure(warehouse: types.Warehouse | None) -> dict[str, Any]:
    """Return where the parcel is collected; nothing without a warehouse, as any other would be a wrong one."""
    if warehouse is None:
        return {}
    address = warehouse.address
    first, *more = _lines(address) or [""]
    vendor = {
        "email": address.contact_email,
        "phone": phone(address.contact_phone),
        "name": address.contact_name or warehouse.name,
        "address": first,
        "address_2": ", ".join(more),
        "city": address.city,
        "state": address.state,
        "country": _country(address),
        "pin_code": address.postal_code,
        "pickup_location": warehouse.name,
    }
    return {"pickup_location": warehouse.name, "warehouse_id": warehouse.carrier_id, "vendor_details": _filled(vendor)}


def _courier(order: types.Order) -> dict[str, str]:
    return {"courier_company_id": chosen_courier(order)}


def _filled(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value not in ("", None)}
