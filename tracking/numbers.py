"""Make, check and parse tracking numbers, with pure functions.

A number is 16 characters of ``0-9A-Z``::

    MY ID 4Q0ZK81WB7T P
    |  |  |           one check character over the 15 before it, ISO 7064 MOD 37,36
    |  |  11 base-36 characters of HMAC-SHA256 over the request
    |  destination country, ISO 3166-1 alpha-2
    origin country

Numbers cannot be predicted without the secret. A mistyped number is recognised without it.

Postal merchants use the second format, UPU S10. It has 13 characters, of which 8 digits come from the same hash::

    CP 47382910 4 MY
    |  |        | issuing country, the origin
    |  |        check digit over the eight before it, weights 8 6 4 2 3 5 9 7, modulo 11
    |  serial number
    service indicator: the kind of item (CP parcel, RR registered, EE express)
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
HASH_LENGTH = 11
# Number of different hash parts for one pair of countries.
SPACE = len(ALPHABET) ** HASH_LENGTH

S10_SPACE = 10**8
DEFAULT_INDICATOR = "CP"

_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
_FORM = re.compile(r"[A-Z]{4}[A-Z0-9]{12}")
_S10 = re.compile(r"([A-Z]{2})([0-9]{8})([0-9])([A-Z]{2})")
_S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,16}")


class Secret(NamedTuple):
    """A secret for the HMAC. Its version is stored with each number, the secret itself is not."""

    version: str
    value: bytes


@dataclass(frozen=True)
class NumberRequest:
    """The request that a number is made for.

    origin, destination: upper-case codes.
    created_at: aware.
    indicator: service indicator of an S10 number; empty for our own format.
    """

    origin: str
    destination: str
    weight_kg: Decimal
    created_at: datetime
    customer_id: UUID
    customer_name: str
    customer_slug: str
    indicator: str = ""

    def message(self, correlation_id: str) -> bytes:
        """Return the text to hash. Equal requests have the same text: 1.2 kg is 1.200 kg, 08:00+08:00 is 00:00Z.

        Different requests have different texts, because JSON quotes each value.
        """
        values = [
            self.origin,
            self.destination,
            f"{self.weight_kg:.3f}",
            self.created_at.astimezone(UTC).isoformat(),
            str(self.customer_id),
            self.customer_name,
            self.customer_slug,
            correlation_id,
            *([self.indicator] if self.indicator else []),
        ]
        return json.dumps(values, separators=(",", ":")).encode()


class ParsedS10(NamedTuple):
    """The parts of an S10 number."""

    indicator: str
    serial: str
    check_digit: str
    country: str


class Parsed(NamedTuple):
    """The parts of a number."""

    origin: str
    destination: str
    hash_part: str
    check_character: str


def make(*, origin: str, destination: str, message: bytes, secret: bytes, derivation: int = 0) -> str:
    """Return the number of a message. ``derivation`` 1, 2, … give alternatives if the number is taken."""
    body = origin + destination + _base36(_hash(message, secret, derivation) % SPACE)
    return body + check_character(body)


def make_s10(*, indicator: str, country: str, message: bytes, secret: bytes, derivation: int = 0) -> str:
    """Return the S10 number of a message. ``derivation`` 1, 2, … give alternatives if the number is taken."""
    serial = f"{_hash(message, secret, derivation) % S10_SPACE:08}"
    return f"{indicator}{serial}{s10_check_digit(serial)}{country}"


def check_s10(number: str) -> bool:
    """Return whether an S10 number has the right form and check digit."""
    found = _S10.fullmatch(number)
    return bool(found) and s10_check_digit(found[2]) == found[3]


def parse_s10(number: str) -> ParsedS10:
    """Return the parts of an S10 number. Raises ``ValueError`` if ``check_s10`` refuses it."""
    if not check_s10(number):
        raise ValueError(f"{number!r} is not an S10 number.")
    return ParsedS10(number[:2], number[2:10], number[10], number[11:])


def s10_check_digit(serial: str) -> str:
    """Return the check digit by UPU S10-12, section 4: 11 - weighted sum mod 11, with 10 written 0 and 11 written 5."""
    rest = 11 - sum(int(digit) * weight for digit, weight in zip(serial, _S10_WEIGHTS, strict=True)) % 11
    return str({10: 0, 11: 5}.get(rest, rest))


def check(number: str) -> bool:
    """Return whether a number has the right form and check character. Letters must be in upper case."""
    return bool(_FORM.fullmatch(number)) and check_character(number[:-1]) == number[-1]


def parse(number: str) -> Parsed:
    """Return the parts of a number. Raises ``ValueError`` if ``check`` refuses it."""
    if not check(number):
        raise ValueError(f"{number!r} is not a tracking number.")
    return Parsed(number[:2], number[2:4], number[4:-1], number[-1])


def check_character(body: str) -> str:
    """Return the check character by ISO 7064:2003, hybrid system MOD 37,36 (section 9).

    It detects every single wrong character and nearly every swap of neighbours. ``body`` has only ``0-9A-Z``.
    """
    remainder = 36
    for letter in body:
        remainder = (remainder + _VALUES[letter]) % 36 or 36
        remainder = remainder * 2 % 37
    return ALPHABET[(37 - remainder) % 36]


@lru_cache(maxsize=8)
def first_secret(setting: str) -> Secret:
    """Return the first secret of a setting ``version:secret,version:secret``. It is used for new numbers.

    Raises: ImproperlyConfigured. Its message does not contain the secret.
    """
    version, _, value = setting.partition(",")[0].strip().partition(":")
    if not (_VERSION.fullmatch(version) and value):
        raise ImproperlyConfigured(
            "TRACKING_NUMBER_SECRETS must be a comma-separated list of version:secret. "
            "A version has 1 to 16 of the characters A-Za-z0-9._-"
        )
    return Secret(version, value.encode())


def _hash(message: bytes, secret: bytes, derivation: int) -> int:
    # The message is JSON and ends in "]", so no other message and derivation give the same bytes.
    return int.from_bytes(hmac.digest(secret, b"%s%d" % (message, derivation), hashlib.sha256))


def _base36(value: int) -> str:
    letters = []
    for _ in range(HASH_LENGTH):
        value, digit = divmod(value, 36)
        letters.append(ALPHABET[digit])
    return "".join(reversed(letters))
