"""Currencies that are legal tender today, and their minor units (ISO 4217, by CLDR)."""

from __future__ import annotations

from functools import cache

from babel.core import get_global
from babel.numbers import get_territory_currencies


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
