"""Pickups that a carrier books with a label, and pickups that it books without an answer."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from carriers.adapters.registry import ADAPTERS
from carriers.credentials import storage
from carriers.types import BookedPickup, BookedShipment, Document
from carriers.types.errors import CarrierUnavailable, OutcomeUnknown
from shipping.models import Pickup, Shipment
from shipping.pickups import pickups
from shipping.tests.kestrel import KestrelAdapter

pytestmark = pytest.mark.django_db
DAY = datetime(2027, 1, 15, 9, 0, tzinfo=UTC)


def booked(name, **changes):
    values = {
        "carrier_pickup_id": name,
        "confirmation_number": f"CONF-{name}",
        "scheduled_date": DAY,
        "window_start": "10:00",
        "window_end": "14:00",
        "carrier_state": {"place": "door"},
    }
    return BookedPickup(**values | changes)


class CollectingAdapter(KestrelAdapter):
    """A carrier that books a pickup with each label, and does not answer requests for others."""

    sold, found, searched = 0, [], []

    def create_label(self, order):
        type(self).sold += 1
        return BookedShipment(
            reference=order.reference,
            tracking_number=f"KP{self.sold}",
            created_at=timezone.now(),
            documents=(Document(kind="label", format="PDF", content=b"%PDF-1.4"),),
            pickup=booked("P-1"),
        )

    def schedule_pickup(self, request):
        raise OutcomeUnknown(carrier=self.name)

    def find_pickups(self, request):
        type(self).searched = [*self.searched, request]
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def adapter(monkeypatch, tenant):
    kind = type("Adapter", (CollectingAdapter,), {"sold": 0, "found": [], "searched": []})
    monkeypatch.setitem(ADAPTERS, "kestrel", kind)
    storage.save_credential(
        tenant=tenant, mode="test", carrier="kestrel", environment="sandbox", fields={"key": "right-key"}
    )
    return kind


@pytest.fixture
def label(adapter, api, order):
    """A function that buys a label; returns the shipment's id."""

    def buy(**changes):
        response = api.post("/api/v1/labels", order | {"carrier": "kestrel", "metadata": {}} | changes)
        assert response.status_code == 200, response.content
        return response.json()["shipment_id"]

    return buy


def test_pickup_booked_with_a_label_is_a_pickup_of_the_shipment(api, label):
    ids = {label(), label(order_id="ORDER-2")}
    row = Pickup.objects.get()
    assert (row.state, row.carrier_pickup_id, row.confirmation_number) == ("scheduled", "P-1", "CONF-P-1")
    assert (row.scheduled_date, row.window_start, row.carrier_state) == (DAY, "10:00", {"place": "door"})
    assert {str(one.id) for one in row.shipments.all()} == ids
    shown = api.get("/api/v1/pickups/CONF-P-1").json()
    assert set(shown["shipment_ids"]) == ids
    assert "carrier_state" not in str(shown)


@pytest.fixture
def schedule(api, label):
    shipment_id = label()
    body = {
        "carrier": "kestrel",
        "pickup_date": "2027-01-15T10:00:00+01:00",
        "pickup_window_start": "10:00",
        "pickup_window_end": "14:00",
        "packages_count": 1,
        "shipment_ids": [shipment_id],
        "additional": True,
    }

    def request():
        address = Shipment.objects.get().origin
        return api.post("/api/v1/pickups", body | {"address": address})

    return request


def test_pickup_without_an_answer_is_scheduled_if_exactly_one_is_found(adapter, schedule):
    adapter.found = [booked("P-1"), booked("P-2")]  # the first one was booked with the label
    answer = schedule()
    assert (answer.status_code, answer.json()["status"]) == (200, "scheduled")
    assert answer.json()["confirmation_number"] == "CONF-P-2"
    (request,) = adapter.searched
    assert (request.pickup_date.isoformat(), request.shipments[0].tracking_number) == (
        "2027-01-15T10:00:00+01:00",
        "KP1",
    )


@pytest.mark.parametrize(
    "found", [[], [booked("P-2"), booked("P-3")], CarrierUnavailable(carrier="K")], ids=["none", "two", "no answer"]
)
def test_pickup_that_is_not_certainly_the_one_needs_review(adapter, schedule, found):
    adapter.found = found
    answer = schedule()
    assert (answer.status_code, answer.json()["status"]) == (202, "needs_review")


def test_pickup_of_an_interrupted_request_is_looked_up(adapter, schedule):
    schedule()
    Pickup.objects.filter(carrier_pickup_id="").update(state="pending", failure=None)
    adapter.found = [booked("P-9")]
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=True):
        assert pickups.review_interrupted() == 1
    assert Pickup.objects.get(carrier_pickup_id="P-9").state == "scheduled"
