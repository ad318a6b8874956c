"""Time zones of places, for carriers that report local times without an offset."""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.core import get_global

_STATES = {
    "America/Anchorage": ("US", "AK"),
    "America/Chicago": ("US", "AL AR IA IL KS LA MN MO MS ND NE OK SD TN TX WI"),
    "America/Denver": ("US", "CO ID MT NM UT WY"),
    "America/Edmonton": ("CA", "AB NT"),
    "America/Halifax": ("CA", "NB NS PE"),
    "America/Los_Angeles": ("US", "CA NV OR WA"),
    "America/Phoenix": ("US", "AZ"),
    "America/Regina": ("CA", "SK"),
    "America/St_Johns": ("CA", "NL"),
    "America/Vancouver": ("CA", "BC YT"),
    "America/Winnipeg": ("CA", "MB"),
    "Australia/Adelaide": ("AU", "SA"),
    "Australia/Brisbane": ("AU", "QLD"),
    "Australia/Darwin": ("AU", "NT"),
    "Australia/Perth": ("AU", "WA"),
    "Pacific/Honolulu": ("US", "HI"),
}
_ZONES = {(country, state): zone for zone, (country, states) in _STATES.items() for state in states.split()}
# Where most people of a country with several zones live.
_MAIN = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "CL": "America/Santiago",
    "CN": "Asia/Shanghai",
    "DE": "Europe/Berlin",
    "ES": "Europe/Madrid",
    "ID": "Asia/Jakarta",
    "MX": "America/Mexico_City",
    "NZ": "Pacific/Auckland",
    "PT": "Europe/Lisbon",
    "US": "America/New_York",
}


@lru_cache(maxsize=1000)
def zone_of(country: str, state: str = "") -> tzinfo:
    """Return the time zone of a country, or of its state if it has several; UTC if it is not known.

    Args:
        country: ISO 3166-1 alpha-2.
        state: ISO 3166-2 part.
    """
    known = get_global("territory_zones").get(country) or []
    name = _ZONES.get((country, state)) or _MAIN.get(country) or (known[0] if len(known) == 1 else "")
    return ZoneInfo(name) if name else UTC
