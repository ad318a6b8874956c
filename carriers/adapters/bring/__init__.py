"""Bring and Posten: parcels, home delivery and cargo in the Nordic countries.

``docs/carriers/bring.md`` documents its wire format and which parts of it are unconfirmed. Test and production share a
host: a test is marked in the request (``testIndicator``) and books nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from carriers import types
from carriers.adapters.apis import Api, Auth, Body, HeaderKey, Json
from carriers.adapters.base import CarrierAdapter, Lookup, Rate, schema, text_field
from carriers.adapters.bring import build, limits, read, tables
from carriers.adapters.operations import CHECK, OPERATIONS, Effect
from carriers.adapters.protocols import CarrierResponse
from carriers.adapters.records import UNREADABLE, Record, matching
from carriers.adapters.values import FILE_STARTS
from carriers.adapters.webhooks import WebhookProof
from carriers.types import errors

HOST = "https://api.bring.com"
KEYS = (HeaderKey("X-Mybring-API-Uid", "api_uid"), HeaderKey("X-Mybring-API-Key", "api_key"))
CLIENT_URL = "X-Bring-Client-URL"
POINTS, CASTS = "/pickuppoint/api/pickuppoint", "/event-cast/api/v1/webhooks"
TEST_NUMBERS = "TESTPACKAGE"  # the only numbers that Bring's own systems know in a test
WITH_TEST_FLAG = ("create_label", "create_return", "schedule_pickup")


class BringAdapter(CarrierAdapter):
    slug = "bring"
    name = "Bring"
    apis = {
        "main": Api(
            sandbox=HOST,
            production=HOST,
            auth=KEYS,
            headers={CLIENT_URL: "https://waybill.example"},
            file_hosts=("*.bring.com", "*.amazonaws.com"),
        )
    }
    test_flag = True
    credential_schema = schema(
        required=("api_uid", "api_key", "customer_number"),
        api_uid=text_field("API user", "The e-mail address of the Mybring login."),
        api_key=text_field("API key", secret=True),
        customer_number=text_field("Customer number", "Pays the bookings; in tests 5, 6 or 7."),
        products=text_field("Products", "Ids to quote, such as 5800,5600.", pattern=r"^[0-9A-Z_]+(, ?[0-9A-Z_]+)*$"),
        client_url=text_field("Client URL", "Names the shop in requests."),
        cod_account_number=text_field("Bank account", "Receives cash on delivery."),
        cod_account_type=text_field("Kind of the bank account", "In Sweden.", choices=("bankgiro", "plusgiro")),
        webhook_token=text_field("Webhook token", "Needed to receive events.", secret=True),
    )
    environment_names = {
        "BRING_API_UID": "api_uid",
        "BRING_API_KEY": "api_key",
        "BRING_CUSTOMER_NUMBER": "customer_number",
        "BRING_WEBHOOK_TOKEN": "webhook_token",
    }
    services = tables.SERVICES
    payment_methods = (types.PaymentMethod.PREPAID, types.PaymentMethod.COD)
    served_options = ("signature", "min_age", "insured_value", "saturday", "dangerous_goods", "notify", "carrier")
    options_schema = tables.OPTIONS
    max_parcels = 50
    label_formats = ("PDF", "ZPL")
    number_pattern = r"[0-9]{9,20}|[A-Z]{2}[0-9]{9}[A-Z]{2}|TESTPACKAGE[A-Z]*"
    created_code = "PRE_NOTIFIED"
    cancels_locally = True
    zone = tables.ZONE
    webhook_proof = WebhookProof.TOKEN
    numbers_per_subscription = 100
    # A search that finds nothing counts against the caller, so there are two: after 10 minutes and after an hour.
    lookup = Lookup(quiet=timedelta(minutes=10), every=timedelta(minutes=50), watch=timedelta(hours=1))
    rates = {
        "bookings": Rate(18, "second", ("create_label", "create_return", "schedule_pickup", CHECK)),
        "guide": Rate(120, "second", ("quote", "transit_times", "coverage")),
        "points": Rate(80, "second", ("pickup_points", "pickup_point")),
    }

    @classmethod
    def is_test(cls, operation: str, body: Body | None) -> bool | None:
        """Return whether Bring takes a booking for a test. Subscriptions have no such flag."""
        return body.value["testIndicator"] is True if operation in WITH_TEST_FLAG else None

    def auth_of(self, api: str) -> Sequence[Auth] | None:
        named = (HeaderKey(CLIENT_URL, "client_url"),) if self.fields.get("client_url") else ()
        return (*keys, *named) if (keys := super().auth_of(api)) else None

    def check_credential(self) -> None:
        """List the customer numbers of the user; the credential's must be one of them."""
        answer = self._request(CHECK, "GET", "/booking/api/customers.json")
        with self._reading(CHECK):
            numbers = Record(answer).each("customers", lambda customer: customer.text("customerNumber"))
        if read.short_number(self.fields["customer_number"]) not in map(read.short_number, numbers):
            text = f"The user has no access to customer number {self.fields['customer_number']}."
            raise errors.CarrierAuthentication(carrier=self.name, carrier_code="customer", carrier_message=text)

    def problems(self, order: types.Order) -> dict[str, list[str]]:
        return limits.find_problems(order, self.fields)

    def quote(self, order: types.Order) -> list[types.Offer]:
        offers, refused = self._guide("quote", order, partial(read.offer, country=order.origin.country))
        if not offers:
            raise errors.NotServiceable(carrier=self.name, carrier_code="no_product", carrier_message=refused)
        return sorted(offers, key=lambda offer: offer.total_price)

    def transit_times(self, order: types.Order) -> list[types.TransitTime]:
        return self._guide("transit_times", order, read.transit_time)[0]

    def coverage(self, *, postal_code: str, city: str, country: str) -> types.Coverage:
        order = build.sample(postal_code, city, country)
        try:
            times, refused = self._guide("coverage", order, read.transit_time)
        except errors.CarrierRejected as error:
            if "destination.postal_code" not in error.details:
                raise
            times, refused = [], error.carrier_message
        return read.coverage(times, refused, order.destination)

    def create_label(self, order: types.Order) -> types.BookedShipment:
        return self._book("create_label", order)

    def create_return(self, order: types.Order) -> types.BookedShipment:
        service = order.service_type or tables.USUAL_RETURN[build.is_abroad(order)]
        return self._book("create_return", replace(order, service_type=service))

    def find_by_reference(self, ref: types.ShipmentRef) -> list[types.BookedShipment]:
        try:
            rows = self._search("find_by_reference", ref.reference)
        except errors.CarrierNotFound:
            return []
        with self._reading("find_by_reference"):
            if build.reference_holder(ref.order) == "sender":  # a recipient's reference is not shown
                rows = matching(rows, "senderReference", ref.reference)
            return [read.found(row, ref) for row in rows]

    def documents(self, ref: types.ShipmentRef, kinds: Collection[str]) -> list[types.Document]:
        return [self._download_file("documents", file) for file in read.documents(ref.carrier_state, kinds)]

    def track(self, refs: Sequence[types.ShipmentRef]) -> dict[str, types.Track]:
        return self._track_each([ref for ref in refs if self._is_known(ref.tracking_number)], self._track_one)

    def proof_of_delivery(self, ref: types.ShipmentRef) -> types.ProofOfDelivery:
        rows = self._search("proof_of_delivery", ref.tracking_number)
        with self._reading("proof_of_delivery"):
            proof, picture = read.proof(rows, ref.tracking_number)
        if proof is None:
            raise errors.ProofNotAvailable(carrier=self.name)
        document = self._try_file("proof_of_delivery", types.Document(kind="pod", format="PNG", url=picture))
        if not document.content:
            return proof
        image = f"data:image/png;base64,{base64.b64encode(document.content).decode()}"
        return replace(proof, signature_image=image, documents=(document,))

    def schedule_pickup(self, request: types.PickupRequest) -> types.BookedPickup:
        body = Json(build.pickup(request, self.fields, is_test=self._is_sandbox))
        answer = self._request("schedule_pickup", "POST", "/booking/api/pickupOrder", body=body)
        with self._reading("schedule_pickup", answer):
            self._raise_refusal("schedule_pickup", answer)
            return read.pickup(Record(answer), request)

    def pickup_points(self, search: types.PointSearch) -> list[types.PickupPoint]:
        """Return the points near an address, as Bring recommends, or near coordinates; no longer than ``limit``."""
        if search.country not in tables.COUNTRIES:
            return []
        params = {"numberOfResponses": search.limit}
        if search.latitude is None and search.address:
            path = self._path("/{}/postalCode/{}.json", search.country, search.address.postal_code.replace(" ", ""))
            params |= {"street": search.address.street, "streetNumber": search.address.house_number}
        else:
            path = f"/{search.country}/location/{search.latitude},{search.longitude}.json"
        try:
            answer = self._request("pickup_points", "GET", POINTS + path, params=params)
        except errors.CarrierNotFound:  # a postal code that does not exist
            return []
        with self._reading("pickup_points"):
            points = Record(answer).each("pickupPoint", read.point)
        near = [point for point in points if (point.distance_km or 0) <= search.radius_km]
        return [point for point in near if point.code != tables.FOR_BUSINESSES][: search.limit]

    def pickup_point(self, point_id: str, country: str) -> types.PickupPoint:
        answer = self._request("pickup_point", "GET", POINTS + self._path("/{}/id/{}.json", country, point_id))
        with self._reading("pickup_point"):
            return read.point(read.first(Record(answer), "pickupPoint").expect("id", point_id))

    def subscribe(self, numbers: Sequence[str], url: str, secret: str) -> list[types.Subscription]:
        """Subscribe numbers, in place of our own subscriptions of them, which would end earlier.

        Numbers that someone else has subscribed for the same customer are left out.
        """
        known = [number for number in numbers if self._is_known(number)]
        found = self._subscribe(known, url, secret) if known else []
        done = {number for one in found for number in one.numbers}
        existing = [number for number in known if number not in done]
        if existing and self._end_own(existing, url):
            found += self._subscribe(existing, url, secret)
        return found

    def unsubscribe(self, subscription: types.Subscription) -> None:
        path = self._path(f"{CASTS}/{{}}", subscription.carrier_id)
        with suppress(errors.CarrierNotFound):  # it has ended
            self._request("unsubscribe", "DELETE", path, expect="empty")

    def verify_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        self._verify_token(build.TOKEN_HEADER.lower(), headers=headers)

    def parse_webhook(self, body: bytes) -> types.WebhookReport:
        return self._read_events(body, lambda event: read.webhook(Record(event)))

    @property
    def _is_sandbox(self) -> bool:
        return self.environment == "sandbox"

    def _is_known(self, number: str) -> bool:
        """Return whether Bring may know a number. Test bookings are not known, and misses block the caller."""
        return not (self._is_sandbox and self.urls["main"] == HOST) or number.startswith(TEST_NUMBERS)

    def _guide(self, operation: str, order: types.Order, reader: Callable[[Record], Any]) -> tuple[list[Any], str]:
        """Return what ``reader`` makes of the products that can be sent, and why others cannot."""
        body = Json(build.quote(order, self.fields, with_price=operation == "quote"))
        answer = self._request(operation, "POST", "/shippingguide/api/v2/products", body=body)
        with self._reading(operation):
            return read.products(Record(answer), reader)

    def _book(self, operation: str, order: types.Order) -> types.BookedShipment:
        body = Json(build.booking(order, self.fields, is_test=self._is_sandbox))
        answer = self._request(operation, "POST", "/booking/api/booking", body=body)
        with self._reading(operation, answer):
            self._raise_refusal(operation, answer)
            consignment = read.first(Record(answer), "consignments").expect("correlationId", order.reference)
            booked = read.booked(consignment, order)
            files = read.documents(booked.carrier_state, ("label", "qr", "waybill"))
        return replace(booked, documents=tuple(self._try_file("documents", file) for file in files))

    def _download_file(self, operation: str, file: types.Document) -> types.Document:
        content = self._download(operation, file.url)
        if not content.startswith(FILE_STARTS[file.format]):
            raise self._unreadable(operation, f"the answer is not {file.format}")
        return replace(file, content=content)

    def _try_file(self, operation: str, file: types.Document) -> types.Document:
        """Return a file, without its content if that cannot be fetched now: the booking, or delivery, is a fact."""
        try:
            return self._download_file(operation, file)
        except errors.CarrierError:
            return file

    def _search(self, operation: str, query: str) -> list[Record]:
        """Return the consignments of a number or reference. Errors may be inside a success."""
        answer = self._request(operation, "GET", "/tracking/api/v2/tracking.json", params={"q": query, "lang": "en"})
        self._raise_refusal(operation, answer)
        with self._reading(operation):
            return Record(answer, zone=tables.ZONE).records("consignmentSet")

    def _track_one(self, ref: types.ShipmentRef) -> types.Track | None:
        try:
            rows = self._search("track", ref.tracking_number)
        except errors.CarrierNotFound:
            return None
        with self._reading("track"):
            return read.track(rows, ref.tracking_number)

    def _subscribe(self, numbers: Sequence[str], url: str, secret: str) -> list[types.Subscription]:
        body = Json(build.subscription(numbers, url, secret))
        try:
            answer = self._request("subscribe", "POST", "/event-cast/batch/api/v1/webhooks", body=body)
        except errors.CarrierRejected as error:
            if error.carrier_code == "409":
                return []
            raise
        with self._reading("subscribe"):
            return Record({"webhooks": answer}).each("webhooks", read.subscription)

    def _end_own(self, numbers: Collection[str], url: str) -> bool:
        """End our own subscriptions of these numbers; return whether there were any."""
        answer = self._request("subscribe", "GET", f"{CASTS}/")
        with self._reading("subscribe"):
            own = read.own_subscriptions(Record({"webhooks": answer}), numbers, url)
        for carrier_id in own:
            self._request("subscribe", "DELETE", self._path(CASTS + "/{}", carrier_id), expect="empty")
        return bool(own)

    def _raise_refusal(self, operation: str, answer: Any) -> None:
        """Raise the error that a success contains, if any."""
        if found := read.problems(answer):
            raise self._error(operation, found, 200)

    def _refusal(self, operation: str, response: CarrierResponse) -> errors.CarrierError:
        try:
            found = read.problems(response.json())
        except UNREADABLE:  # plain text or a page
            found = []
        if not found:
            plain = super()._refusal(operation, response)
            found = [read.Problem(plain.carrier_code, plain.carrier_code, "", "", plain.carrier_message)]
        return self._error(operation, found, response.status)

    def _error(self, operation: str, found: Sequence[read.Problem], status: int) -> errors.CarrierError:
        """Return the error for the errors of an answer: its kind and code are those of the first.

        A success with an error that validation did not find may have booked.
        """
        codes = (found[0].key, found[0].code, str(status))
        kind = next((tables.ERRORS[code] for code in codes if code in tables.ERRORS), errors.CarrierRejected)
        is_validated = all(tables.VALIDATION.fullmatch(problem.key) for problem in found)
        may_have_booked = status == 200 and OPERATIONS[operation] is Effect.PURCHASE and not is_validated
        details: dict[str, list[str]] = {}
        for problem in found:
            if field := tables.FIELDS.get(problem.key) or tables.FIELDS.get(problem.field):
                text = self._without_secrets(problem.message)
                details.setdefault(field.format(tables.PARTIES[problem.party]), []).append(text)
        texts = "; ".join(dict.fromkeys(self._without_secrets(one.message) for one in found if one.message))
        kind, details = (errors.OutcomeUnknown, {}) if may_have_booked else (kind, details)
        error = kind(carrier=self.name, carrier_code=found[0].code, carrier_message=texts, details=details)
        error.has_carriers_words = may_have_booked
        return error
