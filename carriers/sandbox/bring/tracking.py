"""The Tracking API. It finds shipments by shipment, package or reference number; the newest event comes first."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any

from carriers.sandbox.bring import errors, scans
from carriers.sandbox.bring.validation import ZONE, country_of
from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request

# Numbers for tests, which every account finds: their product, and events as (status, time, postal code, city).
_EXAMPLES = {
    "TESTPACKAGEATPICKUPPOINT": (
        ("1202", "CARBON-NEUTRAL SERVICE PARCEL"),
        ("IN_TRANSIT", "2010-09-30T08:27:08+02:00", "0024", "OSLO"),
        ("READY_FOR_PICKUP", "2010-10-01T08:30:25+02:00", "2341", "LØTEN"),
    ),
    "TESTPACKAGEEDI": (("1736", "HOME DELIVERY"), ("PRE_NOTIFIED", "2018-05-24T12:44:12+02:00", "", "")),
    "TESTPACKAGEDELIVERED": (
        ("1736", "HOME DELIVERY"),
        ("IN_TRANSIT", "2010-09-30T08:27:08+02:00", "0024", "OSLO"),
        ("TRANSPORT_TO_RECIPIENT", "2010-09-30T16:48:57+02:00", "0001", "OSLO"),
        ("DELIVERED", "2010-09-30T17:45:25+02:00", "", ""),
    ),
}
_COUNTRIES = {"NO": "Norway", "SE": "Sweden", "DK": "Denmark", "FI": "Finland"}
# Assumed: Bring states neither how many misses block a user nor for how long.
_MISSES_S, _BLOCKED_S = 600, 300
_NO_ADDRESS = {"addressLine1": "", "addressLine2": "", "postalCode": "", "city": "", "countryCode": "", "country": ""}


def search(carrier: SimulatedCarrier, request: Request) -> Answer:
    query, account = request.query.get("q", "").strip(), carrier.store.get("account", request.account)
    if _is_blocked(carrier, request.account):
        return _fail(account, 503)
    if not re.fullmatch(r"[\w ./#-]{3,50}", query):
        return _fail(account, 400)
    found = _find(carrier, request.account, query)
    if not found:
        _count_miss(carrier, request.account, account)
        return _fail(account, 404)
    base = f"http://{request.headers.get('host', '127.0.0.1')}{carrier.prefix}"
    language = request.query.get("lang", "en")
    consignments = [
        _show(shipment, packages, base, language, is_own=shipment["account"] == request.account)
        for shipment, packages in found
    ]
    return Answer(200, {"apiVersion": "2", "consignmentSet": consignments})


def create_examples(carrier: SimulatedCarrier) -> None:
    """Create the shipments of the documented test numbers, unless they exist."""
    for number, ((code, name), *events) in _EXAMPLES.items():
        if carrier.store.get("bring_shipment", number):
            continue
        shipment = {
            "account": "",
            "shipment_number": number,
            "shown_number": "SHIPMENTNUMBER",
            "is_test": True,
            "customer": "",
            "product_code": code,
            "product_name": name,
            "reference": "",
            "sender": {},
            "recipient": {"name": "O Nordmann"},
            "pickup_point": None,
            "additional_services": [],
            "expected": "",
        }
        package = {"number": number, "weight_kg": 16.5, "sides_cm": [41, 38, 29]}
        package["events"] = [
            scans.make_event(
                shipment, status, at, {"postal_code": postal_code, "city": city, "country": "NO" if city else ""}
            )
            for status, at, postal_code, city in events
        ]
        scans.save(carrier, shipment | {"packages": [package]})


def _find(carrier: SimulatedCarrier, account: str, query: str) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Return shipments with the packages to show.

    Assumed: a package number finds that package only, and a reference only shipments of the account.
    """
    query = query.upper() if query.upper() in _EXAMPLES else query
    known = carrier.store.get("bring_package", query)
    shipment = carrier.store.get("bring_shipment", known["shipment"] if known else query)
    if shipment:
        packages = [one for one in shipment["packages"] if one["number"] == query]
        return [(shipment, packages or shipment["packages"])]
    referenced = carrier.store.by_reference("bring_shipment", query)
    return [(one, one["packages"]) for one in referenced if one["account"] == account]


def _is_blocked(carrier: SimulatedCarrier, account: str) -> bool:
    row = carrier.store.get("bring_misses", account)
    return bool(row and row["blocked_until"] > time.time())


def _count_miss(carrier: SimulatedCarrier, name: str, account: dict[str, Any]) -> None:
    if not account["rate_limit"]:
        return
    with carrier.store.atomic():
        row = carrier.store.get("bring_misses", name) or {"at": [], "blocked_until": 0}
        row["at"] = [at for at in row["at"] if at > time.time() - _MISSES_S] + [time.time()]
        if len(row["at"]) >= account["max_misses"]:
            row = {"at": [], "blocked_until": time.time() + _BLOCKED_S}
        carrier.store.put("bring_misses", name, row)


def _fail(account: dict[str, Any], status: int) -> Answer:
    """Answer a failed search. Bring's samples stand under 200; others report the error's own code."""
    return Answer(account["tracking_error_status"] or status, errors.error_body(status, operation="track"))


def _show(
    shipment: dict[str, Any], packages: list[dict[str, Any]], base: str, language: str, *, is_own: bool
) -> dict[str, Any]:
    """Return a consignment. Names, streets and signatures are shown to the account that booked it."""
    weight = sum(one["weight_kg"] for one in shipment["packages"])
    shown = {
        "consignmentId": shipment.get("shown_number") or shipment["shipment_number"],
        "previousConsignmentId": "",
        "packageSet": [_show_package(shipment, one, base, language, is_own=is_own) for one in packages],
        "recipientHandlingAddress": _show_address(shipment["recipient"], is_own=False),
        "senderReference": shipment["sender"].get("reference", "") if is_own else "",
        "senderCustomerNumber": shipment["customer"] if is_own else "",
        "senderCustomerMasterNumber": "",
        "senderName": shipment["sender"].get("name", ""),
        "senderCustomerType": "",
        "recipientCustomerNumber": "",
        "recipientCustomerMasterNumber": "",
        "recipientCustomerType": "",
        "totalListPrice": "",
        "totalContractPrice": "",
        "listPricePackageCount": "",
        "contractPricePackageCount": "",
        "currencyCode": "",
        "consignmentActionSet": [],
        "senderLogo": "",
        "totalWeightInKgs": round(weight, 3),
        "totalVolumeInDm3": round(sum(map(_volume, shipment["packages"])), 1),
        "isPickupNoticeAvailable": False,
    }
    own = {
        "recipientName": shipment["recipient"].get("name", ""),
        "recipientAddress": _show_address(shipment["recipient"], is_own=True),
        "senderAddress": _show_address(shipment["sender"], is_own=True),
    }
    return shown | (own if is_own else {})


def _show_package(
    shipment: dict[str, Any], package: dict[str, Any], base: str, language: str, *, is_own: bool
) -> dict[str, Any]:
    events, (length, width, height) = package["events"], package["sides_cm"]
    delivered = next((one for one in events if one["status"] in ("DELIVERED", "DELIVERED_SENDER")), None)
    expected = f"{datetime.fromisoformat(shipment['expected']):%d.%m.%Y}" if shipment["expected"] else ""
    shown = {
        "statusDescription": events[-1]["text"] if not delivered else "",
        "descriptions": [],
        "packageNumber": package["number"],
        "previousPackageNumber": "",
        "productName": shipment["product_name"].upper(),
        "productCode": shipment["product_code"],
        "productLink": f"http://www.bring.no/english/shortcuts/{shipment['product_code']}",
        "brand": "POSTEN",
        "lengthInCm": length,
        "widthInCm": width,
        "heightInCm": height,
        "volumeInDm3": round(_volume(package), 1),
        "weightInKgs": package["weight_kg"],
        "dateOfEstimatedDelivery": expected if not delivered else "",
        "dateOfDelivery": f"{_local(delivered):%d.%m.%Y}" if delivered else "",
        "recipientHandlingAddress": _show_address(shipment["recipient"], is_own=False),
        "eventSet": [_show_event(one, package, base, language, is_own=is_own) for one in reversed(events)],
        "additionalServiceSet": [
            {"id": one["id"], "description": "", "amount": "", "currencyCode": "", "longDescription": ""}
            for one in shipment["additional_services"]
        ],
        "requestedPackage": None,
    }
    if point := shipment["pickup_point"]:
        url = f"https://www.posten.no/kundeservice/postkontor-info?enhetsnr={point['unitId']}"
        shown |= {"expectedPickupUnitId": point["unitId"], "expectedPickupUnitName": point["name"]}
        shown["expectedPickupUnitURL"] = url
    return shown


def _show_event(
    event: dict[str, Any], package: dict[str, Any], base: str, language: str, *, is_own: bool
) -> dict[str, Any]:
    local, has_signature = _local(event), bool(event["name"] and is_own)
    link = f"{base}/tracking/api/signature/{package['number']}.png" if has_signature else None
    return {
        "description": event["norwegian" if language == "no" else "text"],
        "status": event["status"],
        "lmEventCode": event["event_code"],
        "lmCauseCode": event["cause_code"],
        "lmMeasureCode": event["measure_code"],
        "recipientSignature": {"name": event["name"] if has_signature else "", "linkToImage": link},
        "unitId": event["unit_id"],
        "unitInformationUrl": None,
        "unitType": "BRING",
        "postalCode": event["postal_code"],
        "city": event["city"],
        "countryCode": event["country"],
        "country": _COUNTRIES.get(event["country"], event["country"]),
        "dateIso": local.isoformat(timespec="seconds"),
        "displayDate": f"{local:%d.%m.%Y}",
        "displayTime": f"{local:%H:%M}",
        "consignmentEvent": False,
        "insignificant": event["insignificant"],
    }


def _show_address(party: dict[str, Any], *, is_own: bool) -> dict[str, str]:
    country = country_of(party)
    shown = {"postalCode": str(party.get("postalCode") or ""), "city": str(party.get("city") or "").upper()}
    streets = {f"addressLine{n}": str(party.get(f"addressLine{n if n > 1 else ''}") or "") for n in (1, 2)}
    places = {"countryCode": country, "country": _COUNTRIES.get(country, country)}
    return _NO_ADDRESS | shown | (streets | places if is_own else {})


def _volume(package: dict[str, Any]) -> float:
    length, width, height = package["sides_cm"]
    return length * width * height / 1000


def _local(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["at"]).astimezone(ZONE)
