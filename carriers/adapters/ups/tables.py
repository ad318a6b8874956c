"""UPS's services, error codes and status codes, and routes with rules of their own (``docs/carriers/ups.md``)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from carriers.types import Order, Status, errors

_EU = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
EU = frozenset(_EU.split())
# Countries that measure in pounds and inches. UPS refuses a mix, and the system that is not the origin's.
IMPERIAL = ("US", "PR", "VI", "GU", "AS", "MP")
WITH_STATES = ("US", "CA", "VN")  # their addresses need a code of the state
# Routes whose parcels have signatures and COD of their own; on all others the shipment has one.
_WITH_PARCEL_OPTIONS = ({"US"}, {"PR"}, {"CA"}, {"US", "PR"})
_KINDS = {
    "authentication": errors.CarrierAuthentication,
    "cannot_cancel": errors.CarrierCannotCancel,
    "not_found": errors.CarrierNotFound,
    "not_serviceable": errors.NotServiceable,
    "rejected": errors.CarrierRejected,
    "shipment_not_found": errors.CarrierShipmentNotFound,
}


class Meaning(NamedTuple):
    """The status of a code and, for exceptions, why and who must act."""

    status: Status
    reason: str = ""
    action_required_by: str = ""


def _rows(name: str) -> list[dict[str, str]]:
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# Code -> its name from the US; the same codes have other names from Canada (from older tables of UPS) and elsewhere.
_SERVICES = {row["code"]: row for row in _rows("services.csv")}
SERVICES = {code: row["name"] for code, row in _SERVICES.items()}
# Codes of Time in Transit -> those of the other APIs. The numbers of the international ones are [unconfirmed].
LEVELS = {level: code for code, row in _SERVICES.items() for level in row["transit_levels"].split()}
# Error code -> the error, and the field of our request. "shipper" is the owner of the account: the sender or, of a
# return, the recipient.
ERRORS = {row["code"]: (_KINDS[row["error"]], row["field"]) for row in _rows("errors.csv")}
# By status code ("011"), by a code of one of UPS's lists ("X/48"; MI: Mail Innovations), and by type ("TYPE/X").
STATUSES = {row["code"]: Meaning(Status(row["status"]), row["reason"], row["action"]) for row in _rows("statuses.csv")}
LISTS = {"P": "I", "MV": "M"}  # the type of an activity -> the list of its codes; all others have the same name
_UNKNOWN = Meaning(Status.UNKNOWN)
_PROBLEMS = (Status.EXCEPTION, Status.NDR)
_NOT_WITH_RECIPIENT = (Status.AT_PICKUP_POINT, Status.RETURNED)


def find_meaning(kind: str, code: str, status_code: str) -> Meaning:
    """Return the meaning of an activity: of its status code, else of its code, else of its type.

    The code of a problem gives a better reason than the status code. A code that its own list lacks is looked up in the
    other lists, and counts if only one has it. A code in no list is unknown, although its type is known.
    """
    coarse, own = STATUSES.get(status_code), f"{LISTS.get(kind, kind)}/{code}"
    keys = [own] if own in STATUSES else [f"{name}/{code}" for name in ("X", "D", "I", "M", "MI")]
    keys = [key for key in keys if code and key in STATUSES]
    fine = STATUSES[keys[0]] if len(keys) == 1 else _UNKNOWN
    if fine.status is Status.DELIVERED and keys[0].startswith("D/") and kind != "D":
        fine = _UNKNOWN  # a place where parcels are left, but this one is not delivered
    if coarse and coarse.status is not Status.UNKNOWN:
        if coarse.status is Status.DELIVERED and fine.status in _NOT_WITH_RECIPIENT:
            return fine
        if coarse.status in _PROBLEMS and fine.status in _PROBLEMS:
            reason = coarse.reason if fine.reason == "other" else fine.reason
            return Meaning(coarse.status, reason, fine.action_required_by or coarse.action_required_by)
        return coarse
    if fine.status is not Status.UNKNOWN:
        return fine
    is_published = keys or coarse or not (code or status_code)
    return STATUSES.get(f"TYPE/{kind}", _UNKNOWN) if is_published else _UNKNOWN


def service_name(code: str, country: str) -> str:
    """Return the name of a service from a country; the code itself for a new one."""
    row, column = _SERVICES.get(code, {}), "from_canada" if country == "CA" else "from_elsewhere"
    return ("" if country in IMPERIAL else row.get(column)) or row.get("name") or code


def has_parcel_references(order: Order) -> bool:
    """Return whether references belong to the parcels, and not to the shipment."""
    return order.origin.country == order.destination.country and order.origin.country in ("US", "PR")


def has_parcel_options(order: Order) -> bool:
    return {order.origin.country, order.destination.country} in _WITH_PARCEL_OPTIONS


def is_abroad(order: Order) -> bool:
    """Return whether a shipment passes customs: not between the US and Puerto Rico, nor within the EU."""
    ends = {order.origin.country, order.destination.country}
    return len(ends) > 1 and ends != {"US", "PR"} and not ends <= EU


def is_eu_inbound(order: Order) -> bool:
    return order.destination.country in EU and order.origin.country not in EU
