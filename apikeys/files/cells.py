"""Read cells as Excel, LibreOffice and Numbers write them into CSV files.

Each function returns a cell's value, or raises ``ValueError`` with the reason. The reason does not contain the value,
which may be secret.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apikeys.http.text import normalize_text

# Ways to write dates: day first, month first, the day numbers of spreadsheets.
DATE_ORDERS = ("dmy", "mdy", "serial")
# A number of this many digits or more with only zeros after the 15th was cut, as floating-point numbers are. Shorter
# ones end in zeros by chance too often.
_CUT_DIGITS = 18
# ="00123" shows a text that a spreadsheet would read as a number.
_TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
# What a cell shows in place of a value: the formula's error in English, Spanish, French and German, or a column that
# is too narrow.
_ERRORS = re.compile(
    r"#{2,}|Err:[0-9]{3}|#(N/A|N/D|ND|NV|DIV/0!|¡DIV/0!|REF!|¡REF!|BEZUG!|VALUE!|¡VALOR!|VALEUR!|WERT!|NUM!|¡NUM!|"
    r"NOMBRE!|ZAHL!|NAME\?|¿NOMBRE\?|NOM\?|NULL!|¡NULO!|NUL!|SPILL!|CALC!)"
)
# An exponent without a sign or decimal point is left out: 12E345678 is a tracking number.
_EXPONENT = re.compile(r"[+-]?[0-9]+([.,][0-9]+[Ee][+-]?|[Ee][+-])[0-9]+")
_DECIMAL = re.compile(r"[+-]?[0-9]+([.,'’][0-9]+)+")
_DAY_NUMBER = re.compile(r"[0-9]{5}([.,][0-9]+)?")
_DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001  # right from March 1900 on, as Excel has a 29 February 1900
_TIME = re.compile(
    r"(?P<first>[0-9]{1,4})(?P<mark>[/.-])(?P<second>[0-9]{1,2})(?P=mark)(?P<third>[0-9]{1,4})"
    r"(?:(?:,? +|T)(?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{2})(?:[:.](?P<end>[0-9]{2}))?(?P<part>[.,][0-9]{1,9})?"
    r"(?: ?(?P<half>[AaPp])\.? ?[Mm]\.?)?)? ?(?P<offset>Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?",
)

_BASIC = re.compile(r"[0-9]{8}(T[0-9]{4}(?:[0-9]{2})?)?")


def read_text(cell: str) -> str:
    """Return a cell's text, without the characters that a spreadsheet or an exporter puts before it."""
    return _unwrap(cell)[0]


def read_identifier(cell: str) -> str:
    """Return a number or code that names an object. What is left of one that became a number is refused.

    A text formula such as ``="1.234"`` is taken as it is.
    """
    text, is_text = _unwrap(cell)
    if is_text:
        return text
    if re.match(r"'[0-9A-Za-z]", text):  # the sign for text in a spreadsheet
        return text[1:].strip()
    if _EXPONENT.fullmatch(text):
        raise ValueError("A spreadsheet turned it into a number with an exponent; digits are lost.")
    if _DECIMAL.fullmatch(text):
        raise ValueError('A spreadsheet turned it into a decimal or grouped number. If it is right, write ="…".')
    digits = "".join(text.split())
    if digits.isdecimal() and len(digits) >= _CUT_DIGITS and not digits[15:].strip("0"):
        raise ValueError('A spreadsheet set the digits after the 15th to zero. If it is right, write ="…".')
    return text


def read_secret(cell: str) -> str:
    """Return an identifier that must not be changed: one with an apostrophe before it is refused."""
    if cell.strip().startswith("'"):
        raise ValueError('It starts with the apostrophe of spreadsheets. If it is right, write ="…".')
    return read_identifier(cell)


def read_time(cell: str, *, order: str = "", zone: ZoneInfo | None = None) -> str:
    """Return a date, with or without a time, in ISO 8601; a text that has no such form is returned as it is.

    Args:
        order: One of ``DATE_ORDERS``. Empty: only dates that start with the year are read.
        zone: The zone of times without an offset.
    """
    text = normalize_text(read_text(cell))
    if _DAY_NUMBER.fullmatch(text):
        iso = _read_day_number(text, order)
    elif found := _TIME.fullmatch(text):
        iso = _format(found, order)
    elif _BASIC.fullmatch(text):
        iso = text
    else:
        return text
    if zone is None or datetime.fromisoformat(iso).tzinfo:
        return iso
    earlier, later = (datetime.fromisoformat(iso).replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if earlier.utcoffset() != later.utcoffset():
        raise ValueError(f"The clocks of {zone} change at this time; write its offset.")
    return earlier.isoformat()


def find_order(cell: str) -> str:
    """Return ``dmy`` or ``mdy`` if a date can be read in this order only, else an empty string."""
    orders = []
    for order in ("dmy", "mdy"):
        try:
            read_time(cell, order=order)
            orders.append(order)
        except ValueError:
            pass
    return orders[0] if len(orders) == 1 else ""


def _unwrap(cell: str) -> tuple[str, bool]:
    """Return the text of a cell, and whether it is a text formula."""
    text = cell.strip()
    if "\0" in text:
        raise ValueError("It contains a null character.")
    if "\ufffd" in text:
        raise ValueError("It contains characters that were lost when the file was saved.")
    if re.search("[\ud800-\udfff]", text):
        raise ValueError("It contains a byte that is not UTF-8.")
    if found := _TEXT_FORMULA.fullmatch(text):
        return found[1].replace('""', '"'), True
    if text.startswith("="):
        raise ValueError("It is a formula, not its value.")
    if _ERRORS.fullmatch(text):
        raise ValueError("It is a spreadsheet's error or a column that is too narrow, not a value.")
    # Exporters put an apostrophe before these, so that a spreadsheet runs no formula.
    return text[1:] if re.match(r"'[=+@-]", text) else text, False


def _read_day_number(text: str, order: str) -> str:
    if order != "serial":
        raise ValueError("It is a spreadsheet's day number. Format the column as a date, or use --dates serial.")
    days, _mark, part = text.replace(",", ".").partition(".")
    moment = _DAY_ZERO + timedelta(days=int(days), seconds=round(float(f"0.{part or 0}") * 86400))
    return moment.isoformat()


def _format(found: re.Match[str], order: str) -> str:
    first, second, third = found["first"], found["second"], found["third"]
    if len(first) == 4:
        year, month, day = first, second, third
    elif order not in ("dmy", "mdy"):
        raise ValueError("Day and month may be confused. Use --dates dmy or mdy, or write the year first.")
    else:
        year = third if len(third) > 2 else f"20{third:0>2}"
        day, month = (first, second) if order == "dmy" else (second, first)
    hour = int(found["hour"] or 0)
    if half := found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("There is no such time of a half day.")
        hour = hour % 12 + (12 if half in "Pp" else 0)
    offset = found["offset"] or ""
    clock = f"T{hour:02}:{found['minute']}:{found['end'] or '00'}{(found['part'] or '').replace(',', '.')}"
    iso = f"{year}-{month:0>2}-{day:0>2}{clock if found['hour'] else ''}" + ("Z" if offset[:1].isalpha() else offset)
    try:
        datetime.fromisoformat(iso)
    except ValueError:
        raise ValueError("There is no such date or time.") from None
    return iso
