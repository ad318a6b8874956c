"""An order that its carrier cannot take is refused by fields of our request: nothing is reserved, nothing is sent."""

import re

import pytest
from django.utils import timezone
from rest_framework.fields import JSONField, ListField
from rest_framework.serializers import ListSerializer

from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import ADAPTERS
from carriers.credentials import opening, storage
from carriers.types import Address, BookedShipment, Document, PickupPoint
from carriers.types.errors import CarrierNotFound
from shipping.common.conversion import to_builtins, to_order
from shipping.common.request_fields import MAX_PACKAGES
from shipping.labels.serializers import LabelRequestSerializer
from shipping.models import Shipment
from shipping.tests.kestrel import KestrelAdapter
from shipping.tests.orders import FULL

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "properties": {"gate": {"enum": ["north", "south"]}, "floors": {"type": "array", "items": {"type": "integer"}}},
    "required": ["gate"],
    "additionalProperties": False,
}
CUSTOMS = {"contents": "merchandise", "incoterm": "DDP", "duties": {"who": "recipient"}}


class StrictAdapter(KestrelAdapter):
    """A carrier with rules of each kind, which is not called."""

    served_options = ("signature",)
    unserved_fields = ("return_address", "packaging")
    options_schema = SCHEMA
    max_parcels = 2
    bought = []

    def problems(self, order):
        too_long = len(order.destination.street) > 50
        return {"destination.street": ["At most 50 characters."]} if too_long else {}

    def create_label(self, order):
        type(self).bought = [*self.bought, order]
        return BookedShipment(
            reference=order.reference,
            tracking_number="KP1",
            created_at=timezone.now(),
            documents=(Document(kind="label", format="PDF", content=b"%PDF-1.4"),),
        )


class PointAdapter(StrictAdapter):
    """A carrier whose labels need the address of the pickup point."""

    options_schema = {"type": "object"}
    needs_point_address = True

    def pickup_point(self, point_id, country):
        if point_id != "P-1":
            raise CarrierNotFound(carrier=self.name, carrier_message="Unknown point")
        return PickupPoint(id=point_id, name="Kiosk", address=Address(country=country, city="Oslo", street="Karl 1"))

    def pickup_points(self, search):
        return []


@pytest.fixture
def buy(monkeypatch, tenant, api, order):
    """A function that buys a label at an adapter; returns the response and the orders that the adapter got."""
    storage.save_credential(
        tenant=tenant, mode="test", carrier="pickit", environment="sandbox",
        fields={"client_id": "test-client-id", "client_secret": "test-secret"},
    )  # fmt: skip

    def bought(kind, **changes):
        adapter = type("Adapter", (kind,), {"bought": []})
        monkeypatch.setitem(ADAPTERS, "kestrel", adapter)
        storage.save_credential(
            tenant=tenant, mode="test", carrier="kestrel", environment="sandbox", fields={"key": "right-key"}
        )
        options = {"options": {"carrier": {"gate": "north"}}}
        body = order | {"carrier": "kestrel", "metadata": {}} | options | changes
        return api.post("/api/v1/labels", body), adapter.bought

    return bought


def with_options(**changes):
    return {"options": {"carrier": {"gate": "north"}, **changes}}


BOX = {"weight_kg": 1}
DEPOT = {"country": "US", "city": "Erie", "street": "1 A", "postal_code": "16501"}
REFUSED = [
    (with_options(saturday=True), "unsupported_operation", "options.saturday"),
    (with_options(payer={"who": "recipient"}), "unsupported_operation", "options.payer"),
    ({"return_address": DEPOT}, "unsupported_operation", "return_address"),
    ({"packages": [BOX, BOX | {"packaging": "bag"}]}, "unsupported_operation", "packages[1].packaging"),
    ({"options": {}}, "validation_error", "options.carrier.gate"),
    (with_options(carrier={"gate": "west"}), "validation_error", "options.carrier.gate"),
    (with_options(carrier={"gate": "north", "door": 1}), "validation_error", "options.carrier.door"),
    (with_options(carrier={"gate": "north", "floors": [1, "2"]}), "validation_error", "options.carrier.floors[1]"),
    ({"packages": [BOX, BOX, BOX]}, "validation_error", "packages"),
    ({"customs": CUSTOMS, "currency": "USD"}, "validation_error", "customs.duties.who"),
    ({"destination": {"street": "x" * 51}}, "validation_error", "destination.street"),
]  # fmt: skip


def test_order_that_the_carrier_cannot_take_is_refused_before_anything_is_reserved(buy, order):
    for changes, error, field in REFUSED:
        if "destination" in changes:
            changes = {"destination": order["destination"] | changes["destination"]}
        refused, bought = buy(StrictAdapter, **changes)
        assert (refused.status_code, list(refused.json()["details"])) == (400, [field]), refused.content
        assert refused.json()["error"] == error
        assert not bought
    assert not Shipment.objects.exists()


def test_served_options_reach_the_adapter(buy):
    label, (order,) = buy(StrictAdapter, **with_options(signature="adult"), packages=[BOX, BOX])
    assert label.status_code == 200, label.content
    assert (order.options.signature, order.options.carrier, order.service_type) == (
        "adult",
        {"gate": "north"},
        "standard",
    )


def test_shown_number_of_parcels_fits_into_a_request():
    assert all(1 <= kind.max_parcels <= MAX_PACKAGES for kind in ADAPTERS.values())


@pytest.mark.parametrize("carrier", ["pickit", "velocity"])
def test_customs_data_and_options_are_refused_by_carriers_that_cannot_take_them(carrier):
    kind = ADAPTERS[carrier]
    assert {"customs", "packaging", "attachments", "ship_at"} <= set(kind.unserved_fields)
    assert (kind.served_options, kind.options_schema["additionalProperties"]) == ((), False)


def test_pickup_point_has_its_address_only_for_carriers_that_need_it(buy):
    chosen = {"metadata": {"pickup_point_id": "P-1"}, "options": {}}
    _label, (order,) = buy(PointAdapter, **chosen)
    assert (order.pickup_point.name, order.pickup_point.address.city) == ("Kiosk", "Oslo")
    refused, bought = buy(PointAdapter, **chosen | {"metadata": {"pickup_point_id": "P-2"}, "order_id": "ORDER-2"})
    assert (refused.status_code, bought) == (404, [])
    assert refused.json()["details"] == {"metadata.pickup_point_id": ["Unknown point"]}
    assert Shipment.objects.count() == 1


def test_contents_of_attachments_are_not_stored_in_the_request(buy):
    content = "JVBERi0xLjQKJSVFT0YK"
    attachments = [{"kind": "invoice", "content": content}]
    label, (order,) = buy(StrictAdapter, attachments=attachments, **with_options())
    assert label.status_code == 200, label.content
    assert order.attachments[0].content.startswith(b"%PDF")
    stored = Shipment.objects.get().request
    assert content not in str(stored)
    assert stored["attachments"] == [{"kind": "invoice", "format": "PDF", "copies": 1}]


def lengthened(value):
    """Return a body with each text as long as a request can have it, except codes, dates, numbers and countries."""
    if isinstance(value, dict):
        return {name: item if name in CODES else lengthened(item) for name, item in value.items()}
    if isinstance(value, list):
        return [lengthened(item) for item in value]
    return (value + " lorem ipsum dolor sit" * 10)[:90] if isinstance(value, str) and " " in value else value


CODES = {"country", "origin_country", "currency", "kind", "who", "un_number", "ship_at", "packing_group"}


def is_field(path, serializer=None):
    """Return whether a path names a field of a label's request, or its value, at any depth."""
    field = serializer or LabelRequestSerializer()
    for name in re.findall(r"[^.\[\]]+", path):
        if isinstance(field, ListSerializer | ListField):
            field = field.child
        elif isinstance(field, JSONField):  # the carrier's own options, and metadata
            return True
        else:
            field = field.fields.get(name)
        if field is None:
            return False
    return True


@pytest.mark.parametrize("carrier", list(ADAPTERS))
def test_problems_of_each_carrier_name_fields_of_our_request(carrier):
    adapter = opening.open_without_credential(carrier)
    found = set()
    for name, body in {"full": FULL, "long": lengthened(FULL), "bare": {**FULL, "customs": None, "items": []}}.items():
        for service in (*adapter.services, "unknown"):
            values = to_builtins({**body, "service_type": service, "attachments": []})
            problems = adapter.problems(to_order({key: item for key, item in values.items() if item is not None}))
            assert [path for path in problems if not is_field(path)] == [], (name, service)
            assert all(text for texts in problems.values() for text in texts)
            found |= set(problems)
    assert found or adapter.problems.__func__ is CarrierAdapter.problems
