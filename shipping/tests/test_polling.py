"""A lost webhook is noticed: shipments that fell silent are asked for, once, and left alone when they are final."""

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


def asked(sandbox):
    return len(sandbox.control("GET", "/_sandbox/calls?operation=track"))


def test_a_silent_shipment_is_asked_for_and_its_missed_scan_is_stored(number, advance, sandbox):
    advance(number, "in_transit")
    assert polling.poll() == {"asked": 0, "scans": 0, "failed": 0}
    with later(hours=7):
        counts = polling.poll()
    assert counts["asked"] == 1
    assert counts["scans"] >= 1
    assert Shipment.objects.get().status == "in_transit"


def test_returned_comes_to_light_though_the_carrier_sends_no_webhook_for_it(number, advance):
    advance(number, "returned")
    with later(hours=7):
        polling.poll()
    shipment = Shipment.objects.get()
    assert shipment.status == "returned"
    with later(days=2):
        assert polling.poll()["asked"] == 0
    assert Shipment.objects.get().poll_at is None


def test_one_that_was_heard_of_lately_is_not_asked_for(number, advance, sandbox, api):
    with later(hours=5):
        advance(number, "in_transit")
        api.post("/api/v1/tracking", {"carrier": "pickit", "tracking_number": number})
        before = asked(sandbox)
    with later(hours=7):
        assert polling.poll()["asked"] == 0
    assert asked(sandbox) == before
    assert Shipment.objects.get().poll_at > timezone.now() + timedelta(hours=10)


def test_a_carrier_that_does_not_answer_is_asked_again_soon_and_nothing_is_lost(number, advance, sandbox, settings):
    settings.CARRIER_MAX_RETRIES = 0
    advance(number, "in_transit")
    sandbox.control("POST", "/_sandbox/faults", {"kind": "status", "status": 500, "operation": "track", "count": 1})
    with later(hours=7):
        assert polling.poll() == {"asked": 1, "scans": 0, "failed": 1}
        assert polling.poll()["asked"] == 0
    with later(hours=8):
        assert polling.poll()["scans"] >= 1


@pytest.mark.django_db(transaction=True)
def test_many_are_asked_for_side_by_side_and_one_that_fails_alone_is_asked_again(api, order, advance, sandbox):
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
def test_one_that_cannot_be_stored_does_not_keep_the_others_from_it(api, order, advance, monkeypatch):
    numbers = [api.post("/api/v1/labels", order | {"order_id": f"O-{n}"}).json()["tracking_number"] for n in range(3)]
    for number in numbers:
        advance(number, "in_transit")
    add, broken = carrier_reports.add_scans, {numbers[1]}

    def add_unless_broken(row, scans):
        if row.tracking_number in broken:
            raise RuntimeError
        return add(row, scans)

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


def test_what_another_worker_claimed_first_is_left_to_it(number, sandbox, monkeypatch):
    exists, other_worker = QuerySet.exists, []

    def overtaken(rows):
        """Run another worker after this one has seen that rows are due, and before it claims them."""
        seen = exists(rows)
        monkeypatch.setattr(QuerySet, "exists", exists)
        other_worker.append(polling.poll())
        return seen

    monkeypatch.setattr(QuerySet, "exists", overtaken)
    with later(hours=7):
        assert polling.poll()["asked"] == 0
    assert other_worker == [{"asked": 1, "scans": 0, "failed": 0}]
    assert asked(sandbox) == 1


def test_a_call_that_breaks_off_does_not_keep_the_other_accounts_from_it(api, order, tenant, advance, monkeypatch):
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


def test_an_old_one_is_given_up(number, settings):
    with later(days=settings.POLL_GIVE_UP.days + 1):
        assert polling.poll()["asked"] == 0
    assert Shipment.objects.get().poll_at is None


def test_a_poll_that_brings_no_news_leaves_the_row_looking_untouched(number):
    with later(hours=7):
        polling.poll()
    before = Shipment.objects.get().updated_at
    with later(hours=14):
        assert polling.poll() == {"asked": 1, "scans": 0, "failed": 0}
    assert Shipment.objects.get().updated_at == before


def test_the_command_tells_what_it_did(number):
    told = StringIO()
    with later(hours=7):
        call_command("poll_tracking", stdout=told)
    assert told.getvalue().strip() == "1 asked, 0 scans, 0 failed"


def test_at_an_account_that_merchants_share_each_call_is_about_one_of_them(api, client, order, credential):
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
