"""Shipments without reports are polled until they are final, so that a lost webhook loses nothing."""

from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import call_command
from django.db.models import QuerySet
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant
from carriers.adapters.velocity import VelocityAdapter
from carriers.credentials import selection, storage
from carriers.models import CarrierCall
from shipping.checkpoints import carrier_reports, polling
from shipping.models import Shipment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credential", "sandbox")]
VELOCITY = {"username": "+910000000000", "password": "test-secret"}


@pytest.fixture
def number(api, order):
    return api.post("/api/v1/labels", order).json()["tracking_number"]


@pytest.fixture
def advance(sandbox):
    def advance(number, to):
        return sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": to, "webhook": False})

    return advance


def later(**span):
    return time_machine.travel(timezone.now() + timedelta(**span), tick=True)


def count_calls(sandbox):
    return len(sandbox.control("GET", "/_sandbox/calls?operation=track"))


def test_shipment_without_reports_is_polled_and_the_missed_scan_stored(number, advance, sandbox):
    advance(number, "in_transit")
    assert polling.poll() == {"asked": 0, "scans": 0, "failed": 0}
    with later(hours=7):
        counts = polling.poll()
    assert counts["asked"] == 1
    assert counts["scans"] >= 1
    assert Shipment.objects.get().status == "in_transit"


def test_return_without_a_webhook_is_found_by_polling(number, advance):
    advance(number, "returned")
    with later(hours=7):
        polling.poll()
    shipment = Shipment.objects.get()
    assert shipment.status == "returned"
    with later(days=2):
        assert polling.poll()["asked"] == 0
    assert Shipment.objects.get().poll_at is None


def test_recently_reported_shipment_is_not_polled(number, advance, sandbox, api):
    with later(hours=5):
        advance(number, "in_transit")
        api.post("/api/v1/tracking", {"carrier": "pickit", "tracking_number": number})
        before = count_calls(sandbox)
    with later(hours=7):
        assert polling.poll()["asked"] == 0
    assert count_calls(sandbox) == before
    assert Shipment.objects.get().poll_at > timezone.now() + timedelta(hours=10)


def test_failed_poll_is_repeated_soon(number, advance, sandbox, settings):
    settings.CARRIER_MAX_RETRIES = 0
    advance(number, "in_transit")
    sandbox.control("POST", "/_sandbox/faults", {"kind": "status", "status": 500, "operation": "track", "count": 1})
    with later(hours=7):
        assert polling.poll() == {"asked": 1, "scans": 0, "failed": 1}
        assert polling.poll()["asked"] == 0
    with later(hours=8):
        assert polling.poll()["scans"] >= 1


@pytest.mark.django_db(transaction=True)
def test_many_shipments_are_polled_and_a_missing_one_repeated(api, order, advance, sandbox):
    numbers = [
        api.post("/api/v1/labels", order | {"order_id": f"ORDER-{n}"}).json()["tracking_number"] for n in range(6)
    ]
    for number in numbers:
        advance(number, "in_transit")
    fault = {"operation": "track", "kind": "garbage", "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)
    with later(hours=7):
        counts = polling.poll()
        assert (counts["asked"], counts["failed"]) == (6, 1)
        assert Shipment.objects.filter(status="in_transit").count() == 5
    with later(hours=9):
        assert polling.poll()["asked"] == 1
    assert Shipment.objects.filter(status="in_transit").count() == 6


@pytest.mark.django_db(transaction=True)
def test_track_that_cannot_be_stored_does_not_stop_the_others(api, order, advance, monkeypatch):
    numbers = [api.post("/api/v1/labels", order | {"order_id": f"O-{n}"}).json()["tracking_number"] for n in range(3)]
    for number in numbers:
        advance(number, "in_transit")
    add, broken = carrier_reports.add_scans, {numbers[1]}

    def add_unless_broken(row, scans, **more):
        if row.tracking_number in broken:
            raise RuntimeError
        return add(row, scans, **more)

    monkeypatch.setattr(carrier_reports, "add_scans", add_unless_broken)
    with later(hours=7):
        counts = polling.poll()
        assert (counts["asked"], counts["failed"]) == (3, 1)
        assert Shipment.objects.filter(status="in_transit").count() == 2
        assert polling.poll()["asked"] == 0
    broken.clear()
    with later(hours=7, minutes=20):
        assert polling.poll()["asked"] == 1
    assert Shipment.objects.filter(status="in_transit").count() == 3


def test_shipment_leased_by_another_worker_is_skipped(number, sandbox, monkeypatch):
    exists, other_worker = QuerySet.exists, []

    def poll_meanwhile(rows):
        """Run another worker after this one has seen that rows are due, and before it claims them."""
        seen = exists(rows)
        monkeypatch.setattr(QuerySet, "exists", exists)
        other_worker.append(polling.poll())
        return seen

    monkeypatch.setattr(QuerySet, "exists", poll_meanwhile)
    with later(hours=7):
        assert polling.poll()["asked"] == 0
    assert other_worker == [{"asked": 1, "scans": 0, "failed": 0}]
    assert count_calls(sandbox) == 1


def test_unexpected_error_does_not_stop_other_credentials(api, order, tenant, advance, monkeypatch):
    storage.save_credential(tenant=tenant, mode="test", carrier="velocity", environment="sandbox", fields=VELOCITY)
    number = api.post("/api/v1/labels", order).json()["tracking_number"]
    indian = selection.select_credential(tenant, "velocity")
    Shipment.objects.create(
        merchant_id=tenant.merchant_id,
        mode="test",
        carrier="velocity",
        credential=indian,
        booking_state="booked",
        status="created",
        tracking_number="SHPHYB1",
        reference="WB1",
        poll_at=timezone.now(),
    )
    advance(number, "in_transit")
    monkeypatch.setattr(VelocityAdapter, "track", lambda *_: 1 / 0)
    with later(hours=7):
        counts = polling.poll()
        assert (counts["asked"], counts["failed"]) == (2, 1)
        assert Shipment.objects.get(tracking_number=number).status == "in_transit"
    with later(hours=7, minutes=20):
        assert polling.poll()["asked"] == 1


def test_old_shipment_is_not_polled_any_more(number, settings):
    with later(days=settings.POLL_GIVE_UP.days + 1):
        assert polling.poll()["asked"] == 0
    assert Shipment.objects.get().poll_at is None


def test_poll_without_new_scans_keeps_updated_at(number):
    with later(hours=7):
        polling.poll()
    before = Shipment.objects.get().updated_at
    with later(hours=14):
        assert polling.poll() == {"asked": 1, "scans": 0, "failed": 0}
    assert Shipment.objects.get().updated_at == before


def test_command_prints_counts(number):
    output = StringIO()
    with later(hours=7):
        call_command("poll_tracking", stdout=output)
    assert output.getvalue().strip() == "1 asked, 0 scans, 0 failed"


def test_call_with_a_shared_credential_is_about_one_merchant(api, client, order, credential):
    storage.delete_credential(credential)
    fields = {"client_id": "pickit-platform", "client_secret": "test-secret"}
    storage.save_credential(tenant=None, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    other = Merchant.objects.create(name="Other", slug="other", plan_id="enterprise", default_country="US")
    key = generate_key("test")
    store_key(Tenant(other.id, "test"), key, name="tests")
    for one in (api, type(api)(client, key)):
        assert one.post("/api/v1/labels", order).status_code == 200
    with later(hours=7):
        assert polling.poll()["asked"] == 2
    calls = CarrierCall.objects.filter(operation="track").values_list("merchant_id", "subject_id")
    assert set(calls) == set(Shipment.objects.values_list("merchant_id", "id"))
