"""Label and manifest files."""

from __future__ import annotations

from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Refusal, Request
from carriers.sandbox.printing import labels
from carriers.sandbox.velocity import manifests


def download(carrier: SimulatedCarrier, request: Request, kind: str, shipment_id: str) -> Answer:
    known = carrier.store.get("velocity_file", shipment_id)
    if known is None:
        raise Refusal(404, {"message": "File not found"})
    draw = labels.draw_pdf if kind == "label" else manifests.draw_pdf
    file = draw(_printed(carrier.store.get("velocity_order", known["awb"])), carrier="Velocity")
    return Answer(200, raw=file, headers={"Content-Type": "application/pdf"})


def _printed(order: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of the label, as ``labels`` expects them."""
    body, sender, to = order["body"], order["from"], order["to"]
    origin = {
        "company": sender.get("name") or body.get("pickup_customer_name") or "",
        "street": sender.get("address") or body.get("pickup_address") or "",
        "city": sender.get("city") or body.get("pickup_city") or "",
        "postal_code": sender.get("pin_code") or body.get("pickup_pincode") or "",
        "country": "IN",
    }
    recipient = {
        "contact_name": f"{body[f'{to}_customer_name']} {body.get(f'{to}_last_name') or ''}".strip(),
        "street": body.get(f"{to}_address", ""),
        "city": body.get(f"{to}_city", ""),
        "state": body.get(f"{to}_state", ""),
        "postal_code": body.get(f"{to}_pincode", ""),
        "country": "IN",
        "contact_phone": body.get(f"{to}_phone", ""),
    }
    cod = f"COD {body['cod_collectible']}" if body.get("payment_method") == "COD" else "PREPAID"
    return {
        "tracking_number": order["awb"],
        "service_type": f"{order['courier_name']} {cod}",
        "origin": origin,
        "destination": recipient,
        "packages": [{"weight_kg": body["weight"]}],
        "order_id": order["order_id"],
        "reference": order["shipment_id"],
    }
