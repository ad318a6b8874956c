"""Scans of packages: codes, times and places. Tracking shows the newest one first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import now
from carriers.sandbox.ups import transit
from carriers.sandbox.ups.services import SERVICES
from carriers.sandbox.ups.track import alerts
from carriers.sandbox.ups.validation import Consignment


class Scan(NamedTuple):
    """The codes of a scan: activity type, code of its type's list, and the status code of three digits."""

    type: str
    code: str
    status_code: str
    description: str
    is_at_destination: bool = True
    is_logical: bool = False


# Texts are those of the published lists. Which status code belongs to which code is assumed, but for MP, OT and FS.
STEPS = {
    "created": Scan(
        "M", "MP", "003", "Shipper created a label, UPS has not received the package yet.", False, is_logical=True
    ),
    "picked_up": Scan("I", "PU", "038", "Pickup Scan", False),
    "origin": Scan("I", "OR", "160", "Origin Scan", False),
    "departed": Scan("I", "DP", "005", "Departed from Facility", False),
    "in_transit": Scan("I", "AR", "010", "Arrived at Facility"),
    "customs": Scan("I", "IP", "012", "Import Scan"),
    "customs_held": Scan("X", "BW", "126", "Your package is pending release from a Government Agency."),
    "out_for_delivery": Scan("I", "OT", "021", "Out For Delivery Today"),
    "delivered": Scan("D", "FS", "011", "DELIVERED"),
    "at_pickup_point": Scan("D", "2Q", "161", "Delivered to UPS Access Point™"),
    "attempted": Scan("X", "48", "022", "The receiver was not available for delivery."),
    "last_attempt": Scan("X", "49", "024", "The receiver was not available at the time of the final delivery attempt."),
    "refused": Scan("X", "AM", "064", "The receiver has canceled the product order and refused delivery."),
    "delayed": Scan("X", "7W", "032", "Severe weather conditions have delayed delivery."),
    "damaged": Scan("X", "45", "059", "Your package was damaged in transit. We will notify the sender with details."),
    "returning": Scan("X", "KP", "035", "The package will be returned to the sender."),
    "returned": Scan("D", "B0", "034", "Package Delivered To Original Sender", False),
    "rescheduled": Scan("U", "UP", "154", "Updated Delivery Date", is_logical=True),
    "photo": Scan("U", "PX", "155", "Delivery Photo", is_logical=True),
    "voided": Scan("MV", "VP", "007", "Shipment Information Voided", False, is_logical=True),
    "unknown": Scan("X", "W9", "999", "A code in no list"),
}
SEQUENCE = ("created", "picked_up", "departed", "in_transit", "out_for_delivery", "delivered")
TO_A_POINT = ("created", "picked_up", "departed", "in_transit", "at_pickup_point", "delivered")
_OUT = ("picked_up", "in_transit", "out_for_delivery")
# Magic words. A shipment to one of these recipients, or with one as description or reference, gets these scans at once.
ORDER_SCANS = {
    "SANDBOX-PICKED-UP": _OUT[:1],
    "SANDBOX-IN-TRANSIT": _OUT[:2],
    "SANDBOX-OUT-FOR-DELIVERY": _OUT,
    "SANDBOX-DELIVERED": (*_OUT, "delivered"),
    "SANDBOX-AT-PICKUP-POINT": (*_OUT[:2], "at_pickup_point"),
    "SANDBOX-EXCEPTION": (*_OUT, "attempted"),
    "SANDBOX-NDR": (*_OUT, "last_attempt"),
    "SANDBOX-RETURNING": (*_OUT, "refused", "returning"),
    "SANDBOX-RETURNED": (*_OUT, "refused", "returning", "returned"),
    "SANDBOX-DAMAGED": (*_OUT[:2], "damaged"),
    "SANDBOX-CANCELLED": ("voided",),
    "SANDBOX-UNKNOWN": (*_OUT[:2], "unknown"),
}
# Time zones of scans. UPS's times are local to the scan; elsewhere they are in UTC here.
_CENTRAL, _MOUNTAIN, _PACIFIC = "AL AR IA IL KS LA MN MO MS ND NE OK SD TN TX WI", "CO ID MT NM UT WY", "CA NV OR WA"
_LIKE_BERLIN = "AT BE CH CZ DE DK ES FR HU IT LU NL NO PL SE SI SK"
_STATE_ZONES = {
    **dict.fromkeys(_CENTRAL.split(), "America/Chicago"),
    **dict.fromkeys(_MOUNTAIN.split(), "America/Denver"),
    **dict.fromkeys(_PACIFIC.split(), "America/Los_Angeles"),
    "AZ": "America/Phoenix",
    "AK": "America/Anchorage",
    "HI": "Pacific/Honolulu",
}
_ZONES = {
    "US": "America/New_York",
    "PR": "America/Puerto_Rico",
    "CA": "America/Toronto",
    "MX": "America/Mexico_City",
    "BR": "America/Sao_Paulo",
    "GB": "Europe/London",
    "IE": "Europe/Dublin",
    "PT": "Europe/Lisbon",
    "FI": "Europe/Helsinki",
    "GR": "Europe/Athens",
    **dict.fromkeys(_LIKE_BERLIN.split(), "Europe/Berlin"),
    "JP": "Asia/Tokyo",
    "CN": "Asia/Shanghai",
    "HK": "Asia/Hong_Kong",
    "IN": "Asia/Kolkata",
    "AU": "Australia/Sydney",
}


def advance(carrier: SimulatedCarrier, number: str, change: dict[str, Any]) -> dict[str, Any]:
    """Add a scan to a package and send it to subscribers.

    Args:
        change: ``to`` (a step, or codes like ``X/48/022`` with ``force``; default: the next step), ``at``, ``details``
            (``description``, ``city``, ``state``, ``postal_code``, ``country``, ``received_by``, ``location``, and
            ``date`` of a new delivery date), ``gmt`` (false: Tracking shows only the local time), ``webhook``, and
            ``whole_shipment`` to scan all packages of the shipment.

    Raises: KeyError for an unknown number, ValueError for an unknown step.
    """
    with carrier.store.atomic():
        row = carrier.store.get("ups_number", number)
        if row is None:
            raise KeyError(number)
        shipment = carrier.store.get("ups_shipment", row["shipment"])
        packages = [
            one
            for one in shipment["packages"]
            if (change.get("whole_shipment") and not is_voided(one)) or one["tracking_number"] == number
        ]
        added = [(one, add(shipment, one, _find_step(shipment, one, change), change)) for one in packages]
        save(carrier, shipment)
    if change.get("webhook", True):
        announce(carrier, shipment, added)
    return next(activity for package, activity in added if package["tracking_number"] == number or len(added) > 1)


def announce(
    carrier: SimulatedCarrier, shipment: dict[str, Any], added: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    """Send new scans, each with its package, to subscribers."""
    for package, activity in added:
        alerts.send(carrier, shipment, package, activity)


def void(
    carrier: SimulatedCarrier, shipment: dict[str, Any], packages: list[dict[str, Any]]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Void packages that are not voided yet; return them with their new scans."""
    added = [(package, add(shipment, package, "voided", {})) for package in packages if not is_voided(package)]
    save(carrier, shipment)
    return added


def add(shipment: dict[str, Any], package: dict[str, Any], step: str, change: dict[str, Any]) -> dict[str, Any]:
    """Add a scan to a package, newest first, and return it."""
    scan = STEPS.get(step) or Scan(*step.split("/"), description=f"Code {step}")
    details = change.get("details") or {}
    place = _place(shipment, scan, details)
    activity = _make_activity(scan, place, _read_time(change.get("at"), place))
    activity |= {"description": details["description"]} if details.get("description") else {}
    activity["has_gmt"] = bool(change.get("gmt", True))
    if scan.status_code == "011":
        name = shipment["destination"]["contact_name"] or shipment["destination"]["company"]
        activity["received_by"] = details.get("received_by", name)
        activity["location"] = details.get("location", "Front Door")
    if step == "rescheduled":
        planned = datetime.strptime(shipment["scheduled_date"], "%Y%m%d").replace(tzinfo=UTC).date()
        activity["new_date"] = str(details.get("date") or f"{transit.find_arrival(planned, 1):%Y%m%d}")
    package["activity"] = sorted([activity, *package["activity"]], key=_moment, reverse=True)
    return activity


def _read_time(text: str | None, place: dict[str, str]) -> datetime:
    """Return a time, or the current one, in the zone of a place. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text) if text else datetime.now(UTC)
    if not 1900 < moment.year < 2200:
        raise ValueError("at: a year from 1901 to 2199 is expected")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(_zone(place))


def _make_activity(scan: Scan, place: dict[str, str], moment: datetime) -> dict[str, Any]:
    utc, offset = moment.astimezone(UTC), f"{moment:%z}"
    return {
        "at": moment.isoformat(),
        "recorded_at": now(),
        "place": place,
        "type": scan.type,
        "code": scan.code,
        "status_code": scan.status_code,
        "description": scan.description,
        "is_logical": scan.is_logical,
        "date": f"{moment:%Y%m%d}",
        "time": f"{moment:%H%M%S}",
        "gmt_date": f"{utc:%Y%m%d}",
        "gmt_time": f"{utc:%H:%M:%S}",
        "gmt_offset": f"{offset[:3]}:{offset[3:]}",
    }


def save(carrier: SimulatedCarrier, shipment: dict[str, Any], *, is_new: bool = False) -> None:
    lead = shipment["tracking_number"]
    carrier.store.put("ups_shipment", lead, shipment, reference=next(iter(shipment["references"]), ""))
    if is_new:
        for package in shipment["packages"]:
            carrier.store.put("ups_number", package["tracking_number"], {"shipment": lead})
        for reference in shipment["references"]:
            carrier.store.put("ups_reference", f"{lead}:{reference}", {"shipment": lead}, reference=reference)


def find_all(carrier: SimulatedCarrier, account: str, reference: str) -> list[dict[str, Any]]:
    """Return the shipments of an account with a reference, oldest first."""
    rows = carrier.store.by_reference("ups_reference", reference)
    found = [carrier.store.get("ups_shipment", row["shipment"]) for row in rows]
    return [shipment for shipment in found if shipment and shipment["account"] == account]


def plan_delivery(shipment: dict[str, Any], consignment: Consignment) -> None:
    """Set the scheduled date of delivery."""
    days = transit.count_business_days(consignment, SERVICES[consignment.service])
    today = datetime.now(_zone(shipment["origin"])).date()
    shipment["scheduled_date"] = f"{transit.find_arrival(today, days):%Y%m%d}"


def is_voided(package: dict[str, Any]) -> bool:
    return any(one["status_code"] == "007" for one in package["activity"])


def has_moved(package: dict[str, Any]) -> bool:
    return any(one["type"] not in ("M", "MV", "U") for one in package["activity"])


def local_today(country: str, state: str = "") -> datetime:
    """Return the current time at a place."""
    return datetime.now(_zone({"country": country, "state": state}))


def _find_step(shipment: dict[str, Any], package: dict[str, Any], change: dict[str, Any]) -> str:
    step = str(change.get("to") or _next_step(shipment, package))
    if step not in STEPS and not (change.get("force") and step.count("/") == 2):
        raise ValueError(f"unknown step {step}; known: {', '.join(STEPS)}, or type/code/status code with force")
    return step


def _next_step(shipment: dict[str, Any], package: dict[str, Any]) -> str:
    sequence = TO_A_POINT if shipment["point"] else SEQUENCE
    codes = {STEPS[step].code: at for at, step in enumerate(sequence)}
    reached = max((codes[one["code"]] for one in package["activity"] if one["code"] in codes), default=-1)
    return sequence[min(reached + 1, len(sequence) - 1)]


def _place(shipment: dict[str, Any], scan: Scan, details: dict[str, Any]) -> dict[str, str]:
    """Return the place of a scan: of the named one, or of an end of the route. Logical scans have the country only."""
    end = shipment["destination" if scan.is_at_destination else "origin"]
    names = ("city", "state", "postal_code", "country")
    place = {name: "" if scan.is_logical and name != "country" else end[name] for name in names}
    place["city"] = place["city"].upper()
    return place | {name: str(details[name]) for name in names if name in details}


def _zone(place: dict[str, Any]) -> ZoneInfo:
    name = _ZONES.get(place["country"], "UTC")
    return ZoneInfo(_STATE_ZONES.get(place.get("state", ""), name) if place["country"] == "US" else name)


def _moment(activity: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(activity["at"])
