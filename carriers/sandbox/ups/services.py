"""UPS's services, and which of them serve a movement."""

from __future__ import annotations

from typing import NamedTuple

from carriers.sandbox.ups.validation import EU, Consignment


class Service(NamedTuple):
    """A service. ``days`` are business days of transit within a country; abroad two more."""

    name: str
    days: int
    base: str
    per_pound: str


SERVICES = {
    "01": Service("UPS Next Day Air", 1, "38.00", "2.10"),
    "02": Service("UPS 2nd Day Air", 2, "22.00", "1.30"),
    "03": Service("UPS Ground", 4, "9.50", "0.45"),
    "07": Service("UPS Worldwide Express", 1, "64.00", "3.20"),
    "08": Service("UPS Worldwide Expedited", 3, "41.00", "2.20"),
    "11": Service("UPS Standard", 2, "14.00", "0.60"),
    "12": Service("UPS 3 Day Select", 3, "16.00", "0.90"),
    "13": Service("UPS Next Day Air Saver", 1, "34.00", "1.90"),
    "14": Service("UPS Next Day Air Early", 1, "69.00", "2.40"),
    "54": Service("UPS Worldwide Express Plus", 1, "98.00", "3.60"),
    "59": Service("UPS 2nd Day Air A.M.", 2, "27.00", "1.45"),
    "65": Service("UPS Worldwide Saver", 1, "58.00", "2.90"),
    "17": Service("UPS Worldwide Economy DDU", 6, "19.00", "1.10"),
    "70": Service("UPS Access Point Economy", 3, "8.00", "0.40"),
    "72": Service("UPS Worldwide Economy DDP", 6, "21.00", "1.10"),
    "74": Service("UPS Express 12:00", 1, "52.00", "2.70"),
}
# Published codes that are not simulated: freight, Mail Innovations, UPS Today, Roadie. No movement has them.
NOT_SIMULATED = {"71", "75", "82", "83", "84", "85", "86", "96", "M2", "M3", "M4", "M5", "M6", "M7", "C6", "C7", "C8"}
# Services by movement (assumed: the tables of origins and destinations are not in the documents).
_DOMESTIC = {
    "US": ("14", "01", "13", "59", "02", "12", "03"),
    "PR": ("01", "02", "03"),
    "CA": ("14", "01", "13", "02", "12", "11"),
}
_ABROAD = ("54", "07", "65", "08")
# Within the EU and within other countries.
_NEAR = ("54", "07", "74", "65", "08", "11", "70")
_STANDARD_ABROAD = {frozenset(("US", "CA")), frozenset(("US", "MX"))}
UNGUARANTEED = {"03", "11", "17", "70", "72"}
NO_RETURNS = {"13", "59"}


def services_between(consignment: Consignment) -> tuple[str, ...]:
    """Return the codes of the services from the origin to the destination."""
    origin, destination = consignment.origin["country"], consignment.destination["country"]
    if origin == destination and origin in _DOMESTIC:
        found = _DOMESTIC[origin]
    elif {origin, destination} == {"US", "PR"}:
        found = _DOMESTIC["PR"]
    elif origin == destination or (origin in EU and destination in EU):
        found = _NEAR
    elif origin == "US" and destination not in ("CA", "MX"):
        found = (*_ABROAD, "17", "72")
    else:
        found = (*_ABROAD, "11") if frozenset((origin, destination)) in _STANDARD_ABROAD else _ABROAD
    if not consignment.is_to_point:
        found = tuple(code for code in found if code != "70")
    return tuple(code for code in found if not (consignment.is_return and code in NO_RETURNS))
