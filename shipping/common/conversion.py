"""Conversion between validated requests, the canonical types and JSON columns.

A stored request has neither the contents of attachments, which are files, nor the shipment that a return returns,
which is a row (``shipping.common.refs``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from apikeys.http.fields import Moment
from apikeys.http.rendering import rfc3339
from carriers.adapters.base import CarrierAdapter
from carriers.types import Address, Order

_ORDER_FIELDS = frozenset(field.name for field in fields(Order))
_STORED_AS_SENT = ("origin", "destination", "billing_address", "packages", "items")


def to_order(values: Mapping[str, Any], carrier: type[CarrierAdapter] | None = None) -> Order:
    """Return the order in a serializer's validated data or in a stored request.

    Keys that an order does not have are ignored, missing ones take their defaults. Requests name the pickup point and
    the customer's reference in ``metadata``.

    Args:
        carrier: An order without a service gets the default one of this carrier.
    """
    metadata = values.get("metadata", {})
    named: dict[str, Any] = {}
    if metadata.get("customer_reference"):
        named["customer_reference"] = metadata["customer_reference"]
    if point_id := values.get("pickup_point_id") or metadata.get("pickup_point_id"):
        named["pickup_point"] = {"id": point_id, "address": {"country": values["destination"].get("country", "")}}
    if carrier and carrier.default_service:
        named["service_type"] = carrier.default_service
    sent = {name: item.local if isinstance(item, Moment) else item for name, item in values.items()}
    sent.pop("return_of", None)
    return msgspec.convert({**named, **sent}, Order, strict=False)


def to_address(values: Mapping[str, Any]) -> Address:
    """Return the address in validated data or in a JSON column; unknown keys are ignored."""
    return msgspec.convert(values, Address, strict=False)


def to_request(order: Order, values: Mapping[str, Any]) -> dict[str, Any]:
    """Serialize an order for a ``request`` column, with the request's other keys.

    Empty fields are left out unless the merchant sent them, so that the request shows what the merchant sent.
    """
    others = {name: value for name, value in values.items() if name not in _ORDER_FIELDS}
    plain = replace(
        order, return_of=None, attachments=tuple(replace(document, content=b"") for document in order.attachments)
    )
    stored = to_builtins(others) | without_empty(plain) | {"metadata": to_builtins(order.metadata)}
    sent = {name: to_builtins(values[name]) for name in _STORED_AS_SENT if values.get(name) is not None}
    read = to_order(stored | sent)
    return stored | {name: item for name, item in sent.items() if getattr(read, name) == getattr(order, name)}


def without_empty(value: Any) -> Any:
    """Serialize a canonical object without the fields that are absent."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: without_empty(item) for field, item in parts if not _is_absent(field, item)}
    return [without_empty(item) for item in value] if isinstance(value, list | tuple) else msgspec.to_builtins(value)


def _is_absent(field: Field[Any], value: Any) -> bool:
    """Return whether a field has its default, and this is none, empty, false, or an object without values."""
    default = field.default if field.default_factory is MISSING else field.default_factory()
    is_empty = default in (None, "", b"", (), {}) or default is False or type(default) is int and not default
    return value == default and (is_empty or is_dataclass(default))


def to_builtins(value: Any) -> Any:
    """Return a value as JSON types: decimals as strings, times as RFC 3339 in UTC."""
    if isinstance(value, Moment):
        return value.text
    if is_dataclass(value) and not isinstance(value, type):
        return to_builtins(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): to_builtins(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_builtins(item) for item in value]
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Decimal | date | UUID):
        return str(value)
    return value
