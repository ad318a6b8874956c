"""Bring's services, error codes and status codes (``docs/carriers/bring.md``). Long lists are CSV files."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from carriers.types import Status, errors

_HERE = Path(__file__).parent


def _read(name: str) -> list[dict[str, str]]:
    with (_HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


ZONE = ZoneInfo("Europe/Oslo")
COUNTRIES = ("NO", "SE", "DK", "FI")  # with pickup points, and with services between their own addresses
# Product id in requests -> name; without those that Bring has discontinued or only prices.
SERVICES = {row["code"]: row["name"] for row in _read("services.csv")}
KINDS = {row["code"]: row["kind"].split() for row in _read("services.csv")}  # cargo return qr (QR codes) export
RFID = "3570"  # its labels are ZPL, all others PDF
VOEC = "0360"  # for imports to Norway; others need a consolidated shipment id, whose field no document shows
# Sent in quotes if neither the request nor the credential names products: inside Norway, and elsewhere.
USUAL = (("5800", "5600", "3584", "5000", "4850"), ("PICKUP_PARCEL", "HOME_DELIVERY_PARCEL", "BUSINESS_PARCEL"))
USUAL_RETURN = ("9300", "PICKUP_PARCEL_RETURN")
# Additional services: the code in bookings -> that in the Shipping Guide, where they differ.
GUIDE_CODES = {"1000": "POSTOPPKRAV", "1062": "LORDAGSUTKJORING", "0068": "INSURANCE", "1245": "DANGEROUS_GOODS"}
SIGNATURES = {"any": "1280", "recipient": "1134", "adult": "1229"}
INSURED = {"NOK": 100_000, "SEK": 100_000, "DKK": 100_000, "EUR": 10_000}  # the most that 0068 covers
NATURES = {"merchandise": "SALE_OF_GOODS", "gift": "GIFT", "sample": "COMMERCIAL_SAMPLE", "documents": "DOCUMENTS"}
NATURES["return"] = "RETURNED_GOODS"
# Contacts that reach nobody: Bring notifies those of tests as well.
DUMMY_PHONES = {"NO": "+4712345678", "SE": "+46712345678", "DK": "+4518123456", "FI": "+358000000000"}
DUMMY_EMAIL = "test@bring.example"
LOCKERS, FOR_BUSINESSES = ("37", "39", "43", "LOCKER"), "1"  # types of pickup points
OPTIONS: dict[str, Any] = json.loads((_HERE / "options.json").read_text(encoding="utf-8"))

# An error's code with "-" for "_" and without the party, or the Shipping Guide's field -> our field; "{}" is a party.
FIELDS = {row["code"]: row["field"] for row in _read("errors.csv")}
PARTIES = {"SENDER": "origin", "RECIPIENT": "destination", "": "destination"}
ERRORS: dict[str, type[errors.CarrierError]] = {
    row["code"]: getattr(errors, row["error"]) for row in _read("errors.csv") if row["error"]
}
# A booking that validation refuses is not made. All of its codes have this form, new ones too.
VALIDATION = re.compile(r"[A-Z-]+-(?:INPUT|VALIDATION|AUTHORIZATION)-\d+")


class Meaning(NamedTuple):
    """A row of ``statuses.csv``: the status of a code and, for exceptions, why and who must act."""

    status: Status
    reason: str = ""
    action_required_by: str = ""
    description: str = ""


# By list: eventSet[].status, and the codes of IFTSTA: lmEventCode, lmCauseCode, lmMeasureCode.
STATUSES: dict[str, dict[str, Meaning]] = {"status": {}, "event": {}, "cause": {}, "measure": {}}
for _row in _read("statuses.csv"):
    _meaning = Meaning(Status(_row["status"]), _row["reason"], _row["action"], _row["description"])
    STATUSES[_row["list"]][_row["code"]] = _meaning
_UNKNOWN = Meaning(Status.UNKNOWN)
_PROBLEMS = ("exception", "ndr", "damaged", "lost")
_MOVING = ("created", "picked_up", "in_transit", "at_pickup_point", "out_for_delivery", *_PROBLEMS, "rto")
# Vague statuses -> what an event code may make of them. It never makes an end: Bring reports ends as the status.
_REFINED = {"DEVIATION": (*_PROBLEMS, "rto"), "IN_TRANSIT": _MOVING, "CUSTOMS": _MOVING, "UNKNOWN": (*_MOVING, "info")}


def find_meaning(status: str, event: str, cause: str) -> Meaning:
    """Return what an event of tracking means: its event code refines a vague status, its cause explains a problem."""
    found, refined = STATUSES["status"].get(status, _UNKNOWN), STATUSES["event"].get(event, _UNKNOWN)
    found = refined if refined.status in _REFINED.get(status, ()) else found
    explained = STATUSES["cause"].get(cause, _UNKNOWN)
    return explained if found.status in _PROBLEMS[:2] and explained.status in _PROBLEMS else found


def describe(name: str, code: str) -> str:
    """Return the text of a code of a list, or the code itself."""
    return STATUSES[name].get(code, _UNKNOWN).description or code
