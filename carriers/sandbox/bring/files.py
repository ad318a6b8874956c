"""Labels, QR codes and signatures.

The link of a label answers with a redirect to a storage service, whose address is valid for some minutes (assumed). An
account's ``storage_host`` gives it a host name of its own. There it refuses requests with Mybring headers, because a
client must not send them to another host.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any
from urllib.parse import urlencode

from carriers.sandbox.bring.errors import BringRefusal
from carriers.sandbox.bring.validation import as_object
from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Refusal, Request
from carriers.sandbox.printing import labels, pictures, zpl

# The barcode of a label holds the package number alone. A real one is GS1-128 with the identifier 00.
_VALID_S = 900
_TYPES = {"pdf": "application/pdf", "zpl": "application/octet-stream"}


def save_label(carrier: SimulatedCarrier, shipment: dict[str, Any]) -> None:
    """Store what the label shows. It outlives the shipment's record."""
    point, additional = shipment["pickup_point"], shipment["additional_services"]
    facts = [f"Shipment {shipment['shipment_number']}   Customer {shipment['customer']}"]
    facts += [f"{one['id']} {one.get('message') or ''}" for one in additional]
    printed = {
        "tracking_number": shipment["shipment_number"],
        "service_type": f"{shipment['product_code']} {shipment['product_name']}",
        "origin": _address(shipment["sender"]),
        "destination": _address(shipment["recipient"]),
        "packages": [
            {"weight": f"{one['weight_kg']} kg" if one["weight_kg"] else "-", "tracking_number": one["number"]}
            for one in shipment["packages"]
        ],
        "order_id": shipment["correlation_id"] or "",
        "reference": shipment["reference"],
        "facts": facts,
    }
    if point:
        line = f"{point['address']}, {point['postalCode']} {point['city']}"
        printed["pickup_point"] = {"id": point["id"], "name": point["name"], "address": line}
    label = {"printed": printed, "account": shipment["account"], "format": shipment["label_format"]}
    carrier.store.put("bring_label", shipment["label_id"], label)


def redirect(carrier: SimulatedCarrier, request: Request, label_id: str, extension: str) -> Answer:
    label = _get_label(carrier, label_id, extension)
    account = carrier.store.get("account", label["account"]) or {}
    host = request.headers.get("host", "127.0.0.1")
    if account.get("storage_host"):
        host = f"{account['storage_host']}:{host.rpartition(':')[2]}"
    expires = str(int(time.time()) + _VALID_S)
    query = urlencode({"Expires": expires, "Signature": _sign(label_id, expires)})
    location = f"http://{host}{carrier.prefix}/storage/labels/{label_id}.{extension}?{query}"
    return Answer(302, raw=b"", headers={"Location": location})


def download(carrier: SimulatedCarrier, request: Request, label_id: str, extension: str) -> Answer:
    label = _get_label(carrier, label_id, extension)
    account = carrier.store.get("account", label["account"]) or {}
    expires = request.query.get("Expires", "")
    is_signed = hmac.compare_digest(request.query.get("Signature", ""), _sign(label_id, expires))
    if not is_signed or not expires.isdigit() or int(expires) < time.time():
        raise Refusal(403, "<Error><Code>AccessDenied</Code></Error>")
    if account.get("storage_host") and "x-mybring-api-key" in request.headers:
        raise Refusal(400, "<Error><Code>InvalidArgument</Code></Error>")
    draw = labels.draw_pdf if extension == "pdf" else zpl.draw_zpl
    return Answer(200, raw=draw(label["printed"], carrier="Bring"), headers={"Content-Type": _TYPES[extension]})


def show_qr(carrier: SimulatedCarrier, request: Request, label_id: str, number: str) -> Answer:
    """Answer with the QR code of a package, numbered from 1."""
    label = carrier.store.get("bring_label", label_id)
    packages = label["printed"]["packages"] if label else []
    if not 1 <= int(number) <= len(packages):
        raise BringRefusal(404, "label_file")
    return _picture(pictures.qr(packages[int(number) - 1]["tracking_number"]))


def show_signature(carrier: SimulatedCarrier, request: Request, number: str) -> Answer:
    """Answer with the recipient's signature, for the account that booked the package. The path is assumed."""
    known = carrier.store.get("bring_package", number)
    shipment = carrier.store.get("bring_shipment", known["shipment"]) if known else None
    package = next((one for one in shipment["packages"] if one["number"] == number), None) if shipment else None
    if not package or shipment["account"] != request.account:
        raise BringRefusal(404, "proof_of_delivery")
    name = next((one["name"] for one in reversed(package["events"]) if one.get("name")), "")
    if not name:
        raise BringRefusal(404, "proof_of_delivery")
    return _picture(pictures.signature(name))


def _get_label(carrier: SimulatedCarrier, label_id: str, extension: str) -> dict[str, Any]:
    label = carrier.store.get("bring_label", label_id)
    if label is None or label["format"] != extension:
        raise BringRefusal(404, "label_file")
    return label


def _picture(data_url: str) -> Answer:
    content = base64.b64decode(data_url.partition(",")[2])
    return Answer(200, raw=content, headers={"Content-Type": "image/png"})


def _sign(label_id: str, expires: str) -> str:
    return hashlib.sha256(f"bring-storage:{label_id}:{expires}".encode()).hexdigest()


def _address(party: dict[str, Any]) -> dict[str, str]:
    contact = as_object(party.get("contact"))
    texts = {
        "company": party.get("name"),
        "contact_name": contact.get("name") if contact.get("name") != party.get("name") else "",
        "street": party.get("addressLine"),
        "street2": party.get("addressLine2"),
        "street3": party.get("additionalAddressInfo"),
        "city": party.get("city"),
        "postal_code": party.get("postalCode"),
        "country": str(party.get("countryCode")).upper(),
        "contact_phone": contact.get("phoneNumber"),
    }
    return {name: str(text) if text else "" for name, text in texts.items()}
