"""Bring's services and additional services, from its service portfolio."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

_HERE = Path(__file__).parent
DOMESTIC_NORWAY, CARGO_NORWAY = "Parcel Norway domestic", "Cargo Norway domestic"
NORDIC = "Parcel Sweden, Denmark, Finland & Parcel Norway cross-border"
# Assumed where the portfolio states no limit.
_MAX_KG = {CARGO_NORWAY: 9999}
# Assumed: one package for each booking.
_ONE_PACKAGE = {"3584", "3570", "3639", "0360"}
# Services that notify the recipient, who needs a phone number or an e-mail address.
NEEDS_CONTACT = {"3584", "3570", "5600", "5800", "DOUBLE_INDOOR", "CURBSIDE", "CURBSIDE_EVENING", "3332"}
WITH_PICKUP_POINT = {
    *("5800", "4850", "5000", "9000", "9350"),
    *("PICKUP_PARCEL", "PICKUP_PARCEL_BULK", "0360", "PICKUP_PARCEL_RETURN", "PICKUP_PARCEL_RETURN_BULK"),
}
# Exports from Norway that need customs information.
EXPORTS = {"BUSINESS_PARCEL", "PICKUP_PARCEL", "3639"}
# Families of services by customer number. The first three are Bring's test numbers, the last stands for a real one.
CUSTOMERS: dict[str, tuple[str, ...]] = {
    "5": (DOMESTIC_NORWAY,),
    "6": (DOMESTIC_NORWAY, NORDIC),
    "7": (CARGO_NORWAY,),
    "20012345678": (),  # all
}
_NAMES = {"CARGO-851028": "7"}


class Service(NamedTuple):
    """A service. ``id`` is its product id in requests, ``code`` its code in tracking."""

    id: str
    code: str
    name: str
    family: str
    is_return: bool
    in_booking: bool
    in_guide: bool
    senders: str  # countries, or "*!" and those excepted
    destinations: str
    domestic: str
    max_kg: int
    max_cm: int
    max_girth_cm: int

    @property
    def max_packages(self) -> int:
        return 1 if self.id in _ONE_PACKAGE else 50

    def serves(self, sender: str, recipient: str) -> bool:
        if sender == recipient:
            return _contains(self.domestic, sender)
        return _contains(self.senders, sender) and _contains(self.destinations, recipient)

    def has_sender(self, country: str) -> bool:
        return _contains(self.senders, country) or _contains(self.domestic, country)

    def max_kg_to(self, country: str) -> int:
        """Return the heaviest package. To Denmark some services take less."""
        return min(self.max_kg, 20) if self.code in ("0340", "0342") and country == "DK" else self.max_kg


class AdditionalService(NamedTuple):
    """An additional service ("VAS") and the services that have it."""

    code: str
    guide_code: str
    name: str
    services: tuple[str, ...]

    def applies_to(self, service_id: str) -> bool:
        # The list omits notification for Norwegian parcels, but Bring's own samples request it.
        return self.code == "EVARSLING" or service_id in self.services


def find_customer(text: object) -> str:
    """Return a customer number in its short form: ``PARCELS_NORWAY-00000000005`` is ``5``. Unknown: an empty string."""
    number = str(text)
    short = _NAMES.get(number) or number.rpartition("-")[2].lstrip("0")
    return short if short in CUSTOMERS else ""


def may_use(customer: str, service: Service) -> bool:
    return not CUSTOMERS[customer] or service.family in CUSTOMERS[customer]


def _contains(rule: str, country: str) -> bool:
    if rule.startswith("*"):
        return country not in rule[2:].split()
    return country in rule.split()


def _read(name: str) -> list[dict[str, str]]:
    with (_HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _read_service(row: dict[str, str]) -> Service:
    flags = {name: bool(row[name]) for name in ("is_return", "in_booking", "in_guide")}
    limits = {
        "max_kg": int(row["max_kg"] or _MAX_KG.get(row["family"], 35)),
        "max_cm": int(row["max_cm"] or 240),
        "max_girth_cm": int(row["max_girth_cm"] or 360),
    }
    return Service(**(row | flags | limits))


SERVICES = {row["id"]: _read_service(row) for row in _read("services.csv")}
_ADDITIONAL = [
    AdditionalService(row["code"], row["guide_code"], row["name"], tuple(row["services"].split()))
    for row in _read("additional_services.csv")
]
# By both codes.
ADDITIONAL = {one.guide_code: one for one in _ADDITIONAL} | {one.code: one for one in _ADDITIONAL}
# Older names in Bring's samples.
ADDITIONAL |= {"FLEX_DELIVERY": ADDITIONAL["0041"], "DELIVERY_INDOOR": ADDITIONAL["0039"]}
