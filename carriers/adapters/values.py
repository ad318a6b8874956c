"""Values of carriers' JSON in all the forms that carriers write them. Errors never quote a value."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

# The first bytes of each format: ISO 32000-1 7.5.2, PNG (W3C) 5.2, Zebra's ZPL II guide on ^XA, GIF89a 17.
FILE_STARTS = {"PDF": b"%PDF", "PNG": b"\x89PNG\r\n\x1a\n", "ZPL": b"^XA", "GIF": b"GIF8"}
FLAGS = {"true": True, "yes": True, "y": True, "1": True, "false": False, "no": False, "n": False, "0": False}
_MAX_NUMBER = Decimal(10) ** 10  # of money, weight or distance; beyond it, arithmetic with Decimal gets slow
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# An amount with or without a currency before or after it; a comma separates thousands, also as in India.
_AMOUNT = re.compile(r"[^\d.,+-]{0,5}?\.?\s*([+-]?(?:\d+|\d{1,3}(?:,\d{2,3})*,\d{3})(?:\.\d+)?)\s*[^\d.,+-]{0,5}", re.A)
# Times other than ISO 8601 in which day and month cannot be taken for each other.
_TIME_FORMATS = tuple(
    f"{day}{time}"
    for day in ("%Y/%m/%d", "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%b %d %Y")
    for time in ("", " %H:%M:%S", " %H:%M", ", %H:%M:%S", ", %H:%M", " %I:%M %p", ", %I:%M %p", " %I:%M:%S %p")
)
_TIME_OF_DAY = re.compile(r":|\d[Tt]\d")
_EPOCH = re.compile(r"\d{10}(\d{3})?", re.A)  # seconds or milliseconds


def filled(value: Any) -> Any:
    """Return JSON without empty texts, objects and lists, for carriers that refuse them."""
    empty = (None, "", {}, [])
    if isinstance(value, Mapping):
        return {name: item for name, part in value.items() if (item := filled(part)) not in empty}
    return [item for part in value if (item := filled(part)) not in empty] if isinstance(value, list) else value


def number_as_text(value: int | Decimal) -> str:
    """Return a number as the text that the carrier could have sent instead, without an exponent."""
    if abs(value) >= 10**100:
        raise ValueError("a number is out of range")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def read_number(value: Any, name: str) -> Decimal:
    """Return a finite number below 10 billion, also from a text."""
    if isinstance(value, str) and len(value) <= 40 and (match := _AMOUNT.fullmatch(value.strip())):
        value = Decimal(match[1].replace(",", ""))
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{name} is not a number")
    number = Decimal(str(value))
    if not number.is_finite() or abs(number) >= _MAX_NUMBER:
        raise ValueError(f"{name} is out of range")
    return number


def read_integer(value: Any, name: str, most: int) -> int:
    """Return a whole number from 0 to ``most``, also from a text."""
    number = read_number(value, name)
    if number != int(number) or not 0 <= number <= most:
        raise ValueError(f"{name} is not a whole number from 0 to {most}")
    return int(number)


def read_flag(value: Any, name: str) -> bool:
    """Return a boolean, also from 0, 1 or a word."""
    flag = FLAGS.get(str(value).strip().lower()) if isinstance(value, bool | int | str) else None
    if flag is None:
        raise ValueError(f"{name} is not true or false")
    return flag


def read_time(text: str, name: str = "the time", *, zone: tzinfo = UTC) -> tuple[datetime, bool]:
    """Return a time in UTC, and whether ``zone`` had to be assumed: ``read_local_time``."""
    moment, assumed = read_local_time(text, name, zone=zone)
    return moment.astimezone(UTC), assumed


def read_local_time(text: str, name: str = "the time", *, zone: tzinfo = UTC) -> tuple[datetime, bool]:
    """Return a time with its own offset, and whether ``zone`` had to be assumed. Raises ``ValueError``.

    Read are ISO 8601, seconds or milliseconds since 1970, RFC 5322, and forms with the year first or the month's name.
    When clocks are set back, an ambiguous time is the earlier one; when they are set forward, a skipped time has the
    offset from before.
    """
    try:
        moment = _parse_time(text.strip())
        assumed = moment.tzinfo is None
        local = moment.replace(tzinfo=zone) if assumed else moment
        local.astimezone(UTC)  # raises for a time outside the calendar there
        return local, assumed
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{name} is not a time") from error


def read_date_and_time(date: str, time: str, offset: str, name: str, *, zone: tzinfo) -> tuple[datetime, bool]:
    """Return a time reported in parts, with its offset, and whether ``zone`` had to be assumed. Raises ``ValueError``.

    Digits need no separators: 20270115, 103000 and 1030. The offset, +01:00, -0500 or -05.00, may be empty.
    """
    day = re.fullmatch(r"(\d{4})-?(\d\d)-?(\d\d)", date.strip(), re.A)
    clock = re.fullmatch(r"(\d\d?):?(\d\d)(?::?(\d\d))?", time.strip(), re.A)
    shift = re.fullmatch(r"|Z|([+-]\d\d)[:.]?(\d\d)", offset.strip(), re.A)
    if not (day and clock and shift):
        raise ValueError(f"{name} is not a date with a time")
    hour, minute, second = clock.groups(default="00")
    ending = f"{shift[1]}:{shift[2]}" if shift[1] else shift[0]
    return read_local_time(f"{'-'.join(day.groups())}T{hour.zfill(2)}:{minute}:{second}{ending}", name, zone=zone)


def is_day(text: str) -> bool:
    """Return whether a time is a calendar date without a time of day."""
    return not _TIME_OF_DAY.search(text) and not _EPOCH.fullmatch(text.strip())


def _parse_time(text: str) -> datetime:
    if len(text) > 64:
        raise ValueError("too long")
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(int(text[:10]), UTC)
    # A blank before the offset, and a lower-case "z", are common beside ISO 8601.
    iso = re.sub(r"\s+(?=(?:[+-]\d{2}:?\d{2}|[zZ])$)", "", text).replace("z", "Z")
    try:
        return datetime.fromisoformat(iso)
    except ValueError:
        pass
    for form in _TIME_FORMATS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 (read_time adds the zone)
        except ValueError:
            continue
    return parsedate_to_datetime(text)


def decode_file(text: str, name: str, declared: str = "") -> tuple[bytes, str]:
    """Return the content of a file in base64, and its format by its first bytes. Raises ``ValueError``.

    Read are both alphabets of RFC 4648, line breaks and blanks, missing padding and ``data:`` URLs. Blanks, line breaks
    and a byte-order mark before the file's first bytes are removed. ZPL may be written as it is.

    Args:
        declared: the carrier's word for the format. It counts for EPL and HTML, which have no first bytes of their own.
    """
    if text.lstrip("\ufeff\r\n\t ").startswith("^XA"):
        return text.lstrip("\ufeff\r\n\t ").encode(), "ZPL"
    if text.lstrip()[:5].lower() == "data:":
        text = text.partition(",")[2]
    plain = "".join(text.split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        content = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{name} is not base64") from error
    whole, content = content, content.lstrip().removeprefix(_BYTE_ORDER_MARK).lstrip()
    for label_format, start in FILE_STARTS.items():
        if content.startswith(start):
            return content, label_format
    if (declared == "EPL" and content) or (declared == "HTML" and content.startswith(b"<")):
        return whole, declared
    raise ValueError(f"{name} is not a file of a label format")
