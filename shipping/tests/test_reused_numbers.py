"""Carriers reuse tracking numbers: with a shared credential, an old number gives no access to another's parcel."""

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
def platform_credential(db):
    fields = {
        "client_id": "pickit-platform",
        "client_secret": "test-secret",
        "webhook_secret": "test-secret",
    }
    return storage.save_credential(tenant=None, mode="test", carrier="pickit", environment="sandbox", fields=fields)


@pytest.fixture
def other(client):
    """An API client of another merchant."""
    key = generate_key("test")
    store_key(Tenant(Merchant.objects.create(name="Other", slug="other").id, "test"), key, name="other")
    return ApiClient(client, key)


@pytest.fixture
def number(merchant, platform_credential, other, order, sandbox):
    """The number of the other merchant's parcel, which identified one of our merchant before."""
    given = other.post("/api/v1/labels", order).json()["tracking_number"]
    Shipment.objects.create(
        id=OLD_ID,
        merchant=merchant,
        mode="test",
        carrier="pickit",
        credential=platform_credential,
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


@pytest.mark.parametrize("spell", [str, str.lower])
def test_number_sold_twice_within_a_month_stays_with_the_first_shipment(
    api, other, platform_credential, order, sandbox, monkeypatch, spell
):
    first = other.post("/api/v1/labels", order).json()
    sell = PickitAdapter.create_label
    twice = {"tracking_number": spell(first["tracking_number"])}
    monkeypatch.setattr(PickitAdapter, "create_label", lambda self, wanted: replace(sell(self, wanted), **twice))
    second = api.post("/api/v1/labels", order)
    assert second.status_code == 202
    row = Shipment.objects.get(id=second.json()["shipment_id"])
    assert (row.booking_state, row.tracking_number) == ("needs_review", "")
    assert api.post(f"/api/v1/shipments/{first['tracking_number']}/cancel", {}).status_code == 404
    assert other.post(f"/api/v1/shipments/{first['tracking_number']}/cancel", {}).status_code == 200


def test_number_reused_after_a_month_is_booked(api, other, platform_credential, order, monkeypatch):
    first = other.post("/api/v1/labels", order).json()
    Shipment.objects.update(created_at=timezone.now() - timedelta(days=29))
    sell = PickitAdapter.create_label
    again = {"tracking_number": first["tracking_number"]}
    monkeypatch.setattr(PickitAdapter, "create_label", lambda self, wanted: replace(sell(self, wanted), **again))
    assert api.post("/api/v1/labels", order).status_code == 200


def test_only_the_current_owner_can_track_the_number(api, other, number):
    ours = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number}).json()
    assert (ours["events"], ours["metadata"]["stale"]) == ([], True)
    (one,) = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_numbers": [number]}).json()["results"]
    assert (one["events"], one["metadata"]["stale"]) == ([], True)
    theirs = other.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number}).json()
    assert [event["status"] for event in theirs["events"]] == ["created", "in_transit"]


def test_former_owner_cannot_cancel_or_read_the_proof(api, other, sandbox, number):
    for path in (f"shipments/{number}/cancel", f"shipments/{number}/proof-of-delivery"):
        refused = api.post(f"/api/v1/{path}")
        assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert sandbox.calls(operation="cancel") + sandbox.calls(operation="proof_of_delivery") == []
    assert other.post(f"/api/v1/shipments/{number}/cancel").status_code == 200


def test_former_owner_cannot_schedule_a_pickup(api, sandbox, number):
    pickup = {
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
    refused = api.post("/api/v1/pickups", pickup)
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["shipment_ids[0]"])
    assert sandbox.calls(operation="schedule_pickup") == []


def test_number_is_polled_for_its_current_owner_only(sandbox, number):
    assert polling.poll() == {"asked": 1, "scans": 0, "failed": 0}
    assert sandbox.calls(operation="track") == []
    assert Shipment.objects.get(id=OLD_ID).poll_at is None
    assert not Checkpoint.objects.filter(shipment_id=OLD_ID).exists()


@pytest.fixture
def unsettled(number):
    """A purchase of the other merchant without a stored answer, so that it may have our old number."""
    bought = Shipment.objects.exclude(id=OLD_ID).get()
    rows = Shipment.objects.filter(id=bought.id)
    rows.update(booking_state=BookingState.PENDING, tracking_number="", carrier_shipment_id="")
    return rows


@pytest.mark.usefixtures("unsettled")
def test_former_owner_is_refused_while_the_new_booking_is_unsettled(api, sandbox, number):
    assert api.post(f"/api/v1/shipments/{number}/cancel").status_code == 409
    ours = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number}).json()
    assert (ours["events"], ours["metadata"]["stale"]) == ([], True)
    assert sandbox.calls(operation="cancel") + sandbox.calls(operation="track") == []
    assert polling.poll()["asked"] == 1
    assert sandbox.calls(operation="track") == []
    assert Shipment.objects.get(id=OLD_ID).poll_at > timezone.now()  # it may still be its own number


def test_booking_unsettled_for_two_days_does_not_block_the_number(unsettled, api, number):
    unsettled.update(created_at=timezone.now() - timedelta(days=3))
    assert api.post(f"/api/v1/shipments/{number}/cancel").status_code == 200


def test_orphan_owns_its_number(unsettled, api, number):
    late = unsettled.get()
    unsettled.update(booking_state=BookingState.FAILED)
    orphan = Orphan.objects.create(merchant_id=late.merchant_id, mode="test", shipment=late, tracking_number=number)
    assert api.post(f"/api/v1/shipments/{number}/cancel").status_code == 409
    Orphan.objects.filter(id=orphan.id).update(voided_at=timezone.now())
    assert api.post(f"/api/v1/shipments/{number}/cancel").status_code != 409
