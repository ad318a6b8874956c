"""Kestrel Post, a carrier that does not exist. ``docs/adding-a-carrier.md`` shows this module as an example.

It takes a key with each request, sends the label in its response and has no webhooks.
"""

from __future__ import annotations

from collections.abc import Sequence

from carriers import types
from carriers.adapters.apis import Api, HeaderKey, Json
from carriers.adapters.base import CarrierAdapter, Rate, schema, text_field
from carriers.adapters.protocols import CarrierResponse
from carriers.adapters.records import UNREADABLE, Record, matching, now
from carriers.adapters.scans import build_scan
from carriers.types import Status, errors

# docs/carriers/kestrel.md#status
STATUSES = {
    "announced": Status.CREATED,
    "collected": Status.PICKED_UP,
    "sorted": Status.IN_TRANSIT,
    "handed_over": Status.DELIVERED,
}


class KestrelAdapter(CarrierAdapter):
    slug = "kestrel"
    name = "Kestrel Post"
    apis = {"main": Api(production="https://api.kestrel.example", auth=(HeaderKey("X-Key", "key"),))}
    credential_schema = schema(required=("key",), key=text_field("API key", secret=True))
    default_service = "standard"
    services = {"standard": "Two days"}
    rates = {"*": Rate(50, "second")}

    def check_credential(self) -> None:
        answer = self._request("check_credential", "GET", "/key")  # without logins, any request that needs the key
        with self._reading("check_credential"):
            Record(answer).text("owner")

    def quote(self, order: types.Order) -> list[types.Offer]:
        grams = sum(int(package.weight_kg * 1000) for package in order.packages)
        answer = self._request("quote", "POST", "/rates", body=Json({"grams": grams}))
        with self._reading("quote"):
            return Record(answer).each("rates", read_offer)

    def create_label(self, order: types.Order) -> types.BookedShipment:
        body = {"ref": order.reference, "to": order.destination.contact_name}
        answer = self._request("create_label", "POST", "/parcels", body=Json(body))
        with self._reading("create_label", answer):
            return read_shipment(Record(answer).expect("ref", order.reference))

    def find_by_reference(self, ref: types.ShipmentRef) -> list[types.BookedShipment]:
        answer = self._request("find_by_reference", "GET", "/parcels", params={"ref": ref.reference})
        with self._reading("find_by_reference"):
            rows = matching(Record(answer).records("parcels"), "ref", ref.reference)
            return [read_shipment(item) for item in rows]

    def track(self, refs: Sequence[types.ShipmentRef]) -> dict[str, types.Track]:
        found = {}
        for number in (ref.tracking_number for ref in refs):
            answer = self._request("track", "GET", self._path("/parcels/{}/events", number))
            with self._reading("track"):
                scans = tuple(Record(answer).each("events", read_scan))
            found[number] = types.Track(tracking_number=number, scans=scans)
        return found

    def _refusal(self, operation: str, response: CarrierResponse) -> errors.CarrierError:
        plain = super()._refusal(operation, response)
        try:
            message = Record(response.json()).text("problem")
        except UNREADABLE:
            message = plain.carrier_message
        kind = errors.CarrierAuthentication if response.status == 401 else errors.CarrierRejected
        return kind(carrier=self.name, carrier_code=plain.carrier_code, carrier_message=message)


def read_offer(item: Record) -> types.Offer:
    price = item.number("price")
    return types.Offer(
        service_type=item.text("service"),
        total_price=price,
        currency=item.currency("currency", "GB"),
        breakdown={"base_rate": price},
        transit_days=item.lenient(Record.integer, "days", None),
    )


def read_shipment(item: Record) -> types.BookedShipment:
    content, label_format = item.file("label")
    return types.BookedShipment(
        reference=item.text("ref"),
        tracking_number=item.identifier("number"),
        carrier_shipment_id=item.lenient(Record.text, "id", "", most=64),
        documents=(types.Document(kind="label", format=label_format, content=content, size="4x6"),),
        created_at=item.lenient(Record.time, "at", None) or now(),
    )


def read_scan(item: Record) -> types.Scan:
    return build_scan(item.text("code"), item.text("at"), statuses=STATUSES, descriptions={}, details={})
