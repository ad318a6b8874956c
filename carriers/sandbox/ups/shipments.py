"""Shipping: labels with a number for each package, voids, and recovery of labels."""

from __future__ import annotations

import json
import secrets
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.ups import auth, label_files, orders, rates, validation
from carriers.sandbox.ups.errors import Invalid, NotValid, succeed
from carriers.sandbox.ups.track import scans
from carriers.sandbox.ups.validation import Consignment, get_element

_MOST_VOIDED = 20
_NOT_FOUND = (
    "300007",
    "The shipment for the requested tracking number or the combination of reference number plus shipper number could "
    "not be found. Please check the submitted data or wait until the shipment is processed.",
)
_VOIDED = (
    "300033",
    "The shipment for which you are trying to recover a label or Receipt has been voided. Please contact the vendor "
    "for further information",
)
# UPS prints and delivers these labels itself, or sends a link by e-mail.
_LABEL_BY_UPS, _LABEL_BY_MAIL = ("2", "3", "5"), ("8",)
_INVOICE_NEEDED = ("120016", "Customs Invoice is required when the shipment is tendered to UPS.")


def ship(carrier: SimulatedCarrier, request: Request, version: str) -> Answer:
    """Book a shipment. There is no protection against a repeated request."""
    body = request.json().get("ShipmentRequest")
    if not isinstance(body, dict) or not isinstance(body.get("Shipment"), dict):
        raise NotValid("ShipmentRequest.Shipment")
    envelope = body.get("Request")
    if not isinstance(envelope, dict) or envelope.get("RequestOption") not in ("validate", "nonvalidate"):
        raise Invalid("120051", "Invalid RequestOption")
    account = carrier.store.get("account", request.account) or {}
    consignment = validation.read(body["Shipment"], "12", account)
    orders.check(carrier, request.account, consignment, body.get("LabelSpecification"))
    shipment = _make(carrier, request.account, consignment, _label_format(consignment, body))
    with carrier.store.atomic():
        scans.save(carrier, shipment, is_new=True)
    scans.announce(carrier, shipment, [(package, package["activity"][0]) for package in shipment["packages"]])
    content = {"ShipmentResults": _show(shipment, consignment, version, envelope)}
    steps = (scans.ORDER_SCANS[text] for text in magic_texts(body["Shipment"]) if text in scans.ORDER_SCANS)
    for step in next(steps, ()):
        scans.advance(carrier, shipment["tracking_number"], {"to": step, "whole_shipment": True})
    return succeed("ShipmentResponse", envelope, content, _alerts(consignment))


def void(carrier: SimulatedCarrier, request: Request, version: str, number: str) -> Answer:
    """Void a shipment, or the packages that the parameter ``trackingnumber`` names."""
    selected = _read_numbers(request.query.get("trackingnumber", ""))
    with carrier.store.atomic():
        shipment = _get(carrier, request, number)
        if shipment is None:
            raise Invalid("190102", "No shipment found within the allowed void period")
        if all(scans.is_voided(package) for package in shipment["packages"]):
            raise Invalid("190117", "The Shipment has already been voided")
        packages = _select(shipment, selected)
        moved = [package for package in packages if scans.has_moved(package)]
        if len(moved) == len(packages):
            # That a collected parcel has this code is assumed.
            raise Invalid("190102", "No shipment found within the allowed void period")
        # If one package has moved, a whole shipment is not voided; of named packages, the others are (assumed).
        voided = [package for package in packages if package not in moved] if selected or not moved else []
        added = scans.void(carrier, shipment, voided)
    scans.announce(carrier, shipment, added)
    results = [_show_void(package, is_voided=package in voided) for package in packages]
    is_whole = len(voided) == len(packages)
    content: dict[str, Any] = {"SummaryResult": {"Status": _show_status(is_voided=is_whole)}}
    if selected or moved:
        content["PackageLevelResults"] = validation.list_since(results, version, 2403)
    return succeed("VoidShipmentResponse", None, content)


def recover(carrier: SimulatedCarrier, request: Request, version: str) -> Answer:
    """Answer with the labels of a shipment, as GIF whatever was requested."""
    body = request.json().get("LabelRecoveryRequest")
    if not isinstance(body, dict):
        raise NotValid("LabelRecoveryRequest")
    if body.get("Translate") and body.get("Locale"):
        raise NotValid("LabelRecoveryRequest.Translate, Locale")
    number = str(body.get("TrackingNumber") or "")
    values = get_element(body, "ReferenceValues")
    found = _find_by_number(carrier, request, number) if number else _find_by_reference(carrier, request, values)
    if not found:
        raise Invalid(*_NOT_FOUND)
    if len(found) > 1:  # published only as candidates "in the event" of a search by reference
        candidates = [_show_candidate(shipment) for shipment in found]
        content = {"LabelResults": [], "TrackingCandidate": candidates}
        return succeed("LabelRecoveryResponse", body.get("Request"), content)
    (shipment,) = found
    kept = [(at, package) for at, package in enumerate(shipment["packages"]) if not scans.is_voided(package)]
    if not kept:
        raise Invalid(*_VOIDED)
    labels = [_show_recovered(shipment, at, package) for at, package in kept]
    content = {"ShipmentIdentificationNumber": shipment["tracking_number"], "LabelResults": labels}
    return succeed("LabelRecoveryResponse", body.get("Request"), content)


def magic_texts(shipment: Any) -> list[str]:
    """Return the texts of an order that may be a magic word: the recipient's names, description and references."""
    if not isinstance(shipment, dict):
        return []
    to = shipment.get("ShipTo")
    texts = [to.get("Name"), to.get("AttentionName")] if isinstance(to, dict) else []
    return [str(text) for text in (*texts, shipment.get("Description"), *references_of(shipment))]


def references_of(shipment: dict[str, Any]) -> list[str]:
    """Return the references of a ``Shipment`` element and of its packages."""
    holders = [shipment, *validation.one_or_many(shipment.get("Package"))]
    found = [
        str(one.get("Value"))
        for holder in holders
        if isinstance(holder, dict)
        for one in validation.one_or_many(holder.get("ReferenceNumber"))
        if isinstance(one, dict) and one.get("Value")
    ]
    return list(dict.fromkeys(found))


def compute_check_digit(body: str) -> str:
    """Return the check digit of the fifteen characters after 1Z: letters count as digits, every second twice."""
    values = [int(char) if char.isdigit() else (ord(char) - 63) % 10 for char in body]
    return str(-(sum(values[::2]) + 2 * sum(values[1::2])) % 10)


def _make(carrier: SimulatedCarrier, account: str, consignment: Consignment, image_format: str) -> dict[str, Any]:
    """Return a new shipment. The number of its first package is its own."""
    numbers = _new_numbers(carrier, consignment, len(consignment.packages))
    packages = [
        package | {"tracking_number": number, "number": at, "activity": []}
        for at, (package, number) in enumerate(zip(consignment.packages, numbers, strict=True), start=1)
    ]
    point = consignment.body.get("AlternateDeliveryAddress") if consignment.is_to_point else None
    shipment = {
        "account": account,
        "tracking_number": numbers[0],
        "shipper_number": consignment.shipper_number,
        "service": consignment.service,
        "return_code": consignment.return_code,
        "origin": consignment.origin,
        "destination": consignment.destination,
        "point": point and _summarize_point(point),
        "description": str(consignment.body.get("Description") or ""),
        "references": references_of(consignment.body),
        "has_package_references": consignment.has_package_references,
        "image_format": image_format,
        "packages": packages,
    }
    scans.plan_delivery(shipment, consignment)
    for package in packages:
        scans.add(shipment, package, "created", {})
    return shipment


def _summarize_point(point: dict[str, Any]) -> dict[str, str]:
    address = point["Address"]
    lines = validation.one_or_many(address.get("AddressLine"))
    parts = (*lines, address.get("City"), address.get("StateProvinceCode"), address.get("PostalCode"))
    line = ", ".join(str(part) for part in parts if part)
    return {"id": str(point.get("UPSAccessPointID") or ""), "name": str(point["Name"]), "address": line}


def _new_numbers(carrier: SimulatedCarrier, consignment: Consignment, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        body = f"{consignment.shipper_number}{consignment.service}{secrets.randbelow(10**7):07}"
        number = f"1Z{body}{compute_check_digit(body)}"
        if number not in found and not carrier.store.get("ups_number", number):
            found.append(number)
    return found


def _label_format(consignment: Consignment, body: dict[str, Any]) -> str:
    """Return the format of the labels. Those of COD shipments are GIF whatever was requested."""
    requested = get_element(body, "LabelSpecification", "LabelImageFormat").get("Code") or "GIF"
    is_cod = "COD" in consignment.options or any(package["is_cod"] for package in consignment.packages)
    return "GIF" if is_cod else str(requested)


def _alerts(consignment: Consignment) -> tuple[tuple[str, str], ...]:
    forms, _ = orders.forms_of(consignment)
    needs_invoice = consignment.is_abroad and not consignment.is_within_eu and not forms
    alerts = [_INVOICE_NEEDED] if needs_invoice and "DocumentsOnlyIndicator" not in consignment.body else []
    if consignment.wants_negotiated and not consignment.discount:
        alerts.append(rates.NOT_ELIGIBLE)
    return tuple(alerts)


def _show(shipment: dict[str, Any], consignment: Consignment, version: str, envelope: dict[str, Any]) -> dict[str, Any]:
    amounts = rates.price(consignment, shipment["service"])
    code = shipment["return_code"]
    shown = {
        "ShipmentCharges": rates.show_charges(amounts),
        "BillingWeight": rates.show_billing_weight(consignment),
        "ShipmentIdentificationNumber": shipment["tracking_number"],
    }
    if str(envelope.get("SubVersion") or "") >= "1601":
        shown["ShipmentCharges"]["ItemizedCharges"] = rates.show_items(amounts)
    if amounts["negotiated"] is not None:
        shown["NegotiatedRateCharges"] = {"TotalCharge": rates.show_money(amounts["negotiated"], amounts["currency"])}
    packages = []
    for at, package in enumerate(shipment["packages"]):
        one: dict[str, Any] = {"TrackingNumber": package["tracking_number"]}
        one["ServiceOptionsCharges"] = rates.show_money(amounts["packages"][at]["options"], amounts["currency"])
        if code not in (*_LABEL_BY_UPS, *_LABEL_BY_MAIL):
            one["ShippingLabel"] = label_files.show_label(shipment, at, shipment["image_format"])
        if code == "9":
            receipt = label_files.encode(label_files.write_page("Receipt", package["tracking_number"]))
            one["ShippingReceipt"] = {"ImageFormat": {"Code": "HTML", "Description": "HTML"}, "GraphicImage": receipt}
        packages.append(one)
    shown["PackageResults"] = validation.list_since(packages, version, 2403)
    if code in _LABEL_BY_MAIL or "LabelDelivery" in consignment.options:
        shown["LabelURL"] = f"https://www.ups.com/uel/llp/{shipment['tracking_number']}/link/labelAll"
    forms, types = orders.forms_of(consignment)
    if types - {"07"}:
        image = label_files.encode(label_files.draw_invoice(shipment, forms))
        shown["Form"] = {
            "Code": "01",
            "Description": "All Requested International Forms",
            "Image": {"ImageFormat": {"Code": "PDF", "Description": "PDF"}, "GraphicImage": image},
        }
    if "COD" in consignment.options or any(package["is_cod"] for package in consignment.packages):
        page = label_files.encode(label_files.write_page("COD", shipment["tracking_number"]))
        html = {"ImageFormat": {"Code": "HTML", "Description": "HTML"}, "GraphicImage": page}
        shown["CODTurnInPage"] = {"Image": html}
    return shown


def _get(carrier: SimulatedCarrier, request: Request, number: str) -> dict[str, Any] | None:
    shipment = carrier.store.get("ups_shipment", number)
    return shipment if shipment and shipment["account"] == request.account else None


def _read_numbers(text: str) -> list[str]:
    """Return the numbers of ``trackingnumber``: one, or a JSON list."""
    try:
        value = json.loads(text) if text.startswith("[") else [part for part in text.split(",") if part]
    except ValueError:
        raise Invalid("190109", "Invalid TrackingNumber") from None
    return [str(number).strip() for number in value]


def _select(shipment: dict[str, Any], numbers: list[str]) -> list[dict[str, Any]]:
    if len(numbers) > _MOST_VOIDED:
        raise Invalid("190111", "Package Void Limit Exceeded")
    if numbers and shipment["return_code"]:
        raise Invalid("190112", "Return Service Shipments cannot be Voided at the Package Level")
    if numbers and shipment["origin"]["country"] != shipment["destination"]["country"]:
        raise Invalid("190113", "International Shipments cannot be Voided at the Package Level")
    by_number = {package["tracking_number"]: package for package in shipment["packages"]}
    unknown = [number for number in numbers if number not in by_number]
    if unknown:
        raise Invalid("190122", f"Package(s) {', '.join(unknown)} selected to void is(are) invalid")
    return [by_number[number] for number in numbers] or shipment["packages"]


def _show_void(package: dict[str, Any], *, is_voided: bool) -> dict[str, Any]:
    return {"TrackingNumber": package["tracking_number"], "Status": _show_status(is_voided=is_voided)}


def _show_status(*, is_voided: bool) -> dict[str, str]:
    return {"Code": "1", "Description": "Voided"} if is_voided else {"Code": "0", "Description": "Not Voided"}


def _find_by_number(carrier: SimulatedCarrier, request: Request, number: str) -> list[dict[str, Any]]:
    row = carrier.store.get("ups_number", number)
    shipment = _get(carrier, request, row["shipment"]) if row else None
    return [shipment] if shipment else []


def _find_by_reference(carrier: SimulatedCarrier, request: Request, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the shipments with a reference: those not voided, or all if they all are."""
    number = get_element(values, "ReferenceNumber")
    reference, shipper = str(number.get("Value") or ""), str(values.get("ShipperNumber") or "")
    if not reference or not shipper:
        raise Invalid("300005", "Either tracking number or combination of reference plus shipper number required")
    if shipper not in auth.shipper_numbers(carrier, request):
        raise Invalid("300031", "Invalid Shipper Number")
    found = [one for one in scans.find_all(carrier, request.account, reference) if one["shipper_number"] == shipper]
    kept = [one for one in found if not all(map(scans.is_voided, one["packages"]))]
    return kept or found[-1:]


def _show_recovered(shipment: dict[str, Any], at: int, package: dict[str, Any]) -> dict[str, Any]:
    image = label_files.encode(label_files.draw_label(shipment, at, "GIF"))
    label = {"LabelImageFormat": {"Code": "GIF"}, "GraphicImage": image}
    return {"TrackingNumber": package["tracking_number"], "LabelImage": label}


def _show_candidate(shipment: dict[str, Any]) -> dict[str, Any]:
    date = shipment["packages"][0]["activity"][0]["date"]
    return {
        "TrackingNumber": shipment["tracking_number"],
        "DestinationPostalCode": shipment["destination"]["postal_code"],
        "DestinationCountryCode": shipment["destination"]["country"],
        "PickupDateRange": {"BeginDate": date, "EndDate": date},
    }
