"""Shipment and package numbers with their check digits.

The modulus 10 of GS1 is right for every number in Bring's samples. Packages to countries outside the Nordic ones, and
those of PickUp Parcel from Norway, have numbers of the postal union (S10) with a check digit of modulus 11.
"""

from __future__ import annotations

import secrets

from carriers.sandbox.bring.places import DIGITS
from carriers.sandbox.bring.products import Service

_COMPANY = "0438109"  # made up in the form of the samples
_S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)


def new_shipment_number() -> str:
    """Return 17 digits."""
    return _with_modulus_10(f"7{_COMPANY}{secrets.randbelow(10**8):08}")


def new_package_number(service: Service, sender: str, recipient: str) -> str:
    """Return 18 digits, or a number like ``CR000009676NO``."""
    if sender == "NO" and (service.code == "0340" or recipient not in DIGITS):
        return f"CR{with_modulus_11(f'{secrets.randbelow(10**8):08}')}NO"
    return _with_modulus_10(f"37{_COMPANY}{secrets.randbelow(10**8):08}")


def has_check_digit(number: str) -> bool:
    """Return whether the check digit of a number is right."""
    if number.startswith("CR"):
        return with_modulus_11(number[2:-3]) == number[2:-2]
    return _with_modulus_10(number[:-1]) == number


def with_modulus_11(digits: str) -> str:
    rest = 11 - sum(int(digit) * weight for digit, weight in zip(digits, _S10_WEIGHTS, strict=True)) % 11
    return digits + {10: "0", 11: "5"}.get(rest, str(rest))


def _with_modulus_10(digits: str) -> str:
    total = sum(int(digit) * (1 if index % 2 else 3) for index, digit in enumerate(reversed(digits)))
    return f"{digits}{-total % 10}"
