"""Velocity Shipfast: an aggregator of couriers in India.

``docs/carriers/velocity.md`` documents its wire format and which parts of it are assumed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from carriers import types
from carriers.adapters.apis import Api, Auth, Bearer, Json
from carriers.adapters.base import CarrierAdapter, Rate, schema, text_field
from carriers.adapters.operations import LOGIN
from carriers.adapters.protocols import CarrierResponse
from carriers.adapters.records import UNREADABLE, Record, matching
from carriers.adapters.velocity import build, read
from carriers.types import errors

API = "/custom/api/v1"
# Fields of Velocity's requests -> ours: docs/carriers/velocity.md#errors
FIELDS = {
    "order_id": "order_id",
    "weight": "packages",
    "length": "packages[0].length_cm",
    "breadth": "packages[0].width_cm",
    "height": "packages[0].height_cm",
    "order_items": "items",
    "payment_method": "payment_method",
    "cod_collectible": "cod_amount",
    "pickup_location": "warehouse_id",
    "warehouse_id": "warehouse_id",
    "courier_company_id": "service_type",
    "name": "name",
    "phone": "address.contact_phone",
    "email": "address.contact_email",
    "address": "address.street",
    "address_2": "address.street",
    "city": "address.city",
    "state": "address.state",
    "pin_code": "address.postal_code",
    "pickup_pincode": "origin.postal_code",
    "delivery_pincode": "destination.postal_code",
}
ADDRESS_FIELDS = {
    "customer_name": "contact_name",
    "last_name": "contact_name",
    "address": "street",
    "city": "city",
    "pincode": "postal_code",
    "pin_code": "postal_code",
    "state": "state",
    "country": "country",
    "email": "contact_email",
    "phone": "contact_phone",
}
# The first word of an address field -> our address.
ADDRESSES = {
    "billing": "billing_address",
    "shipping": "destination",
    "pickup": "origin",
    "return": "return_address",
}
MAX_TRACKED = 50  # numbers per tracking call
SHIPMENT_OPERATIONS = ("track", "cancel", "update_order")


class VelocityAdapter(CarrierAdapter):
    slug = "velocity"
    name = "Velocity Shipfast"
    apis = {"main": Api(production="https://shazam.velocity.in", auth=(Bearer(),))}
    credential_schema = schema(
        required=("username", "password"),
        username=text_field("Username", "The login's phone number, with +91."),
        password=text_field("Password", secret=True),
        authorization_scheme=text_field(
            "Authorization scheme", "How the token is sent: raw (the default) or bearer.", choices=("raw", "bearer")
        ),
        channel_id=text_field("Channel", "Velocity's number of the sales channel."),
        webhook_secret=text_field("Webhook secret", "Needed to receive events.", secret=True),
    )
    environment_names = {"VELOCITY_USERNAME": "username", "VELOCITY_PASSWORD": "password"}
    services = {"standard": "Velocity chooses the courier", "courier_{id}": "The courier of a quote's offer"}
    default_service = "standard"
    max_parcels = 100
    unserved_fields = ("customs", "return_address", "wanted_documents", "attachments", "packaging", "ship_at")
    service_pattern = rf"standard|{build.CHOSEN_COURIER}"
    payment_methods = (types.PaymentMethod.PREPAID, types.PaymentMethod.COD)
    currencies = (read.CURRENCY,)
    countries = ("IN",)
    report_kinds = ("orders", "billing", "performance", "cod_remittance", "weight_discrepancy", "ndr")
    created_code = "NEW"
    cancelled_code = "CANCELLED"
    returns_end_as = types.Status.DELIVERED
    zone = read.ZONE
    token_margin = timedelta(hours=1)  # renewed at 23 of its 24 hours
    webhook_max_age = timedelta(hours=8)
    # docs/carriers/velocity.md#limits
    rates = {
        "token": Rate(10, "hour"),
        "orders": Rate(100, "minute", ("create_label", "create_return", "update_order")),
        "track": Rate(100, "minute"),
        "cancel": Rate(50, "minute"),
        "quote": Rate(200, "minute"),
        "register_warehouse": Rate(20, "minute"),
        "reports": Rate(100, "minute", ("reports", "find_by_reference")),
    }

    def auth_of(self, api: str) -> Sequence[Auth]:
        return (Bearer(scheme="Bearer" if self.fields.get("authorization_scheme") == "bearer" else ""),)

    def fetch_token(self, kind: str = "main") -> types.Token:
        answer = self._login(f"{API}/auth-token", Json(build.login(self.fields)))
        with self._reading(LOGIN):
            return read.token(read.record(answer))

    def check_api(self) -> None:
        today = datetime.now(self.zone).date()
        self.reports(types.ReportRequest(kind="orders", since=today, until=today))

    def quote(self, order: types.Order) -> list[types.Offer]:
        answer = self._request("quote", "POST", f"{API}/serviceability", body=Json(build.serviceability(order)))
        with self._reading("quote"):
            offers = read.offers(read.record(answer), cod=order.payment_method == types.PaymentMethod.COD)
        if not offers:
            raise errors.NotServiceable(carrier=self.name, carrier_code="not_serviceable")
        return offers

    def create_label(self, order: types.Order) -> types.BookedShipment:
        path = "/forward-order-shipment" if build.chosen_courier(order) else "/forward-order"
        body = build.forward_order(order, zone=self.zone, channel_id=self.fields.get("channel_id", ""))
        try:
            answer = self._order("create_label", path, body)
        except errors.CarrierError as error:
            if order.billing_address is None:  # Velocity's billing address is then our destination
                _rename(error, "billing_address", "destination")
            raise
        return self._booked("create_label", answer, order.reference)

    def create_return(self, order: types.Order) -> types.BookedShipment:
        path = "/reverse-order-shipment" if build.chosen_courier(order) else "/reverse-order"
        body = build.reverse_order(order, zone=self.zone, channel_id=self.fields.get("channel_id", ""))
        answer = self._order("create_return", path, body)
        return self._booked("create_return", answer, order.reference)

    def find_by_reference(self, ref: types.ShipmentRef) -> list[types.BookedShipment]:
        query = {"type": "orders", "order_id": ref.reference}
        answer = self._request("find_by_reference", "GET", f"{API}/reports", params=query)
        with self._reading("find_by_reference"):
            rows = matching(read.record(answer).records("data"), "order_id", ref.reference)
            found = [read.found_shipment(row) for row in rows]
        return sorted(found, key=lambda shipment: shipment.created_at)

    def documents(self, ref: types.ShipmentRef, kinds: Collection[str]) -> list[types.Document]:
        urls = {kind: ref.carrier_state.get(f"{kind}_url", "") for kind in read.FILES if kind in kinds}
        return [read.document(kind, url, self._fetch_pdf(url)) for kind, url in urls.items() if url]

    def _fetch_pdf(self, url: str) -> bytes:
        content = self._download("documents", url)
        if not content.startswith(b"%PDF") or b"%%EOF" not in content[-1024:]:
            raise self._unreadable("documents", "the answer is not a complete PDF")
        return content

    def update_order(self, request: types.OrderUpdate) -> types.UpdatedOrder:
        answer = self._request("update_order", "POST", f"{API}/order-update", body=Json(build.change(request)))
        with self._reading("update_order"):
            return read.updated(read.record(answer).expect("awb", request.tracking_number))

    def cancel(
        self, ref: types.ShipmentRef, reason: str, parcels: Sequence[types.ParcelRef] = ()
    ) -> types.Cancellation:
        body = {"awb": ref.tracking_number}
        answer = self._request("cancel", "POST", f"{API}/cancel-order", body=Json(body))
        with self._reading("cancel"):
            return read.cancellation(read.record(answer).expect("awb", ref.tracking_number), reason)

    def track(self, refs: Sequence[types.ShipmentRef]) -> dict[str, types.Track]:
        found: dict[str, types.Track] = {}
        for start in range(0, len(refs), MAX_TRACKED):
            numbers = [ref.tracking_number for ref in refs[start : start + MAX_TRACKED]]
            answer = self._request("track", "POST", f"{API}/order-tracking", body=Json({"awbs": numbers}))
            with self._reading("track"):
                found |= read.tracks(answer, numbers)
        return found

    def register_warehouse(self, request: types.WarehouseRequest) -> types.RegisteredWarehouse:
        body = build.warehouse(request)
        try:
            answer = self._request("register_warehouse", "POST", f"{API}/warehouse", body=Json(body))
        except errors.CarrierError as error:
            if request.return_address is None:  # Velocity's return address is then the warehouse itself
                _rename(error, "return_address", "address")
            raise
        with self._reading("register_warehouse"):
            return read.warehouse(read.record(answer), request.warehouse.name)

    def reports(self, request: types.ReportRequest) -> types.Report:
        query = {"type": request.kind, "from": request.since.isoformat(), "to": request.until.isoformat()}
        answer = self._request("reports", "GET", f"{API}/reports", params=query)
        with self._reading("reports"):
            return read.report(read.record(answer), request.kind)

    def verify_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        self._verify_hmac("x-velocity-timestamp", "x-velocity-signature", headers=headers, body=body, now=now)

    def parse_webhook(self, body: bytes) -> types.WebhookReport:
        return self._read_events(body, lambda event: read.webhook(read.record(event)))

    def _order(self, operation: str, path: str, body: Mapping[str, Any]) -> Any:
        """Send an order.

        Raises ``OutcomeUnknown`` if Velocity refuses the reference as used: only this order has it, so an earlier
        attempt has bought it.
        """
        try:
            return self._request(operation, "POST", API + path, body=Json(body))
        except errors.CarrierRejected as error:
            if "order_id" not in error.details:
                raise
            raise errors.OutcomeUnknown(
                carrier=self.name, carrier_code=error.carrier_code, carrier_message=error.carrier_message
            ) from error

    def _booked(self, operation: str, answer: Any, reference: str) -> types.BookedShipment:
        with self._reading(operation, answer):
            booked = read.shipment(read.record(answer).expect("order_id", reference))
        return replace(booked, documents=tuple(self._with_file(document) for document in booked.documents))

    def _with_file(self, document: types.Document) -> types.Document:
        """Return a document with its file; without it if it cannot be fetched now, as it is fetched again later."""
        try:
            return replace(document, content=self._fetch_pdf(document.url))
        except errors.CarrierError:
            return document

    def _refusal(self, operation: str, response: CarrierResponse) -> errors.CarrierError:
        plain = super()._refusal(operation, response)
        try:
            problem = read.record(response.json())
            message = problem.text("error" if response.status == 401 else "message", "")
            fields = problem.mapping("errors")
            kind, details = _meaning(operation, problem, response.status)
        except UNREADABLE:
            message, fields, kind, details = "", {}, errors.CarrierRejected, {}
        if response.status == 401:
            return errors.CarrierAuthentication(
                carrier=self.name, carrier_code=plain.carrier_code, carrier_message=message or plain.carrier_message
            )
        if not message:
            return plain
        for name, texts in fields.items():
            details[_our_field(name)] = [str(text) for text in (texts if isinstance(texts, list) else [texts])]
        return kind(carrier=self.name, carrier_code=plain.carrier_code, carrier_message=message, details=details)


def _meaning(operation: str, problem: Record, status: int) -> tuple[type[errors.CarrierError], dict[str, list[str]]]:
    """Return the error for a refusal, and its details by field of our request: docs/carriers/velocity.md#errors."""
    message = problem.text("message", "")
    match status:
        case 400 if "current_status" in problem.value and operation != "update_order":
            return errors.CarrierCannotCancel, {}
        case 404 if "warehouse_id" in problem.value:
            return errors.CarrierWarehouseNotFound, {"warehouse_id": [message]}
        case 404 if "awb" in problem.value or operation in SHIPMENT_OPERATIONS:
            return errors.CarrierShipmentNotFound, {}
        case 404:
            return errors.CarrierNotFound, {}
        case 422:
            return errors.NotServiceable, {"destination.postal_code": [message]}
    return errors.CarrierRejected, {}


def _our_field(name: str) -> str:
    """Return the field of our request for a field of Velocity's."""
    role, _, rest = name.partition("_")
    if role in ADDRESSES and rest in ADDRESS_FIELDS:
        return f"{ADDRESSES[role]}.{ADDRESS_FIELDS[rest]}"
    return FIELDS.get(name, name)


def _rename(error: errors.CarrierError, before: str, after: str) -> None:
    """Name another address in the error's details."""
    error.details = {
        f"{after}.{name.removeprefix(f'{before}.')}" if name.startswith(f"{before}.") else name: texts
        for name, texts in error.details.items()
    }
