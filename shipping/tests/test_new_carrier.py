"""A carrier that does not exist: one module and one registry line, and it is quoted, bought and tracked by the API.

Kestrel Post takes a key with each request, sends the label in its answer and has no webhooks.
"""

import base64
import json
import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from carriers import types
from carriers.adapters.base import CarrierAdapter, Rate, schema, text_field
from carriers.adapters.protocols import CarrierResponse
from carriers.adapters.records import UNREADABLE, Record, matching, read_time
from carriers.adapters.registry import ADAPTERS
from carriers.credentials import storage
from carriers.tests.contract import CarrierContract
from carriers.types import Address, Order, Package, Status, errors
from shipping.checkpoints import polling
from shipping.labels import reconciliation
from shipping.models import Orphan, Shipment
from shipping.warehouses import warehouses

# The module

STATUSES = {
    "announced": Status.CREATED,
    "collected": Status.PICKED_UP,
    "sorted": Status.IN_TRANSIT,
    "handed_over": Status.DELIVERED,
}


class KestrelAdapter(CarrierAdapter):
    slug = "kestrel"
    name = "Kestrel Post"
    base_urls = {"sandbox": "http://127.0.0.1:1", "production": "https://api.kestrel.example"}
    credential_schema = schema(required=("key",), key=text_field("API key", secret=True))
    services = {"standard": "Two days"}
    rates = {"*": Rate(50, "second")}

    def check_credential(self) -> None:
        self.find_by_reference("none")

    def quote(self, order: types.Order) -> list[types.Offer]:
        grams = sum(int(package.weight_kg * 1000) for package in order.packages)
        answer = self._request("quote", "POST", "/rates", json={"grams": grams})
        with self._reading("quote"):
            return [_offer(item) for item in Record(answer).records("rates")]

    def create_label(self, order: types.Order) -> types.BookedLabel:
        body = {"ref": order.reference, "to": order.destination.contact_name}
        answer = self._request("create_label", "POST", "/parcels", json=body)
        with self._reading("create_label"):
            return _label(Record(answer).expect("ref", order.reference))

    def find_by_reference(self, reference: str) -> list[types.BookedLabel]:
        answer = self._request("find_by_reference", "GET", "/parcels", params={"ref": reference})
        with self._reading("find_by_reference"):
            return [_label(item) for item in matching(Record(answer).records("parcels"), "ref", reference)]

    def track(self, tracking_numbers: Sequence[str]) -> dict[str, types.Track]:
        found = {}
        for number in tracking_numbers:
            answer = self._request("track", "GET", self._path("/parcels/{}/events", number))
            with self._reading("track"):
                scans = tuple(_scan(item) for item in Record(answer).records("events"))
            found[number] = types.Track(tracking_number=number, scans=scans)
        return found

    def _auth_headers(self, token: str) -> dict[str, str]:
        return {"X-Key": self.fields["key"]}

    def _refusal(self, operation: str, response: CarrierResponse) -> errors.CarrierError:
        plain = super()._refusal(operation, response)
        try:
            words = Record(response.json()).text("problem")
        except UNREADABLE:
            words = plain.carrier_message
        kind = errors.CarrierAuthentication if response.status == 401 else errors.CarrierRejected
        return kind(carrier=self.name, carrier_code=plain.carrier_code, carrier_message=words)


def _offer(item: Record) -> types.Offer:
    price = item.number("price")
    return types.Offer(
        service_type=item.text("service"),
        total_price=price,
        currency=item.text("currency", most=3),
        breakdown={"base_rate": price},
        transit_days=item.integer("days"),
    )


def _label(item: Record) -> types.BookedLabel:
    return types.BookedLabel(
        reference=item.text("ref"),
        tracking_number=item.identifier("number"),
        carrier_shipment_id=item.text("id", most=64),
        content=item.file("label", "PDF"),
        label_format="PDF",
        label_size="4x6",
        created_at=item.time("at"),
    )


def _scan(item: Record) -> types.Scan:
    code, told_at = item.text("code", most=64), item.text("at")
    moment, assumed = read_time(told_at)
    return types.Scan(
        code=code,
        status=STATUSES.get(code, Status.UNKNOWN),
        occurred_at=moment,
        occurred_text=told_at,
        tz_assumed=assumed,
        description=code,
    )


# The registry line


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(ADAPTERS, "kestrel", KestrelAdapter)


# The carrier itself


class Kestrel(BaseHTTPRequestHandler):
    parcels: dict[str, dict[str, Any]] = {}
    is_confused = False  # tells of others' parcels too

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/rates":
            return self._send({"rates": [RATE]})
        number = f"KP{len(self.parcels) + 1:08}"
        events = [{"code": "announced", "at": timezone.now().isoformat()}]
        self.parcels[number] = PARCEL | {
            "ref": body["ref"],
            "number": number,
            "id": str(uuid.uuid4()),
            "events": events,
        }
        return self._send(self.parcels["KP00000001" if self.is_confused else number])

    def do_GET(self) -> None:
        if "/events" in self.path:
            return self._send({"events": self.parcels[self.path.split("/")[2]]["events"]})
        found = [one for one in self.parcels.values() if self.is_confused or self.path.endswith(one["ref"])]
        return self._send({"parcels": found})

    def _send(self, body: Mapping[str, Any]) -> None:
        status = 200 if self.headers.get("X-Key") == "right-key" else 401
        content = json.dumps(body if status == 200 else {"problem": "Wrong key"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


RATE = {"service": "standard", "price": 5.2, "currency": "EUR", "days": 2}
PARCEL = {
    "id": "p-1",
    "number": "KP00000001",
    "ref": "WB-1",
    "at": "2026-01-05T10:00:00Z",
    "label": base64.b64encode(b"%PDF-1.4 kestrel").decode(),
}


@pytest.fixture
def kestrel(settings):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Kestrel)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    settings.CARRIER_BASE_URLS |= {("kestrel", "sandbox"): f"http://127.0.0.1:{server.server_port}"}
    Kestrel.parcels, Kestrel.is_confused = {}, False
    yield Kestrel
    server.shutdown()
    server.server_close()


# The promises

HOME = Address(country="NO", postal_code="0150", city="Oslo", street="Storgata 1", contact_name="Jane Smith")
ROUTE = {"origin": HOME, "destination": HOME, "packages": (Package(weight_kg=1),)}


class TestKestrelKeepsTheContract(CarrierContract):
    adapter = KestrelAdapter
    fields = {"key": "right-key"}
    calls = {
        "quote": (lambda it: it.quote(Order(**ROUTE)), {"rates": [RATE]}),
        "create_label": (lambda it: it.create_label(Order(reference="WB-1", order_id="1", **ROUTE)), PARCEL),
        "find_by_reference": (lambda it: it.find_by_reference("WB-1"), {"parcels": [PARCEL]}),
        "track": (
            lambda it: it.track(["KP00000001"]),
            {"events": [{"code": "sorted", "at": "2026-01-05T10:00:00+01:00"}]},
        ),
    }
    refusals = [(400, {"problem": "No such place"}, errors.CarrierRejected, "400", "No such place")]
    words = STATUSES

    def scan_of(self, word):
        return _scan(Record({"code": word, "at": "2026-01-05T10:00:00+01:00"}))


@pytest.fixture
def own_account(tenant, kestrel):
    fields = {"key": "right-key"}
    return storage.save_credential(
        tenant=tenant, mode="test", carrier="Kestrel Post", environment="sandbox", fields=fields
    )


@pytest.mark.django_db
def test_it_is_quoted_bought_and_tracked_by_the_api(api, order, own_account, kestrel):
    wanted = order | {"carrier": "kestrel post", "metadata": {}}
    assert api.post("/api/v1/quotes", wanted).json()["total_price"] == 5.2
    label = api.post("/api/v1/labels", wanted).json()
    assert (label["carrier"], label["tracking_number"]) == ("Kestrel Post", "KP00000001")
    assert base64.b64decode(label["label_data"]).startswith(b"%PDF")
    kestrel.parcels["KP00000001"]["events"].append({"code": "handed_over", "at": "2030-01-07T10:00:00Z"})
    track = api.post("/api/v1/tracking", {"carrier": "kestrel", "tracking_number": "KP00000001"}).json()
    assert track["status"] == "delivered"


@pytest.mark.django_db
def test_nothing_is_bought_with_an_account_that_was_changed_meanwhile(
    api, order, own_account, tenant, kestrel, monkeypatch
):
    check = warehouses.select_departure

    def meanwhile(*arguments):
        account = {"tenant": tenant, "mode": "test", "carrier": "kestrel", "environment": "sandbox"}
        storage.save_credential(**account, fields={"key": "another-key"})
        return check(*arguments)

    monkeypatch.setattr(warehouses, "select_departure", meanwhile)
    refused = api.post("/api/v1/labels", order | {"carrier": "kestrel", "metadata": {}})
    assert (refused.status_code, refused["Retry-After"]) == (503, "1")
    assert not kestrel.parcels
    assert not Shipment.objects.exists()


@pytest.mark.django_db
def test_without_webhooks_it_is_polled(api, order, own_account, kestrel):
    api.post("/api/v1/labels", order | {"carrier": "kestrel", "metadata": {}})
    kestrel.parcels["KP00000001"]["events"].append({"code": "sorted", "at": "2030-01-07T10:00:00Z"})
    with time_machine.travel(timezone.now() + timedelta(hours=7), tick=True):
        polling.poll()
    assert Shipment.objects.get().status == "in_transit"


class CarelessAdapter(KestrelAdapter):
    """Believes that each answer is about what it asked."""

    def create_label(self, order: types.Order) -> types.BookedLabel:
        return _label(Record(self._request("create_label", "POST", "/parcels", json={"ref": order.reference})))

    def find_by_reference(self, reference: str) -> list[types.BookedLabel]:
        answer = self._request("find_by_reference", "GET", "/parcels", params={"ref": reference})
        return [_label(item) for item in Record(answer).records("parcels")]


@pytest.mark.django_db
def test_others_parcels_are_neither_booked_nor_called_off(api, order, own_account, kestrel, monkeypatch):
    monkeypatch.setitem(ADAPTERS, "kestrel", CarelessAdapter)
    kestrel.parcels["KP00000001"] = PARCEL | {"ref": "SHOP-SYSTEM-7", "events": []}
    kestrel.is_confused = True
    bought = api.post("/api/v1/labels", order | {"carrier": "kestrel", "metadata": {}})
    assert (bought.status_code, Shipment.objects.get().booking_state) == (202, "pending")
    assert reconciliation.reconcile() == {"booked": 1}
    assert Shipment.objects.get().tracking_number == "KP00000002"
    assert not Orphan.objects.exists()


@pytest.mark.django_db
def test_its_account_is_tried_and_its_card_computed(api, own_account, client, api_key):
    path = f"/api/v1/courier-credentials/{own_account.id}/test"
    assert api.post(path).json()["ok"] is True
    shown = {one["carrier"]: one for one in api.get("/api/v1/carriers").json()["carriers"]}["kestrel"]
    assert shown["capabilities"] == ["quote", "create_label", "find_by_reference", "track"]
    assert shown["credential"] == "own"


@pytest.mark.django_db
def test_what_it_cannot_do_says_so(api, order, own_account):
    label = api.post("/api/v1/labels", order | {"carrier": "kestrel", "metadata": {}}).json()
    refused = api.post(f"/api/v1/shipments/{label['shipment_id']}/cancel", {})
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_operation")
    assert refused.json()["carrier"] == "Kestrel Post"
    way_back = api.post("/api/v1/returns", {"shipment_id": label["shipment_id"]})
    assert (way_back.status_code, way_back.json()["error"]) == (400, "unsupported_operation")
    assert Shipment.objects.count() == 1
