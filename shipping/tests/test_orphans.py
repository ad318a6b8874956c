"""Labels that no shipment uses, sold late or twice, are voided and reported."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from apikeys.http.errors import BusinessRuleViolated
from apikeys.models import Event
from carriers.adapters.registry import PickitAdapter
from carriers.credentials import opening, storage
from carriers.types import Scan, Status
from shipping.common import refs
from shipping.common.conversion import to_order
from shipping.labels import booking, orphans, reconciliation
from shipping.models import BookingState, Orphan, Shipment
from shipping.tests.labels import buy as buy
from shipping.tests.labels import count_events as count_events
from shipping.tests.labels import fault as fault
from shipping.tests.labels import label_statuses as label_statuses
from shipping.tests.labels import purchases as purchases
from shipping.tests.labels import reconcile_now as reconcile_now
from shipping.tests.labels import short_timeout as short_timeout

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credential")]


def test_late_orphan_is_voided_and_reported(api, sandbox, order, short_timeout):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    shipment = Shipment.objects.get()
    Shipment.objects.update(booking_state=BookingState.FAILED)
    assert reconcile_now() == {"orphan": 1}
    found = sandbox.control("GET", f"/_sandbox/pickit/shipments?reference={shipment.reference}")
    assert "cancelled" in str(found)
    assert Event.objects.filter(type="shipment.orphan_voided", subject_id=shipment.id).count() == 1
    assert reconcile_now() == {"watched": 1}


@pytest.fixture
def late_label(api, sandbox, order, short_timeout):
    """A booking that the carrier refused, and the label that it created for it."""
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order, "lost")
    Shipment.objects.update(booking_state=BookingState.FAILED, frees_order=True)
    shipment = Shipment.objects.get()
    (label,) = sandbox.control("GET", f"/_sandbox/pickit/shipments?reference={shipment.reference}")
    return shipment, label["tracking_number"]


def test_refused_voiding_is_recorded_once_and_the_booking_stays_failed(api, sandbox, late_label):
    shipment, number = late_label
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "delivered"})
    for _ in range(2):
        assert reconcile_now() == {"orphan": 1}
    shipment.refresh_from_db()
    assert shipment.booking_state == BookingState.FAILED
    orphan = Orphan.objects.get()
    assert (orphan.tracking_number, orphan.voided_at) == (number, None)
    assert orphan.refusal.startswith("CANNOT_CANCEL")
    assert count_events("orphan_not_voided", shipment) == 1


def test_voiding_is_repeated_if_the_carrier_is_unavailable(api, sandbox, late_label, settings):
    settings.CARRIER_MAX_RETRIES = 0
    shipment, number = late_label
    fault(sandbox, "status", operation="cancel", status=503, count=1)
    assert reconcile_now() == {"orphan": 1}
    assert (Orphan.objects.get().refusal, Orphan.objects.get().voided_at) == ("", None)
    shipment.refresh_from_db()
    assert shipment.booking_state == BookingState.FAILED
    assert shipment.reconcile_at - timezone.now() < timedelta(minutes=1)
    assert reconcile_now() == {"orphan": 1}
    assert label_statuses(sandbox, shipment) == ["cancelled"]
    assert Orphan.objects.get().voided_at
    assert (count_events("orphan_voided", shipment), count_events("orphan_not_voided", shipment)) == (1, 0)


@pytest.mark.parametrize("spell", [str, str.lower])
def test_voiding_that_a_killed_process_did_not_record_is_recorded_later(api, sandbox, late_label, spell):
    shipment, number = late_label
    tenant = {"merchant_id": shipment.merchant_id, "mode": shipment.mode}
    Orphan.objects.create(shipment=shipment, tracking_number=spell(number), **tenant)
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "cancelled"})
    for _ in range(2):
        assert reconcile_now() == {"watched": 1}
    assert count_events("orphan_voided", shipment) == 1


def test_label_that_a_late_answer_booked_is_not_voided(api, sandbox, order, short_timeout, monkeypatch):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    shipment = Shipment.objects.get()
    adapter = opening.open_adapter(shipment.credential)
    adapter.create_label(to_order(shipment.request))
    first, second = adapter.find_by_reference(refs.shipment_ref(shipment))
    look_up = PickitAdapter.find_by_reference

    def book_meanwhile(self, reference):
        booking.store_booking(shipment.id, second)
        return look_up(self, reference)

    monkeypatch.setattr(PickitAdapter, "find_by_reference", book_meanwhile)
    assert reconcile_now() == {"booked": 1}
    shipment.refresh_from_db()
    assert shipment.tracking_number == second.tracking_number
    assert [call["path"].split("/")[-2] for call in sandbox.calls(operation="cancel")] == [first.tracking_number]


def test_second_label_of_a_purchase_is_voided_if_the_first_one_is_not_stored(api, sandbox, order, credential):
    buy(api, order)
    shipment = Shipment.objects.get()
    create_late_label(sandbox, credential)
    _first, second = opening.open_adapter(credential).find_by_reference(refs.shipment_ref(shipment))
    booking.store_booking(shipment.id, second)
    assert reconcile_now() == {"booked": 1}
    assert label_statuses(sandbox, shipment) == ["cancelled", "created"]
    assert Orphan.objects.get().tracking_number == second.tracking_number


def test_surplus_label_is_voided_after_the_carrier_was_unavailable(api, sandbox, order, short_timeout, settings):
    settings.CARRIER_MAX_RETRIES = 0
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    shipment = Shipment.objects.get()
    opening.open_adapter(shipment.credential).create_label(to_order(shipment.request))
    fault(sandbox, "status", operation="cancel", status=503, count=1)
    assert [reconcile_now(), reconcile_now(), reconcile_now()] == [{"booked": 1}, {"booked": 1}, {}]
    shipment.refresh_from_db()
    assert (shipment.booking_state, shipment.reconcile_at) == (BookingState.BOOKED, None)
    assert label_statuses(sandbox, shipment) == ["cancelled", "created"]


def test_surplus_label_is_voided_after_a_worker_was_killed(api, sandbox, order, short_timeout, settings, monkeypatch):
    settings.CARRIER_MAX_RETRIES = 0
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    shipment = Shipment.objects.get()
    opening.open_adapter(shipment.credential).create_label(to_order(shipment.request))

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(reconciliation, "_void_surplus", killed)
        reconcile_now()
    assert Shipment.objects.get().booking_state == BookingState.BOOKED
    assert reconcile_now() == {"booked": 1}
    assert label_statuses(sandbox, shipment) == ["cancelled", "created"]


def test_lookups_end_after_a_day_without_a_credential(api, sandbox, order, credential):
    buy(api, order)
    storage.delete_credential(credential)
    now = timezone.now()
    Shipment.objects.update(reconcile_at=now - timedelta(seconds=1), created_at=now - timedelta(days=3))
    assert reconciliation.reconcile() == {"given_up": 1}
    assert Shipment.objects.get().reconcile_at is None


def create_booked_shipment(number, shipment, **more):
    """Create another shipment of the same credential with this number."""
    theirs = {"merchant_id": shipment.merchant_id, "mode": "test", "credential": shipment.credential, **more}
    Shipment.objects.create(
        carrier="pickit", booking_state="booked", tracking_number=number, reference="WB-OTHER", **theirs
    )


def test_number_of_another_shipment_is_not_voided(sandbox, late_label):
    shipment, number = late_label
    create_booked_shipment(number, shipment)
    assert reconcile_now() == {"orphan": 1}
    assert sandbox.calls(operation="cancel") == []
    assert Orphan.objects.get().refusal.startswith("another_shipment")


def test_number_of_an_old_shipment_is_voided(sandbox, late_label):
    shipment, number = late_label
    create_booked_shipment(number, shipment, created_at=timezone.now() - timedelta(days=200))
    assert reconcile_now() == {"orphan": 1}
    assert len(sandbox.calls(operation="cancel")) == 1
    assert Orphan.objects.get().voided_at


def test_label_that_appears_after_a_confirmed_failure_is_voided(api, sandbox, order, short_timeout):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    shipment = booking.require_review(Shipment.objects.get().id, "The carrier could not be asked for a day.")
    reconciliation.confirm_failure(shipment, BusinessRuleViolated("Nothing was sold."))
    assert reconciliation.reconcile() == {"orphan": 1}
    assert label_statuses(sandbox, shipment) == ["cancelled"]
    assert reconciliation.request_lookup(Shipment.objects.all()) == 0


def test_manually_voided_label_is_recorded_on_request(api, sandbox, late_label):
    shipment, number = late_label
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "delivered"})
    reconcile_now()
    Shipment.objects.update(created_at=timezone.now() - timedelta(days=3), reconcile_at=None)
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "cancelled", "force": True})
    assert reconciliation.request_voiding(Orphan.objects.all()) == 1
    assert reconciliation.reconcile() == {"watched": 1}
    assert Orphan.objects.get().voided_at
    assert Shipment.objects.get().reconcile_at is None


@pytest.fixture
def failed_booking(api, sandbox, order):
    """A booking that failed because the carrier neither answered nor knew a label."""
    fault(sandbox, "close")
    assert buy(api, order).status_code == 202
    Shipment.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    assert reconcile_now() == {"failed": 1}
    return Shipment.objects.get()


def create_late_label(sandbox, account):
    """Let the carrier create a label for the last purchase, late or a second time."""
    adapter = opening.open_adapter(account)
    headers = {"Authorization": f"Bearer {adapter.tokens.current()}"}
    body = purchases(sandbox)[-1]["body"]
    response = sandbox.session.post(f"{adapter.urls['main']}/shipments", json=body, headers=headers, timeout=30)
    assert response.status_code == 201


def test_label_created_after_the_booking_failed_is_voided(sandbox, credential, failed_booking):
    create_late_label(sandbox, credential)
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=True):
        assert reconciliation.reconcile() == {"orphan": 1}
    assert label_statuses(sandbox, failed_booking) == ["cancelled"]
    assert Event.objects.filter(type="shipment.orphan_voided", subject_id=failed_booking.id).count() == 1


def test_failed_booking_of_a_former_account_is_not_watched(sandbox, tenant, failed_booking):
    assert reconcile_now() == {"watched": 1}
    assert Shipment.objects.get().reconcile_at
    sandbox.control("PUT", "/_sandbox/accounts/pickit-platform", {"secret": "test-secret"})
    fields = {"client_id": "pickit-platform", "client_secret": "test-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    assert reconcile_now() == {"watched": 1}
    assert Shipment.objects.get().reconcile_at is None


def test_answer_after_the_booking_failed_is_voided_at_once(sandbox, credential, failed_booking):
    create_late_label(sandbox, credential)
    late = opening.open_adapter(credential).find_by_reference(refs.shipment_ref(failed_booking))[0]
    assert booking.store_booking(failed_booking.id, late).booking_state == BookingState.FAILED
    assert reconciliation.reconcile() == {"orphan": 1}
    assert label_statuses(sandbox, failed_booking) == ["cancelled"]


def test_voided_label_that_moves_is_listed_until_staff_request_a_lookup(api, sandbox, order, short_timeout):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    Shipment.objects.update(booking_state=BookingState.FAILED)
    assert reconcile_now() == {"orphan": 1}
    orphan = Orphan.objects.get()
    at = timezone.now()
    scan = Scan(code="picked_up", status=Status.PICKED_UP, occurred_at=at, occurred_text=at.isoformat())
    orphans.report_scans(orphan.shipment.credential_id, {orphan.tracking_number.lower(): [scan]})
    for is_requested in (False, True):
        if is_requested:
            assert reconciliation.request_voiding(Orphan.objects.all()) == 1
        assert reconcile_now() == {"watched": 1}
        orphan.refresh_from_db()
        assert bool(orphan.voided_at) == is_requested


def test_own_label_in_another_case_is_not_voided(api, sandbox, order, monkeypatch):
    find = PickitAdapter.find_by_reference

    def find_in_lower_case(self, reference):
        return [replace(label, tracking_number=label.tracking_number.lower()) for label in find(self, reference)]

    monkeypatch.setattr(PickitAdapter, "find_by_reference", find_in_lower_case)
    assert buy(api, order).status_code == 200
    assert reconcile_now() == {}
    Shipment.objects.update(reconcile_at=timezone.now())
    assert reconcile_now() == {"booked": 1}
    assert label_statuses(sandbox, Shipment.objects.get()) == ["created"]
    assert not Orphan.objects.exists()


def test_one_of_two_labels_is_kept_and_the_other_voided(api, sandbox, order, credential):
    fault(sandbox, "close", after=True)
    buy(api, order)
    create_late_label(sandbox, credential)
    assert reconcile_now() == {"booked": 1}
    shipment = Shipment.objects.get()
    assert label_statuses(sandbox, shipment) == ["cancelled", "created"]
    kept = sandbox.control("GET", f"/_sandbox/pickit/shipments?reference={shipment.reference}")
    assert [label["tracking_number"] for label in kept if label["status"] == "created"] == [shipment.tracking_number]
    assert Event.objects.filter(type="shipment.orphan_voided", subject_id=shipment.id).count() == 1
