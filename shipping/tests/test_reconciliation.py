"""A purchase without an answer is looked up by its reference and never bought again."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apikeys.models import Event
from carriers.adapters.registry import PickitAdapter
from carriers.credentials import opening, storage
from shipping.common import refs
from shipping.labels import booking, reconciliation
from shipping.models import BookingState, Shipment
from shipping.tests.labels import buy as buy
from shipping.tests.labels import count_events as count_events
from shipping.tests.labels import fault as fault
from shipping.tests.labels import purchases as purchases
from shipping.tests.labels import reconcile_now as reconcile_now
from shipping.tests.labels import short_timeout as short_timeout

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credential")]


def test_purchase_without_an_answer_is_pending_until_the_lookup_finds_it(api, sandbox, order, short_timeout):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    pending = buy(api, order, "k2")
    assert pending.status_code == 202
    assert pending.json()["status"] == "pending"
    shipment_id = pending.json()["shipment_id"]
    assert api.get("/api/v1/shipments").json()["units"] == []
    assert api.get(f"/api/v1/shipments/{shipment_id}").json()["booking_state"] == "pending"
    assert buy(api, order, "k2").status_code == 202

    assert reconcile_now() == {"booked": 1}
    booked = buy(api, order, "k2")
    assert booked.status_code == 200
    assert booked.json()["shipment_id"] == shipment_id
    assert len(purchases(sandbox)) == 1


@pytest.mark.parametrize("kind", ["close", "garbage", "status"])
def test_unreadable_answer_to_a_purchase_is_looked_up_and_not_repeated(api, sandbox, order, kind):
    fault(sandbox, kind, after=True, status=500, count=1)
    assert buy(api, order, "k3").status_code == 202
    assert len(purchases(sandbox)) == 1
    outcome = reconcile_now()
    assert outcome in ({"booked": 1}, {"waiting": 1})
    assert len(purchases(sandbox)) == 1


def test_booking_that_the_carrier_never_received_fails_after_the_quiet_period(api, sandbox, order, short_timeout):
    fault(sandbox, "timeout", delay_s=3, count=1)
    shipment_id = buy(api, order, "k4").json()["shipment_id"]
    assert reconcile_now() == {"waiting": 1}
    Shipment.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    assert reconcile_now() == {"failed": 1}
    replay = buy(api, order, "k4")
    assert replay.status_code == 504
    assert replay.json()["error"] == "carrier_timeout"
    assert api.get(f"/api/v1/shipments/{shipment_id}").json()["booking_state"] == "failed"
    assert Event.objects.filter(type="shipment.failed").count() == 1
    assert buy(api, order).status_code == 200  # the order is free again


def test_refusal_inside_a_success_is_shown_and_ends_without_an_invitation_to_repeat(api, sandbox, order, monkeypatch):
    words, original = "Insufficient balance", PickitAdapter._request

    def refuse_purchase(self, operation, *args, **more):
        if operation == "create_label":
            return {"success": False, "code": "E7", "message": words}
        return original(self, operation, *args, **more)

    monkeypatch.setattr(PickitAdapter, "_request", refuse_purchase)
    pending = buy(api, order, "k5")
    reason = {"carrier_code": "E7", "carrier_message": words}
    assert (pending.status_code, pending.json()["pending_reason"]) == (202, reason)
    assert words in pending.json()["message"]
    path = f"/api/v1/shipments/{pending.json()['shipment_id']}"
    assert api.get(path).json()["pending_reason"] == reason
    Shipment.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    assert reconcile_now() == {"failed": 1}
    failed = buy(api, order, "k5").json()
    assert (failed["error"], failed["carrier_code"], failed["carrier_message"]) == ("carrier_rejected", "E7", words)
    assert words in failed["message"]
    assert "Resolve the cause" in failed["message"]
    assert failed["retryable"] is False
    assert api.get(path).json()["pending_reason"] == reason


def test_last_lookup_is_due_when_the_quiet_period_ends(api, sandbox, order, short_timeout, settings):
    settings.RECONCILE_QUIET_PERIOD = timedelta(minutes=10)
    fault(sandbox, "timeout", delay_s=3, count=1)
    buy(api, order)
    Shipment.objects.update(created_at=timezone.now() - timedelta(minutes=9, seconds=55))
    assert reconcile_now() == {"waiting": 1}
    pending = Shipment.objects.get()
    assert pending.reconcile_at - pending.created_at < timedelta(minutes=10, seconds=2)


@pytest.mark.parametrize("how", ["another account", "deleted and created again"])
def test_booking_of_a_former_account_needs_review(
    api, sandbox, order, credential, tenant, short_timeout, settings, how
):
    fault(sandbox, "cut", count=1)
    buy(api, order)
    settings.RECONCILE_QUIET_PERIOD = timedelta(0)
    if how == "deleted and created again":
        storage.delete_credential(credential)
    fields = {"client_id": "pickit-platform", "client_secret": "test-secret"}
    sandbox.control("PUT", "/_sandbox/accounts/pickit-platform", {"secret": "test-secret"})
    storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    assert reconcile_now() == {"review": 1}
    assert Shipment.objects.get().booking_state == BookingState.NEEDS_REVIEW
    assert buy(api, order).status_code == 409  # not bought a second time


def test_booking_of_a_deleted_credential_needs_review_after_the_quiet_period(
    api, sandbox, order, credential, short_timeout, settings
):
    fault(sandbox, "cut", count=1)
    buy(api, order)
    storage.delete_credential(credential)
    assert reconcile_now() == {"error": 1}
    assert Shipment.objects.get().booking_state == BookingState.PENDING
    settings.RECONCILE_QUIET_PERIOD = timedelta(0)
    assert reconcile_now() == {"review": 1}
    assert Shipment.objects.get().booking_state == BookingState.NEEDS_REVIEW


def test_new_secret_of_the_same_account_does_not_affect_a_pending_booking(
    api, sandbox, order, credential, tenant, short_timeout, settings
):
    fault(sandbox, "cut", count=1)
    buy(api, order)
    storage.save_credential(
        tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields={"webhook_secret": "another"}
    )
    assert reconcile_now() == {"booked": 1}


@pytest.mark.parametrize("status", [302, 303, 408])
def test_redirect_or_timeout_status_leaves_the_purchase_pending(api, sandbox, order, status):
    fault(sandbox, "status", status=status, after=True, count=1)
    assert buy(api, order).status_code == 202
    assert reconcile_now() == {"booked": 1}


def test_storing_a_booking_again_changes_nothing(api, sandbox, order):
    buy(api, order)
    shipment = Shipment.objects.get()
    adapter = opening.open_adapter(shipment.credential)
    before = Event.objects.count()
    booking.store_booking(shipment.id, adapter.find_by_reference(refs.shipment_ref(shipment))[0])
    shipment.refresh_from_db()
    assert shipment.booking_state == BookingState.BOOKED
    assert Event.objects.count() == before
    assert shipment.checkpoints.count() == 1


def test_number_of_another_shipment_needs_review(api, sandbox, order):
    first = buy(api, order).json()["tracking_number"]
    buy(api, order, additional=True)
    other = Shipment.objects.get(sequence=2)
    label = opening.open_adapter(other.credential).find_by_reference(refs.shipment_ref(other))[0]
    Shipment.objects.filter(id=other.id).update(booking_state=BookingState.PENDING, tracking_number="")
    booking.store_booking(other.id, replace(label, tracking_number=first))
    other.refresh_from_db()
    assert other.booking_state == BookingState.NEEDS_REVIEW
    assert first in other.failure["message"]


def test_label_that_is_sold_as_cancelled_is_not_booked(api, sandbox, order, monkeypatch):
    sell = PickitAdapter.create_label
    monkeypatch.setattr(PickitAdapter, "create_label", lambda self, order: replace(sell(self, order), cancelled=True))
    assert buy(api, order).status_code == 202
    assert Shipment.objects.get().booking_state == BookingState.PENDING


def test_late_answer_ends_the_lookups_in_spite_of_a_failed_one(api, sandbox, order, settings, monkeypatch):
    settings.CARRIER_MAX_RETRIES = 0
    fault(sandbox, "close", after=True, count=1)
    buy(api, order)
    shipment = Shipment.objects.get()
    (label,) = opening.open_adapter(shipment.credential).find_by_reference(refs.shipment_ref(shipment))
    fault(sandbox, "status", "find_by_reference", status=503, count=1)
    look_up = PickitAdapter.find_by_reference

    def book_meanwhile(self, reference):
        booking.store_booking(shipment.id, label)
        return look_up(self, reference)

    monkeypatch.setattr(PickitAdapter, "find_by_reference", book_meanwhile)
    assert reconcile_now() == {"error": 1}
    shipment.refresh_from_db()
    assert (shipment.booking_state, shipment.reconcile_at) == (BookingState.BOOKED, None)


def test_booked_shipment_is_looked_up_again_at_the_given_time(api, sandbox, order, short_timeout):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    shipment = Shipment.objects.get()
    (label,) = opening.open_adapter(shipment.credential).find_by_reference(refs.shipment_ref(shipment))
    due = timezone.now() + timedelta(minutes=1)
    for reconcile_at in (None, due):
        booking.store_booking(shipment.id, label, reconcile_at=reconcile_at)
    assert Shipment.objects.get().reconcile_at == due


def test_booking_under_review_can_be_looked_up_again(api, sandbox, order, short_timeout):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    booking.require_review(Shipment.objects.get().id, "The carrier could not be asked for a day.")
    assert reconciliation.request_lookup(Shipment.objects.all()) == 1
    assert reconcile_now() == {"booked": 1}
    assert Shipment.objects.get().failure is None


def test_booked_shipment_does_not_need_review(api, sandbox, order):
    buy(api, order)
    booking.require_review(Shipment.objects.get().id, "The carrier could not be asked for a day.")
    shipment = Shipment.objects.get()
    assert (shipment.booking_state, shipment.failure) == (BookingState.BOOKED, None)
    assert count_events("needs_review", shipment) == 0


def test_unexpected_error_of_lookups_ends_in_review(api, sandbox, order, short_timeout, monkeypatch):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)

    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(PickitAdapter, "find_by_reference", broken)
    assert reconcile_now() == {"error": 1}
    Shipment.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert reconcile_now() == {"review": 1}


def test_gateway_timeout_leaves_the_purchase_pending(api, sandbox, order):
    fault(sandbox, "status", status=408, after=True)
    assert buy(api, order, "k408").status_code == 202
    assert reconcile_now() == {"booked": 1}
    assert len(purchases(sandbox)) == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_look_up_different_bookings(api, sandbox, order):
    fault(sandbox, "close", after=True, count=2)
    for number in range(2):
        buy(api, order, order_id=f"ORDER-{number}")
    fault(sandbox, "slow", "find_by_reference", delay_s=2)

    def slow_worker():
        try:
            return reconcile_now()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(slow_worker)
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up and not sandbox.calls(operation="find_by_reference"):
            pass
        assert reconciliation.reconcile() == {"booked": 1}
        assert slow.result() == {"booked": 1}
    assert len(sandbox.calls(operation="find_by_reference")) == 2
