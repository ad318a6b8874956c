"""Conversion between validated requests, the canonical types and JSON columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from apikeys.http.fields import Moment
from apikeys.http.rendering import rfc3339
from carriers.types import Address, Order

_ORDER_FIELDS = frozenset(field.name for field in fields(Order))
_IN_METADATA = ("pickup_point_id", "customer_reference")
_STORED_AS_SENT = ("origin", "destination", "billing_address", "packages", "items")


def to_order(values: Mapping[str, Any]) -> Order:
    """Return the order in a serializer's validated data or in a stored request.

    Keys that an order does not have are ignored, missing ones take their defaults. Requests name the pickup point and
    the customer's reference in ``metadata``.
    """
    metadata = values.get("metadata", {})
    named = {name: metadata[name] for name in _IN_METADATA if metadata.get(name)}
    return msgspec.convert({**named, **values}, Order, strict=False)


def to_address(values: Mapping[str, Any]) -> Address:
    """Return the address in validated data or in a JSON column; unknown keys are ignored."""
    return msgspec.convert(values, Address, strict=False)


def to_request(order: Order, values: Mapping[str, Any]) -> dict[str, Any]:
    """Serialize an order for a ``request`` column, with the request's other keys.

    Empty fields are left out unless the merchant sent them, so that the request shows what the merchant sent.
    """
    others = {name: value for name, value in values.items() if name not in _ORDER_FIELDS}
    stored = to_builtins(others) | without_empty(order) | {"metadata": to_builtins(order.metadata)}
    for name in _STORED_AS_SENT:
        sent = to_builtins(values.get(name))
        if sent is not None and _without_empty(sent) == stored.get(name):
            stored[name] = sent
    return stored


def without_empty(value: Any) -> Any:
    """Serialize a canonical object without its empty texts and absent values."""
    return _without_empty(msgspec.to_builtins(value))


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_empty(item) for name, item in value.items() if item is not None and item != ""}
    return [_without_empty(item) for item in value] if isinstance(value, list | tuple) else value


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
