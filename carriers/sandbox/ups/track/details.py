"""Tracking by number and by reference, and the proof of delivery."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.printing import pictures
from carriers.sandbox.printing.contents import TEST_NOTICE
from carriers.sandbox.printing.labels import save_picture
from carriers.sandbox.ups import label_files
from carriers.sandbox.ups.errors import Invalid
from carriers.sandbox.ups.services import SERVICES
from carriers.sandbox.ups.track import scans

_NOT_FOUND = {"code": "TW0001", "message": "Tracking Information Not Found"}
_REFERENCE_DAYS = 14
_MOST_PACKAGES = 50
_HELD_DAYS = 7  # at an Access Point (assumed)


def check_headers(request: Request) -> None:
    """Tracking needs two headers that other APIs leave optional. Raises ``Invalid`` (the codes are assumed)."""
    for name, code in (("transId", "TV1001"), ("transactionSrc", "TV1002")):
        if not request.headers.get(name.lower()):
            raise Invalid(code, f"Missing {name}")


def track(carrier: SimulatedCarrier, request: Request, number: str) -> Answer:
    """Answer with one package."""
    check_headers(request)
    shipment = _find(carrier, number)
    if shipment is None:
        return _answer(number, None, [])
    found = [one for one in shipment["packages"] if one["tracking_number"] == number]
    return _answer(number, shipment, [_show(request, shipment, package) for package in found])


def track_shipment(carrier: SimulatedCarrier, request: Request, number: str) -> Answer:
    """Answer with the packages of a shipment, in pages."""
    check_headers(request)
    offset, count = _number(request, "offset", 0), _number(request, "count", _MOST_PACKAGES)
    shipment = _find(carrier, number)
    if shipment is None:
        return _answer(number, None, [])
    found = shipment["packages"][offset : offset + min(count, _MOST_PACKAGES)]
    return _answer(number, shipment, [_show(request, shipment, package) for package in found])


def track_reference(carrier: SimulatedCarrier, request: Request, reference: str) -> Answer:
    """Answer with the caller's packages that have a reference and were shipped between two dates."""
    check_headers(request)
    query = request.query
    today = scans.local_today("US").date()
    first = query.get("fromPickUpDate") or f"{today - timedelta(days=_REFERENCE_DAYS):%Y%m%d}"
    # The date may differ from that of the shipment's zone.
    last = query.get("toPickUpDate") or f"{today + timedelta(days=1):%Y%m%d}"
    if not all(re.fullmatch(r"\d{8}", date) for date in (first, last)):
        raise Invalid("TV1003", "Invalid pickup date. Valid format is YYYYMMDD")  # code and format are assumed
    shown = []
    for shipment in scans.find_all(carrier, request.account, reference):
        is_wanted = query.get("shipperNum", shipment["shipper_number"]) == shipment["shipper_number"]
        if not is_wanted or not first <= shipment["packages"][0]["activity"][-1]["date"] <= last:
            continue
        with_it = [one for one in shipment["packages"] if reference in one["references"]] or shipment["packages"]
        packages = [_show(request, shipment, package) for package in with_it]
        shown.append({"inquiryNumber": reference, "package": packages})
    return Answer(200, {"trackResponse": {"shipment": shown}}) if shown else _answer(reference, None, [])


def _find(carrier: SimulatedCarrier, number: str) -> dict[str, Any] | None:
    if not re.fullmatch(r"[A-Za-z0-9]{7,34}", number):
        raise Invalid("TV1000", "Invalid inquiry number")  # the code is assumed
    row = carrier.store.get("ups_number", number)
    return carrier.store.get("ups_shipment", row["shipment"]) if row else None


def _answer(inquiry: str, shipment: dict[str, Any] | None, packages: list[dict[str, Any]]) -> Answer:
    """A number without information is a warning inside a 200."""
    found: dict[str, Any] = {"inquiryNumber": inquiry}
    found |= {"package": packages} if shipment else {"warnings": [_NOT_FOUND]}
    return Answer(200, {"trackResponse": {"shipment": [found]}})


def _show(request: Request, shipment: dict[str, Any], package: dict[str, Any]) -> dict[str, Any]:
    activity, is_own = package["activity"], request.account == shipment["account"]
    shown = {
        "trackingNumber": package["tracking_number"],
        "deliveryDate": [{"type": "SDD", "date": shipment["scheduled_date"]}],
        "deliveryTime": {"type": "EOD"},
        "activity": [_show_activity(one) for one in activity],
        "currentStatus": _show_status(next(one for one in activity if one["type"] != "U")),
        "packageCount": len(shipment["packages"]),
        "service": {"levelCode": f"0{shipment['service']}", "description": SERVICES[shipment["service"]].name},
        "weight": {"unitOfMeasurement": package["unit"], "weight": package["weight"]},
    }
    if is_own:
        kinds = "PACKAGE" if shipment["has_package_references"] else "SHIPMENT"
        values = package["references"] if shipment["has_package_references"] else shipment["references"]
        shown["referenceNumber"] = [{"type": kinds, "number": value} for value in values]
        shown["packageAddress"] = [
            {"type": kind, "name": shipment[end]["company"], "address": _show_address(shipment[end])}
            for kind, end in (("ORIGIN", "origin"), ("DESTINATION", "destination"))
        ]
    arrived = next((one for one in activity if one["code"] == scans.STEPS["at_pickup_point"].code), None)
    if arrived:
        last = datetime.fromisoformat(arrived["at"]) + timedelta(days=_HELD_DAYS)
        shown["accessPointInformation"] = {"pickupByDate": f"{last:%Y%m%d}"}
    rescheduled = next((one for one in activity if "new_date" in one), None)
    if rescheduled:
        shown["deliveryDate"].append({"type": "RDD", "date": rescheduled["new_date"]})
    delivered = next((one for one in activity if "received_by" in one), None)
    if delivered:
        shown["deliveryDate"] = [{"type": "DEL", "date": delivered["date"]}]
        shown["deliveryTime"] = {"type": "DEL", "endTime": delivered["time"]}
        shown["deliveryInformation"] = _show_delivery(request, shipment, package, delivered, is_own=is_own)
    return shown


def _show_activity(activity: dict[str, Any]) -> dict[str, Any]:
    place = activity["place"]
    address = {
        "city": place["city"],
        "stateProvince": place["state"],
        "postalCode": place["postal_code"],
        "countryCode": place["country"],
        "country": place["country"],
    }
    names = {"gmtDate": "gmt_date", "gmtTime": "gmt_time", "gmtOffset": "gmt_offset"} if activity["has_gmt"] else {}
    gmt = {name: activity[key] for name, key in names.items()}
    return {
        "location": {"address": {name: value for name, value in address.items() if value}, "slic": "0761"},
        "status": _show_status(activity),
        "date": activity["date"],
        "time": activity["time"],
        "logicalScan": activity["is_logical"],
    } | gmt


def _show_status(activity: dict[str, Any]) -> dict[str, str]:
    return {
        "type": activity["type"],
        "description": activity["description"],
        "simplifiedTextDescription": activity["description"],
        "code": activity["code"],
        "statusCode": activity["status_code"],
    }


def _show_address(party: dict[str, Any]) -> dict[str, str]:
    lines = {f"addressLine{number}": line for number, line in enumerate(party["lines"], start=1)}
    return lines | {
        "city": party["city"],
        "stateProvince": party["state"],
        "postalCode": party["postal_code"],
        "countryCode": party["country"],
    }


def _show_delivery(
    request: Request, shipment: dict[str, Any], package: dict[str, Any], delivered: dict[str, Any], *, is_own: bool
) -> dict[str, Any]:
    """Return who received a package; signature and letter only if requested, and of the caller's own packages."""
    shown: dict[str, Any] = {"location": delivered["location"], "receivedBy": delivered["received_by"]}
    if is_own and request.query.get("returnSignature") == "true":
        picture = pictures.draw_signature(delivered["received_by"])
        shown["signature"] = {"image": base64.b64encode(save_picture(picture, "GIF")).decode()}
    if is_own and request.query.get("returnPOD") == "true":
        lines = (
            f"Tracking Number: {package['tracking_number']}",
            f"Delivered On: {delivered['date']} {delivered['time']}",
            f"Received By: {delivered['received_by']}",
            f"Left At: {delivered['location']}",
        )
        page = label_files.write_page(f"Proof of Delivery {TEST_NOTICE}", "<br>".join(map(label_files.escape, lines)))
        shown["pod"] = {"content": label_files.encode(page)}
    return shown


def _number(request: Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise Invalid("TV1004", f"Invalid {name}")  # the code is assumed
    return int(text)
