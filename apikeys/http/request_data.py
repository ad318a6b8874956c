"""Compare a request's data with its serializer: unknown fields are found, null for an optional field means absent."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.response import Response

from apikeys.http.errors import ValidationFailed

Warning_ = dict[str, str]  # field, code, message
# A body may have many unknown fields; the rest of them repeats the first ones.
MAX_WARNINGS = 100
_SIMILARITY = 0.7


def without_nulls(field: Any, data: Any) -> Any:
    """Return the data without nulls of optional fields that do not take null."""
    if isinstance(field, serializers.Serializer) and isinstance(data, Mapping):
        fields = field.fields
        return {
            name: without_nulls(fields[name], value) if name in fields else value
            for name, value in data.items()
            if value is not None or name not in fields or fields[name].required or fields[name].allow_null
        }
    if isinstance(field, serializers.ListSerializer | serializers.ListField) and isinstance(data, list):
        return [without_nulls(field.child, item) for item in data]
    return data


def find_unknown(field: Any, data: Any, path: str = "") -> Iterator[Warning_]:
    """Return a warning for each field of the data that the serializer does not have. Free-form objects have none.

    ``unread`` of a serializer names fields of similar requests, which callers may send without effect.
    """
    if isinstance(field, serializers.Serializer) and isinstance(data, Mapping):
        fields = field.fields
        for name, value in data.items():
            here = f"{path}.{name}" if path else str(name)
            if name in fields and not fields[name].read_only:
                yield from find_unknown(fields[name], value, here)
            elif name not in getattr(field, "unread", ()):
                yield {"field": here, "code": "unknown_field", "message": _describe(field, str(name))}
    elif isinstance(field, serializers.ListSerializer | serializers.ListField) and isinstance(data, list):
        for number, item in enumerate(data):
            yield from find_unknown(field.child, item, f"{path}[{number}]")


def read_query(field: serializers.Serializer, query: QueryDict, *, others: Collection[str] = ()) -> dict[str, Any]:
    """Return the parameters of a query. ``others`` are read elsewhere.

    Raises ``ValidationFailed`` for an unknown parameter, and for one that is given twice: the rows would be others than
    those that the caller means.
    """
    problems = {one["field"]: [one["message"]] for one in find_unknown(field, query) if one["field"] not in others}
    for name, values in query.lists():
        if len(values) > 1:
            problems.setdefault(name, [_("This parameter is given more than once.")])
    if problems:
        raise ValidationFailed(details=problems)
    return query.dict()


def is_strict(prefer: str) -> bool:
    """Return whether a ``Prefer`` header (RFC 7240) has ``handling=strict``."""
    preferences = (part.partition(";")[0].replace(" ", "").replace('"', "").lower() for part in prefer.split(","))
    return "handling=strict" in preferences


def add_warnings(response: Response, warnings: Sequence[Warning_]) -> None:
    """Add warnings to a JSON object; it gets the key ``warnings`` only if there is one."""
    if warnings and isinstance(response.data, Mapping):
        response.data = {**response.data, "warnings": [*response.data.get("warnings", ()), *warnings]}


def _describe(serializer: Any, name: str) -> str:
    known = _suggest(serializer, name)
    if known:
        return _("This field is unknown. Did you mean `%s`?") % known
    return _("This field is unknown.")


def _suggest(serializer: Any, name: str) -> str:
    """Return the known name that an unknown one is nearest to; empty if there is none.

    A serializer may have ``aliases`` (other words for a field), and a free-form field ``known_names``.
    """
    fields, key = serializer.fields, name.lower().replace("-", "_")
    if alias := getattr(serializer, "aliases", {}).get(key):
        return alias
    for field_name, field in fields.items():
        if name in getattr(field, "known_names", ()):
            return f"{field_name}.{name}"
    near = difflib.get_close_matches(key[:64], [one for one in fields if not fields[one].read_only], 1, _SIMILARITY)
    return near[0] if near else ""
