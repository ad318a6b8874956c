"""Pickit: delivery to pickup points and to the door.

``docs/carriers/pickit.md`` documents its wire format and which parts of it are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from carriers import types
from carriers.adapters.apis import Api, Bearer, Json
from carriers.adapters.base import CarrierAdapter, Rate, schema, text_field
from carriers.adapters.operations import LOGIN
from carriers.adapters.pickit import build, read
from carriers.adapters.protocols import CarrierResponse
from carriers.adapters.records import UNREADABLE, Record, matching
from carriers.types import errors

# docs/carriers/pickit.md#requests-and-answers
ERRORS: dict[str, type[errors.CarrierError]] = {
    "INVALID_CLIENT": errors.CarrierAuthentication,
    "INVALID_TOKEN": errors.CarrierAuthentication,
    "SHIPMENT_NOT_FOUND": errors.CarrierShipmentNotFound,
    "PICKUP_NOT_FOUND": errors.CarrierNotFound,
    "PICKUP_POINT_NOT_FOUND": errors.CarrierNotFound,
    "POD_NOT_AVAILABLE": errors.ProofNotAvailable,
    "CANNOT_CANCEL": errors.CarrierCannotCancel,
    "NOT_SERVICEABLE": errors.NotServiceable,
    "PICKUP_POINT_UNAVAILABLE": errors.NotServiceable,
}
# Fields of Pickit's requests -> ours; all others have the same path in both.
FIELDS = {
    "pickup_point_id": "metadata.pickup_point_id",
    "customer_reference": "metadata.customer_reference",
    "label.format": "label_format",
    "label.size": "label_size",
    "window": "pickup_window_start",
    "window.start": "pickup_window_start",
    "window.end": "pickup_window_end",
    "contact.name": "contact_name",
    "contact.phone": "contact_phone",
    "contact.email": "contact_email",
    "lat": "latitude",
    "lng": "longitude",
    "radius": "radius_km",
}


class PickitAdapter(CarrierAdapter):
    slug = "pickit"
    name = "Pickit"
    apis = {"main": Api(production="https://api.pickit.net/v2", auth=(Bearer(),))}
    credential_schema = schema(
        required=("client_id", "client_secret"),
        client_id=text_field("Client ID"),
        client_secret=text_field("Client secret", secret=True),
        webhook_secret=text_field("Webhook secret", "Needed to receive events.", secret=True),
    )
    environment_names = {
        "PICKIT_CLIENT_ID": "client_id",
        "PICKIT_CLIENT_SECRET": "client_secret",
        "PICKIT_WEBHOOK_SECRET": "webhook_secret",
    }
    default_service = "standard"
    max_parcels = 100
    point_search_fields = ("latitude", "longitude")
    unserved_fields = ("customs", "return_address", "wanted_documents", "attachments", "packaging", "ship_at")
    # The codes of its coverage, in any case.
    services = {"standard": "Standard", "express": "Express", "pickup_point": "To a pickup point"}
    label_formats = ("PDF", "PNG", "ZPL")
    label_sizes = ("4x6", "A4", "A6")
    number_pattern = r"PKT-[A-Z0-9]+"
    returns_end_as = types.Status.DELIVERED
    webhook_max_age = timedelta(hours=8)  # the last retry comes after more than seven hours
    rates = {"*": Rate(20, "second")}

    def fetch_token(self, kind: str = "main") -> types.Token:
        answer = self._login("/auth/token", Json(build.login(self.fields)))
        with self._reading(LOGIN):
            return read.token(Record(answer))

    def check_api(self) -> None:
        self.pickup_points(types.PointSearch(country="", latitude=0, longitude=0, radius_km=1, limit=1))

    def quote(self, order: types.Order) -> list[types.Offer]:
        answer = self._request("quote", "POST", "/shipments/quote", body=Json(build.quote(order)))
        with self._reading("quote"):
            return [read.offer(Record(answer), order.service_type, order.origin.country)]

    def create_label(self, order: types.Order) -> types.BookedShipment:
        answer = self._request("create_label", "POST", "/shipments", body=Json(build.shipment(order)))
        with self._reading("create_label", answer):
            return read.shipment(Record(answer).expect("reference", order.reference), order.origin.country)

    def find_by_reference(self, ref: types.ShipmentRef) -> list[types.BookedShipment]:
        answer = self._request("find_by_reference", "GET", "/shipments", params={"reference": ref.reference})
        with self._reading("find_by_reference"):
            rows = matching(Record(answer).records("data"), "reference", ref.reference)
            return [read.found_shipment(row) for row in rows]

    def cancel(
        self, ref: types.ShipmentRef, reason: str, parcels: Sequence[types.ParcelRef] = ()
    ) -> types.Cancellation:
        path = self._path("/shipments/{}/cancel", ref.tracking_number)
        answer = self._request("cancel", "POST", path, body=Json({"reason": reason}))
        with self._reading("cancel"):
            return read.cancellation(Record(answer).expect("tracking_number", ref.tracking_number), reason)

    def track(self, refs: Sequence[types.ShipmentRef]) -> dict[str, types.Track]:
        return self._track_each(refs, self._track_one)

    def proof_of_delivery(self, ref: types.ShipmentRef) -> types.ProofOfDelivery:
        path = self._path("/shipments/{}/proof-of-delivery", ref.tracking_number)
        answer = self._request("proof_of_delivery", "GET", path)
        with self._reading("proof_of_delivery"):
            return read.proof(Record(answer).expect("tracking_number", ref.tracking_number))

    def schedule_pickup(self, request: types.PickupRequest) -> types.BookedPickup:
        answer = self._request("schedule_pickup", "POST", "/pickups", body=Json(build.pickup(request)))
        with self._reading("schedule_pickup", answer):
            return read.pickup(Record(answer), request)

    def cancel_pickup(self, ref: types.PickupRef, reason: str) -> datetime:
        path = self._path("/pickups/{}/cancel", ref.carrier_pickup_id)
        answer = self._request("cancel_pickup", "POST", path, body=Json({"reason": reason}))
        with self._reading("cancel_pickup"):
            return read.cancelled_at(Record(answer).expect("pickup_id", ref.carrier_pickup_id))

    def pickup_points(self, search: types.PointSearch) -> list[types.PickupPoint]:
        query = {"lat": search.latitude, "lng": search.longitude, "radius": search.radius_km, "limit": search.limit}
        answer = self._request("pickup_points", "GET", "/pickup-points", params=query)
        with self._reading("pickup_points"):
            points = Record(answer).each("data", read.point)
        return [point for point in points if point.active][: search.limit]

    def pickup_point(self, point_id: str, country: str) -> types.PickupPoint:
        answer = self._request("pickup_point", "GET", self._path("/pickup-points/{}", point_id))
        with self._reading("pickup_point"):
            return read.point(Record(answer).record("data"))

    def coverage(self, *, postal_code: str, city: str, country: str) -> types.Coverage:
        query = {"postal_code": postal_code, "city": city, "country": country}
        answer = self._request("coverage", "GET", "/service-coverage", params=query)
        with self._reading("coverage"):
            return read.coverage(Record(answer).record("data"), postal_code, city, country)

    def rotate_credentials(self) -> dict[str, str]:
        answer = self._request("rotate_credentials", "POST", "/auth/rotate", body=Json(build.login(self.fields)))
        with self._reading("rotate_credentials"):
            return {"client_secret": Record(answer).expect("client_id", self.fields["client_id"]).text("client_secret")}

    def verify_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        self._verify_hmac("x-pickit-timestamp", "x-pickit-signature", headers=headers, body=body, now=now)

    def parse_webhook(self, body: bytes) -> types.WebhookReport:
        return self._read_events(body, lambda event: read.webhook(Record(event)))

    def _track_one(self, ref: types.ShipmentRef) -> types.Track | None:
        try:
            answer = self._request("track", "GET", self._path("/shipments/{}/tracking", ref.tracking_number))
        except errors.CarrierNotFound:
            return None
        with self._reading("track"):
            return read.track(Record(answer).expect("tracking_number", ref.tracking_number), ref.tracking_number)

    def _documented_refusal(self, code: str) -> type[errors.CarrierError] | None:
        return ERRORS.get(code)

    def _refusal(self, operation: str, response: CarrierResponse) -> errors.CarrierError:
        try:
            problem = Record(response.json()).record("error")
            code, message, field = problem.text("code"), problem.text("message", ""), problem.text("field", "")
        except UNREADABLE:
            plain = super()._refusal(operation, response)
            code, message, field = plain.carrier_code, plain.carrier_message, ""
        kind = ERRORS.get(code, errors.CarrierRejected)
        if response.status == 401:
            kind = errors.CarrierAuthentication
        details = {FIELDS.get(field, field): [message]} if field else {}
        return kind(carrier=self.name, carrier_code=code, carrier_message=message, details=details)
