"""Scans of packages: Bring's statuses with their event codes and texts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from carriers.sandbox.bring import subscriptions
from carriers.sandbox.bring.validation import ZONE, as_object
from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import now


class Status(NamedTuple):
    """Event code of the EDI list, and the text in English and Norwegian. Where the sender is, ``at_sender`` is true."""

    event_code: str
    text: str
    norwegian: str
    at_sender: bool = False


# The event codes are assumed, apart from 3 and T: no paper pairs them with statuses.
STATUSES = {
    "PRE_NOTIFIED": Status(
        "T",
        "No shipment has been received yet, only notification of the shipment.",
        "Sendingen er ikke mottatt, kun forhåndsmeldt.",
        at_sender=True,
    ),
    "COLLECTED": Status("A", "The shipment has been collected at sender.", "Sendingen er hentet hos avsender.", True),
    "HANDED_IN": Status("P", "The shipment has been handed in.", "Sendingen er innlevert.", True),
    "TERMINAL": Status("G2", "The shipment has arrived at terminal.", "Sendingen er ankommet terminal.", True),
    "IN_TRANSIT": Status(
        "KO",
        "The shipment has been handed in at terminal and forwarded.",
        "Sendingen er innlevert til terminal og videresendt.",
        at_sender=True,
    ),
    "INTERNATIONAL": Status("D", "The shipment has arrived in destination country.", "Ankommet mottakerlandet."),
    "CUSTOMS": Status("D1", "The shipment is in customs clearance.", "Sendingen er til fortolling."),
    "TRANSPORT_TO_RECIPIENT": Status(
        "3", "The shipment has been loaded for delivery.", "Sendingen er lastet opp for utkjøring."
    ),
    "READY_FOR_PICKUP": Status("Q", "The shipment has arrived at pickup point.", "Sendingen er ankommet hentestedet."),
    "NOTIFICATION_SENT": Status("X", "A notification has been sent to the recipient.", "Varsel er sendt mottaker."),
    "ATTEMPTED_DELIVERY": Status("H", "Delivery has been attempted.", "Sendingen er forsøkt utlevert."),
    "DELIVERED": Status("I", "The shipment has been delivered.", "Sendingen er utlevert."),
    "RETURN": Status("FM", "The shipment is on its way to the sender.", "Sendingen er i retur."),
    "DELIVERED_SENDER": Status(
        "I2", "The shipment has been delivered to the sender.", "Sendingen er utlevert til avsender.", True
    ),
    "DEVIATION": Status("VL", "There is a deviation; a delay is possible.", "Avvik i produksjonen."),
    "DELIVERY_ORDERED": Status("YA", "Home delivery has been ordered.", "Hjemlevering er bestilt."),
    "DELIVERY_CHANGED": Status("YB", "The date of home delivery has been changed.", "Dato for levering er endret."),
    "DELIVERY_CANCELLED": Status("YC", "Home delivery has been cancelled.", "Hjemlevering er avbestilt."),
    "UNKNOWN": Status("", "", ""),
}
_TO_THE_DOOR = ("PRE_NOTIFIED", "HANDED_IN", "IN_TRANSIT", "TRANSPORT_TO_RECIPIENT", "DELIVERED")
_TO_A_POINT = ("PRE_NOTIFIED", "HANDED_IN", "IN_TRANSIT", "READY_FOR_PICKUP", "DELIVERED")
_OUT = ("HANDED_IN", "IN_TRANSIT", "TRANSPORT_TO_RECIPIENT")
# Magic words. A booking with one as its correlation id, reference or recipient gets these scans at once.
ORDER_SCANS = {
    "SANDBOX-PICKED-UP": _OUT[:1],
    "SANDBOX-IN-TRANSIT": _OUT[:2],
    "SANDBOX-OUT-FOR-DELIVERY": _OUT,
    "SANDBOX-AT-PICKUP-POINT": (*_OUT[:2], "READY_FOR_PICKUP"),
    "SANDBOX-DELIVERED": (*_OUT, "DELIVERED"),
    "SANDBOX-EXCEPTION": (*_OUT, "ATTEMPTED_DELIVERY"),
    "SANDBOX-RETURNED": (*_OUT, "ATTEMPTED_DELIVERY", "RETURN", "DELIVERED_SENDER"),
    "SANDBOX-UNKNOWN": (*_OUT[:2], "HELD_BY_AUTHORITIES"),
}


def advance(carrier: SimulatedCarrier, number: str, change: dict[str, Any]) -> dict[str, Any]:
    """Add a scan to a package, or to all of a shipment, and send its webhooks.

    Args:
        number: of a shipment or a package.
        change: ``to`` (default: the next status), ``at``, ``package`` (of a shipment, from 1), ``details`` of the
            event, ``webhook``, and ``force`` to accept any status.

    Returns: the event of the last package. Raises: KeyError for an unknown number, ValueError for an unknown status.
    """
    with carrier.store.atomic():
        shipment, packages = _find(carrier, number, change.get("package"))
        events = []
        for package in packages:
            status = str(change.get("to") or _next_status(shipment, package)).upper()
            if status not in STATUSES and not change.get("force"):
                raise ValueError(f"unknown status {status}; known: {', '.join(STATUSES)}")
            event = make_event(shipment, status, change.get("at") or now(), change.get("details") or {})
            package["events"] = sorted([*package["events"], event], key=lambda one: datetime.fromisoformat(one["at"]))
            events.append(event)
        save(carrier, shipment)
    if change.get("webhook", True):
        for package, event in zip(packages, events, strict=True):
            subscriptions.send_event(carrier, shipment, package, event)
    return events[-1]


def make_event(shipment: dict[str, Any], status: str, at: str, details: dict[str, Any]) -> dict[str, Any]:
    """Return an event as stored. A time without an offset is Norwegian; ``name`` is who signed."""
    known, point = STATUSES.get(status, Status("", status, status)), shipment["pickup_point"]
    party = shipment["sender" if known.at_sender else "recipient"]
    moment = datetime.fromisoformat(at)
    event = {
        "status": status,
        "at": (moment if moment.tzinfo else moment.replace(tzinfo=ZONE)).isoformat(),
        "event_code": known.event_code,
        "cause_code": "",
        "measure_code": "",
        "text": known.text,
        "norwegian": known.norwegian,
        "unit_id": "971190",
        "postal_code": str(party.get("postalCode") or ""),
        "city": str(party.get("city") or "").upper(),
        "country": str(party.get("countryCode") or "").upper(),
        "name": "",
        "insignificant": status == "NOTIFICATION_SENT",
    }
    if point and status in ("READY_FOR_PICKUP", "DELIVERED"):
        event |= {"unit_id": point["unitId"], "postal_code": point["postalCode"], "city": point["city"]}
    if status == "DELIVERED":
        event["name"] = as_object(party.get("contact")).get("name") or party.get("name") or ""
    return event | details


def save(carrier: SimulatedCarrier, shipment: dict[str, Any]) -> None:
    number = shipment["shipment_number"]
    carrier.store.put("bring_shipment", number, shipment, reference=shipment["reference"])
    for package in shipment["packages"]:
        carrier.store.put("bring_package", package["number"], {"shipment": number})


def _find(carrier: SimulatedCarrier, number: str, position: int | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a shipment and its packages to scan. Raises ``KeyError``."""
    known = carrier.store.get("bring_package", number)
    shipment = carrier.store.get("bring_shipment", known["shipment"] if known else number)
    if shipment is None:
        raise KeyError(number)
    packages = shipment["packages"]
    if known:
        return shipment, [one for one in packages if one["number"] == number]
    if position is None:
        return shipment, packages
    if not 1 <= position <= len(packages):
        raise ValueError(f"package: 1 to {len(packages)}")
    return shipment, [packages[position - 1]]


def _next_status(shipment: dict[str, Any], package: dict[str, Any]) -> str:
    sequence = _TO_A_POINT if shipment["pickup_point"] else _TO_THE_DOOR
    last = package["events"][-1]["status"]
    reached = sequence.index(last) if last in sequence else len(sequence) - 2
    return sequence[min(reached + 1, len(sequence) - 1)]
