"""Currencies that are legal tender today (CLDR), and their minor units (ISO 4217)."""

from __future__ import annotations

from functools import cache

from babel.core import get_global
from babel.numbers import get_territory_currencies

# ISO 4217, list one. CLDR counts fewer decimals for some, where no coins of the minor unit are left.
_WITHOUT_DECIMALS = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
_WITH_THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])


def minor_digits(currency: str) -> int:
    """Return the number of decimals of a currency's amounts; two for an unknown one."""
    if currency in _WITHOUT_DECIMALS:
        return 0
    return 3 if currency in _WITH_THREE_DECIMALS else 2


@cache
def current_currencies() -> frozenset[str]:
    """Return the codes of today's legal tender: no obsolete ones, no metals, no test codes."""
    return frozenset(code for country in get_global("territory_currencies") for code in _tender(country))


def currency_of(country: str) -> str:
    """Return the currency of a country; empty if it has none or several of its own."""
    found = _tender(country.upper()) if country else ()
    return found[0] if found else ""


@cache
def _tender(country: str) -> tuple[str, ...]:
    return tuple(get_territory_currencies(country, tender=True))
