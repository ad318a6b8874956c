"""Kestrel Post, a carrier that does not exist. ``docs/adding-a-carrier.md`` builds this module step by step.

It takes a key with each request, numbers each parcel, and has no webhooks. Labels that its first answer lacks are
printed later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from carriers import types
from carriers.adapters.apis import Api, HeaderKey, Json
from carriers.adapters.base import CarrierAdapter, Lookup, Rate, schema, text_field
from carriers.adapters.protocols import CarrierResponse
from carriers.adapters.records import UNREADABLE, Record, matching, now
from carriers.adapters.scans import build_scan
from carriers.types import Status, errors, parcel_reference
from carriers.types.units import convert, round_up

# docs/carriers/kestrel.md#status
STATUSES = {
    "announced": Status.CREATED,
    "collected": Status.PICKED_UP,
    "sorted": Status.IN_TRANSIT,
    "nobody_home": Status.EXCEPTION,
    "handed_over": Status.DELIVERED,
    "weighed": Status.INFO,
}
# Codes of exceptions -> reason, and who must act.
REASONS = {"nobody_home": ("not_home", "recipient")}
SIGNATURES = {"": "none", "any": "anyone", "recipient": "addressee"}
LINES, WIDTH = 2, 35  # of an address


class KestrelAdapter(CarrierAdapter):
    slug = "kestrel"
    name = "Kestrel Post"
    apis = {"main": Api(production="https://api.kestrel.example", auth=(HeaderKey("X-Key", "key"),))}
    credential_schema = schema(required=("key",), key=text_field("API key", secret=True))
    services = {"standard": "Two days"}
    default_service = "standard"
    served_options = ("signature", "carrier")
    options_schema = schema(required=(), leave_at={"enum": ["door", "garage"]})
    unserved_fields = ("customs", "return_address", "wanted_documents", "attachments", "packaging")
    max_parcels = 10
    created_code = "announced"
    lookup = Lookup(quiet=timedelta(minutes=10), every=timedelta(minutes=2), watch=timedelta(hours=24))
    rates = {"*": Rate(50, "second")}

    def check_credential(self) -> None:
        answer = self._request("check_credential", "GET", "/key")  # without logins, any request that needs the key
        with self._reading("check_credential"):
            Record(answer).text("owner")

    def track(self, refs: Sequence[types.ShipmentRef]) -> dict[str, types.Track]:
        return self._track_each(refs, self._track_one)

    def _track_one(self, ref: types.ShipmentRef) -> types.Track | None:
        try:
            answer = self._request("track", "GET", self._path("/shipments/{}/events", ref.tracking_number))
        except errors.CarrierNotFound:
            return None
        with self._reading("track"):
            scans = tuple(Record(answer).each("events", read_scan))
        return types.Track(tracking_number=ref.tracking_number, scans=scans)

    def problems(self, order: types.Order) -> dict[str, list[str]]:
        return {field: [text] for field, text in find_problems(order)}

    def create_label(self, order: types.Order) -> types.BookedShipment:
        answer = self._request("create_label", "POST", "/shipments", body=Json(build_shipment(order)))
        with self._reading("create_label", answer):
            return read_shipment(Record(answer).expect("ref", order.reference))

    def find_by_reference(self, ref: types.ShipmentRef) -> list[types.BookedShipment]:
        answer = self._request("find_by_reference", "GET", "/shipments", params={"ref": ref.reference})
        with self._reading("find_by_reference"):
            rows = matching(Record(answer).records("shipments"), "ref", ref.reference)
            return [read_shipment(row) for row in rows]

    def documents(self, ref: types.ShipmentRef, kinds: Collection[str]) -> list[types.Document]:
        return [self._fetch_label(parcel) for parcel in ref.parcels] if "label" in kinds else []

    def _fetch_label(self, parcel: types.ParcelRef) -> types.Document:
        path = self._path("/parcels/{}/label", parcel.tracking_number)
        content = self._request("documents", "GET", path, expect="bytes")
        if not content.startswith(b"%PDF-"):
            raise self._unreadable("documents", "the label is not a PDF")
        return label(content, "PDF", parcel.number)

    def quote(self, order: types.Order) -> list[types.Offer]:
        answer = self._request("quote", "POST", "/rates", body=Json({"grams": [grams(one) for one in order.packages]}))
        with self._reading("quote"):
            return Record(answer).each("rates", read_offer)

    def _refusal(self, operation: str, response: CarrierResponse) -> errors.CarrierError:
        plain = super()._refusal(operation, response)
        kind = errors.CarrierAuthentication if response.status == 401 else errors.CarrierRejected
        try:
            message = Record(response.json()).text("problem")
            kind = errors.CarrierNotFound if response.status == 404 else kind
        except UNREADABLE:
            message = plain.carrier_message
        return kind(carrier=self.name, carrier_code=plain.carrier_code, carrier_message=message)


def find_problems(order: types.Order) -> Iterator[tuple[str, str]]:
    """Yield each field that Kestrel would cut or does not offer, and why."""
    try:
        order.destination.lines(LINES, WIDTH)
    except types.AddressDoesNotFit as error:
        yield f"destination.{error.args[0]}", "Two lines of 35 characters are possible."
    if order.options.signature not in SIGNATURES:
        yield "options.signature", "Kestrel does not check the age."


def build_shipment(order: types.Order) -> dict[str, Any]:
    to = order.destination
    address = {"name": to.contact_name, "lines": to.lines(LINES, WIDTH), "city": to.city, "postcode": to.postal_code}
    parcels = [
        {"ref": parcel_reference(order.reference, number), "grams": grams(package)}
        for number, package in enumerate(order.packages, 1)
    ]
    options = {"signature": SIGNATURES[order.options.signature], **order.options.carrier}
    return {"ref": order.reference, "to": address, "parcels": parcels} | options


def grams(package: types.Package) -> int:
    return int(round_up(convert(package.weight_kg, "kg", "g"), 0))


def read_shipment(row: Record) -> types.BookedShipment:
    reference, parcels, documents = row.text("ref"), [], []
    for number, parcel in enumerate(row.records("parcels"), 1):
        own = parcel.expect("ref", parcel_reference(reference, number)).text("ref")
        parcels.append(types.ParcelRef(number=number, tracking_number=parcel.identifier("number"), reference=own))
        if parcel.text("label", ""):
            documents.append(label(*parcel.file("label"), number))
    return types.BookedShipment(
        reference=reference,
        tracking_number=row.identifier("number"),
        carrier_shipment_id=row.lenient(Record.text, "id", "", most=64),
        parcels=tuple(parcels),
        documents=tuple(documents),
        created_at=row.lenient(Record.time, "at", None) or now(),
    )


def label(content: bytes, label_format: str, parcel: int) -> types.Document:
    return types.Document(kind="label", format=label_format, content=content, parcel=parcel, size="4x6")


def read_scan(row: Record) -> types.Scan:
    scan = build_scan(row.text("code"), row.text("at"), statuses=STATUSES, descriptions={}, details={}, reasons=REASONS)
    return replace(scan, parcel=row.lenient(Record.text, "parcel", "", most=50))


def read_offer(row: Record) -> types.Offer:
    price = row.number("price")
    return types.Offer(
        service_type=row.text("service"),
        total_price=price,
        currency=row.currency("currency", "GB"),
        breakdown={"base_rate": price},
        transit_days=row.lenient(Record.integer, "days", None),
    )
