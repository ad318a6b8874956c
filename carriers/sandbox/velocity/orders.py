"""Orders: booking, returns, update, tracking and cancellation."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Refusal, Request
from carriers.sandbox.velocity import couriers, scans, validation, warehouses, webhooks
from carriers.sandbox.velocity.couriers import COURIERS
from carriers.sandbox.velocity.errors import Invalid, refuse_if

_ADDRESS = ("customer_name", "last_name", "address", "city", "pincode", "state", "country", "email", "phone")
_BOOKED = ("shipment_id", "order_id", "awb", "courier_name", "courier_company_id", "label_url", "manifest_url")


def book(carrier: SimulatedCarrier, request: Request) -> Answer:
    return _book_forward(carrier, request, COURIERS[0])


def book_with_courier(carrier: SimulatedCarrier, request: Request) -> Answer:
    return _book_forward(carrier, request, couriers.requested(request.json()))


def book_return(carrier: SimulatedCarrier, request: Request) -> Answer:
    return _book_reverse(carrier, request, COURIERS[0])


def book_return_with_courier(carrier: SimulatedCarrier, request: Request) -> Answer:
    return _book_reverse(carrier, request, couriers.requested(request.json()))


def update(carrier: SimulatedCarrier, request: Request) -> Answer:
    body = request.json()
    with carrier.store.atomic():
        order = _get(carrier, request, body.get("awb"))
        _refuse_unless_cancellable(order, "Cannot update order in current status")
        sent = {name: body[name] for name in body if name in validation.CHANGEABLE}
        if not sent:
            raise Invalid({"awb": "Nothing to update"})
        # The recipient may be in billing_*, shipping_* or pickup_*. Updates use shipping_*.
        role = order["to"]
        recipient = {f"shipping_{name}": f"{role}_{name}" for name in _ADDRESS}
        before = order["body"] | {new: order["body"][old] for new, old in recipient.items() if old in order["body"]}
        refuse_if(validation.check_update(sent, before=before))
        couriers.refuse_unserved(sent.get("shipping_pincode"))
        order |= {"body": before | sent, "to": "shipping"}
        rate = couriers.RATES[order["courier_company_id"]]
        order["freight_charges"] = couriers.freight(rate, order["body"]["weight"])
        scans.save(carrier, order)
    answer = {"message": "Order updated successfully", "awb": order["awb"], "order_id": order["order_id"]}
    return Answer(200, answer | {"updated_fields": [name for name in sent if sent[name] != before.get(name)]})


def track(carrier: SimulatedCarrier, request: Request) -> Answer:
    numbers = request.json().get("awbs")
    if not isinstance(numbers, list) or not numbers or len(numbers) > 50:
        raise Invalid({"awbs": "1 to 50 AWBs are expected"})
    found = [carrier.store.get("velocity_order", str(number)) for number in numbers]
    tracks = [
        {
            "awb": order["awb"],
            "order_id": order["order_id"],
            "status": scans.word_of(order["status_code"]),
            "status_code": order["status_code"],
            "courier_name": order["courier_name"],
            "current_location": order["history"][-1]["location"] if order["history"] else "",
            "estimated_delivery": order["estimated_delivery"],
            "tracking_history": order["history"],
        }
        for order in found
        if order and order["account"] == request.account
    ]
    return Answer(200, tracks)


def cancel(carrier: SimulatedCarrier, request: Request) -> Answer:
    with carrier.store.atomic():
        order = _get(carrier, request, request.json().get("awb"))
        _refuse_unless_cancellable(order, "Cannot cancel order in current status")
        event = scans.add_event(order, "CANCELLED", {})
        scans.save(carrier, order)
    webhooks.send_status_update(carrier, order, "CANCELLED", event)
    answer = {"message": "Order cancelled successfully", "awb": order["awb"], "status": "CANCELLED"}
    return Answer(200, answer)


def _book_forward(carrier: SimulatedCarrier, request: Request, courier: dict[str, Any]) -> Answer:
    body = request.json()
    refuse_if(validation.check_order(body))
    warehouse = warehouses.get(carrier, request.account, body.get("warehouse_id"))
    to = "shipping" if body.get("shipping_is_billing") is False else "billing"
    couriers.refuse_unserved(body[f"{to}_pincode"], body.get("pickup_pincode"), warehouse.get("pin_code"))
    return _create(carrier, request, body, courier, to=to, sender=body.get("vendor_details") or warehouse)


def _book_reverse(carrier: SimulatedCarrier, request: Request, courier: dict[str, Any]) -> Answer:
    """Book a return, which goes to the order's ``shipping_*`` address or to its warehouse."""
    body = request.json()
    refuse_if(validation.check_return(body))
    warehouse = {}
    if body.get("warehouse_id") is not None:
        warehouse = warehouses.get(carrier, request.account, body["warehouse_id"])
    if body.get("shipping_pincode") is None:
        address = warehouse | {"pincode": warehouse["pin_code"], "customer_name": warehouse["name"]}
        body |= {f"shipping_{name}": address[name] for name in _ADDRESS if name in address}
    couriers.refuse_unserved(body["shipping_pincode"], body.get("pickup_pincode"), warehouse.get("pin_code"))
    return _create(carrier, request, body, courier, to="shipping", sender={})


def _create(
    carrier: SimulatedCarrier,
    request: Request,
    body: dict[str, Any],
    courier: dict[str, Any],
    *,
    to: str,
    sender: dict[str, Any],
) -> Answer:
    """Store a new order. ``to`` is the role in the body that receives it, like ``shipping``."""
    with carrier.store.atomic():
        existing = carrier.store.by_reference("velocity_order", body["order_id"])
        if any(order["account"] == request.account for order in existing):
            raise Invalid({"order_id": "Order already exists"})
        shipment_id = f"{secrets.randbelow(9 * 10**7) + 10**7}"
        files = f"http://{request.headers.get('host', '127.0.0.1')}{carrier.prefix}/api"
        delivery = datetime.now(scans.ZONE) + timedelta(days=courier["days"])
        order = {
            "account": request.account,
            "shipment_id": shipment_id,
            "order_id": body["order_id"],
            "awb": f"SHPHYB{secrets.randbelow(10**9):09}",
            "courier_name": courier["courier_name"],
            "courier_company_id": courier["courier_company_id"],
            "label_url": f"{files}/label/{shipment_id}.pdf",
            "manifest_url": f"{files}/manifest/{shipment_id}.pdf",
            "status_code": "NEW",
            "created_at": scans.local_now(),
            "freight_charges": couriers.freight(courier["rate"], body["weight"]),
            "estimated_delivery": delivery.date().isoformat(),
            "to": to,
            "body": body,
            "history": [],
            "from": sender,
        }
        scans.save(carrier, order)
        carrier.store.put("velocity_file", shipment_id, {"awb": order["awb"]})
    event = {"status": "new", "location": "", "timestamp": order["created_at"], "description": "Order created"}
    webhooks.send_status_update(carrier, order, "NEW", event)
    for code in scans.PINCODE_SCANS.get(body[f"{to}_pincode"], ()):
        scans.advance(carrier, order["awb"], {"to": code, "force": True})
    return Answer(200, {name: order[name] for name in _BOOKED} | {"status": "NEW"})


def _get(carrier: SimulatedCarrier, request: Request, number: Any) -> dict[str, Any]:
    """Return an order of the request's account. Raises ``Refusal``."""
    order = carrier.store.get("velocity_order", str(number))
    if order is None or order["account"] != request.account:
        raise Refusal(404, {"message": "Shipment not found", "awb": number})
    return order


def _refuse_unless_cancellable(order: dict[str, Any], message: str) -> None:
    if order["status_code"] not in scans.CANCELLABLE:
        status = scans.word_of(order["status_code"])
        raise Refusal(400, {"message": message, "awb": order["awb"], "current_status": status})
