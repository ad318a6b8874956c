"""A new carrier needs one package and one registry line to be quoted, bought and tracked by the API."""

import base64
import json
import re
import threading
import uuid
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.utils import timezone
from pypdf import PdfReader
from reportlab.pdfgen.canvas import Canvas

from carriers import types
from carriers.adapters.apis import Json
from carriers.adapters.records import Record
from carriers.adapters.registry import ADAPTERS
from carriers.credentials import storage
from carriers.tests.contract import CarrierContract
from carriers.tests.samples import shipment_ref
from carriers.types import Address, Options, Order, Package, ParcelRef, errors
from shipping.checkpoints import polling
from shipping.labels import documents, reconciliation
from shipping.models import Orphan, Shipment
from shipping.tests import kestrel as kestrel_module
from shipping.tests.kestrel import STATUSES, KestrelAdapter, build_shipment, read_scan, read_shipment
from shipping.warehouses import warehouses


@pytest.fixture(autouse=True)
def _registry_line(monkeypatch):
    monkeypatch.setitem(ADAPTERS, "kestrel", KestrelAdapter)


def draw(text: str) -> bytes:
    """Return a PDF of one page."""
    page = BytesIO()
    canvas = Canvas(page)
    canvas.drawString(20, 20, text)
    canvas.save()
    return page.getvalue()


class Kestrel(BaseHTTPRequestHandler):
    """The carrier's server."""

    shipments: dict[str, dict[str, Any]] = {}
    is_confused = False  # answers with any shipment, of whatever reference
    is_silent = False  # sells without an answer
    prints_later = False  # sells without labels

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/rates":
            return self._send({"rates": [RATE]})
        count = sum(len(one["parcels"]) for one in self.shipments.values())
        numbers = [f"KP{count + number:08}" for number in range(1, len(body["parcels"]) + 1)]
        rows = [{"ref": one["ref"], "number": number} for one, number in zip(body["parcels"], numbers, strict=True)]
        events = [{"code": "announced", "at": timezone.now().isoformat()}]
        sold = {"id": str(uuid.uuid4()), "number": numbers[0], "ref": body["ref"], "parcels": rows}
        self.shipments[numbers[0]] = sold | {"events": events, "request": body}
        if self.is_silent:
            return None
        if not self.prints_later:
            sold |= {"parcels": [row | {"label": base64.b64encode(draw(row["number"])).decode()} for row in rows]}
        return self._send(self.shipments["KP00000001"] if self.is_confused else sold)

    def do_GET(self) -> None:
        match self.path.split("/")[1:]:
            case ["key"]:
                return self._send({"owner": "Waybill"})
            case ["shipments", number, "events"] if number in self.shipments:
                return self._send({"events": self.shipments[number]["events"]})
            case ["parcels", number, "label"]:
                return self._send(draw(number))
            case [search]:
                rows = self.shipments.values()
                found = [one for one in rows if self.is_confused or search.endswith(one["ref"])]
                return self._send({"shipments": found})
        return self._send({"problem": "Unknown number"}, 404)

    def _send(self, body: Mapping[str, Any] | bytes, status: int = 200) -> None:
        if self.headers.get("X-Key") != "right-key":
            body, status = {"problem": "Wrong key"}, 401
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


RATE = {"service": "standard", "price": 5.2, "currency": "EUR", "days": 2}
FILE = base64.b64encode(b"%PDF-1.4 kestrel").decode()
SHIPMENT = {
    "id": "s-1",
    "ref": "WB-1",
    "number": "KP00000001",
    "at": "2026-01-05T10:00:00Z",
    "parcels": [
        {"ref": "WB-1-1", "number": "KP00000001", "label": FILE},
        {"ref": "WB-1-2", "number": "KP00000002", "label": FILE},
    ],
}
EVENT = {"code": "sorted", "at": "2026-01-05T10:00:00+01:00", "parcel": "KP00000002"}


@pytest.fixture
def kestrel(settings):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Kestrel)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    settings.CARRIER_BASE_URLS |= {("kestrel", "sandbox", "main"): f"http://127.0.0.1:{server.server_port}"}
    Kestrel.shipments, Kestrel.is_confused, Kestrel.is_silent, Kestrel.prints_later = {}, False, False, False
    yield Kestrel
    server.shutdown()
    server.server_close()


HOME = Address(country="NO", postal_code="0150", city="Oslo", street="Storgata 1", contact_name="Jane Smith")
BOXES = (Package(weight_kg=Decimal("1.2")), Package(weight_kg=Decimal(2)))
ORDER = Order(
    reference="WB-1",
    order_id="1",
    origin=HOME,
    destination=HOME,
    packages=BOXES,
    service_type="standard",
    options=Options(signature="any"),
)
REF = shipment_ref(
    ORDER,
    tracking_number="KP00000001",
    parcels=(
        ParcelRef(number=1, tracking_number="KP00000001", reference="WB-1-1"),
        ParcelRef(number=2, tracking_number="KP00000002", reference="WB-1-2"),
    ),
)


def test_examples_of_the_document_are_the_tested_code_without_a_gap():
    document = (Path(__file__).parents[2] / "docs" / "adding-a-carrier.md").read_text()
    module, tests = Path(kestrel_module.__file__).read_text(), Path(__file__).read_text()
    examples = re.findall(r"```python\n(.*?)\n```", document, flags=re.DOTALL)
    assert [example for example in examples if example not in module + tests] == []
    imports, *_shown = module.partition(examples[1])
    rest = module.removeprefix(imports)
    for example in examples:
        rest = rest.replace(example, "")
    assert rest.split() == []


class TestKestrelContract(CarrierContract):
    adapter = KestrelAdapter
    fields = {"key": "right-key"}
    calls = {
        "check_credential": (lambda it: it.check_credential(), {"owner": "Waybill"}),
        "track": (lambda it: it.track([REF]), {"events": [EVENT]}),
        "create_label": (lambda it: it.create_label(ORDER), SHIPMENT),
        "find_by_reference": (lambda it: it.find_by_reference(REF), {"shipments": [SHIPMENT]}),
        "documents": (lambda it: it.documents(REF, ["label"]), b"%PDF-1.4 kestrel"),
        "quote": (lambda it: it.quote(ORDER), {"rates": [RATE]}),
    }
    lists = (("quote", ["rates"]), ("track", ["events"]))
    needed = {
        "check_credential": ("owner",),
        "track": ("events.*.code", "events.*.at"),
        "create_label": ("ref", "number", "parcels.*.ref", "parcels.*.number", "parcels.*.label"),
        "find_by_reference": (
            *("shipments.*.ref", "shipments.*.number"),
            *("shipments.*.parcels.*.ref", "shipments.*.parcels.*.number", "shipments.*.parcels.*.label"),
        ),
        "quote": ("rates.*.price", "rates.*.service"),
    }
    refusals = [(400, {"problem": "Unknown address"}, errors.CarrierRejected, "400", "Unknown address")]
    words = STATUSES

    def scan_of(self, word):
        return read_scan(Record(EVENT | {"code": word}))


@pytest.fixture
def own_credential(tenant, kestrel):
    fields = {"key": "right-key"}
    return storage.save_credential(
        tenant=tenant, mode="test", carrier="Kestrel Post", environment="sandbox", fields=fields
    )


@pytest.fixture
def two_parcels(order):
    """A request for a label of two parcels, with options."""
    options = {"signature": "any", "carrier": {"leave_at": "garage"}}
    return order | {"carrier": "kestrel post", "metadata": {}, "packages": [{"weight_kg": 1.2}] * 2, "options": options}


def list_documents(api, label):
    """Return parcel and first bytes of the shipment's documents that are available."""
    rows = api.get(f"/api/v1/shipments/{label['shipment_id']}/documents").json()["documents"]
    files = {one["parcel"]: api.get(urlsplit(one["url"]).path) for one in rows if one["available"]}
    return {parcel: file.getvalue()[:5] for parcel, file in files.items()}


@pytest.mark.django_db
def test_new_carrier_is_quoted_bought_and_tracked_by_the_api(api, two_parcels, own_credential, kestrel):
    assert api.post("/api/v1/quotes", two_parcels).json()["total_price"] == 5.2
    label = api.post("/api/v1/labels", two_parcels).json()
    assert (label["carrier"], label["tracking_number"]) == ("Kestrel Post", "KP00000001")
    assert [one["tracking_number"] for one in label["parcels"]] == ["KP00000001", "KP00000002"]
    assert len(PdfReader(BytesIO(base64.b64decode(label["label_data"]))).pages) == 2
    assert list_documents(api, label) == {1: b"%PDF-", 2: b"%PDF-"}
    (shipment,) = kestrel.shipments.values()
    bought = shipment["request"]
    assert (bought["signature"], bought["leave_at"]) == ("anyone", "garage")
    assert [one["grams"] for one in bought["parcels"]] == [1200, 1200]

    statuses = []
    for number in ("KP00000001", "KP00000002"):
        at = timezone.now().isoformat()
        shipment["events"].append({"code": "handed_over", "at": at, "parcel": number})
        track = api.post("/api/v1/tracking", {"carrier": "kestrel", "tracking_number": number}).json()
        statuses.append(track["status"])
    assert statuses == ["created", "delivered"]


@pytest.mark.django_db
def test_order_that_the_carrier_cannot_take_is_refused_by_field(api, two_parcels, own_credential, kestrel):
    refused = {
        "destination.street": {"destination": two_parcels["destination"] | {"street": "A long name of a street " * 4}},
        "options.signature": {"options": {"signature": "adult"}},
        "options.carrier.leave_at": {"options": {"carrier": {"leave_at": "roof"}}},
        "options.saturday": {"options": {"saturday": True}},
        "packages": {"packages": [{"weight_kg": 1}] * 11},
        "return_address": {"return_address": two_parcels["origin"]},
    }
    for field, changes in refused.items():
        answer = api.post("/api/v1/labels", two_parcels | changes)
        assert answer.status_code == 400, answer.json()
        assert set(answer.json()["details"]) == {field}
    assert not kestrel.shipments
    assert not Shipment.objects.exists()


@pytest.mark.django_db
def test_labels_that_are_printed_later_are_fetched(api, two_parcels, own_credential, kestrel):
    kestrel.prints_later = True
    label = api.post("/api/v1/labels", two_parcels).json()
    assert (label["label_data"], list_documents(api, label)) == (None, {})
    assert documents.fetch_missing() == 1
    assert list_documents(api, label) == {1: b"%PDF-", 2: b"%PDF-"}


@pytest.mark.django_db
def test_purchase_without_an_answer_is_found_with_its_labels(api, two_parcels, own_credential, kestrel):
    kestrel.is_silent = True
    pending = api.post("/api/v1/labels", two_parcels)
    assert pending.status_code == 202
    assert reconciliation.reconcile() == {"booked": 1}
    assert list_documents(api, pending.json()) == {1: b"%PDF-", 2: b"%PDF-"}
    assert len(kestrel.shipments) == 1


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
    assert not kestrel.shipments
    assert not Shipment.objects.exists()


@pytest.mark.django_db
def test_carrier_without_webhooks_is_polled(api, order, own_credential, kestrel):
    api.post("/api/v1/labels", order | {"carrier": "kestrel", "metadata": {}})
    kestrel.shipments["KP00000001"]["events"].append({"code": "sorted", "at": timezone.now().isoformat()})
    with time_machine.travel(timezone.now() + timedelta(hours=7), tick=True):
        polling.poll()
    assert Shipment.objects.get().status == "in_transit"


class CarelessAdapter(KestrelAdapter):
    """An adapter that does not check that a response is about its request."""

    def create_label(self, order: types.Order) -> types.BookedShipment:
        return read_shipment(
            Record(self._request("create_label", "POST", "/shipments", body=Json(build_shipment(order))))
        )

    def find_by_reference(self, ref: types.ShipmentRef) -> list[types.BookedShipment]:
        answer = self._request("find_by_reference", "GET", "/shipments", params={"ref": ref.reference})
        return [read_shipment(row) for row in Record(answer).records("shipments")]


@pytest.mark.django_db
def test_parcels_of_other_references_are_neither_booked_nor_cancelled(api, order, own_credential, kestrel, monkeypatch):
    monkeypatch.setitem(ADAPTERS, "kestrel", CarelessAdapter)
    parcels = [{"ref": "SHOP-SYSTEM-7-1", "number": "KP00000001"}]
    kestrel.shipments["KP00000001"] = {"number": "KP00000001", "ref": "SHOP-SYSTEM-7", "parcels": parcels, "events": []}
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
    assert shown["capabilities"] == ["quote", "create_label", "find_by_reference", "documents", "track"]
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
