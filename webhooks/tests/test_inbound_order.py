"""Events of one shipment give the same result in any order of arrival."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client

from apikeys.models import Event
from shipping.models import Orphan
from webhooks.inbound import service
from webhooks.models import UnmatchedNumber
from webhooks.tests.helpers import YEAR_2024, book, event, schedule_pickup, send_webhook

pytestmark = pytest.mark.django_db


HISTORY = [
    event("shipment.created", at="2024-01-15T10:00:00Z"),
    event("shipment.picked_up", at="2024-01-15T14:00:01Z", pickup_time="2024-01-15T14:00:00Z"),
    event("shipment.in_transit", at="2024-01-16T08:00:00Z", current_location="New York"),
    event("shipment.failed", at="2024-01-16T15:00:00Z", failure_reason="CUSTOMER_NOT_AVAILABLE", attempts=1),
    event("shipment.at_pickup_point", at="2024-01-17T10:00:00Z", pickup_code="PICKUP-123456"),
    event("shipment.delivered", at="2024-01-17T14:33:00Z", delivered_at="2024-01-17T14:32:00Z"),
]


def test_every_order_of_six_events_has_the_same_result(credential):
    ends = set()
    for number, order in enumerate(itertools.islice(itertools.permutations(HISTORY), 0, 720, 37)):
        name = f"PKT-{number:010}"
        shipment = book(credential, name, **YEAR_2024)
        for one in order:
            send_webhook(one | {"data": one["data"] | {"tracking_number": name}}, credential)
        shipment.refresh_from_db()
        timeline = tuple(shipment.checkpoints.order_by("occurred_at").values_list("code", "occurred_at"))
        ends.add((shipment.status, shipment.delivered_at, shipment.location, shipment.checkpoint_count, timeline))
    assert len(ends) == 1
    assert ends.pop()[0] == "delivered"


@pytest.mark.parametrize("stored", ["PKT-0000000001", "pkt-0000000001", "Pkt-0000000001"])
@pytest.mark.parametrize("name", ["PKT-0000000001", "pkt-0000000001", " PKT-0000000001 ", "Pkt-0000 000001\u200b"])
def test_number_in_another_spelling_finds_its_shipment_at_once_and_later(credential, stored, name):
    def send(one):
        send_webhook(one | {"data": one["data"] | {"tracking_number": name}}, credential)

    send(HISTORY[1])
    shipment = book(credential, stored, **YEAR_2024)
    assert service.process_pending() == 1
    send(HISTORY[2])
    shipment.refresh_from_db()
    assert (shipment.status, shipment.checkpoint_count) == ("in_transit", 2)


@pytest.mark.parametrize(("stored", "name"), [("PCK-a1", "pck-A1 "), ("pck-a1", "PCK-A1"), ("PCK-A1", " pck-a1")])
def test_pickup_in_another_spelling_is_found_at_once_and_later(api, credential, stored, name):
    def complete(at):
        data = {"pickup_id": name, "completed_at": at, "shipment_ids": []}
        send_webhook({"event_type": "pickup.completed", "timestamp": at, "data": data}, credential)

    complete("2024-01-16T11:30:00Z")
    pickup = schedule_pickup(credential, stored)
    assert service.process_pending() == 1
    complete("2024-01-16T11:31:00Z")
    assert not UnmatchedNumber.objects.exists()
    assert api.get(f"/api/v1/pickups/{name}").json()["pickup_id"] == str(pickup.id)


def test_pickup_event_is_of_the_pickup_with_the_same_spelling(credential):
    """Merchants may share the credential, so another pickup's driver must not be shown."""
    names = ("PCK-a1", "PCK-A1", "pck-a1")
    pickups = [schedule_pickup(credential, name) for name in names]
    for number, pickup in enumerate(pickups):
        at = f"2024-01-16T1{number}:30:00Z"
        data = {"pickup_id": pickup.carrier_pickup_id, "completed_at": at, "driver_name": f"D{number}"}
        send_webhook({"event_type": "pickup.completed", "timestamp": at, "data": data}, credential)
    for number, pickup in enumerate(pickups):
        pickup.refresh_from_db()
        assert pickup.carrier_details["events"]["completed"]["driver_name"] == f"D{number}"


def test_webhook_of_a_cancelled_shipment_raises_the_alarm_and_resumes_polling(credential):
    shipment = book(credential, **YEAR_2024)
    send_webhook(event("shipment.cancelled", at="2024-01-15T12:00:00Z"), credential)
    assert not Event.objects.filter(type="shipment.scanned_after_cancellation").exists()
    send_webhook(HISTORY[1], credential)
    shipment.refresh_from_db()
    assert (shipment.status, shipment.poll_at is not None) == ("cancelled", True)
    alarm = Event.objects.get(type="shipment.scanned_after_cancellation")
    assert (alarm.visibility, alarm.data["checkpoint"]["status"]) == ("public", "picked_up")
    assert alarm.data["cancelled_at"] == "2024-01-15T12:00:00Z"


def test_scan_of_a_voided_label_puts_it_back_on_the_list(credential, other_credential, merchant):
    failed = book(credential, "")
    made = {"merchant_id": merchant.id, "mode": "test", "shipment": failed, "tracking_number": "PKT-0000000001"}
    orphan = Orphan.objects.create(**made, voided_at=datetime.now(UTC))
    send_webhook(event("shipment.in_transit", "PKT-0000000001"), other_credential, secret="other-secret")
    orphan.refresh_from_db()
    assert orphan.voided_at
    for name, is_voided in (("shipment.created", True), ("shipment.picked_up", False), ("shipment.in_transit", False)):
        send_webhook(event(name, "pkt-0000000001", pickup_time="2024-01-15T14:00:00Z"), credential)
        orphan.refresh_from_db()
        assert bool(orphan.voided_at) == is_voided, name
    assert Event.objects.filter(type="shipment.orphan_scanned", subject_id=failed.id).count() == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_scans_of_one_shipment_give_the_right_status(credential):
    shipment = book(credential, **YEAR_2024)

    def one(body):
        try:
            return send_webhook(body, credential, client=Client()).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(one, HISTORY * 2)) == {200}
    while service.process_pending():
        pass
    shipment.refresh_from_db()
    assert shipment.status == "delivered"
    assert shipment.checkpoint_count == 6 == shipment.checkpoints.count()


def test_latest_delivery_estimate_counts_in_any_order_of_arrival(credential):
    events = [
        event("shipment.created", at=f"2024-01-15T1{hour}:00:00Z", estimated_delivery=f"2024-01-2{hour}T15:00:00Z")
        for hour in range(3)
    ]
    events.append(event("shipment.in_transit", at="2024-01-15T15:00:00Z"))
    for number, order in enumerate(itertools.permutations(events)):
        shipment = book(credential, f"PKT-{number:010}", **YEAR_2024)
        for one in order:
            send_webhook(one | {"data": one["data"] | {"tracking_number": shipment.tracking_number}}, credential)
        shipment.refresh_from_db()
        assert shipment.estimated_delivery == datetime(2024, 1, 22, 15, tzinfo=UTC)
        assert shipment.promised_delivery == datetime(2024, 1, 20, 15, tzinfo=UTC)


@pytest.mark.parametrize("days", [(20, 21), (21, 20)])
def test_later_of_two_simultaneous_estimates_counts(credential, days):
    shipment = book(credential, **YEAR_2024)
    for day in days:
        send_webhook(
            event("shipment.created", at="2024-01-16T08:00:00Z", estimated_delivery=f"2024-01-{day}T15:00:00Z"),
            credential,
        )
    shipment.refresh_from_db()
    assert shipment.estimated_delivery == datetime(2024, 1, 21, 15, tzinfo=UTC)
