"""Carriers give numbers anew after a time: at a shared account nobody reads or moves another's parcel by an old one."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant
from carriers.adapters.pickit import PickitAdapter
from carriers.credentials import storage
from conftest import ApiClient
from shipping.checkpoints import polling
from shipping.models import BookingState, Checkpoint, Orphan, Shipment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]
OLD_ID = "01900000-0000-7000-8000-000000000001"


@pytest.fixture
def platform(db):
    fields = {"client_id": "pickit-platform", "client_secret": "test-secret", "webhook_secret": "test-secret"}
    return storage.save_credential(tenant=None, mode="test", carrier="pickit", environment="sandbox", fields=fields)


@pytest.fixture
def other(client):
    """Another merchant's client."""
    key = generate_key("test")
    store_key(Tenant(Merchant.objects.create(name="Other", slug="other").id, "test"), key, name="other")
    return ApiClient(client, key)


@pytest.fixture
def number(merchant, platform, other, order, sandbox):
    """Of the other merchant's parcel, which was once our merchant's."""
    given = other.post("/api/v1/labels", order).json()["tracking_number"]
    Shipment.objects.create(
        id=OLD_ID,
        merchant=merchant,
        mode="test",
        carrier="pickit",
        credential=platform,
        booking_state=BookingState.BOOKED,
        status="in_transit",
        tracking_number=given,
        reference="WB-OLD",
        poll_at=timezone.now() - timedelta(hours=1),
        created_at=timezone.now() - timedelta(days=30),
    )
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{given}/advance", {"to": "in_transit", "webhook": False})
    sandbox.clear()
    return given


def test_sold_twice_within_a_month_it_stays_with_its_first_holder(api, other, platform, order, sandbox, monkeypatch):
    first = other.post("/api/v1/labels", order).json()
    sell = PickitAdapter.create_label
    twice = {"tracking_number": first["tracking_number"]}
    monkeypatch.setattr(PickitAdapter, "create_label", lambda self, wanted: replace(sell(self, wanted), **twice))
    second = api.post("/api/v1/labels", order)
    assert second.status_code == 202
    row = Shipment.objects.get(id=second.json()["shipment_id"])
    assert (row.booking_state, row.tracking_number) == ("needs_review", "")
    assert api.post(f"/api/v1/shipments/{first['tracking_number']}/cancel", {}).status_code == 404
    assert other.post(f"/api/v1/shipments/{first['tracking_number']}/cancel", {}).status_code == 200


def test_given_anew_after_a_month_it_is_booked(api, other, platform, order, monkeypatch):
    first = other.post("/api/v1/labels", order).json()
    Shipment.objects.update(created_at=timezone.now() - timedelta(days=29))
    sell = PickitAdapter.create_label
    anew = {"tracking_number": first["tracking_number"]}
    monkeypatch.setattr(PickitAdapter, "create_label", lambda self, wanted: replace(sell(self, wanted), **anew))
    assert api.post("/api/v1/labels", order).status_code == 200


def test_it_is_tracked_by_whom_it_belongs_to_alone(api, other, number):
    ours = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number}).json()
    assert (ours["events"], ours["metadata"]["stale"]) == ([], True)
    (one,) = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_numbers": [number]}).json()["results"]
    assert (one["events"], one["metadata"]["stale"]) == ([], True)
    theirs = other.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number}).json()
    assert [event["status"] for event in theirs["events"]] == ["created", "in_transit"]


def test_the_former_holder_calls_nothing_off_and_reads_no_proof(api, other, sandbox, number):
    for path in (f"shipments/{number}/cancel", f"shipments/{number}/proof-of-delivery"):
        refused = api.post(f"/api/v1/{path}")
        assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert sandbox.calls(operation="cancel") + sandbox.calls(operation="proof_of_delivery") == []
    assert other.post(f"/api/v1/shipments/{number}/cancel").status_code == 200


def test_no_van_comes_for_the_parcel_by_its_former_holder(api, sandbox, number):
    van = {
        "carrier": "Pickit",
        "pickup_date": "2030-01-16T10:00:00Z",
        "pickup_window_start": "10:00",
        "pickup_window_end": "14:00",
        "address": {"street": "1 Main St", "city": "Brooklyn", "postal_code": "11201", "country": "US"},
        "contact_name": "Jane Smith",
        "contact_phone": "+1234567890",
        "packages_count": 1,
        "shipment_ids": [number],
    }
    refused = api.post("/api/v1/pickups", van)
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["shipment_ids[0]"])
    assert sandbox.calls(operation="schedule_pickup") == []


def test_it_is_polled_for_its_holder_alone(sandbox, number):
    assert polling.poll() == {"asked": 1, "scans": 0, "failed": 0}
    assert sandbox.calls(operation="track") == []
    assert Shipment.objects.get(id=OLD_ID).poll_at is None
    assert not Checkpoint.objects.filter(shipment_id=OLD_ID).exists()


@pytest.fixture
def unsettled(number):
    """The other merchant's purchase, of which the carrier's answer is not stored yet; its number is our old one's."""
    bought = Shipment.objects.exclude(id=OLD_ID).get()
    rows = Shipment.objects.filter(id=bought.id)
    rows.update(booking_state=BookingState.PENDING, tracking_number="", carrier_shipment_id="")
    return rows


@pytest.mark.usefixtures("unsettled")
def test_while_the_new_booking_is_not_settled_the_former_holder_may_not_touch_the_parcel(api, sandbox, number):
    assert api.post(f"/api/v1/shipments/{number}/cancel").status_code == 409
    ours = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number}).json()
    assert (ours["events"], ours["metadata"]["stale"]) == ([], True)
    assert sandbox.calls(operation="cancel") + sandbox.calls(operation="track") == []
    assert polling.poll()["asked"] == 1
    assert sandbox.calls(operation="track") == []
    assert Shipment.objects.get(id=OLD_ID).poll_at > timezone.now()  # it may be its own number after all


def test_what_nobody_settles_for_two_days_keeps_no_number_from_its_holder(unsettled, api, number):
    unsettled.update(created_at=timezone.now() - timedelta(days=3))
    assert api.post(f"/api/v1/shipments/{number}/cancel").status_code == 200


def test_a_label_that_nobody_waits_for_has_its_number_too(unsettled, api, number):
    late = unsettled.get()
    unsettled.update(booking_state=BookingState.FAILED)
    orphan = Orphan.objects.create(merchant_id=late.merchant_id, mode="test", shipment=late, tracking_number=number)
    assert api.post(f"/api/v1/shipments/{number}/cancel").status_code == 409
    Orphan.objects.filter(id=orphan.id).update(voided_at=timezone.now())
    assert api.post(f"/api/v1/shipments/{number}/cancel").status_code != 409
