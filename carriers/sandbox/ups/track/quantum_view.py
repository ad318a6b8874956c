"""Quantum View: the scans of a client's shipments since its last question, as one subscription.

Only the parts that every subscription has: origin, delivery and exception scans, and a bookmark. Names, files and the
meaning of the bookmark are assumed.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request, now
from carriers.sandbox.ups.errors import NotValid
from carriers.sandbox.ups.validation import get_element

_NAME = "OutboundXML"
_MOST_OF_REASON = 40  # characters
_ORIGINS, _KINDS = {"OR": "Origin", "PU": "Origin"}, {"X": "Exception", "D": "Delivery"}


def list_events(carrier: SimulatedCarrier, request: Request, version: str) -> Answer:
    body = request.json().get("QuantumViewRequest")
    if not isinstance(body, dict) or get_element(body, "Request").get("RequestAction") != "QVEvents":
        raise NotValid("QuantumViewRequest.Request.RequestAction")
    since, until = _read_bookmark(body.get("Bookmark")), now()
    files = _collect(carrier, request.account, since, until)
    subscription: dict[str, Any] = {"Name": _NAME, "SubscriptionStatus": {"Code": "A", "Description": "Active"}}
    if files:
        status = {"Code": "U", "Description": "Unread"}
        subscription["SubscriptionFile"] = [
            {"FileName": f"{re.sub('[-:]', '', until[2:19]).replace('T', '_')}001", "StatusType": status} | files
        ]
    answer = {
        "Response": {"TransactionReference": {}, "ResponseStatusCode": "1", "ResponseStatusDescription": "Success"},
        "QuantumViewEvents": {"SubscriberID": request.account[:16], "SubscriptionEvents": [subscription]},
        "Bookmark": base64.b64encode(until.encode()).decode(),
    }
    return Answer(200, {"QuantumViewResponse": answer})


def _collect(carrier: SimulatedCarrier, account: str, since: str, until: str) -> dict[str, list[dict[str, Any]]]:
    """Return the events between two times by kind, without empty kinds."""
    content: dict[str, list[dict[str, Any]]] = {}
    for shipment in carrier.store.all("ups_shipment"):
        for package in shipment["packages"] if shipment["account"] == account else ():
            for activity in reversed(package["activity"]):
                kind = _ORIGINS.get(activity["code"]) or _KINDS.get(activity["type"])
                if kind and since < activity["recorded_at"] <= until:
                    event = _show(shipment, package, activity, is_delivery=kind == "Delivery")
                    content.setdefault(kind, []).append(event)
    return content


def _show(
    shipment: dict[str, Any], package: dict[str, Any], activity: dict[str, Any], *, is_delivery: bool
) -> dict[str, Any]:
    place = activity["place"]
    names = {"PoliticalDivision2": "city", "PoliticalDivision1": "state", "CountryCode": "country"}
    address = {name: place[key] for name, key in names.items() if place[key]}
    shown = {
        "ShipperNumber": shipment["shipper_number"],
        "TrackingNumber": package["tracking_number"],
        "Date": activity["date"],
        "Time": activity["time"],
        "ActivityLocation": {"AddressArtifactFormat": address},
        "PackageReferenceNumber": [{"Value": value} for value in package["references"]],
        "ShipmentReferenceNumber": [{"Value": value} for value in shipment["references"]],
    }
    if is_delivery:
        shown["DeliveryLocation"] = {
            "AddressArtifactFormat": address,
            "Code": activity["code"],
            "Description": activity.get("location", ""),
            "SignedForByName": activity.get("received_by", ""),
        }
    elif activity["type"] == "X":
        reason = activity["description"][:_MOST_OF_REASON]
        shown |= {"StatusCode": "01", "ReasonCode": activity["code"], "ReasonDescription": reason}
    return shown


def _read_bookmark(bookmark: Any) -> str:
    try:
        return base64.b64decode(str(bookmark or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise NotValid("QuantumViewRequest.Bookmark") from None
