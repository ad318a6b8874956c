"""Currencies as carriers write them: codes, symbols and names."""

from __future__ import annotations

from functools import lru_cache

from babel.numbers import get_currency_symbol

from apikeys.http.currencies import currency_of, current_currencies

# Symbols and names of one currency only.
_UNAMBIGUOUS = {
    "€": "EUR", "euro": "EUR", "euros": "EUR", "₹": "INR", "us$": "USD", "usd$": "USD", "$us": "USD",
    "us dollar": "USD", "us dollars": "USD", "indian rupee": "INR", "indian rupees": "INR",
    "ca$": "CAD", "c$": "CAD", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "hk$": "HKD", "s$": "SGD", "nt$": "TWD",
    "r$": "BRL", "mx$": "MXN", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₫": "VND", "₱": "PHP", "₪": "ILS", "₴": "UAH",
    "₦": "NGN", "₡": "CRC", "₲": "PYG", "฿": "THB", "zł": "PLN", "zl": "PLN", "kč": "CZK", "kc": "CZK", "ft": "HUF",
    "rmb": "CNY",
}  # fmt: skip
# Symbols and names of several currencies -> these, of which the country decides.
_SHARED = {
    "$": ("USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN", "COP", "CLP", "ARS", "UYU", "DOP", "BBD", "BSD",
          "BZD", "BMD", "BND", "FJD", "GYD", "JMD", "KYD", "LRD", "NAD", "SBD", "SRD", "TTD", "XCD", "CUP"),
    "£": ("GBP", "EGP", "LBP", "SYP", "SDG", "SSP", "GIP", "FKP", "SHP"),
    "¥": ("JPY", "CNY"),
    "￥": ("JPY", "CNY"),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
    "rs": ("INR", "PKR", "LKR", "NPR", "MUR", "SCR"),
    "₨": ("INR", "PKR", "LKR", "NPR", "MUR", "SCR"),
    "rupee": ("INR", "PKR", "LKR", "NPR", "MUR", "SCR"),
    "rupees": ("INR", "PKR", "LKR", "NPR", "MUR", "SCR"),
}  # fmt: skip
_SHARED |= dict.fromkeys(("dollar", "dollars"), _SHARED["$"])
_SHARED |= dict.fromkeys(("pound", "pounds"), _SHARED["£"])


@lru_cache(maxsize=1000)
def currency_code(text: str, country: str) -> str:
    """Return the ISO 4217 code that a carrier's text means; empty if it is unknown or ambiguous.

    A symbol that several currencies share means the currency of ``country`` (ISO 3166-1 alpha-2; empty: not known).
    """
    plain = " ".join(text.split()).casefold().rstrip(".")
    if (code := plain.upper()) in current_currencies():
        return code
    if code := _UNAMBIGUOUS.get(plain, ""):
        return code
    local = currency_of(country)
    if local in _SHARED.get(plain, ()) or (local and plain == get_currency_symbol(local, locale="en").casefold()):
        return local
    return ""
