"""Requests on Velocity's wire (``docs/carriers/velocity.md``), from the canonical types."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from carriers import types
from carriers.types import PaymentMethod

COUNTRY = "India"  # it serves no other
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
    """A forward order. Our reference is its number there, so that each order is found again and made once."""
    buyer = order.billing_address or order.destination
    body = _head(order, zone, channel_id) | _place("billing", buyer)
    body |= {"shipping_is_billing": order.billing_address is None, "print_label": True}
    if order.billing_address is not None:
        body |= _place("shipping", order.destination)
    body |= _goods(order) | _measures(order.packages)
    if order.payment_method == PaymentMethod.COD:
        body["cod_collectible"] = order.cod_amount
    return _filled(body | _departure(order.warehouse) | _courier(order.service_type))


def reverse_order(order: types.Order, *, zone: tzinfo, channel_id: str = "") -> dict[str, Any]:
    """A reverse order: from the buyer back to a warehouse; always prepaid."""
    body = _head(order, zone, channel_id) | _place("pickup", order.origin) | _goods(order)
    body |= {"original_awb": order.return_of.tracking_number, "return_reason": order.reason, "print_label": True}
    body |= _measures(order.packages) | _courier(order.service_type)
    if order.warehouse:
        body["warehouse_id"] = order.warehouse.carrier_id
    return _filled(body | _place("shipping", order.destination))


def change(update: types.OrderUpdate) -> dict[str, Any]:
    """Only what is to change; the rest stays."""
    body: dict[str, Any] = {"awb": update.tracking_number}
    if update.destination is not None:
        body |= _place("shipping", update.destination)
    if update.packages is not None:
        body |= _measures(update.packages)
    if update.items is not None:
        body |= {"order_items": [_item(item) for item in update.items], "sub_total": _sub_total(update.items)}
    if update.payment_method is not None:
        body["payment_method"] = update.payment_method.upper()
    nothing = 0 if update.payment_method == PaymentMethod.PREPAID else None
    return _filled(body | {"cod_collectible": nothing if update.cod_amount is None else update.cod_amount})


def warehouse(request: types.WarehouseRequest) -> dict[str, Any]:
    place, back = request.warehouse.address, request.return_address or request.warehouse.address
    first, *more = _lines(place.street) or [""]
    return _filled(
        {
            "warehouse_id": request.warehouse.carrier_id,
            "name": request.warehouse.name,
            "phone": phone(place.contact_phone),
            "email": place.contact_email,
            "address": first,
            "address_2": ", ".join(more),
            "city": place.city,
            "state": place.state,
            "country": _country(place),
            "pin_code": place.postal_code,
            "return_address": ", ".join(_lines(back.street)),
            "return_city": back.city,
            "return_state": back.state,
            "return_country": _country(back),
            "return_pin_code": back.postal_code,
        }
    )


def _lines(street: str) -> list[str]:
    return [line.strip() for line in street.splitlines() if line.strip()]


def _country(address: types.Address) -> str:
    return COUNTRY if address.country == "IN" else address.country


def phone(text: str) -> str:
    """The ten digits of an Indian number: without +91, the trunk's 0, an extension, blanks and signs.

    Any other number keeps all its digits, and Velocity says what it thinks of it.
    """
    plain = "".join(str(unicodedata.digit(sign)) if sign.isdigit() else sign for sign in text)
    digits = re.sub(r"[^0-9]", "", re.sub(_EXTENSION, "", plain))
    national = re.fullmatch(r"(?:0{0,2}91)?0?([1-9][0-9]{9})", digits)
    return national[1] if national else digits


def chosen_courier(service_type: str) -> str:
    """The courier's id where the merchant chose one of a quote's offers; empty: Velocity chooses."""
    found = re.fullmatch(CHOSEN_COURIER, service_type)
    return found[1] if found else ""


def _head(order: types.Order, zone: tzinfo, channel_id: str) -> dict[str, Any]:
    ordered_at = (order.ordered_at or datetime.now(UTC)).astimezone(zone)
    return {
        "order_id": order.reference,
        "order_date": ordered_at.strftime("%Y-%m-%d %H:%M"),
        "channel_id": channel_id,
    }


def _place(role: str, address: types.Address) -> dict[str, Any]:
    first, _, last = (address.contact_name or address.company).strip().partition(" ")
    return {
        f"{role}_customer_name": first,
        f"{role}_last_name": last.strip(),
        f"{role}_address": ", ".join(_lines(address.street)),
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
    """What stands for the goods where the merchant names none."""
    named = next((package.description for package in order.packages if package.description), order.order_id)
    declared = sum((package.declared_value or Decimal(0) for package in order.packages), Decimal(0))
    return types.Item(name=named, unit_price=declared or order.cod_amount or Decimal(0))


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
    """One parcel as high as all of them on top of each other; nothing where a side is not known."""
    measured = {"weight": _weight(packages)}
    sides = [(package.length_cm, package.width_cm, package.height_cm) for package in packages]
    if not any(None in side for side in sides):
        lengths, widths, heights = zip(*sides, strict=True)
        measured |= {"length": max(lengths), "breadth": max(widths), "height": sum(heights)}
    return measured


def _weight(packages: Sequence[types.Package]) -> Decimal:
    return sum((package.weight_kg for package in packages), Decimal(0))


def _departure(place: types.Warehouse | None) -> dict[str, Any]:
    """Without a warehouse the order names none: another's would send the van to a stranger."""
    if place is None:
        return {}
    address = place.address
    first, *more = _lines(address.street) or [""]
    vendor = {
        "email": address.contact_email,
        "phone": phone(address.contact_phone),
        "name": address.contact_name or place.name,
        "address": first,
        "address_2": ", ".join(more),
        "city": address.city,
        "state": address.state,
        "country": _country(address),
        "pin_code": address.postal_code,
        "pickup_location": place.name,
    }
    return {"pickup_location": place.name, "warehouse_id": place.carrier_id, "vendor_details": _filled(vendor)}


def _courier(service_type: str) -> dict[str, str]:
    return {"courier_company_id": chosen_courier(service_type)}


def _filled(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value not in ("", None)}
