"""A label is bought once, whatever happens on the way; the carrier's words reach the merchant as they are."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone

from apikeys.http.errors import BusinessRuleViolated
from apikeys.models import Event
from carriers.adapters.registry import PickitAdapter
from carriers.credentials import opening, storage
from carriers.models import CarrierCall
from carriers.types.errors import CarrierTimeout
from shipping.common.conversion import to_order
from shipping.labels import booking, reconciliation
from shipping.models import BookingState, Orphan, Shipment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credential")]


def buy(api, order, key=None, **changes):
    return api.post("/api/v1/labels", order | changes, headers={"Idempotency-Key": key} if key else None)


def purchases(sandbox):
    return sandbox.calls(operation="create_label")


def fault(sandbox, kind, operation="create_label", **more):
    sandbox.control("POST", "/_sandbox/faults", {"carrier": "pickit", "operation": operation, "kind": kind} | more)


@pytest.fixture
def hasty(settings):
    """A carrier's silence is noticed at once."""
    settings.CARRIER_TIMEOUT_S = 1.0


def reconcile_now():
    Shipment.objects.filter(reconcile_at__isnull=False).update(reconcile_at=timezone.now() - timedelta(seconds=1))
    return reconciliation.reconcile()


def test_the_first_checkpoint_tells_what_the_carriers_own_event_of_it_would(api, sandbox, order):
    shipment_id = buy(api, order).json()["shipment_id"]
    shipment = api.get(f"/api/v1/shipments/{shipment_id}").json()
    (created,) = shipment["checkpoints"]
    assert created["details"] == {
        "origin": {name: order["origin"][name] for name in ("city", "state", "country")},
        "destination": {name: order["destination"][name] for name in ("city", "state", "country")},
        "service_type": order["service_type"],
        "estimated_delivery": shipment["estimated_delivery"],
    }


def test_a_label_as_documented(api, sandbox, order):
    response = buy(api, order)
    assert response.status_code == 200
    label = response.json()
    assert set(label) >= {
        "carrier",
        "tracking_number",
        "label_url",
        "label_data",
        "label_format",
        "shipment_id",
        "metadata",
    }
    assert label["carrier"] == "Pickit"
    assert label["tracking_number"].startswith("PKT-")
    assert label["label_format"] == "PDF"
    assert set(label["metadata"]) >= {"barcode", "qr_code", "pickup_code", "estimated_delivery", "pickup_point"}
    assert label["metadata"]["pickup_point"]["id"] == "PP-12345"
    file = api.get(f"/api/v1/shipments/{label['shipment_id']}/label")
    assert b"".join(file.streaming_content) == base64.b64decode(label["label_data"])
    assert file["Content-Type"] == "application/pdf"


def test_a_carrier_without_manifests_has_none(api, sandbox, order):
    label = buy(api, order).json()
    path = f"/api/v1/shipments/{label['shipment_id']}"
    assert label["manifest_url"] is None
    assert api.get(path).json()["manifest_url"] is None
    missing = api.get(f"{path}/manifest")
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
    assert missing.json()["message"] == "This shipment has no manifest."


def test_a_minimal_order_is_enough(api, sandbox, order):
    order = {
        "carrier": "pickit",
        "order_id": order["order_id"],
        "origin": {"street": "123 Test St", "city": "Brooklyn", "postal_code": "11201", "country": "US"},
        "destination": {"street": "456 Test Ave", "city": "Manhattan", "postal_code": "10001", "country": "US"},
        "packages": [{"weight_kg": 2, "length_cm": 30, "width_cm": 20, "height_cm": 15}],
    }
    assert buy(api, order).status_code == 200


def test_the_same_order_again_is_refused_and_names_the_first(api, sandbox, order):
    first = buy(api, order).json()
    again = buy(api, order)
    assert again.status_code == 409
    assert again.json()["error"] == "conflict"
    assert again.json()["details"]["shipment_id"] == [first["shipment_id"]]
    assert len(purchases(sandbox)) == 1


def test_an_order_may_travel_in_several_shipments_when_the_merchant_says_so(api, sandbox, order):
    numbers = {buy(api, order, additional=extra).json()["tracking_number"] for extra in (False, True, True)}
    assert len(numbers) == 3
    assert sorted(Shipment.objects.values_list("sequence", flat=True)) == [1, 2, 3]


def test_the_same_key_replays_the_same_label(api, sandbox, order):
    first, again = buy(api, order, "k1"), buy(api, order, "k1")
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert len(purchases(sandbox)) == 1


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_with_one_key_buy_once_and_end_equal(api, sandbox, order, settings):
    settings.IDEMPOTENCY_WAIT_S = 0.2

    def one(_):
        try:
            client = type(api)(Client(), api.key)
            for _attempt in range(200):
                response = buy(client, order, "k20")
                if response.status_code != 409:
                    return response.status_code, response.content
                assert response.json()["error"] == "in_progress"
                assert int(response["Retry-After"]) >= 1
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(one, range(20)))
    assert len(answers) == 1
    assert answers.pop()[0] == 200
    assert len(purchases(sandbox)) == 1


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_without_a_key_buy_once(api, sandbox, order):
    def one(_):
        try:
            return buy(type(api)(Client(), api.key), order).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(one, range(20))) == [200] + [409] * 19
    assert len(purchases(sandbox)) == 1


def test_a_carrier_that_takes_the_order_and_never_answers(api, sandbox, order, hasty):
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
def test_any_unreadable_answer_to_a_purchase_is_looked_up_and_never_repeated(api, sandbox, order, kind):
    fault(sandbox, kind, after=True, status=500, count=1)
    assert buy(api, order, "k3").status_code == 202
    assert len(purchases(sandbox)) == 1
    outcome = reconcile_now()
    assert outcome in ({"booked": 1}, {"waiting": 1})
    assert len(purchases(sandbox)) == 1


def test_a_booking_that_the_carrier_never_got_fails_after_the_quiet_period(api, sandbox, order, hasty):
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


def test_a_booking_without_an_answer_is_settled_when_its_quiet_period_ends(api, sandbox, order, hasty, settings):
    settings.RECONCILE_QUIET_PERIOD = timedelta(minutes=10)
    fault(sandbox, "timeout", delay_s=3, count=1)
    buy(api, order)
    Shipment.objects.update(created_at=timezone.now() - timedelta(minutes=9, seconds=55))
    assert reconcile_now() == {"waiting": 1}
    pending = Shipment.objects.get()
    assert pending.reconcile_at - pending.created_at < timedelta(minutes=10, seconds=2)


@pytest.mark.parametrize("how", ["another account", "deleted and made anew"])
def test_what_was_asked_of_another_account_is_a_persons_affair(
    api, sandbox, order, credential, tenant, hasty, settings, how
):
    fault(sandbox, "cut", count=1)
    buy(api, order)
    settings.RECONCILE_QUIET_PERIOD = timedelta(0)
    if how == "deleted and made anew":
        storage.delete_credential(credential)
    fields = {"client_id": "pickit-platform", "client_secret": "test-secret"}
    sandbox.control("PUT", "/_sandbox/accounts/pickit-platform", {"secret": "test-secret"})
    storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    assert reconcile_now() == {"review": 1}
    assert Shipment.objects.get().booking_state == BookingState.NEEDS_REVIEW
    assert buy(api, order).status_code == 409  # not bought a second time


def test_what_is_pending_at_a_deleted_account_is_a_persons_affair_after_the_quiet_period(
    api, sandbox, order, credential, hasty, settings
):
    fault(sandbox, "cut", count=1)
    buy(api, order)
    storage.delete_credential(credential)
    assert reconcile_now() == {"error": 1}
    assert Shipment.objects.get().booking_state == BookingState.PENDING
    settings.RECONCILE_QUIET_PERIOD = timedelta(0)
    assert reconcile_now() == {"review": 1}
    assert Shipment.objects.get().booking_state == BookingState.NEEDS_REVIEW


def test_a_new_secret_of_the_same_account_changes_nothing_for_what_is_pending(
    api, sandbox, order, credential, tenant, hasty, settings
):
    fault(sandbox, "cut", count=1)
    buy(api, order)
    storage.save_credential(
        tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields={"webhook_secret": "another"}
    )
    assert reconcile_now() == {"booked": 1}


def test_an_orphan_that_turns_up_late_is_voided_and_reported(api, sandbox, order, hasty):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    shipment = Shipment.objects.get()
    Shipment.objects.update(booking_state=BookingState.FAILED)
    assert reconcile_now() == {"orphan": 1}
    found = sandbox.control("GET", f"/_sandbox/pickit/shipments?reference={shipment.reference}")
    assert "cancelled" in str(found)
    assert Event.objects.filter(type="shipment.orphan_voided", subject_id=shipment.id).count() == 1
    assert reconcile_now() == {"watched": 1}


def test_a_refusal_carries_the_carriers_words_and_our_field(api, sandbox, order):
    order["destination"]["postal_code"] = "00000"
    order["metadata"] = {}
    response = buy(api, order, "k5")
    assert response.status_code in (400, 422)
    body = response.json()
    assert body["carrier"] == "Pickit"
    assert body["carrier_code"]
    assert body["carrier_message"]
    assert body["retryable"] is False
    assert Shipment.objects.get().booking_state == "failed"
    assert buy(api, order, "k5").json() == body | {"correlation_id": buy(api, order, "k5").json()["correlation_id"]}
    assert len(purchases(sandbox)) == 1


def test_a_carrier_that_cannot_be_reached_has_bought_nothing_and_the_key_is_free(api, sandbox, order, settings):
    settings.CARRIER_MAX_RETRIES = 1
    buy(api, order)  # logs in
    working = settings.CARRIER_BASE_URLS
    settings.CARRIER_BASE_URLS = {("pickit", "sandbox"): "http://127.0.0.1:9/pickit/v2"}
    refused = buy(api, order | {"order_id": "UNREACHED"}, "k6")
    assert refused.status_code == 503
    assert refused.json()["retryable"] is True
    settings.CARRIER_BASE_URLS = working
    assert buy(api, order | {"order_id": "UNREACHED"}, "k6").status_code == 200


def test_a_wrong_credential_is_our_trouble_not_the_callers(api, sandbox, order, credential):
    api.post(
        "/api/v1/carriers/pickit/credentials",
        {"environment": "sandbox", "credentials": {"client_id": "test-client-id", "client_secret": "not-the-secret"}},
    )
    response = buy(api, order)
    assert response.status_code == 502
    assert response.json()["error"] == "carrier_authentication"


def test_every_call_is_on_record_without_secrets_or_personal_data(api, sandbox, order):
    shipment_id = buy(api, order).json()["shipment_id"]
    operations = dict(CarrierCall.objects.values_list("operation", "subject_id"))
    assert set(operations) == {"token", "create_label"}
    assert str(operations["create_label"]) == shipment_id
    logged = " ".join(f"{call.request_body} {call.response_body} {call.url}" for call in CarrierCall.objects.all())
    for hidden in ("test-secret", "Jane Smith", "789 Customer St", "+1987654321", "jane.smith@example.com"):
        assert hidden not in logged


def test_a_cancelled_shipment_is_cancelled_once_and_frees_its_order(api, sandbox, order):
    number = buy(api, order).json()["tracking_number"]
    first = api.post(f"/api/v1/pickit/shipments/{number}/cancel", {"reason": "Customer request"})
    assert first.status_code == 200
    assert set(first.json()["cancellation"]) == {
        "tracking_number",
        "cancelled_at",
        "reason",
        "refund_status",
        "refund_amount",
    }
    again = api.post(f"/api/v1/shipments/{number}/cancel")
    assert again.json() == first.json()
    assert len(sandbox.calls(operation="cancel")) == 1
    assert api.get(f"/api/v1/tracking/{number}").json()["current_status"] == "CANCELLED"
    assert buy(api, order).status_code == 200


def test_a_cancellation_whose_answer_is_lost_is_read_from_the_track(api, sandbox, order, hasty):
    number = buy(api, order).json()["tracking_number"]
    fault(sandbox, "hang_after", "cancel", delay_s=3, count=1)
    assert api.post(f"/api/v1/shipments/{number}/cancel").status_code == 200


@pytest.mark.parametrize("then", ["cut", "status"])
def test_a_cancellation_whose_answer_and_track_are_lost_is_not_said_to_have_had_no_effect(
    api, sandbox, order, settings, then
):
    settings.CARRIER_MAX_RETRIES = 0
    path = f"/api/v1/shipments/{buy(api, order).json()['shipment_id']}/cancel"
    fault(sandbox, "cut", operation="cancel", count=1)
    fault(sandbox, then, operation="track", status=400, count=1)
    lost = api.post(path, {})
    assert (lost.status_code, lost.json()["error"]) == (504, "carrier_timeout")
    assert api.post(path, {}).status_code == 200


def test_what_its_carrier_told_to_be_cancelled_is_cancelled_by_asking(api, sandbox, order):
    label = buy(api, order).json()
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{label['tracking_number']}/advance", {"to": "cancelled"})
    api.post("/api/v1/tracking", {"carrier": "pickit", "tracking_number": label["tracking_number"]})
    answers = [api.post(f"/api/v1/shipments/{label['shipment_id']}/cancel", {}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert not sandbox.calls(operation="cancel")


def test_an_order_whose_shipment_its_carrier_cancelled_can_be_bought_anew(api, sandbox, order):
    number = buy(api, order).json()["tracking_number"]
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "cancelled"})
    assert buy(api, order).status_code == 409
    api.post("/api/v1/tracking", {"carrier": "pickit", "tracking_number": number})
    assert buy(api, order).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_several_cancels_at_once_are_one_cancellation_and_told_of_once(api, sandbox, order):
    path = f"/api/v1/shipments/{buy(api, order).json()['shipment_id']}/cancel"
    fault(sandbox, "slow", "cancel", delay_s=1)

    def one(_):
        try:
            return type(api)(Client(), api.key).post(path)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({str(answer.json()["cancellation"]) for answer in answers}) == 1
    assert Event.objects.filter(type="shipment.cancelled").count() == 1


@pytest.mark.parametrize("status", [302, 303, 408])
def test_a_purchase_that_is_sent_elsewhere_is_in_doubt(api, sandbox, order, status):
    fault(sandbox, "status", status=status, after=True, count=1)
    assert buy(api, order).status_code == 202
    assert reconcile_now() == {"booked": 1}


def test_what_is_delivered_is_not_cancelled(api, sandbox, order):
    number = buy(api, order).json()["tracking_number"]
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "delivered"})
    refused = api.post(f"/api/v1/shipments/{number}/cancel")
    assert refused.status_code == 409
    assert refused.json()["error"] == "cannot_cancel"
    assert refused.json()["carrier_code"] == "CANNOT_CANCEL"


def test_an_answer_that_was_stored_already_changes_nothing(api, sandbox, order):
    buy(api, order)
    shipment = Shipment.objects.get()
    adapter = opening.open_adapter(shipment.credential)
    before = Event.objects.count()
    booking.store_booking(shipment.id, adapter.find_by_reference(shipment.reference)[0])
    shipment.refresh_from_db()
    assert shipment.booking_state == BookingState.BOOKED
    assert Event.objects.count() == before
    assert shipment.checkpoints.count() == 1


def test_a_number_that_another_shipment_has_is_left_to_a_person(api, sandbox, order):
    first = buy(api, order).json()["tracking_number"]
    buy(api, order, additional=True)
    other = Shipment.objects.get(sequence=2)
    label = opening.open_adapter(other.credential).find_by_reference(other.reference)[0]
    Shipment.objects.filter(id=other.id).update(booking_state=BookingState.PENDING, tracking_number="")
    booking.store_booking(other.id, replace(label, tracking_number=first))
    other.refresh_from_db()
    assert other.booking_state == BookingState.NEEDS_REVIEW
    assert first in other.failure["message"]


@pytest.mark.parametrize("late", ["returned", "delivered"])
def test_a_late_scan_of_a_cancelled_shipment_is_kept_though_its_order_was_bought_anew(api, sandbox, order, late):
    first = buy(api, order).json()["tracking_number"]
    api.post(f"/api/v1/shipments/{first}/cancel")
    assert buy(api, order).status_code == 200
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{first}/advance", {"to": late})
    track = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": first})
    assert track.status_code == 200
    assert late in [event["status"] for event in track.json()["events"]]


@pytest.fixture
def sold_late(api, sandbox, order, hasty):
    """A booking that was answered as failed, and the label that the carrier sold for it all the same."""
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order, "lost")
    Shipment.objects.update(booking_state=BookingState.FAILED, frees_order=True)
    shipment = Shipment.objects.get()
    (label,) = sandbox.control("GET", f"/_sandbox/pickit/shipments?reference={shipment.reference}")
    return shipment, label["tracking_number"]


def told(kind, shipment):
    return Event.objects.filter(type=f"shipment.{kind}", subject_id=shipment.id).count()


def test_a_label_that_cannot_be_voided_is_a_persons_affair_and_the_booking_stays_failed(api, sandbox, sold_late):
    shipment, number = sold_late
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "delivered"})
    for _ in range(2):
        assert reconcile_now() == {"orphan": 1}
    shipment.refresh_from_db()
    assert shipment.booking_state == BookingState.FAILED
    orphan = Orphan.objects.get()
    assert (orphan.tracking_number, orphan.voided_at) == (number, None)
    assert orphan.refusal.startswith("CANNOT_CANCEL")
    assert told("orphan_not_voided", shipment) == 1


def test_a_carrier_that_is_away_when_an_orphan_is_voided_is_asked_again(api, sandbox, sold_late, settings):
    settings.CARRIER_MAX_RETRIES = 0
    shipment, number = sold_late
    fault(sandbox, "status", operation="cancel", status=503, count=1)
    assert reconcile_now() == {"orphan": 1}
    assert (Orphan.objects.get().refusal, Orphan.objects.get().voided_at) == ("", None)
    shipment.refresh_from_db()
    assert shipment.booking_state == BookingState.FAILED
    assert shipment.reconcile_at - timezone.now() < timedelta(minutes=1)
    assert reconcile_now() == {"orphan": 1}
    assert sold(sandbox, shipment) == ["cancelled"]
    assert Orphan.objects.get().voided_at
    assert (told("orphan_voided", shipment), told("orphan_not_voided", shipment)) == (1, 0)


def test_a_voiding_that_nobody_lived_to_tell_of_is_told_later(api, sandbox, sold_late):
    shipment, number = sold_late
    tenant = {"merchant_id": shipment.merchant_id, "mode": shipment.mode}
    Orphan.objects.create(shipment=shipment, tracking_number=number, **tenant)
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "cancelled"})
    for _ in range(2):
        assert reconcile_now() == {"watched": 1}
    assert told("orphan_voided", shipment) == 1


def test_the_label_that_a_late_answer_booked_is_never_voided(api, sandbox, order, hasty, monkeypatch):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    shipment = Shipment.objects.get()
    adapter = opening.open_adapter(shipment.credential)
    adapter.create_label(to_order(shipment.request))
    first, second = adapter.find_by_reference(shipment.reference)
    asking = PickitAdapter.find_by_reference

    def overtaken(self, reference):
        booking.store_booking(shipment.id, second)
        return asking(self, reference)

    monkeypatch.setattr(PickitAdapter, "find_by_reference", overtaken)
    assert reconcile_now() == {"booked": 1}
    shipment.refresh_from_db()
    assert shipment.tracking_number == second.tracking_number
    assert [call["path"].split("/")[-2] for call in sandbox.calls(operation="cancel")] == [first.tracking_number]


def test_a_label_that_is_sold_as_cancelled_is_none(api, sandbox, order, monkeypatch):
    sell = PickitAdapter.create_label
    monkeypatch.setattr(PickitAdapter, "create_label", lambda self, wanted: replace(sell(self, wanted), cancelled=True))
    assert buy(api, order).status_code == 202
    assert Shipment.objects.get().booking_state == BookingState.PENDING


def test_a_second_label_of_one_purchase_is_called_off_whichever_way_it_is_heard_of(api, sandbox, order, credential):
    buy(api, order)
    shipment = Shipment.objects.get()
    sell(sandbox, credential)
    _first, second = opening.open_adapter(credential).find_by_reference(shipment.reference)
    booking.store_booking(shipment.id, second)
    assert reconcile_now() == {"booked": 1}
    assert sold(sandbox, shipment) == ["cancelled", "created"]
    assert Orphan.objects.get().tracking_number == second.tracking_number


def test_what_a_late_answer_booked_is_not_looked_up_again_though_the_look_up_failed(
    api, sandbox, order, settings, monkeypatch
):
    settings.CARRIER_MAX_RETRIES = 0
    fault(sandbox, "close", after=True, count=1)
    buy(api, order)
    shipment = Shipment.objects.get()
    (label,) = opening.open_adapter(shipment.credential).find_by_reference(shipment.reference)
    fault(sandbox, "status", "find_by_reference", status=503, count=1)
    asking = PickitAdapter.find_by_reference

    def overtaken(self, reference):
        booking.store_booking(shipment.id, label)
        return asking(self, reference)

    monkeypatch.setattr(PickitAdapter, "find_by_reference", overtaken)
    assert reconcile_now() == {"error": 1}
    shipment.refresh_from_db()
    assert (shipment.booking_state, shipment.reconcile_at) == (BookingState.BOOKED, None)


def test_a_surplus_label_of_a_booked_shipment_is_voided_though_the_carrier_was_away(
    api, sandbox, order, hasty, settings
):
    settings.CARRIER_MAX_RETRIES = 0
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    shipment = Shipment.objects.get()
    opening.open_adapter(shipment.credential).create_label(to_order(shipment.request))
    fault(sandbox, "status", operation="cancel", status=503, count=1)
    assert [reconcile_now(), reconcile_now(), reconcile_now()] == [{"booked": 1}, {"booked": 1}, {}]
    shipment.refresh_from_db()
    assert (shipment.booking_state, shipment.reconcile_at) == (BookingState.BOOKED, None)
    assert sold(sandbox, shipment) == ["cancelled", "created"]


def test_a_surplus_label_is_voided_though_the_process_that_saw_it_died(
    api, sandbox, order, hasty, settings, monkeypatch
):
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
    assert sold(sandbox, shipment) == ["cancelled", "created"]


def test_a_leftover_whose_account_is_gone_is_not_looked_up_for_ever(api, sandbox, order, credential):
    buy(api, order)
    storage.delete_credential(credential)
    now = timezone.now()
    Shipment.objects.update(reconcile_at=now - timedelta(seconds=1), created_at=now - timedelta(days=3))
    assert reconciliation.reconcile() == {"given_up": 1}
    assert Shipment.objects.get().reconcile_at is None


def booked_with(number, shipment, **more):
    """Another shipment of the same account that has this number."""
    theirs = {"merchant_id": shipment.merchant_id, "mode": "test", "credential": shipment.credential, **more}
    Shipment.objects.create(
        carrier="pickit", booking_state="booked", tracking_number=number, reference="WB-OTHER", **theirs
    )


def test_a_number_that_another_shipment_has_is_never_called_off(sandbox, sold_late):
    shipment, number = sold_late
    booked_with(number, shipment)
    assert reconcile_now() == {"orphan": 1}
    assert sandbox.calls(operation="cancel") == []
    assert Orphan.objects.get().refusal.startswith("another_shipment")


def test_a_number_that_a_shipment_of_long_ago_had_is_called_off(sandbox, sold_late):
    shipment, number = sold_late
    booked_with(number, shipment, created_at=timezone.now() - timedelta(days=200))
    assert reconcile_now() == {"orphan": 1}
    assert len(sandbox.calls(operation="cancel")) == 1
    assert Orphan.objects.get().voided_at


def test_what_was_overtaken_is_looked_up_again_though_it_was_booked(api, sandbox, order, hasty):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    shipment = Shipment.objects.get()
    (label,) = opening.open_adapter(shipment.credential).find_by_reference(shipment.reference)
    due = timezone.now() + timedelta(minutes=1)
    for reconcile_at in (None, due):
        booking.store_booking(shipment.id, label, reconcile_at=reconcile_at)
    assert Shipment.objects.get().reconcile_at == due


def test_a_carriers_code_and_words_are_cut_to_what_is_read(api, sandbox):
    error = CarrierTimeout(carrier="x", carrier_code="c" * 50_000, carrier_message="m" * 50_000)
    assert (len(error.carrier_code), len(error.carrier_message)) == (64, 1000)


def test_what_a_person_was_to_review_can_be_looked_up_again(api, sandbox, order, hasty):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    booking.require_review(Shipment.objects.get().id, "The carrier could not be asked for a day.")
    assert reconciliation.request_lookup(Shipment.objects.all()) == 1
    assert reconcile_now() == {"booked": 1}
    assert Shipment.objects.get().failure is None


def test_what_was_booked_meanwhile_is_not_left_to_a_person(api, sandbox, order):
    buy(api, order)
    booking.require_review(Shipment.objects.get().id, "The carrier could not be asked for a day.")
    shipment = Shipment.objects.get()
    assert (shipment.booking_state, shipment.failure) == (BookingState.BOOKED, None)
    assert told("needs_review", shipment) == 0


def test_what_turns_up_after_a_person_found_nothing_is_voided(api, sandbox, order, hasty):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)
    shipment = booking.require_review(Shipment.objects.get().id, "The carrier could not be asked for a day.")
    reconciliation.confirm_failure(shipment, BusinessRuleViolated("Nothing was sold."))
    assert reconciliation.reconcile() == {"orphan": 1}
    assert sold(sandbox, shipment) == ["cancelled"]
    assert reconciliation.request_lookup(Shipment.objects.all()) == 0


def test_a_label_that_was_called_off_by_hand_is_known_to_be_when_asked_for(api, sandbox, sold_late):
    shipment, number = sold_late
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "delivered"})
    reconcile_now()
    Shipment.objects.update(created_at=timezone.now() - timedelta(days=3), reconcile_at=None)
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "cancelled", "force": True})
    assert reconciliation.request_voiding(Orphan.objects.all()) == 1
    assert reconciliation.reconcile() == {"watched": 1}
    assert Orphan.objects.get().voided_at
    assert Shipment.objects.get().reconcile_at is None


def test_a_look_up_that_breaks_on_something_unforeseen_ends_with_a_person(api, sandbox, order, hasty, monkeypatch):
    fault(sandbox, "hang_after", delay_s=3, count=1)
    buy(api, order)

    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(PickitAdapter, "find_by_reference", broken)
    assert reconcile_now() == {"error": 1}
    Shipment.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert reconcile_now() == {"review": 1}


def test_a_gateway_that_gave_up_waiting_leaves_the_purchase_in_doubt(api, sandbox, order):
    fault(sandbox, "status", status=408, after=True)
    assert buy(api, order, "k408").status_code == 202
    assert reconcile_now() == {"booked": 1}
    assert len(purchases(sandbox)) == 1


def test_a_number_of_any_size_in_a_scan_leaves_the_shipment_readable(api, sandbox, order):
    number = buy(api, order).json()["tracking_number"]
    advance = {"to": "in_transit", "details": {"weight_grams": 10**30}}
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", advance)
    assert api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number}).status_code == 200
    assert api.get(f"/api/v1/tracking/{number}").status_code == 200


@pytest.mark.parametrize(
    ("kind", "size", "content_type", "start"),
    [
        ("pdf", "a4", "application/pdf", b"%PDF"),
        ("PDF", "A6", "application/pdf", b"%PDF"),
        ("png", "4X6", "image/png", b"\x89PNG"),
        ("PNG", "A4", "image/png", b"\x89PNG"),
        ("ZPL", "4x6", "application/zpl", b"^XA"),
        ("zpl", "a6", "application/zpl", b"^XA"),
    ],
)
def test_a_label_comes_in_the_format_and_size_that_was_wished(api, order, sandbox, kind, size, content_type, start):
    bought = api.post("/api/v1/labels", order | {"label_format": kind, "label_size": size})
    assert bought.status_code == 200, bought.content
    label = bought.json()
    assert label["label_format"] == kind.upper()
    file = api.get(f"/api/v1/shipments/{label['shipment_id']}/label")
    assert file["Content-Type"] == content_type
    assert f"{label['tracking_number']}.{kind.lower()}" in file["Content-Disposition"]
    assert b"".join(file.streaming_content).startswith(start)


@pytest.mark.parametrize(
    ("wish", "field", "error"),
    [
        ({"label_format": "DOCX"}, "label_format", "validation_error"),
        ({"label_size": "A0"}, "label_size", "validation_error"),
        ({"label_format": "ZPL", "label_size": "A4"}, "label_size", "carrier_rejected"),
    ],
)
def test_what_the_carrier_never_prints_is_refused_by_name_and_buys_nothing(api, order, sandbox, wish, field, error):
    refused = api.post("/api/v1/labels", order | wish)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert set(refused.json()["details"]) == {field}
    assert all(call["done"] != 201 for call in sandbox.calls(operation="create_label"))


@pytest.fixture
def given_up(api, sandbox, order):
    """A booking that failed: no answer came, and the carrier knew no label."""
    fault(sandbox, "close")
    assert buy(api, order).status_code == 202
    Shipment.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    assert reconcile_now() == {"failed": 1}
    return Shipment.objects.get()


def sell(sandbox, account):
    """The carrier makes a label of what it was asked last, whether late or once more."""
    adapter = opening.open_adapter(account)
    headers = {"Authorization": f"Bearer {adapter.tokens.current()}"}
    body = purchases(sandbox)[-1]["body"]
    sold = sandbox.session.post(f"{adapter.base_url}/shipments", json=body, headers=headers, timeout=30)
    assert sold.status_code == 201


def sold(sandbox, shipment):
    found = sandbox.control("GET", f"/_sandbox/pickit/shipments?reference={shipment.reference}")
    return sorted(label["status"] for label in found)


def test_a_label_made_after_its_booking_was_given_up_is_found_and_voided(sandbox, credential, given_up):
    sell(sandbox, credential)
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=True):
        assert reconciliation.reconcile() == {"orphan": 1}
    assert sold(sandbox, given_up) == ["cancelled"]
    assert Event.objects.filter(type="shipment.orphan_voided", subject_id=given_up.id).count() == 1


def test_a_failed_booking_is_not_watched_for_at_another_account_than_it_was_asked_of(sandbox, tenant, given_up):
    assert reconcile_now() == {"watched": 1}
    assert Shipment.objects.get().reconcile_at
    sandbox.control("PUT", "/_sandbox/accounts/pickit-platform", {"secret": "test-secret"})
    fields = {"client_id": "pickit-platform", "client_secret": "test-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    assert reconcile_now() == {"watched": 1}
    assert Shipment.objects.get().reconcile_at is None


def test_an_answer_that_comes_after_its_booking_was_given_up_is_voided_at_once(sandbox, credential, given_up):
    sell(sandbox, credential)
    late = opening.open_adapter(credential).find_by_reference(given_up.reference)[0]
    assert booking.store_booking(given_up.id, late).booking_state == BookingState.FAILED
    assert reconciliation.reconcile() == {"orphan": 1}
    assert sold(sandbox, given_up) == ["cancelled"]


def test_of_two_labels_under_one_reference_one_is_kept_and_the_other_voided(api, sandbox, order, credential):
    fault(sandbox, "close", after=True)
    buy(api, order)
    sell(sandbox, credential)
    assert reconcile_now() == {"booked": 1}
    shipment = Shipment.objects.get()
    assert sold(sandbox, shipment) == ["cancelled", "created"]
    kept = sandbox.control("GET", f"/_sandbox/pickit/shipments?reference={shipment.reference}")
    assert [label["tracking_number"] for label in kept if label["status"] == "created"] == [shipment.tracking_number]
    assert Event.objects.filter(type="shipment.orphan_voided", subject_id=shipment.id).count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_one_worker_has_looked_up_another_leaves_alone(api, sandbox, order):
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
