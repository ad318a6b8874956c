"""A new carrier needs one package and one registry line to be quoted, bought and tracked by the API."""

import base64
import json
import re
import threading
import uuid
from collections.abc import Mapping
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from carriers import types
from carriers.adapters.apis import Json
from carriers.adapters.records import Record
from carriers.adapters.registry import ADAPTERS
from carriers.credentials import storage
from carriers.tests.contract import CarrierContract
from carriers.tests.samples import shipment_ref
from carriers.types import Address, Order, Package, errors
from shipping.checkpoints import polling
from shipping.labels import reconciliation
from shipping.models import Orphan, Shipment
from shipping.tests import kestrel as kestrel_module
from shipping.tests.kestrel import STATUSES, KestrelAdapter, read_scan, read_shipment
from shipping.warehouses import warehouses


@pytest.fixture(autouse=True)
def _registry_line(monkeypatch):
    monkeypatch.setitem(ADAPTERS, "kestrel", KestrelAdapter)


class Kestrel(BaseHTTPRequestHandler):
    """The carrier's server."""

    parcels: dict[str, dict[str, Any]] = {}
    is_confused = False  # answers with any parcel, of whatever reference

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
        if self.path == "/key":
            return self._send({"owner": "Waybill"})
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
    settings.CARRIER_BASE_URLS |= {("kestrel", "sandbox", "main"): f"http://127.0.0.1:{server.server_port}"}
    Kestrel.parcels, Kestrel.is_confused = {}, False
    yield Kestrel
    server.shutdown()
    server.server_close()


HOME = Address(country="NO", postal_code="0150", city="Oslo", street="Storgata 1", contact_name="Jane Smith")
ROUTE = {"origin": HOME, "destination": HOME, "packages": (Package(weight_kg=1),)}


def test_examples_of_the_document_are_the_tested_code():
    document = (Path(__file__).parents[2] / "docs" / "adding-a-carrier.md").read_text()
    tested = Path(kestrel_module.__file__).read_text() + Path(__file__).read_text()
    examples = re.findall(r"```python\n(.*?)\n```", document, flags=re.DOTALL)
    assert examples
    assert [example for example in examples if example not in tested] == []


class TestKestrelContract(CarrierContract):
    adapter = KestrelAdapter
    fields = {"key": "right-key"}
    calls = {
        "quote": (lambda it: it.quote(Order(**ROUTE)), {"rates": [RATE]}),
        "create_label": (lambda it: it.create_label(Order(reference="WB-1", order_id="1", **ROUTE)), PARCEL),
        "find_by_reference": (lambda it: it.find_by_reference(shipment_ref(reference="WB-1")), {"parcels": [PARCEL]}),
        "check_credential": (lambda it: it.check_credential(), {"owner": "Waybill"}),
        "track": (
            lambda it: it.track([shipment_ref(tracking_number="KP00000001")]),
            {"events": [{"code": "sorted", "at": "2026-01-05T10:00:00+01:00"}]},
        ),
    }
    lists = (("quote", ["rates"]), ("track", ["events"]))
    needed = {
        "check_credential": ("owner",),
        "quote": ("rates.*.price", "rates.*.service"),
        "create_label": ("ref", "number", "label"),
        "find_by_reference": ("parcels.*.ref", "parcels.*.number", "parcels.*.label"),
        "track": ("events.*.code", "events.*.at"),
    }
    refusals = [(400, {"problem": "Unknown address"}, errors.CarrierRejected, "400", "Unknown address")]
    words = STATUSES

    def scan_of(self, word):
        return read_scan(Record({"code": word, "at": "2026-01-05T10:00:00+01:00"}))


@pytest.fixture
def own_credential(tenant, kestrel):
    fields = {"key": "right-key"}
    return storage.save_credential(
        tenant=tenant, mode="test", carrier="Kestrel Post", environment="sandbox", fields=fields
    )


@pytest.mark.django_db
def test_new_carrier_is_quoted_bought_and_tracked_by_the_api(api, order, own_credential, kestrel):
    wanted = order | {"carrier": "kestrel post", "metadata": {}}
    assert api.post("/api/v1/quotes", wanted).json()["total_price"] == 5.2
    label = api.post("/api/v1/labels", wanted).json()
    assert (label["carrier"], label["tracking_number"]) == ("Kestrel Post", "KP00000001")
    assert base64.b64decode(label["label_data"]).startswith(b"%PDF")
    kestrel.parcels["KP00000001"]["events"].append({"code": "handed_over", "at": timezone.now().isoformat()})
    track = api.post("/api/v1/tracking", {"carrier": "kestrel", "tracking_number": "KP00000001"}).json()
    assert track["status"] == "delivered"


@pytest.mark.django_db
def test_nothing_is_bought_with_a_credential_that_changes_during_the_request(
    api, order, own_credential, tenant, kestrel, monkeypatch
):
    select_departure = warehouses.select_departure

    def change_credential(*arguments):
        credential = {"tenant": tenant, "mode": "test", "carrier": "kestrel", "environment": "sandbox"}
        storage.save_credential(**credential, fields={"key": "another-key"})
        return select_departure(*arguments)

    monkeypatch.setattr(warehouses, "select_departure", change_credential)
    refused = api.post("/api/v1/labels", order | {"carrier": "kestrel", "metadata": {}})
    assert (refused.status_code, refused["Retry-After"]) == (503, "1")
    assert not kestrel.parcels
    assert not Shipment.objects.exists()


@pytest.mark.django_db
def test_carrier_without_webhooks_is_polled(api, order, own_credential, kestrel):
    api.post("/api/v1/labels", order | {"carrier": "kestrel", "metadata": {}})
    kestrel.parcels["KP00000001"]["events"].append({"code": "sorted", "at": timezone.now().isoformat()})
    with time_machine.travel(timezone.now() + timedelta(hours=7), tick=True):
        polling.poll()
    assert Shipment.objects.get().status == "in_transit"


class CarelessAdapter(KestrelAdapter):
    """An adapter that does not check that a response is about its request."""

    def create_label(self, order: types.Order) -> types.BookedShipment:
        return read_shipment(
            Record(self._request("create_label", "POST", "/parcels", body=Json({"ref": order.reference})))
        )

    def find_by_reference(self, ref: types.ShipmentRef) -> list[types.BookedShipment]:
        answer = self._request("find_by_reference", "GET", "/parcels", params={"ref": ref.reference})
        return [read_shipment(item) for item in Record(answer).records("parcels")]


@pytest.mark.django_db
def test_parcels_of_other_references_are_neither_booked_nor_cancelled(api, order, own_credential, kestrel, monkeypatch):
    monkeypatch.setitem(ADAPTERS, "kestrel", CarelessAdapter)
    kestrel.parcels["KP00000001"] = PARCEL | {"ref": "SHOP-SYSTEM-7", "events": []}
    kestrel.is_confused = True
    bought = api.post("/api/v1/labels", order | {"carrier": "kestrel", "metadata": {}})
    assert (bought.status_code, Shipment.objects.get().booking_state) == (202, "pending")
    assert reconciliation.reconcile() == {"booked": 1}
    assert Shipment.objects.get().tracking_number == "KP00000002"
    assert not Orphan.objects.exists()


@pytest.mark.django_db
def test_credential_is_checked_and_capabilities_are_computed(api, own_credential, client, api_key):
    path = f"/api/v1/courier-credentials/{own_credential.id}/test"
    assert api.post(path).json()["ok"] is True
    shown = {one["carrier"]: one for one in api.get("/api/v1/carriers").json()["carriers"]}["kestrel"]
    assert shown["capabilities"] == ["quote", "create_label", "find_by_reference", "track"]
    assert shown["credential"] == "own"


@pytest.mark.django_db
def test_unsupported_operation_is_refused_by_name(api, order, own_credential):
    label = api.post("/api/v1/labels", order | {"carrier": "kestrel", "metadata": {}}).json()
    refused = api.post(f"/api/v1/shipments/{label['shipment_id']}/cancel", {})
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_operation")
    assert refused.json()["carrier"] == "Kestrel Post"
    returned = api.post("/api/v1/returns", {"shipment_id": label["shipment_id"]})
    assert (returned.status_code, returned.json()["error"]) == (400, "unsupported_operation")
    assert Shipment.objects.count() == 1
