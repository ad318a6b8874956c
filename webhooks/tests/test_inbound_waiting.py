"""Webhooks that wait for their shipment or pickup, or that a worker processes later."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from apikeys.db.crypto import Ciphertext
from carriers.credentials import storage
from carriers.models import Credential
from shipping.models import BookingState, Shipment
from webhooks.inbound import service
from webhooks.models import InboundWebhook, UnmatchedNumber
from webhooks.tests.helpers import (
    NUMBER,
    SOON,
    book,
    event,
    save_platform_credential,
    schedule_pickup,
    send_webhook,
)

pytestmark = pytest.mark.django_db


def test_early_event_waits_for_its_shipment(credential):
    send_webhook(event(), credential)
    assert InboundWebhook.objects.get().state == "unmatched"
    assert service.process_pending() == 0
    shipment = book(credential)
    assert service.process_pending() == 1
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"
    assert InboundWebhook.objects.get().state == "processed"
    assert service.process_pending() == 0


def test_early_event_waits_for_the_shipment_of_its_parcel(credential):
    number = "PKT-BOX-2"
    send_webhook(event(number=number.lower()), credential)
    shipment = book(credential, request={"packages": [{}, {}]})
    assert service.process_pending() == 0
    for place in (1, 2):
        shipment.parcels.create(number=place, weight_kg=1, tracking_number=f"PKT-BOX-{place}")
    assert (service.process_pending(), service.process_pending()) == (1, 0)
    assert shipment.checkpoints.get().parcel == number
    send_webhook(event(number=number, at=SOON), credential)
    assert shipment.checkpoints.filter(parcel=number).count() == 2


def test_worker_processes_what_a_killed_process_left(credential):
    shipment = book(credential)
    stored = {"carrier": "pickit", "credential": credential, "body": json.dumps(event()).encode(), "digest": "0" * 64}
    InboundWebhook.objects.create(**stored, received_at=timezone.now() - timedelta(minutes=1))
    assert service.process_pending() == 1
    assert shipment.checkpoints.count() == 1


def test_early_pickup_event_waits_for_its_pickup(credential):
    done = {"pickup_id": "PCK-1", "completed_at": "2024-01-16T11:30:00Z", "shipment_ids": []}
    send_webhook({"event_type": "pickup.completed", "timestamp": "2024-01-16T11:30:00Z", "data": done}, credential)
    assert InboundWebhook.objects.get().state == "unmatched"
    assert service.process_pending() == 0
    pickup = schedule_pickup(credential)
    assert service.process_pending() == 1
    pickup.refresh_from_db()
    assert (pickup.state, InboundWebhook.objects.get().state) == ("completed", "processed")


@pytest.mark.parametrize(("state", "left"), [(BookingState.PENDING, 1), (BookingState.BOOKED, 0)])
def test_other_credential_with_the_same_secret_waits_during_a_purchase(merchant, state, left):
    both = {name: save_platform_credential(name) for name in ("test", "live")}
    book(both["live"])
    Shipment.objects.update(mode="live")
    bought = book(both["test"], "PKT-ANOTHER")
    Shipment.objects.filter(id=bought.id).update(booking_state=state)
    send_webhook(event(), secret="one-for-both")
    assert UnmatchedNumber.objects.filter(credential=both["test"]).count() == left


def test_scan_does_not_wait_for_later_shipments(credential):
    send_webhook(event(), credential)
    InboundWebhook.objects.update(received_at=timezone.now() - timedelta(days=3))
    book(credential)
    assert [service.process_pending(), service.process_pending()] == [0, 0]


def test_time_is_suspect_by_the_arrival_of_the_webhook_though_it_waited(credential):
    body = event("shipment.in_transit", at=(timezone.now() + timedelta(hours=24)).isoformat())
    send_webhook(body, credential)
    arrival = timezone.now() - timedelta(hours=30)
    InboundWebhook.objects.update(received_at=arrival)
    shipment = book(credential, created_at=arrival)
    assert service.process_pending() == 1
    assert shipment.checkpoints.get().suspect_time


def test_scan_does_not_wait_for_a_pickup_with_its_number(credential):
    schedule_pickup(credential, NUMBER)
    send_webhook(event(), credential)
    assert [service.process_pending(), service.process_pending()] == [0, 0]
    book(credential)
    assert [service.process_pending(), service.process_pending()] == [1, 0]


def test_scan_waits_for_a_pending_purchase_that_may_have_an_old_number(credential):
    old = book(credential, status="in_transit", created_at=timezone.now() - timedelta(days=200))
    new = book(credential, "", created_at=timezone.now())
    Shipment.objects.filter(id=new.id).update(booking_state=BookingState.PENDING)
    send_webhook(event("shipment.delivered"), credential)
    assert InboundWebhook.objects.get().state == "unmatched"
    Shipment.objects.filter(id=old.id).update(carrier="elsewhere")  # a merchant has each number once per carrier
    Shipment.objects.filter(id=new.id).update(booking_state=BookingState.BOOKED, tracking_number=NUMBER)
    assert service.process_pending() == 1
    assert {row.id: row.status for row in Shipment.objects.all()} == {old.id: "in_transit", new.id: "delivered"}


def test_scan_belongs_to_an_old_shipment_after_pending_purchases_are_settled(credential):
    old = book(credential, created_at=timezone.now() - timedelta(days=200))
    new = book(credential, "", created_at=timezone.now())
    Shipment.objects.filter(id=new.id).update(booking_state=BookingState.PENDING)
    send_webhook(event("shipment.delivered"), credential)
    Shipment.objects.filter(id=new.id).update(booking_state=BookingState.BOOKED, tracking_number="PKT-ANOTHER")
    assert service.process_pending() == 1
    old.refresh_from_db()
    assert old.status == "delivered"


def test_scan_of_an_old_shipment_does_not_wait_for_later_purchases(credential):
    old = book(credential, created_at=timezone.now() - timedelta(days=200))
    bought = book(credential, "", created_at=timezone.now() - timedelta(hours=2))
    Shipment.objects.filter(id=bought.id).update(booking_state=BookingState.PENDING)
    send_webhook(event("shipment.delivered"), credential)
    InboundWebhook.objects.update(received_at=timezone.now() - timedelta(hours=1))
    Shipment.objects.filter(id=bought.id).update(booking_state=BookingState.BOOKED, tracking_number="PKT-ANOTHER")
    later = book(credential, "")
    Shipment.objects.filter(id=later.id).update(booking_state=BookingState.PENDING)
    assert service.process_pending() == 1
    old.refresh_from_db()
    assert old.status == "delivered"


def test_scan_belongs_to_an_old_shipment_after_two_days(credential):
    old = book(credential, created_at=timezone.now() - timedelta(days=200))
    new = book(credential, "", created_at=timezone.now() - timedelta(hours=1))
    Shipment.objects.filter(id=new.id).update(booking_state=BookingState.NEEDS_REVIEW)
    send_webhook(event("shipment.delivered"), credential)
    # Nothing was processed, so the worker task waits before it runs again.
    assert (service.process_pending(), InboundWebhook.objects.get().state) == (0, "unmatched")
    with time_machine.travel(timezone.now() + timedelta(days=2), tick=True):
        service.process_pending()
    old.refresh_from_db()
    assert old.status == "delivered"


def test_unreadable_second_credential_makes_the_carrier_repeat(merchant):
    both = {name: save_platform_credential(name) for name in ("test", "live")}
    sealed = Credential.objects.filter(id=both["live"].id)
    sealed.update(fields=Ciphertext("v1.demo.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
    assert send_webhook(event(), secret="one-for-both").status_code == 503
    shipment = book(both["test"])  # so it is not a shipment of the other credential
    assert send_webhook(event(at=SOON), secret="one-for-both").status_code == 200
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"
    storage.delete_credential(both["live"])
    assert send_webhook(event(tracking_number="PKT-NOBODYS"), secret="one-for-both").status_code == 200


@pytest.mark.parametrize("mode", ["test", "live"])
def test_secret_of_both_modes_reaches_shipments_of_both(merchant, mode):
    both = {name: save_platform_credential(name) for name in ("test", "live")}
    shipment = book(both[mode])
    Shipment.objects.filter(id=shipment.id).update(mode=mode)
    assert send_webhook(event(), secret="one-for-both").status_code == 200
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"


def test_deleted_credential_applies_earlier_events_and_refuses_later_ones(credential):
    send_webhook(event(), credential)
    shipment = book(credential)
    storage.delete_credential(credential)
    assert service.process_pending() == 1
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"
    assert send_webhook(event(at=SOON), credential).status_code == 404


def test_event_that_fails_repeatedly_is_listed_as_failed(credential, monkeypatch):
    send_webhook(event(), credential)
    book(credential, created_at=timezone.now() - timedelta(hours=2))

    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(service.carrier_reports, "store_scans", broken)
    long_ago = timezone.now() - timedelta(hours=1)
    for _ in range(22):
        service.process_pending()
        InboundWebhook.objects.update(received_at=long_ago, lease_until=None)
    row = InboundWebhook.objects.get()
    assert (row.state, row.error) == ("failed", "processing failed each time")


def test_reprocessed_event_does_not_move_a_later_shipment(credential):
    first = book(credential)
    send_webhook(event(), credential)
    row = InboundWebhook.objects.get()
    InboundWebhook.objects.update(received_at=timezone.now() - timedelta(days=25))
    removed = {"tracking_number": "", "reference": "REF-GONE", "created_at": timezone.now() - timedelta(days=26)}
    Shipment.objects.filter(id=first.id).update(**removed)
    second = book(credential)
    assert service.process(row.id) == "unmatched"
    second.refresh_from_db()
    assert second.status == ""
    assert service.process_pending() == 0


def test_event_for_one_mode_does_not_wait_in_the_other(merchant):
    both = {name: save_platform_credential(name) for name in ("test", "live")}
    book(both["live"])
    send_webhook(event(), secret="one-for-both")
    assert set(InboundWebhook.objects.values_list("state", flat=True)) == {"processed"}
    assert not UnmatchedNumber.objects.exists()
