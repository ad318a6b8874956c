"""Subscriptions at carriers: created for bookings, renewed until the shipment is final, then ended."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.audit import events
from shipping.models import Parcel, Shipment
from shipping.models.event_types import SHIPMENT_BOOKED
from webhooks import subscriptions
from webhooks.inbound import service
from webhooks.models import CarrierSubscription, InboundWebhook
from webhooks.outbound import deliveries
from webhooks.tests import kestrel
from webhooks.tests.test_inbound_proofs import send

pytestmark = pytest.mark.django_db
State = CarrierSubscription.State


@pytest.fixture
def credential(monkeypatch, tenant, settings):
    settings.CARRIER_CALLBACK_URL = "https://waybill.example"
    kestrel.register(monkeypatch)
    return kestrel.save_credential(tenant, webhook_token="our-secret-header")


def book(credential, number):
    shipment = kestrel.book(credential, number)
    events.record(SHIPMENT_BOOKED, tenant=shipment.tenant, subject_id=shipment.id, data={})
    return shipment


def states():
    return dict(CarrierSubscription.objects.values_list("number", "state"))


def make_due():
    CarrierSubscription.objects.update(due_at=timezone.now() - timedelta(seconds=1))


def test_each_parcel_of_a_booking_is_subscribed_in_batches_and_once(credential):
    shipment = book(credential, "KP1")
    for number in (1, 2, 3):
        Parcel.objects.create(shipment=shipment, number=number, weight_kg=1, tracking_number=f"KP{number}")
    book(credential, "UNKNOWN")
    deliveries.fan_out()
    deliveries.fan_out()
    assert states() == dict.fromkeys(("KP1", "KP2", "KP3", "UNKNOWN"), State.WANTED)
    assert subscriptions.run_due() == 4
    assert states() == {"KP1": State.ACTIVE, "KP2": State.ACTIVE, "KP3": State.ACTIVE, "UNKNOWN": State.FAILED}
    sent = kestrel.HookedKestrel.log
    assert sorted(number for _name, numbers, *_ in sent for number in numbers) == ["KP1", "KP2", "KP3", "UNKNOWN"]
    assert all(call[2:] == (credential.webhook_url, "our-secret-header") for call in sent)
    assert subscriptions.run_due() == 0


def test_subscription_is_renewed_before_its_expiry_and_ended_when_the_shipment_is_final(credential):
    shipment = book(credential, "KP1")
    deliveries.fan_out()
    subscriptions.run_due()
    row = CarrierSubscription.objects.get()
    assert row.due_at == row.expires_at - timedelta(days=1)
    make_due()
    subscriptions.run_due()
    assert [call[0] for call in kestrel.HookedKestrel.log] == ["subscribe", "subscribe"]
    Shipment.objects.filter(id=shipment.id).update(status="delivered")
    make_due()
    subscriptions.run_due()
    row.refresh_from_db()
    assert (row.state, row.due_at) == (State.ENDED, None)
    assert kestrel.HookedKestrel.log[-1] == ("unsubscribe", "S-2")


def test_shared_subscription_is_ended_with_its_last_number(credential):
    first, second = book(credential, "KP1"), book(credential, "KP2")
    deliveries.fan_out()
    subscriptions.run_due()
    for shipment, ended in ((first, 0), (second, 1)):
        Shipment.objects.filter(id=shipment.id).update(status="delivered")
        CarrierSubscription.objects.filter(shipment=shipment).update(due_at=timezone.now() - timedelta(seconds=1))
        subscriptions.run_due()
        assert sum(call[0] == "unsubscribe" for call in kestrel.HookedKestrel.log) == ended


def test_failing_carrier_is_tried_again_a_few_times_and_the_shipment_is_polled(credential, monkeypatch):
    shipment = book(credential, "KP1")
    deliveries.fan_out()
    monkeypatch.setattr(kestrel.HookedKestrel, "failing", True)
    waits = []
    for _attempt in range(6):
        make_due()
        subscriptions.run_due()
        row = CarrierSubscription.objects.get()
        waits.append(row.due_at and round((row.due_at - timezone.now()).total_seconds() / 60))
    assert waits == [1, 15, 60, 360, 1440, None]
    assert (row.state, bool(row.error)) == (State.FAILED, True)
    shipment.refresh_from_db()
    assert shipment.poll_at is not None


def test_handshake_activates_a_subscription(credential, monkeypatch):
    kestrel.register(monkeypatch, kestrel.ActivatedKestrel)
    book(credential, "KP1")
    deliveries.fan_out()
    subscriptions.run_due()
    row = CarrierSubscription.objects.get()
    assert row.state == State.WANTED
    body = {"handshake": row.carrier_id}
    assert send(credential.webhook_url, body, **{"X-Kestrel-Token": "our-secret-header"}).status_code == 200
    subscriptions.run_due()
    row.refresh_from_db()
    assert row.state == State.ACTIVE
    assert kestrel.ActivatedKestrel.log[-1] == ("activate", row.carrier_id, "from-the-handshake")


def test_handshake_before_the_answer_to_the_subscription_is_not_lost(credential, monkeypatch):
    kestrel.register(monkeypatch, kestrel.ActivatedKestrel)
    subscribe = kestrel.HookedKestrel.subscribe

    def report_first(self, numbers, url, secret):
        confirmed = subscribe(self, numbers, url, secret)
        body = {"handshake": confirmed[0].carrier_id}
        assert send(url, body, **{"X-Kestrel-Token": secret}).status_code == 200
        return confirmed

    monkeypatch.setattr(kestrel.ActivatedKestrel, "subscribe", report_first)
    book(credential, "KP1")
    deliveries.fan_out()
    subscriptions.run_due()
    InboundWebhook.objects.update(received_at=timezone.now() - timedelta(minutes=1))
    assert service.process_pending() == 1
    subscriptions.run_due()
    assert states() == {"KP1": State.ACTIVE}


def test_carrier_that_reports_a_whole_credential_is_subscribed_once(credential, monkeypatch):
    monkeypatch.setattr(kestrel.HookedKestrel, "numbers_per_subscription", 0)
    for number in ("KP1", "KP2"):
        book(credential, number)
        deliveries.fan_out()
    row = CarrierSubscription.objects.get()
    assert (row.number, row.shipment_id) == ("", None)


def test_subscription_of_a_whole_credential_is_tried_again_until_it_succeeds(credential, monkeypatch):
    monkeypatch.setattr(kestrel.HookedKestrel, "numbers_per_subscription", 0)
    book(credential, "KP1")
    deliveries.fan_out()
    for failing, attempts, state in ((True, 8, State.WANTED), (False, 1, State.ACTIVE)):
        monkeypatch.setattr(kestrel.HookedKestrel, "failing", failing)
        for _attempt in range(attempts):
            make_due()
            assert subscriptions.run_due() == 1
        assert states() == {"": state}


def test_nothing_is_subscribed_without_a_public_url(credential, settings):
    settings.CARRIER_CALLBACK_URL = ""
    book(credential, "KP1")
    deliveries.fan_out()
    assert not CarrierSubscription.objects.exists()
