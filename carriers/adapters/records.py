"""Reading of carriers' JSON, into values that every database and JSON writer takes.

A value counts by what it says, not by its JSON type: an amount may be a text, a number may be an identifier.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from decimal import Decimal
from math import isfinite
from types import MappingProxyType
from typing import Any, TypeVar

from carriers.adapters import values
from carriers.adapters.currencies import currency_code
from carriers.adapters.skipping import skip
from carriers.types import EARLIEST_TIME

T = TypeVar("T")
log = logging.getLogger(__name__)
# Errors of parsing and reading a carrier's JSON: wrong types, extreme numbers, extreme nesting.
UNREADABLE = (ValueError, ArithmeticError, RecursionError)
_MAX_AHEAD = timedelta(days=2 * 366)
_MAX_DEPTH = 20  # levels of objects and lists
_REQUIRED: Any = object()


class Record:
    """A carrier's JSON object. A field that is missing or unreadable raises ``ValueError`` with its path.

    A field with a default may be absent, null or, if it is a text, empty. Errors never quote the value, which may be
    secret.
    """

    def __init__(self, value: Any, path: str = "", *, zone: tzinfo = UTC) -> None:
        if not isinstance(value, Mapping):
            raise ValueError(f"{path or 'the body'} is not an object")
        self.value, self.path, self.zone = value, path, zone

    def text(self, name: str, default: Any = _REQUIRED, *, most: int | None = None) -> str:
        """Return a text of at most ``most`` characters; a number is read as one."""
        value = self._get(name, default)
        if isinstance(value, int | Decimal) and not isinstance(value, bool) and value is not default:
            value = values.number_as_text(value)
        if value is default or (value == "" and default is not _REQUIRED):
            return default
        if not isinstance(value, str) or not value or len(value) > (most or len(value)):
            raise ValueError(f"{self._at(name)} is not a text" + (f" of 1 to {most} characters" if most else ""))
        return to_storable(value)

    def identifier(self, name: str, *, most: int = 50) -> str:
        """Return an identifier of letters, digits, ``-`` and ``_``, as it becomes part of paths and file names."""
        value = self.text(name).strip()
        if len(value) > most or not re.fullmatch(r"[A-Za-z0-9_-]+", value):
            raise ValueError(f"{self._at(name)} is not an identifier of letters, digits, - and _")
        return value

    def token(self, name: str) -> str:
        """Return an access token: visible ASCII characters, so that it fits into an HTTP header."""
        value = self.text(name)
        if not re.fullmatch(r"[\x21-\x7e]+", value):
            raise ValueError("the token is not usable")
        return value

    def word(self, name: str, default: Any = _REQUIRED) -> str:
        """Return a text that decides something; a number is none."""
        if isinstance(self._get(name, default), int | Decimal):
            raise ValueError(f"{self._at(name)} is not a text")
        return self.text(name, default)

    def expect(self, name: str, value: str) -> Record:
        """Return this record if the field has the requested value, in any case; else raise ``ValueError``."""
        if lookup_key(self.text(name)) != lookup_key(value):
            raise ValueError(f"{self._at(name)} is not the requested one")
        return self

    def file(self, name: str, declared: str = "") -> tuple[bytes, str]:
        """Return a file in base64 (RFC 4648) and its format: ``values.decode_file``."""
        return values.decode_file(self.text(name), self._at(name), declared)

    def number(self, name: str, default: Any = _REQUIRED) -> Decimal:
        """Return a finite number below 10 billion; a text such as "1,234.50" or "Rs. 80" is read as one."""
        value = self._get(name, default)
        return default if value is default else values.read_number(value, self._at(name))

    def decimal_text(self, name: str, default: Any = _REQUIRED) -> Decimal:
        """Return a number of digits with at most one decimal point, written as a text: "1,23" is unreadable."""
        text = self.text(name, default)
        if text is default:
            return default
        if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text.strip()):
            raise ValueError(f"{self._at(name)} is not a decimal number")
        return values.read_number(text, self._at(name))

    def amount(self, name: str, default: Any = _REQUIRED) -> Decimal:
        """Return an amount of money: a number of at least 0."""
        value = self.number(name, default)
        if value is not default and value < 0:
            raise ValueError(f"{self._at(name)} is negative")
        return value

    def integer(self, name: str, default: Any = _REQUIRED, *, most: int = 32_767) -> int:
        """Return a whole number from 0 to ``most``."""
        value = self._get(name, default)
        return default if value is default else values.read_integer(value, self._at(name), most)

    def flag(self, name: str, default: Any = _REQUIRED) -> bool:
        """Return a boolean; 0, 1 and the words of ``values.FLAGS`` are read as one."""
        value = self._get(name, default)
        return default if value is default else values.read_flag(value, self._at(name))

    def time(self, name: str, default: Any = _REQUIRED) -> datetime:
        """Return an instant in UTC; a time without an offset is in the record's ``zone``. See ``local_time``."""
        moment = self.local_time(name, default)
        return default if moment is default else moment.astimezone(UTC)

    def local_time(self, name: str, default: Any = _REQUIRED) -> datetime:
        """Return an instant with the offset that it was reported with, so that its date is the reported day.

        A time before 2000 or years ahead is unreadable: it is that of an empty field or of a clock that is not set.
        """
        text = self.text(name, default)
        if text is default:
            return default
        return self._possible(values.read_local_time(text, self._at(name), zone=self.zone)[0], name)

    def epoch_ms(self, name: str, default: Any = _REQUIRED) -> datetime:
        """Return an instant in UTC, reported as milliseconds since 1970."""
        text = self.text(name, default)
        if text is default:
            return default
        if not re.fullmatch(r"[0-9]{1,14}", text.strip()):
            raise ValueError(f"{self._at(name)} is not in milliseconds since 1970")
        return self._possible(datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(text)), name)

    def moment(self, date: str, time: str, offset: str = "") -> tuple[datetime, bool]:
        """Return an instant with its offset, reported in several fields, and whether ``zone`` had to be assumed.

        Args:
            date, time: names of fields such as 20270115 or 2027-01-15, and 103000, 1030 or 10:30:00.
            offset: name of a field such as +01:00 or -0500, which may be absent.
        """
        zone = self.text(offset, "") if offset else ""
        moment, assumed = values.read_date_and_time(
            self.text(date), self.text(time), zone, self._at(date), zone=self.zone
        )
        return self._possible(moment, date), assumed

    def _possible(self, moment: datetime, name: str) -> datetime:
        if not EARLIEST_TIME <= moment <= datetime.now(UTC) + _MAX_AHEAD:
            raise ValueError(f"{self._at(name)} is not a possible time")
        return moment

    def deadline(self, name: str, default: Any = _REQUIRED) -> datetime:
        """Return an instant in UTC; of a day without a time, the last minute in the record's ``zone``."""
        text = self.text(name, default)
        if text is default or not values.is_day(text):
            return self.time(name, default)
        return datetime.combine(self.local_time(name).date(), time(23, 59), tzinfo=self.zone).astimezone(UTC)

    def record(self, name: str, default: Any = _REQUIRED) -> Record:
        """Return a nested object."""
        value = self._get(name, default)
        return default if value is default else Record(value, self._at(name), zone=self.zone)

    def optional(self, name: str) -> Record:
        """Return a nested object, or an empty one if it is absent or unreadable: nothing depends on its fields."""
        return self.lenient(Record.record, name, Record({}, self._at(name), zone=self.zone))

    def position(self) -> tuple[float, float] | tuple[None, None]:
        """Return latitude and longitude (``lat``, ``lng``), or neither if one is absent or unreadable."""
        latitude, longitude = (self.lenient(Record.number, name, None) for name in ("lat", "lng"))
        return (None, None) if latitude is None or longitude is None else (float(latitude), float(longitude))

    def currency(self, name: str, country: str) -> str:
        """Return an ISO 4217 code; empty, with a warning in the log, if none can be read (``currency_code``).

        Args:
            country: of the route or credential; it decides what a symbol such as "$" means.
        """
        text = self.lenient(Record.text, name, "")
        code = currency_code(text, country)
        if text and not code:
            log.warning("unknown currency ignored", extra={"path": self._at(name)})
        return code

    def records(self, name: str) -> list[Record]:
        """Return a list of objects, all of them: for bookings, of which none may be missing."""
        items = enumerate(self._list(name, _REQUIRED))
        return [Record(item, f"{self._at(name)}[{number}]", zone=self.zone) for number, item in items]

    def each(self, name: str, read: Callable[[Record], T]) -> list[T]:
        """Return what ``read`` makes of each object of a list; an unreadable one is skipped, counted and logged.

        Raises ``ValueError`` if the list is not empty and no object is readable.
        """
        items = enumerate(self._list(name, _REQUIRED))
        paths = [(f"{self._at(name)}[{number}]", item) for number, item in items]
        return read_each(paths, lambda path, item: read(Record(item, path, zone=self.zone)))

    def one_or_many(self, name: str) -> Record:
        """Return this record with a list in a field that may be absent, one element or a list."""
        value = self.value.get(name)
        items = value if isinstance(value, list) else [] if value in (None, "") else [value]
        return Record({**self.value, name: items}, self.path, zone=self.zone)

    def texts(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a list of texts, as ``each``; a single text is a list of one."""
        found = self._get(name, list(default))
        items = enumerate([found] if isinstance(found, str) and found else self._list(name, list(default)))
        paths = [(f"{self._at(name)}[{number}]", item) for number, item in items]
        return tuple(read_each(paths, lambda path, item: Record({path: item}).text(path)))

    def integers(self, name: str, default: Mapping[str, int] = MappingProxyType({})) -> dict[str, int]:
        """Return an object of whole numbers, as ``each``."""
        entries = self.mapping(name, default).items()
        paths = [(f"{self._at(name)}[{number}]", entry) for number, entry in enumerate(entries)]
        return dict(read_each(paths, lambda path, entry: (entry[0], values.read_integer(entry[1], path, 32_767))))

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

    def optional_texts(self, *names: str) -> list[str]:
        """Return texts that nothing depends on; one that is absent or unreadable is empty."""
        return [self.lenient(Record.text, name, "").strip() for name in names]

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


def lookup_key(number: str) -> str:
    """Return a tracking number as it is compared: without blanks, in upper case."""
    return "".join(number.split()).upper()


def now() -> datetime:
    """Return the time of a booking that the carrier does not report.

    Scans have whole seconds: with a fraction, the booking would look newer than a scan of the same second.
    """
    return datetime.now(UTC).replace(microsecond=0)


def read_each(items: Sequence[tuple[str, Any]], read: Callable[[str, Any], T]) -> list[T]:
    """Return ``read(path, item)`` for each (path, item); an unreadable item is skipped, counted and logged by path.

    Raises ``ValueError`` if there are items and none is readable: the part around them is then unreadable too.
    """
    found: list[T] = []
    problem: Exception | None = None
    for path, item in items:
        try:
            found.append(read(path, item))
        except UNREADABLE as error:
            problem = error
            skip(path, error)
    if problem and not found:
        raise ValueError(str(problem)) from problem
    return found


def matching(rows: Sequence[Record], name: str, value: str) -> list[Record]:
    """Return the rows of a lookup that have the requested value in a field, in any case.

    Raises ``ValueError`` if there are rows but none matches, or one has an unreadable value: an empty list would read
    as "nothing was bought", and the order would be bought again.
    """
    found = [row for row in rows if lookup_key(row.text(name, "")) == lookup_key(value)]
    if rows and not found:
        raise ValueError(f"no row has the requested {name}")
    return found


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
