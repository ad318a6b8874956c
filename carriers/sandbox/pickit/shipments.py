"""Shipments: purchase, lookup by reference, tracking, cancellation and proof of delivery."""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request, now, rfc3339
from carriers.sandbox.pickit import points, quotes, scans, webhooks
from carriers.sandbox.pickit.errors import Invalid, PickitRefusal
from carriers.sandbox.pickit.validation import check_label, check_route
from carriers.sandbox.printing import labels, pictures

# The document's own number answers as its examples do: in transit, and still with a proof of delivery.
DOCUMENTED = "PKT-1234567890"
_PRIVATE = ("account", "origin", "destination", "packages", "events")
_TRACKED = (
    "tracking_number",
    "shipment_id",
    "status",
    "estimated_delivery",
    "pickup_point",
    "pickup_code",
    "events",
)
# Parts of a proof that only a driver makes. At a pickup point the recipient collects the parcel with a code.
_MADE_BY_DRIVER = ("signature_image", "delivery_photo", "coordinates", "notes")


def create(carrier: SimulatedCarrier, request: Request) -> Answer:
    body = request.json()
    service = check_route(body, need_street=True)
    label = check_label(body)
    point_id = body.get("pickup_point_id")
    point = points.get(point_id, 422, "PICKUP_POINT_UNAVAILABLE") if point_id else None
    shipment = make(request.account, body, service, label, point)
    with carrier.store.atomic():
        scans.save(carrier, shipment)
    webhooks.send_shipment_event(carrier, shipment, shipment["events"][0], scans.created_data(shipment))
    answer = Answer(201, show(shipment))
    for status in next((scans.ORDER_SCANS[text] for text in magic_texts(body) if text in scans.ORDER_SCANS), ()):
        scans.advance(carrier, shipment["tracking_number"], {"to": status, "force": True})
    return answer


def list_by_reference(carrier: SimulatedCarrier, request: Request) -> Answer:
    reference = request.query.get("reference", "")
    if not reference:
        raise Invalid("This parameter is required", "reference")
    found = carrier.store.by_reference("shipment", reference)
    return Answer(200, {"data": [show(one) for one in found if one["account"] == request.account]})


def track(carrier: SimulatedCarrier, request: Request, number: str) -> Answer:
    shipment = _get(carrier, request, number)
    events = shipment["events"]
    location = next((event["location"] for event in reversed(events) if event["location"]), "")
    attempts = sum(event["status"] == "exception" for event in events)
    answer = {name: shipment[name] for name in _TRACKED}
    return Answer(200, answer | {"current_location": location, "delivery_attempts": attempts})


def cancel(carrier: SimulatedCarrier, request: Request, number: str) -> Answer:
    reason = str(request.json().get("reason", ""))
    with carrier.store.atomic():
        shipment = _get(carrier, request, number)
        if shipment["status"] in scans.FINAL:
            status = shipment["status"].replace("_", " ")
            raise PickitRefusal(409, "CANNOT_CANCEL", f"The shipment is {status} already")
        details = {"reason": reason} if reason else {}
        event = scans.make_event("cancelled", now(), "Shipment cancelled", "", details)
        shipment["events"].append(event)
        shipment["status"] = "cancelled"
        scans.save(carrier, shipment)
    answer = {
        "tracking_number": number,
        "cancelled_at": event["timestamp"],
        "reason": reason,
        "refund_status": "pending",
        "refund_amount": shipment["total_price"],
    }
    return Answer(200, answer)


def show_proof_of_delivery(carrier: SimulatedCarrier, request: Request, number: str) -> Answer:
    shipment = _get(carrier, request, number)
    delivered = next((event for event in shipment["events"] if event["status"] == "delivered"), None)
    if number == DOCUMENTED and delivered is None:
        return Answer(200, _make_proof(number, "2024-01-17T14:32:00Z", "Jane Smith", None, "Front door"))
    if delivered is None:
        raise PickitRefusal(404, "POD_NOT_AVAILABLE", "The shipment has not been delivered yet")
    recipient = delivered["details"].get("collected_by") or shipment["destination"].get("contact_name") or "Recipient"
    code = shipment["pickup_code"] if shipment["pickup_point"] else None
    proof = _make_proof(number, delivered["timestamp"], recipient, code, delivered["location"])
    if any(event["status"] == "at_pickup_point" for event in shipment["events"]):
        proof |= dict.fromkeys(_MADE_BY_DRIVER)
    return Answer(200, proof)


def make(
    account: str, body: dict[str, Any], service: str, label: dict[str, str], point: dict[str, Any] | None
) -> dict[str, Any]:
    """Return a new shipment."""
    created = rfc3339(datetime.now(UTC))
    offer = quotes.price(body, service)
    location = ", ".join(filter(None, (body["origin"].get("city"), body["origin"].get("state"))))
    return {
        "account": account,
        "shipment_id": f"SHP-{secrets.randbelow(10**9):09}",
        "tracking_number": f"PKT-{secrets.randbelow(10**10):010}",
        "reference": str(body.get("reference") or ""),
        "order_id": str(body.get("order_id") or ""),
        "status": "created",
        "service_type": service,
        "created_at": created,
        "estimated_delivery": offer["estimated_delivery"],
        "barcode": f"{secrets.randbelow(10**18):018}",
        "pickup_code": scans.new_pickup_code() if point else None,
        "pickup_point": points.summary(point) if point else None,
        "total_price": offer["total_price"],
        "currency": offer["currency"],
        "origin": body["origin"],
        "destination": body["destination"],
        "packages": body["packages"],
        "label": label,
        "events": [scans.make_event("created", created, "Shipment created", location, {})],
    }


def show(shipment: dict[str, Any]) -> dict[str, Any]:
    """Return the shipment object of the API, with its label drawn."""
    number = shipment["tracking_number"]
    label_format, size = shipment["label"]["format"], shipment["label"]["size"]
    label = shipment["label"] | {
        "url": f"https://labels.pickit.net/{number}.{label_format.lower()}",
        "data": base64.b64encode(labels.draw(shipment, label_format, size)).decode(),
    }
    public = {name: value for name, value in shipment.items() if name not in _PRIVATE}
    return public | {"label": label, "qr_code": pictures.qr(number)}


def magic_texts(body: dict[str, Any]) -> list[str]:
    """Return the texts of an order that may be a magic word: its id and the recipient's name."""
    return [str(body.get("order_id")), str((body.get("destination") or {}).get("contact_name"))]


def _get(carrier: SimulatedCarrier, request: Request, number: str) -> dict[str, Any]:
    """Return a shipment of the request's account. Raises ``PickitRefusal``. The documented ones belong to all."""
    shipment = carrier.store.get("shipment", number)
    if shipment is None or shipment["account"] not in ("", request.account):
        raise PickitRefusal(404, "SHIPMENT_NOT_FOUND", f"No shipment {number}")
    return shipment


def _make_proof(number: str, at: str, name: str, code: str | None, location: str) -> dict[str, Any]:
    return {
        "tracking_number": number,
        "delivered_at": at,
        "signed_by": name,
        "signature_image": pictures.signature(name),
        "delivery_photo": pictures.photo(number),
        "location": location or "Front door",
        "pickup_code_used": code,
        "delivery_type": "PICKUP_POINT" if code else "HOME_DELIVERY",
        "coordinates": {"lat": 40.7128, "lng": -74.0060},
        "notes": "Left with receptionist" if not code else "",
    }
