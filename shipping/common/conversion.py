"""Between validated requests (plain mappings), the canonical dataclasses and what a JSON column takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from apikeys.http.fields import Moment
from apikeys.http.rendering import rfc3339
from carriers.types import Address, Item, Package

T = TypeVar("T", Package, Item)


def as_address(values: Mapping[str, Any]) -> Address:
    """Names that an address does not have are left out."""
    return Address(**{name: values[name] for name in Address.__dataclass_fields__ if name in values})


def as_packages(values: Iterable[Mapping[str, Any]]) -> tuple[Package, ...]:
    """Numbers may be decimals or their texts."""
    decimals = ("weight_kg", "length_cm", "width_cm", "height_cm", "declared_value")
    return tuple(_canonical(Package, value, decimals) for value in values)


def as_items(values: Iterable[Mapping[str, Any]]) -> tuple[Item, ...]:
    """Numbers may be decimals or their texts."""
    return tuple(_canonical(Item, value, ("unit_price", "discount", "tax")) for value in values)


def plain(value: Any) -> Any:
    """Only what JSON knows: decimals as texts, times as RFC 3339 in UTC."""
    if isinstance(value, Moment):
        return value.text
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Decimal | date | UUID):
        return str(value)
    return value


def _canonical(kind: type[T], value: Mapping[str, Any], decimals: Iterable[str]) -> T:
    known = {name: value[name] for name in kind.__dataclass_fields__ if value.get(name) is not None}
    return kind(**known | {name: Decimal(known[name]) for name in decimals if name in known})
