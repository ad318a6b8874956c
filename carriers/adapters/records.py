"""Strict reading of carriers' JSON, into values that every database and JSON writer takes."""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from math import isfinite
from types import MappingProxyType
from typing import Any, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)
# Errors of parsing and reading a carrier's JSON: wrong types, extreme numbers, extreme nesting.
UNREADABLE = (ValueError, ArithmeticError, RecursionError)
_MAX_DEPTH = 20  # levels of objects and lists
_REQUIRED: Any = object()
# The first bytes of each label format: ISO 32000-1 7.5.2, PNG (W3C) 5.2, Zebra's ZPL II guide on ^XA.
FILE_STARTS = {"PDF": b"%PDF", "PNG": b"\x89PNG\r\n\x1a\n", "ZPL": b"^XA"}
_MAX_NUMBER = Decimal(10) ** 10  # of money, weight or distance; beyond it, arithmetic with Decimal gets slow


class Record:
    """A carrier's JSON object. A field that is missing or of the wrong type raises ``ValueError`` with its path.

    A field with a default may be absent, null or, if it is a text, empty. Errors never quote the value, which may be
    secret.
    """

    def __init__(self, value: Any, path: str = "", *, zone: tzinfo = UTC) -> None:
        if not isinstance(value, Mapping):
            raise ValueError(f"{path or 'the body'} is not an object")
        self.value, self.path, self.zone = value, path, zone

    def text(self, name: str, default: Any = _REQUIRED, *, most: int | None = None) -> str:
        """Return a text of at most ``most`` characters."""
        value = self._get(name, default)
        if value is default or (value == "" and default is not _REQUIRED):
            return default
        if not isinstance(value, str) or not value or len(value) > (most or len(value)):
            raise ValueError(f"{self._at(name)} is not a text" + (f" of 1 to {most} characters" if most else ""))
        return to_storable(value)

    def identifier(self, name: str, *, most: int = 50) -> str:
        """Return an identifier of letters, digits, ``-`` and ``_``, as it becomes part of paths and file names."""
        value = self.text(name, most=most)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", value):
            raise ValueError(f"{self._at(name)} is not an identifier of letters, digits, - and _")
        return value

    def token(self, name: str) -> str:
        """Return an access token: visible ASCII characters, so that it fits into an HTTP header."""
        value = self.text(name)
        if not re.fullmatch(r"[\x21-\x7e]+", value):
            raise ValueError("the token is not usable")
        return value

    def expect(self, name: str, value: str) -> Record:
        """Return this record if the field has the requested value, in any case; else raise ``ValueError``."""
        if self.text(name).casefold() != value.casefold():
            raise ValueError(f"{self._at(name)} is not the requested one")
        return self

    def file(self, name: str, label_format: str) -> bytes:
        """Return a file in base64 (RFC 4648) that begins like its format."""
        try:
            content = base64.b64decode(self.text(name), validate=True)
        except binascii.Error as error:
            raise ValueError(f"{self._at(name)} is not base64") from error
        start = FILE_STARTS.get(label_format.upper())
        if start is None or not content.startswith(start):
            raise ValueError(f"{self._at(name)} is not a file of its format")
        return content

    def number(self, name: str, default: Any = _REQUIRED) -> Decimal:
        """Return a finite number below 10 billion."""
        value = self._get(name, default)
        return default if value is default else _number(value, self._at(name))

    def amount(self, name: str, default: Any = _REQUIRED) -> Decimal:
        """Return an amount of money: a number of at least 0."""
        value = self.number(name, default)
        if value is not default and value < 0:
            raise ValueError(f"{self._at(name)} is negative")
        return value

    def integer(self, name: str, default: Any = _REQUIRED, *, most: int = 32_767) -> int:
        """Return a whole number from 0 to ``most``."""
        value = self._get(name, default)
        return default if value is default else _integer(value, self._at(name), most)

    def flag(self, name: str, default: Any = _REQUIRED) -> bool:
        """Return a boolean."""
        value = self._get(name, default)
        if value is not default and not isinstance(value, bool):
            raise ValueError(f"{self._at(name)} is not true or false")
        return value

    def time(self, name: str, default: Any = _REQUIRED) -> datetime:
        """Return an instant in UTC; a time without an offset is in the record's ``zone``."""
        text = self.text(name, default)
        return default if text is default else read_time(text, self._at(name), zone=self.zone)[0]

    def record(self, name: str, default: Any = _REQUIRED) -> Record:
        """Return a nested object."""
        value = self._get(name, default)
        return default if value is default else Record(value, self._at(name), zone=self.zone)

    def records(self, name: str) -> list[Record]:
        """Return a list of objects."""
        items = enumerate(self._list(name, _REQUIRED))
        return [Record(item, f"{self._at(name)}[{number}]", zone=self.zone) for number, item in items]

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; empty if absent."""
        values = self._list(name, [])
        if not all(isinstance(value, str) and value for value in values):
            raise ValueError(f"{self._at(name)} is not a list of texts")
        return tuple(to_storable(value) for value in values)

    def integers(self, name: str) -> dict[str, int]:
        """Return an object of whole numbers; empty if absent."""
        return {key: _integer(value, f"{self._at(name)}.{key}", 32_767) for key, value in self.mapping(name).items()}

    def mapping(self, name: str, default: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """Return an object with any keys and values; empty if absent."""
        return to_storable(Record(self._get(name, default), self._at(name)).value)

    def lenient(self, read: Callable[..., T], name: str, default: T, **more: Any) -> T:
        """Return a field, or ``default`` if it is unreadable, for fields that nothing depends on.

        A paid label or a scan must not be lost because of such a field. ``read`` is one of the methods above.
        """
        try:
            return read(self, name, default, **more)
        except UNREADABLE as error:
            log.warning("unreadable field ignored", extra={"problem": str(error)[:200]})
            return default

    def _get(self, name: str, default: Any) -> Any:
        value = self.value.get(name)
        if value is None and default is _REQUIRED:
            raise ValueError(f"{self._at(name)} is missing")
        return default if value is None else value

    def _list(self, name: str, default: Any) -> list[Any]:
        value = self._get(name, default)
        if not isinstance(value, list):
            raise ValueError(f"{self._at(name)} is not a list")
        return value

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def matching(rows: Sequence[Record], name: str, value: str) -> list[Record]:
    """Return the rows of a lookup that have the requested value in a field, in any case.

    Raises ``ValueError`` if there are rows but none matches: an empty list would read as "nothing was bought", and the
    order would be bought again.
    """
    found = [row for row in rows if row.lenient(Record.text, name, "").casefold() == value.casefold()]
    if rows and not found:
        raise ValueError(f"no row has the requested {name}")
    return found


def read_time(text: str, name: str = "the time", *, zone: tzinfo = UTC) -> tuple[datetime, bool]:
    """Return an ISO 8601 time in UTC, and whether ``zone`` had to be assumed. Raises ``ValueError``.

    When clocks are set back, an ambiguous time is the earlier one; when they are set forward, a skipped time has the
    offset from before.
    """
    try:
        moment = datetime.fromisoformat(text)
        assumed = moment.tzinfo is None
        return (moment.replace(tzinfo=zone) if assumed else moment).astimezone(UTC), assumed
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} is not an ISO 8601 time") from error


def to_storable(value: Any, _depth: int = 0) -> Any:
    """Return a JSON value that any database and JSON writer takes: no NUL, lone surrogate, ``Decimal`` or NaN.

    Values nested deeper than any carrier documents are cut: they could be stored, but not be written as JSON again.
    """
    if _depth > _MAX_DEPTH and isinstance(value, Mapping | list | tuple):
        return "…"
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {to_storable(str(key)): to_storable(item, _depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_storable(item, _depth + 1) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:  # beyond what JSON writers and databases take
        return str(value) if abs(value) < 10**100 else None
    if isinstance(value, float | Decimal):
        return float(value) if isfinite(float(value)) else None
    return value


def _number(value: Any, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{name} is not a number")
    number = Decimal(str(value))
    if not number.is_finite() or abs(number) >= _MAX_NUMBER:
        raise ValueError(f"{name} is out of range")
    return number


def _integer(value: Any, name: str, most: int) -> int:
    number = _number(value, name)
    if number != int(number) or not 0 <= number <= most:
        raise ValueError(f"{name} is not a whole number from 0 to {most}")
    return int(number)
