"""Pickit: pickup points and door delivery. Wire, and what of it is assumed: ``docs/carriers/pickit.md``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from carriers import types
from carriers.adapters.base import CarrierAdapter, CarrierResponse, Rate, account, text_field
from carriers.adapters.pickit import build, read
from carriers.adapters.records import UNREADABLE, Record, those_about
from carriers.types import errors

# Error codes: docs/carriers/pickit.md#requests-and-answers
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
# Fields of Pickit's requests that have another name in ours; all others are the same path.
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
    base_urls = {"sandbox": "http://127.0.0.1:8010/pickit/v2", "production": "https://api.pickit.net/v2"}
    credential_schema = account(
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
    # As its coverage names them, in any case.
    services = {"standard": "Standard", "express": "Express", "pickup_point": "To a pickup point"}
    label_formats = ("PDF", "PNG", "ZPL")
    label_sizes = ("4x6", "A4", "A6")
    webhook_max_age = timedelta(hours=8)  # its last retry comes after more than seven hours
    rates = {"*": Rate(20, "second")}

    def fetch_token(self) -> types.Token:
        response = self._send("token", "POST", "/auth/token", safe=True, json=build.login(self.fields))
        if response.status >= 300:
            raise self._login_refused(response)
        with self._reading("token", safe=True):
            return read.token(Record(response.json()))

    def quote(self, order: types.Order) -> list[types.Offer]:
        answer = self._ask("quote", "POST", "/shipments/quote", safe=True, json=build.quote(order))
        with self._reading("quote", safe=True):
            return [read.offer(Record(answer), order.service_type)]

    def create_label(self, order: types.Order) -> types.BookedLabel:
        answer = self._ask("create_label", "POST", "/shipments", safe=False, json=build.shipment(order))
        with self._reading("create_label", safe=False):
            return read.label(Record(answer).about("reference", order.reference))

    def find_by_reference(self, reference: str) -> list[types.BookedLabel]:
        answer = self._ask("find_by_reference", "GET", "/shipments", safe=True, params={"reference": reference})
        with self._reading("find_by_reference", safe=True):
            return [read.label(item) for item in those_about(Record(answer).records("data"), "reference", reference)]

    def cancel(self, tracking_number: str, reason: str) -> types.Cancellation:
        path = self._path("/shipments/{}/cancel", tracking_number)
        answer = self._ask("cancel", "POST", path, safe=False, json={"reason": reason})
        with self._reading("cancel", safe=False):
            return read.cancellation(Record(answer).about("tracking_number", tracking_number), reason)

    def track(self, tracking_numbers: Sequence[str]) -> dict[str, types.Track]:
        answers = self.http.several([partial(self._track_one, number) for number in tracking_numbers])
        found = {answer.tracking_number: answer for answer in answers if isinstance(answer, types.Track)}
        failed = [answer for answer in answers if isinstance(answer, errors.CarrierError)]
        if failed and not found:
            raise failed[0]
        return found

    def proof_of_delivery(self, tracking_number: str) -> types.ProofOfDelivery:
        path = self._path("/shipments/{}/proof-of-delivery", tracking_number)
        answer = self._ask("proof_of_delivery", "GET", path, safe=True)
        with self._reading("proof_of_delivery", safe=True):
            return read.proof(Record(answer).about("tracking_number", tracking_number))

    def schedule_pickup(self, request: types.PickupRequest) -> types.BookedPickup:
        answer = self._ask("schedule_pickup", "POST", "/pickups", safe=False, json=build.pickup(request))
        with self._reading("schedule_pickup", safe=False):
            return read.pickup(Record(answer))

    def cancel_pickup(self, carrier_pickup_id: str, reason: str) -> datetime:
        path = self._path("/pickups/{}/cancel", carrier_pickup_id)
        answer = self._ask("cancel_pickup", "POST", path, safe=False, json={"reason": reason})
        with self._reading("cancel_pickup", safe=False):
            return Record(answer).about("pickup_id", carrier_pickup_id).time("cancelled_at")

    def pickup_points(
        self, *, latitude: float, longitude: float, radius_km: float, limit: int
    ) -> list[types.PickupPoint]:
        query = {"lat": latitude, "lng": longitude, "radius": radius_km, "limit": limit}
        answer = self._ask("pickup_points", "GET", "/pickup-points", safe=True, params=query)
        with self._reading("pickup_points", safe=True):
            points = [read.point(item) for item in Record(answer).records("data")]
        return [point for point in points if point.active][:limit]

    def pickup_point(self, point_id: str) -> types.PickupPoint:
        answer = self._ask("pickup_point", "GET", self._path("/pickup-points/{}", point_id), safe=True)
        with self._reading("pickup_point", safe=True):
            return read.point(Record(answer).record("data"))

    def coverage(self, *, postal_code: str, city: str, country: str) -> types.Coverage:
        query = {"postal_code": postal_code, "city": city, "country": country}
        answer = self._ask("coverage", "GET", "/service-coverage", safe=True, params=query)
        with self._reading("coverage", safe=True):
            return read.coverage(Record(answer).record("data"))

    def rotate_credentials(self) -> dict[str, str]:
        answer = self._ask("rotate_credentials", "POST", "/auth/rotate", safe=False, json=build.login(self.fields))
        with self._reading("rotate_credentials", safe=False):
            return {"client_secret": Record(answer).about("client_id", self.fields["client_id"]).text("client_secret")}

    def verify_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        self._verify_hmac("x-pickit-timestamp", "x-pickit-signature", headers=headers, body=body, now=now)

    def parse_webhook(self, body: bytes) -> types.WebhookNews:
        try:
            return read.news(Record(json.loads(body)))
        except (ArithmeticError, RecursionError) as error:
            raise ValueError("the body is nested too deep or holds absurd numbers") from error

    def _track_one(self, number: str) -> types.Track | None:
        try:
            answer = self._ask("track", "GET", self._path("/shipments/{}/tracking", number), safe=True)
        except errors.CarrierNotFound:
            return None
        with self._reading("track", safe=True):
            return read.track(Record(answer).about("tracking_number", number), number)

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
