"""The Booking API: bookings, and the customer numbers of a user. There is no cancellation.

Bring books nothing for its test numbers and with ``testIndicator``: their numbers are not known to the Tracking API.
Here they are, so that a test can follow its parcels, unless the account has ``forget_tests``.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime, time
from typing import Any

from carriers.sandbox.bring import errors, files, guide, numbers, points, products, scans, validation
from carriers.sandbox.bring.products import Service
from carriers.sandbox.bring.validation import ZONE, as_list, as_object, as_text, country_of
from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request, now

_TEST_CUSTOMERS = ("5", "6", "7")
# Services with a label-free code besides the QR code.
_LABEL_FREE = {"9300", "9350", "PICKUP_PARCEL_RETURN", "PICKUP_PARCEL_RETURN_BULK"}


def create(carrier: SimulatedCarrier, request: Request) -> Answer:
    account = carrier.store.get("account", request.account) or {}
    try:
        body = request.json()
    except ValueError:
        raise errors.BookingRefusal([errors.make_error("BOOK_INPUT-059")]) from None
    try:
        consignment = validation.check(body, account["customers"])
    except errors.BookingRefusal as refusal:
        if refusal.answer.status == 400:
            refusal.answer.status = account["booking_error_status"]
        raise
    shipment = _make(request.account, consignment, is_test=body["testIndicator"])
    base = f"http://{request.headers.get('host', '127.0.0.1')}{carrier.prefix}"
    answer = Answer(200, {"consignments": [_show(shipment, base)]})
    with carrier.store.atomic():
        files.save_label(carrier, shipment)
        if shipment["is_test"] and account["forget_tests"]:
            return answer
        scans.save(carrier, shipment)
    for word in magic_texts(body):
        for status in scans.ORDER_SCANS.get(word, ()):
            scans.advance(carrier, shipment["shipment_number"], {"to": status, "force": True})
    return answer


def list_customers(carrier: SimulatedCarrier, request: Request) -> Answer:
    """Answer with the customer numbers of the user: an entry for each country with the services to send from there."""
    account = carrier.store.get("account", request.account) or {}
    customers = []
    for number in filter(products.find_customer, account["customers"]):
        usable = [one for one in products.SERVICES.values() if one.in_booking and products.may_use(number, one)]
        for country in ("DK", "FI", "NO", "SE"):
            ids = sorted(one.id for one in usable if one.has_sender(country))
            name = f"Demo customer ({number})"
            row = {"name": name, "customerNumber": number, "countryCode": country, "products": ids}
            customers += [row] if ids else []
    return Answer(200, {"customers": customers})


def list_errors(carrier: SimulatedCarrier, request: Request) -> Answer:
    rows = [
        {"code": one.code, "message": one.message, "suffixable": one.is_suffixable} for one in errors.CATALOGUE.values()
    ]
    return Answer(200, {"errorTypes": rows})


def magic_texts(body: dict[str, Any]) -> list[str]:
    """Return the texts that may be a magic word: the correlation id, the sender's reference, the recipient's name."""
    consignment = next(iter(as_list(body.get("consignments"))), {})
    parties = as_object(consignment.get("parties"))
    sender, recipient = as_object(parties.get("sender")), as_object(parties.get("recipient"))
    found = (consignment.get("correlationId"), sender.get("reference"), recipient.get("name"))
    return [as_text(text) for text in found]


def find_reference(body: Any) -> str:
    """Return the sender's reference of a booking, or an empty string."""
    return magic_texts(as_object(body))[1]


def is_return(body: Any) -> bool:
    consignment = next(iter(as_list(as_object(body).get("consignments"))), {})
    service = products.SERVICES.get(as_text(as_object(consignment.get("product")).get("id")))
    return bool(service and service.is_return)


def _make(account: str, consignment: dict[str, Any], *, is_test: bool) -> dict[str, Any]:
    parties, product = consignment["parties"], consignment["product"]
    service = products.SERVICES[as_text(product["id"])]
    customer = products.find_customer(product["customerNumber"])
    countries = country_of(parties["sender"]), country_of(parties["recipient"])
    shipped = validation.read_time(consignment["shippingDateTime"]).astimezone(ZONE).date()
    point = as_object(parties.get("pickupPoint"))
    delivery = guide.deliver_after(shipped, guide.working_days(service, *countries))
    shipment = {
        "account": account,
        "shipment_number": numbers.new_shipment_number(),
        "is_test": is_test or customer in _TEST_CUSTOMERS,
        "customer": customer,
        "service": service.id,
        "product_code": service.code,
        "product_name": service.name,
        # Assumed: a search finds the recipient's reference too.
        "reference": as_text(parties["sender"].get("reference") or parties["recipient"].get("reference")),
        "correlation_id": consignment.get("correlationId"),
        "sender": parties["sender"],
        "recipient": parties["recipient"],
        "pickup_point": points.find(country_of(point), as_text(point["id"])) if point else None,
        "additional_services": as_list(product.get("additionalServices")),
        "packages": [_make_package(one, service, countries) for one in as_list(consignment["packages"])],
        "expected": delivery.isoformat(),
        "label_id": str(uuid.uuid4()),
        "label_format": "zpl" if service.id == "3570" else "pdf",
        "qr": bool(consignment.get("generateQrCodes")),
        "created_at": now(),
    }
    for package in shipment["packages"]:
        package["events"] = [scans.make_event(shipment, "PRE_NOTIFIED", now(), {})]
    return shipment


def _make_package(package: dict[str, Any], service: Service, countries: tuple[str, str]) -> dict[str, Any]:
    return {
        "number": numbers.new_package_number(service, *countries),
        "correlation_id": package.get("correlationId"),
        "weight_kg": validation.as_number(package.get("weightInKg")),
        "sides_cm": validation.size_of(package),
        "label_free_code": f"BRING-{secrets.randbelow(10**4):04}-{secrets.randbelow(10**4):04}",
    }


def _show(shipment: dict[str, Any], base: str) -> dict[str, Any]:
    """Return the consignment of an answer. Times are milliseconds."""
    day = datetime.combine(datetime.fromisoformat(shipment["expected"]), time(16), ZONE)
    confirmation = {
        "consignmentNumber": shipment["shipment_number"],
        "productSpecificData": None,
        "links": {
            "labels": f"{base}/labels/id/{shipment['label_id']}.{shipment['label_format']}",
            "waybill": None,
            "tracking": f"https://sporing.bring.no/sporing.html?q={shipment['shipment_number']}",
        },
        "dateAndTimes": {"earliestPickup": None, "expectedDelivery": int(day.timestamp() * 1000)},
        "packages": [_show_package(shipment, index, base) for index in range(len(shipment["packages"]))],
    }
    return {"confirmation": confirmation, "errors": None, "correlationId": shipment["correlation_id"]}


def _show_package(shipment: dict[str, Any], index: int, base: str) -> dict[str, Any]:
    package = shipment["packages"][index]
    shown = {"packageNumber": package["number"], "correlationId": package["correlation_id"]}
    asks_for_code = any(one.get("id") == "1288" for one in shipment["additional_services"])
    if shipment["qr"]:
        shown["qrCodeLink"] = f"{base}/labels/qr/{shipment['label_id']}/{index + 1}.png"
    if asks_for_code or shipment["qr"] and shipment["service"] in _LABEL_FREE:
        shown["labelFreeCode"] = package["label_free_code"]  # the key is assumed
    return shown
