"""Reading what a carrier answers: strictly, by the name of each field, and into nothing that could not be stored."""

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
# What parsing and reading a carrier's JSON may raise: wrong shapes, absurd numbers, absurd nesting.
UNREADABLE = (ValueError, ArithmeticError, RecursionError)
_DEEPEST = 20  # levels of objects and lists
_REQUIRED: Any = object()
# How a file of each label format begins: ISO 32000-1 7.5.2, PNG (W3C) 5.2, Zebra's ZPL II guide on ^XA.
FILE_STARTS = {"PDF": b"%PDF", "PNG": b"\x89PNG\r\n\x1a\n", "ZPL": b"^XA"}
_TOO_MUCH = Decimal(10) ** 10  # of money, weight or distance; far below what would be slow to compute with


class Record:
    """A carrier's JSON object, read strictly: a missing or wrong-typed field raises ``ValueError`` naming its path.

    A field read with a default may be absent, null or (a text) empty. Reasons never quote the value, which may be
    secret.
    """

    def __init__(self, value: Any, path: str = "", *, zone: tzinfo = UTC) -> None:
        if not isinstance(value, Mapping):
            raise ValueError(f"{path or 'the body'} is not an object")
        self.value, self.path, self.zone = value, path, zone

    def text(self, name: str, default: Any = _REQUIRED, *, most: int | None = None) -> str:
        """A text, at most ``most`` characters long."""
        value = self._get(name, default)
        if value is default or (value == "" and default is not _REQUIRED):
            return default
        if not isinstance(value, str) or not value or len(value) > (most or len(value)):
            raise ValueError(f"{self._at(name)} is not a text" + (f" of 1 to {most} characters" if most else ""))
        return storable(value)

    def identifier(self, name: str, *, most: int = 50) -> str:
        """A tracking number or the like: letters, digits, ``-`` and ``_``, as paths and file names are made of it."""
        value = self.text(name, most=most)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", value):
            raise ValueError(f"{self._at(name)} is not a number or name of letters, digits, - and _")
        return value

    def about(self, name: str, asked: str) -> Record:
        """The record itself where the field is what was asked for, in any case of letters; else ``ValueError``."""
        if self.text(name).casefold() != asked.casefold():
            raise ValueError(f"{self._at(name)} is another one than asked for")
        return self

    def file(self, name: str, label_format: str) -> bytes:
        """A file in base64 (RFC 4648) that begins as one of its format does."""
        try:
            content = base64.b64decode(self.text(name), validate=True)
        except binascii.Error as error:
            raise ValueError(f"{self._at(name)} is not base64") from error
        start = FILE_STARTS.get(label_format.upper())
        if start is None or not content.startswith(start):
            raise ValueError(f"{self._at(name)} is not a file of its format")
        return content

    def number(self, name: str, default: Any = _REQUIRED) -> Decimal:
        """A finite number of everyday size."""
        value = self._get(name, default)
        return default if value is default else _number(value, self._at(name))

    def amount(self, name: str, default: Any = _REQUIRED) -> Decimal:
        """Money that is owed: a number of at least 0."""
        value = self.number(name, default)
        if value is not default and value < 0:
            raise ValueError(f"{self._at(name)} is less than nothing")
        return value

    def integer(self, name: str, default: Any = _REQUIRED, *, most: int = 32_767) -> int:
        """A whole number from 0 to ``most``."""
        value = self._get(name, default)
        return default if value is default else _integer(value, self._at(name), most)

    def flag(self, name: str, default: Any = _REQUIRED) -> bool:
        """True or false."""
        value = self._get(name, default)
        if value is not default and not isinstance(value, bool):
            raise ValueError(f"{self._at(name)} is not true or false")
        return value

    def time(self, name: str, default: Any = _REQUIRED) -> datetime:
        """An instant in UTC; without an offset it is taken as a time of the record's ``zone``."""
        text = self.text(name, default)
        return default if text is default else read_time(text, self._at(name), zone=self.zone)[0]

    def record(self, name: str, default: Any = _REQUIRED) -> Record:
        """An object inside."""
        value = self._get(name, default)
        return default if value is default else Record(value, self._at(name), zone=self.zone)

    def records(self, name: str) -> list[Record]:
        """A list of objects."""
        items = enumerate(self._list(name, _REQUIRED))
        return [Record(item, f"{self._at(name)}[{number}]", zone=self.zone) for number, item in items]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty where absent."""
        values = self._list(name, [])
        if not all(isinstance(value, str) and value for value in values):
            raise ValueError(f"{self._at(name)} is not a list of texts")
        return tuple(storable(value) for value in values)

    def integers(self, name: str) -> dict[str, int]:
        """An object of whole numbers; empty where absent."""
        return {key: _integer(value, f"{self._at(name)}.{key}", 32_767) for key, value in self.free(name).items()}

    def free(self, name: str, default: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """An object of the carrier's choice, storable; empty where absent."""
        return storable(Record(self._get(name, default), self._at(name)).value)

    def hint(self, read: Callable[..., T], name: str, default: T, **more: Any) -> T:
        """What is good to know and nothing depends on (``read``: one of the above): unreadable, it is as if absent.

        A label that was paid for, or a scan, must not be lost by it.
        """
        try:
            return read(self, name, default, **more)
        except UNREADABLE as error:
            log.warning("a field of a carrier's answer is not readable", extra={"problem": str(error)[:200]})
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


def those_about(rows: Sequence[Record], name: str, asked: str) -> list[Record]:
    """Of a look-up's rows those whose field is what was asked for, in any case of letters.

    Raises ``ValueError`` where there are rows and none is: that is no answer, and whoever took it for "nothing was
    bought" would buy again.
    """
    found = [row for row in rows if row.hint(Record.text, name, "").casefold() == asked.casefold()]
    if rows and not found:
        raise ValueError(f"no row's {name} is the one that was asked for")
    return found


def read_time(text: str, name: str = "the time", *, zone: tzinfo = UTC) -> tuple[datetime, bool]:
    """An ISO 8601 time in UTC, and whether ``zone`` had to be assumed. Raises ``ValueError``.

    A time that the zone's clocks show twice is the earlier one; one that they skip counts on from before the gap.
    """
    try:
        moment = datetime.fromisoformat(text)
        assumed = moment.tzinfo is None
        return (moment.replace(tzinfo=zone) if assumed else moment).astimezone(UTC), assumed
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} is not an ISO 8601 time") from error


def storable(value: Any, _depth: int = 0) -> Any:
    """The same JSON value as any database and writer takes it: no NUL, no half characters, no ``Decimal``, no NaN.

    What is nested deeper than any carrier's document is cut: it could be stored and not be written out again.
    """
    if _depth > _DEEPEST and isinstance(value, Mapping | list | tuple):
        return "…"
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(item, _depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item, _depth + 1) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:  # more than JSON writers and databases take
        return str(value) if abs(value) < 10**100 else None
    if isinstance(value, float | Decimal):
        return float(value) if isfinite(float(value)) else None
    return value


def _number(value: Any, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{name} is not a number")
    number = Decimal(str(value))
    if not number.is_finite() or abs(number) >= _TOO_MUCH:
        raise ValueError(f"{name} is out of range")
    return number


def _integer(value: Any, name: str, most: int) -> int:
    number = _number(value, name)
    if number != int(number) or not 0 <= number <= most:
        raise ValueError(f"{name} is not a whole number from 0 to {most}")
    return int(number)
