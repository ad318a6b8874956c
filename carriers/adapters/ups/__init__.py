"""UPS: parcels in and from most countries.

``docs/carriers/ups.md`` documents its wire format, and what of it is not confirmed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from carriers import types
from carriers.adapters.apis import Api, Basic, Bearer, Form, Json
from carriers.adapters.base import CarrierAdapter, Lookup, schema, text_field
from carriers.adapters.operations import LOGIN
from carriers.adapters.protocols import CarrierResponse
from carriers.adapters.records import UNREADABLE, Record, now
from carriers.adapters.refusals import Refusal
from carriers.adapters.ups import build, limits, read
from carriers.adapters.ups.tables import ERRORS, SERVICES
from carriers.adapters.webhooks import WebhookProof
from carriers.types import errors

V = "v2409"
PAGE = 50  # packages of a tracking answer
MAX_VOIDED = 20  # parcels of a void
SUBSCRIBED_DAYS = 14
SHIPMENT_NOT_FOUND, LABELS_VOIDED, PICKUP_CANCELLED = "300007", "300033", "190107"
NO_LOCATIONS, NOT_SUBSCRIBED = "350202", "VSS300"  # [unconfirmed]


class UpsAdapter(CarrierAdapter):
    slug = "ups"
    name = "UPS"
    apis = {"main": Api(
        sandbox="https://wwwcie.ups.com", production="https://onlinetools.ups.com", auth=(Bearer(),),
        headers={"transId": "{id32}", "transactionSrc": "waybill"},
    )}  # fmt: skip
    credential_schema = schema(
        required=("client_id", "client_secret", "account_number"),
        client_id=text_field("Client ID"),
        client_secret=text_field("Client secret", secret=True),
        account_number=text_field("Account number", "Six characters.", pattern="^[A-Z0-9]{6}$"),
        webhook_token=text_field("Webhook token", "UPS sends it in the header credential.", secret=True),
    )
    environment_names = {f"UPS_{name.upper()}": name for name in credential_schema["properties"]}
    services = SERVICES
    payment_methods = (types.PaymentMethod.PREPAID, types.PaymentMethod.COD)
    served_options = ("signature", "insured_value", "saturday", "dangerous_goods", "notify", "payer", "carrier")
    options_schema = json.loads((Path(__file__).parent / "options.json").read_text())
    label_formats = ("PDF", "GIF", "ZPL", "EPL")  # a PDF is drawn from UPS's GIF
    max_parcels = 100  # of one request to us; UPS takes 200
    needs_point_address = True
    needs_recipient_name = True
    number_pattern = r"1Z[0-9A-Z]{16}|1R[0-9A-Z]{14}(?:[0-9A-Z]{12})?|\d{18,34}"
    created_code, cancelled_code = "M/MP", read.VOIDED
    webhook_proof = WebhookProof.TOKEN
    lookup = Lookup(quiet=timedelta(minutes=10), every=timedelta(minutes=1), watch=timedelta(hours=72))

    def fetch_token(self, kind: str = "main") -> types.Token:
        login, headers = Form({"grant_type": "client_credentials"}), {"x-merchant-id": self._account}
        basic = (Basic("client_id", "client_secret"),)
        answer = self._login("/security/v1/oauth/token", login, auth=basic, headers=headers)
        with self._reading(LOGIN):
            return read.token(Record(answer))

    def problems(self, order: types.Order) -> dict[str, Sequence[str]]:
        return limits.problems(order)

    def unused_costs(self, order: types.Order) -> bool:
        return True  # [unconfirmed]

    def quote(self, order: types.Order) -> list[types.Offer]:
        self._refuse(limits.line_problems({name: getattr(order, name) for name in limits.PARTIES}))
        body = build.rate(order, self._account)
        option = body["RateRequest"]["Request"]["RequestOption"]
        answer = self._post("quote", f"/api/rating/{V}/{option}", body, "RateResponse")
        with self._reading("quote"):
            offers = read.offers(answer, order.origin.country)
        if not offers:
            raise errors.NotServiceable(carrier=self.name, carrier_code="not_serviceable")
        return offers

    def transit_times(self, order: types.Order) -> list[types.TransitTime]:
        body = build.transit(order, datetime.now(UTC).date())
        answer = self._request("transit_times", "POST", "/api/shipments/v1/transittimes", body=Json(body))
        with self._reading("transit_times"):
            wrong = Record(answer).optional("validationList").lenient(Record.texts, "invalidFieldList", ())
            if not wrong:
                return read.transit_times(Record(answer), order)
        raise self._error([(name, name) for name in wrong])

    def create_label(self, order: types.Order) -> types.BookedShipment:
        return self._buy("create_label", order)

    def create_return(self, order: types.Order) -> types.BookedShipment:
        return self._buy("create_return", order)

    def find_by_reference(self, ref: types.ShipmentRef) -> list[types.BookedShipment]:
        body = build.recovery(ref, self._account)
        try:
            answer = self._post("find_by_reference", "/api/labels/v1/recovery", body, "LabelRecoveryResponse")
        except errors.CarrierError as error:
            if error.carrier_code not in (SHIPMENT_NOT_FOUND, LABELS_VOIDED):
                raise
        else:
            with self._reading("find_by_reference"):
                if answer.one_or_many("LabelResults").records("LabelResults"):
                    return [read.recovered(answer, ref)]
        return self._track_reference(ref)

    def documents(self, ref: types.ShipmentRef, kinds: Collection[str]) -> list[types.Document]:
        body = build.recovery(ref)
        answer = self._post("documents", "/api/labels/v1/recovery", body, "LabelRecoveryResponse")
        with self._reading("documents"):
            found = read.recovered(answer, ref).documents
        return [document for document in found if document.kind in kinds]

    def upload_document(self, document: types.Document, ref: types.ShipmentRef) -> str:
        path, headers = "/api/paperlessdocuments/v2/upload", {"ShipperNumber": self._account}
        body = build.upload(document, self._account)
        answer = self._post("upload_document", path, body, "UploadResponse", headers=headers)
        with self._reading("upload_document"):
            return read.some_texts(answer.record("FormsHistoryDocumentID"), "DocumentID")[0]

    def cancel(
        self, ref: types.ShipmentRef, reason: str, parcels: Sequence[types.ParcelRef] = ()
    ) -> types.Cancellation:
        path = self._path(f"/api/shipments/{V}/void/cancel/{{}}", ref.carrier_shipment_id or ref.tracking_number)
        numbers = [parcel.tracking_number for parcel in parcels]
        for start in range(0, max(len(numbers), 1), MAX_VOIDED):
            chosen = numbers[start : start + MAX_VOIDED]
            params = {"trackingnumber": json.dumps(chosen)} if chosen else None
            answer = self._call("cancel", "DELETE", path, "VoidShipmentResponse", params=params)
            with self._reading("cancel"):
                refused = read.not_voided(answer)
            if refused:
                raise errors.CarrierCannotCancel(carrier=self.name, carrier_code="0", carrier_message=refused)
        return types.Cancellation(tracking_number=ref.tracking_number, cancelled_at=now(), reason=reason)

    def track(self, refs: Sequence[types.ShipmentRef]) -> dict[str, types.Track]:
        return self._track_each(refs, self._track_one)

    def proof_of_delivery(self, ref: types.ShipmentRef) -> types.ProofOfDelivery:
        rows: list[Record] = []
        params = {"locale": "en_US", "returnSignature": "true", "returnPOD": "true"}
        for number in list(read.places_of(ref)) or [ref.tracking_number]:
            path = self._path("/api/track/v1/details/{}", number)
            answer = self._request("proof_of_delivery", "GET", path, params=params)
            with self._reading("proof_of_delivery"):
                rows += read.packages(Record(answer))
        with self._reading("proof_of_delivery"):
            found = read.proof(rows, ref)
        if found is None:
            raise errors.ProofNotAvailable(carrier=self.name, carrier_code=read.NO_INFORMATION if not rows else "")
        return found

    def schedule_pickup(self, request: types.PickupRequest) -> types.BookedPickup:
        self._refuse(limits.pickup_problems(request))
        path, body = f"/api/pickupcreation/{V}/pickup", build.pickup(request, self._account)
        answer = self._post("schedule_pickup", path, body, "PickupCreationResponse")
        with self._reading("schedule_pickup", answer.value):
            return read.pickup(answer, request)

    def find_pickups(self, request: types.PickupRequest) -> list[types.BookedPickup]:
        path, headers = f"/api/shipments/{V}/pickup/oncall", {"AccountNumber": self._account}
        answer = self._call("find_pickups", "GET", path, "PickupPendingStatusResponse", headers=headers)
        with self._reading("find_pickups"):
            return read.pending_pickups(answer, request)

    def cancel_pickup(self, ref: types.PickupRef, reason: str) -> datetime:
        path, headers = f"/api/shipments/{V}/pickup/02", {"Prn": ref.carrier_pickup_id}
        try:
            answer = self._call("cancel_pickup", "DELETE", path, "PickupCancelResponse", headers=headers)
        except errors.CarrierCannotCancel as error:
            if error.carrier_code != PICKUP_CANCELLED:
                raise
        else:
            with self._reading("cancel_pickup"):
                answer.record("Response").record("ResponseStatus").word("Code")
        return now()

    def pickup_points(self, search: types.PointSearch) -> list[types.PickupPoint]:
        points = self._locate("pickup_points", build.locator(search))
        near = [point for point in points if point.active and (point.distance_km or 0) <= search.radius_km]
        return near[: search.limit]

    def pickup_point(self, point_id: str, country: str) -> types.PickupPoint:
        points = self._locate("pickup_point", build.locator(types.PointSearch(country=country), point_id))
        if not points:
            raise errors.CarrierNotFound(carrier=self.name)
        return points[0]

    def check_address(self, address: types.Address) -> types.AddressCheck:
        if address.country not in ("US", "PR"):
            return types.AddressCheck(ok=None)
        self._refuse(limits.line_problems({"address": address}, build.WIDE))
        answer = self._post("check_address", "/api/addressvalidation/v2/3", build.address_check(address), "XAVResponse")
        with self._reading("check_address"):
            return read.checked(answer)

    def subscribe(self, numbers: Sequence[str], url: str, secret: str) -> list[types.Subscription]:
        """Subscribe. UPS sends events to the URL, and with the token, that are set in its portal."""
        path, body = "/api/track/v2/subscription/standard", {"locale": "en_US", "countryCode": "US"}
        if not numbers:
            whole = body | {"shipperAccountNumber": self._account}
            self._request("subscribe", "POST", f"{path}/account", body=Json(whole))
            return [types.Subscription(carrier_id=self._account)]
        wanted = body | {"trackingNumberList": list(numbers)}
        answer = self._request("subscribe", "POST", f"{path}/package", body=Json(wanted))
        with self._reading("subscribe"):
            valid = read.some_texts(Record(answer), "validTrackingNumbers")
        ends = now() + timedelta(days=SUBSCRIBED_DAYS)
        return [types.Subscription(carrier_id=number, numbers=(number,), expires_at=ends) for number in valid]

    def unsubscribe(self, subscription: types.Subscription) -> None:
        """End the subscription of the account; those of numbers only end by themselves."""
        if subscription.numbers:
            return
        path, params = "/api/track/v2/subscription/standard/account", {"shipper_account_number": self._account}
        try:
            answer = self._request("unsubscribe", "DELETE", path, params=params)
        except errors.CarrierRejected as error:
            if error.carrier_code != NOT_SUBSCRIBED:
                raise
        else:
            with self._reading("unsubscribe"):
                Record(answer).word("message")

    def verify_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        self._verify_token("credential", headers=headers)

    def parse_webhook(self, body: bytes) -> types.WebhookReport:
        return self._read_events(body, lambda event: read.event(Record(event)))

    # Calls

    @property
    def _account(self) -> str:
        return self.fields["account_number"]

    def _refuse(self, problems: Mapping[str, Sequence[str]]) -> None:
        """Raise ``CarrierRejected`` for problems of a request, before it is sent."""
        if problems:
            details = {field: list(texts) for field, texts in problems.items()}
            raise errors.CarrierRejected(carrier=self.name, carrier_code="too_long", details=details)

    def _post(self, operation: str, path: str, body: Any, root: str, **sent: Any) -> Record:
        return self._call(operation, "POST", path, root, body=Json(body), **sent)

    def _call(self, operation: str, method: str, path: str, root: str, **sent: Any) -> Record:
        """Send a request and return the element of its answer. Raises ``_refused`` if it states a failure."""
        answer = self._request(operation, method, path, **sent)
        with self._reading(operation, answer):
            record = Record(answer).record(root)
            refusal = read.refusal(record)
        if refusal:
            raise self._refused(operation, Refusal(*refusal))
        return record

    def _buy(self, operation: str, order: types.Order) -> types.BookedShipment:
        at, document_ids = order.ship_at or now(), []
        ref = types.ShipmentRef(reference=order.reference, order=order, booked_at=now(), ship_at=at)
        for document in order.attachments:
            try:
                document_ids.append(self.upload_document(document, ref))
            except errors.OutcomeUnknown as error:  # nothing is bought yet
                raise errors.CarrierUnavailable(
                    carrier=self.name, carrier_code=error.carrier_code, carrier_message=error.carrier_message
                ) from error
        body = build.shipment(order, self._account, document_ids)
        try:
            answer = self._post(operation, f"/api/shipments/{V}/ship", body, "ShipmentResponse")
        except errors.CarrierError as error:
            ours = "destination" if order.return_of else "return_address" if order.return_address else "origin"
            error.details = {field.replace("shipper.", f"{ours}."): texts for field, texts in error.details.items()}
            raise
        with self._reading(operation, answer.value):
            return read.booked(answer, order)

    def _track_reference(self, ref: types.ShipmentRef) -> list[types.BookedShipment]:
        path = self._path("/api/track/v1/reference/details/{}", ref.reference)
        first, last = ref.booked_at - timedelta(days=1), ref.booked_at + self.lookup.watch
        params = {
            "locale": "en_US", "shipperNum": self._account, "refNumType": "SmallPackage",
            "fromPickUpDate": f"{first:%Y%m%d}", "toPickUpDate": f"{last:%Y%m%d}",
        }  # fmt: skip
        try:
            answer = self._request("find_by_reference", "GET", path, params=params)
        except errors.CarrierNotFound:
            return []
        with self._reading("find_by_reference"):
            return read.tracked_shipments(Record(answer), ref)

    def _track_one(self, ref: types.ShipmentRef) -> types.Track | None:
        path, rows = self._path("/api/track/v1/shipment/details/{}", ref.tracking_number), []
        page: list[Record] = []
        while len(page) == PAGE or not rows:
            params = {"locale": "en_US", "offset": str(len(rows)), "count": str(PAGE)}
            try:
                answer = self._request("track", "GET", path, params=params)
            except errors.CarrierNotFound:
                return None
            with self._reading("track"):
                page = read.packages(Record(answer))
            if not page:
                break
            rows += page
        with self._reading("track"):
            return read.track(rows, ref.tracking_number) if rows else None

    def _locate(self, operation: str, body: Any) -> list[types.PickupPoint]:
        """Return the points of a search; UPS states a failure if it finds none."""
        answer = self._request(operation, "POST", "/api/locations/v3/search/availabilities/64", body=Json(body))
        with self._reading(operation):
            answer = Record(answer).record("LocatorResponse")
            failure = read.refusal(answer)
            if failure is None:
                return read.points(answer)
        if failure[0] == NO_LOCATIONS:
            return []
        raise self._refused(operation, Refusal(*failure))

    def _documented_refusal(self, code: str) -> type[errors.CarrierError] | None:
        return ERRORS[code][0] if code in ERRORS else None

    def _refusal(self, operation: str, response: CarrierResponse) -> errors.CarrierError:
        try:
            found = read.errors_of(Record(response.json()))
        except UNREADABLE:
            found = []
        if not found and response.status != 401:
            return super()._refusal(operation, response)
        statuses = {401: errors.CarrierAuthentication, 404: errors.CarrierShipmentNotFound}
        return self._error(found or [(str(response.status), "")], statuses.get(response.status))

    def _error(
        self, found: Sequence[tuple[str, str]], kind: type[errors.CarrierError] | None = None
    ) -> errors.CarrierError:
        """Return the error for codes and texts; ``kind`` unless the first code has one of its own."""
        known = {code: ERRORS.get(code, (None, "")) for code, _text in found}
        details = {known[code][1]: [text] for code, text in found if known[code][1]}
        own, message = known[found[0][0]][0], "; ".join(text for _code, text in found)
        if kind is not errors.CarrierAuthentication and own not in (None, errors.CarrierRejected):
            kind = own
        kind = kind or errors.CarrierRejected
        return kind(carrier=self.name, carrier_code=found[0][0], carrier_message=message, details=details)
