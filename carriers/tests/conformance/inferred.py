"""Schemas that are inferred from samples, for bodies that no document describes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

_NAMES = {str: "string", bool: "boolean", int: "number", float: "number"}


def infer(samples: Iterable[Any]) -> dict[str, Any]:
    """Return the schema of some samples: the types and names that they have. A sample proves no name required."""
    return reduce(merge, map(_infer, samples))


def merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of the values of either schema. ``{}`` stands for a value of which only null was seen."""
    if not one or not other:
        return one or other
    merged = {key: value for key, value in (one | other).items() if key in ("type", "enum", "$schema")}
    types = [_types(schema) for schema in (one, other)]
    if "enum" in merged and ("enum" in one) != ("enum" in other):
        del merged["enum"]
    merged["type"] = sorted(types[0] | types[1])
    objects = [schema for schema in (one, other) if "properties" in schema]
    if objects:
        merged["properties"] = reduce(_merge_properties, (schema["properties"] for schema in objects))
        merged["required"] = next((schema["required"] for schema in objects if "required" in schema), [])
    items = [schema["items"] for schema in (one, other) if "items" in schema]
    if items:
        merged["items"] = reduce(merge, items)
    return merged


def _merge_properties(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return one | {name: merge(one.get(name, {}), schema) for name, schema in other.items()}


def _types(schema: dict[str, Any]) -> set[str]:
    """Return the types of a schema, with a whole number as a number, and null as another type."""
    found = schema.get("type", [])
    names = {found} if isinstance(found, str) else set(found)
    return {"number" if name == "integer" else name for name in names}


def _infer(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, dict):
        properties = {name: _infer(one) for name, one in value.items()}
        return {"type": "object", "properties": properties}
    if isinstance(value, list):
        return {"type": "array", "items": infer(value)} if value else {"type": "array"}
    return {"type": _NAMES[type(value)]}
