"""Webhooks to merchants: signed by the standard, repeated after failures, protected against SSRF."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta

import pytest
import standardwebhooks
import svix.webhooks
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.db.tenancy import Tenant
from apikeys.http import correlation
from apikeys.models import Event, Merchant, Outbox
from webhooks.models import Attempt, Delivery, WebhookEndpoint
from webhooks.outbound import deliveries, egress, signing
from webhooks.tests.helpers import WebhookReceiver, attempt_due, fan_out_and_attempt

pytestmark = pytest.mark.django_db(transaction=True)
PUBLIC = EventType("shipment.booked", public=True)
INTERNAL = EventType("shipment.pending")


def make_due():
    Delivery.objects.filter(state="pending").update(next_attempt_at=timezone.now() - timedelta(seconds=1))


def test_two_independent_libraries_verify_the_signature(tenant, endpoint, receiver, pool):
    with correlation.scope("corr-1"):
        event = events.record(PUBLIC, tenant=tenant, data={"tracking_number": "PKT-1", "city": "Bogotá"})
    assert fan_out_and_attempt(pool) == 1
    headers, body = receiver.received[0]
    assert standardwebhooks.Webhook(endpoint.secret).verify(body.decode(), headers)
    svix.webhooks.Webhook(endpoint.secret).verify(body, headers)
    message = json.loads(body)
    assert set(message) == {"type", "timestamp", "data"}
    assert message["type"] == "shipment.booked"
    assert message["data"]["event_id"] == str(event.id)
    assert headers["X-Correlation-ID"] == "corr-1"
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        standardwebhooks.Webhook(endpoint.secret).verify(body.decode() + " ", headers)


def test_only_endpoints_of_the_merchant_and_mode_get_an_event(tenant, endpoint, receiver, pool):
    other = Merchant.objects.create(name="Other", slug="other")
    events.record(PUBLIC, tenant=Tenant(other.id, "test"))
    events.record(PUBLIC, tenant=Tenant(tenant.merchant_id, "live"))
    events.record(INTERNAL, tenant=tenant)
    assert fan_out_and_attempt(pool) == 0
    assert not Outbox.objects.exists()
    assert receiver.received == []


@pytest.mark.parametrize(
    ("event_types", "is_sent"), [([], True), (["shipment.booked"], True), (["shipment.*"], True), (["pickup.*"], False)]
)
def test_endpoint_gets_only_subscribed_types(tenant, endpoint, receiver, pool, event_types, is_sent):
    WebhookEndpoint.objects.update(event_types=event_types)
    events.record(PUBLIC, tenant=tenant)
    fan_out_and_attempt(pool)
    assert bool(receiver.received) is is_sent


def test_event_of_a_rolled_back_transaction_is_not_sent(tenant, endpoint, receiver, pool):
    with pytest.raises(RuntimeError), transaction.atomic():
        events.record(PUBLIC, tenant=tenant)
        raise RuntimeError
    assert fan_out_and_attempt(pool) == 0
    assert not Event.objects.exists()


def test_failed_delivery_is_retried_on_the_documented_schedule_then_given_up(tenant, endpoint, receiver, pool):
    receiver.status = 500
    events.record(PUBLIC, tenant=tenant)
    fan_out_and_attempt(pool)
    waits = []
    for _ in range(8):
        delivery = Delivery.objects.get()
        waits.append(round((delivery.next_attempt_at - timezone.now()).total_seconds() / 60))
        make_due()
        assert attempt_due(pool) == 1
    assert waits == [1, 5, 15, 60, 360, 720, 1440, 1440]
    assert Delivery.objects.get().state == "dead"
    assert Attempt.objects.count() == 9
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    assert {body for _, body in receiver.received} == {receiver.received[0][1]}


def test_dead_delivery_is_replayed_with_the_same_id(tenant, endpoint, receiver, pool):
    receiver.status = 410
    events.record(PUBLIC, tenant=tenant)
    fan_out_and_attempt(pool)
    Delivery.objects.update(state="dead")
    receiver.status = 204
    assert deliveries.replay([Delivery.objects.get().id]) == 1
    attempt_due(pool)
    assert Delivery.objects.get().state == "delivered"
    assert receiver.received[0][0]["webhook-id"] == receiver.received[1][0]["webhook-id"]


def test_redirect_is_a_failure_and_is_not_followed(tenant, endpoint, receiver, pool):
    receiver.status, receiver.headers = 302, {"Location": receiver.url + "/elsewhere"}
    events.record(PUBLIC, tenant=tenant)
    fan_out_and_attempt(pool)
    assert Attempt.objects.get().outcome == "redirect"
    assert len(receiver.received) == 1


def test_retry_after_is_respected(tenant, endpoint, receiver, pool):
    receiver.status, receiver.headers = 429, {"Retry-After": "1800"}
    events.record(PUBLIC, tenant=tenant)
    fan_out_and_attempt(pool)
    wait = Delivery.objects.get().next_attempt_at - timezone.now()
    assert timedelta(minutes=29) < wait < timedelta(minutes=31)


def test_retry_after_delays_a_delivery_by_an_hour_at_most(tenant, endpoint, receiver, pool):
    receiver.status, receiver.headers = 503, {"Retry-After": "31536000"}
    events.record(PUBLIC, tenant=tenant)
    fan_out_and_attempt(pool)
    wait = Delivery.objects.get().next_attempt_at - timezone.now()
    assert timedelta(minutes=59) < wait < timedelta(minutes=61)


def test_delivery_of_a_killed_worker_is_attempted_after_its_lease(tenant, endpoint, receiver, pool):
    events.record(PUBLIC, tenant=tenant)
    deliveries.fan_out()
    # A killed worker leaves the row claimed.
    Delivery.objects.update(lease_until=timezone.now() + timedelta(minutes=1), fence=1)
    assert attempt_due(pool) == 0
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert attempt_due(pool) == 1
    assert Delivery.objects.get().state == "delivered"


def test_result_of_a_worker_without_its_lease_is_rejected(tenant, endpoint, receiver):
    events.record(PUBLIC, tenant=tenant)
    deliveries.fan_out()
    delivery = Delivery.objects.get()
    Delivery.objects.update(fence=5)
    assert deliveries.attempt(delivery.id, fence=4) is None
    assert Delivery.objects.get().state == "pending"


def test_several_workers_send_each_delivery_once(tenant, endpoint, receiver, pool):
    for _ in range(30):
        events.record(PUBLIC, tenant=tenant)
    threads = [threading.Thread(target=run_worker, args=(pool,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Delivery.objects.filter(state="delivered").count() == 30
    assert len(receiver.received) == 30


def run_worker(pool):
    deliveries.fan_out()
    while attempt_due(pool):
        pass
    deliveries.connection.close()


def test_slow_endpoint_delays_no_other(tenant, endpoint, receiver, pool):
    slow = WebhookReceiver()
    release, real_post = threading.Event(), egress.post

    def post(url, **kwargs):
        if url == slow.url:
            assert release.wait(20)
        return real_post(url, **kwargs)

    WebhookEndpoint.objects.create(
        merchant_id=tenant.merchant_id, mode="test", url=slow.url, secret=signing.new_secret()
    )
    for _ in range(12):
        events.record(PUBLIC, tenant=tenant)
    deliveries.fan_out()
    with ThreadPoolExecutor(16) as large_pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(egress, "post", post)
        dispatcher, running = deliveries.Dispatcher(large_pool, slots=16), []
        while len(receiver.received) < 12:
            running += dispatcher.start_due()
        assert slow.received == []
        release.set()
        wait(running)
    slow.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://user:secret@example.com/hook",
        "ftp://example.com/hook",
        "https://10.0.0.1/hook",
        "https://192.168.1.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[fc00::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://100.64.0.1/hook",
        "https://0.0.0.0/hook",
        "https://",
        "nonsense",
    ],
)
def test_private_and_malformed_urls_are_refused(url, settings):
    with pytest.raises(ValidationError):
        egress.check_url(url)


def test_loopback_is_refused_outside_demo_mode(settings, tenant, endpoint, receiver, pool):
    settings.WEBHOOK_ALLOW_LOOPBACK = False
    for url in ("http://127.0.0.1:9/", "https://localhost/", "https://127.0.0.1/", "https://[::1]/"):
        with pytest.raises(ValidationError):
            egress.check_url(url)
    events.record(PUBLIC, tenant=tenant)
    fan_out_and_attempt(pool)
    assert Attempt.objects.get().outcome == "blocked"
    assert receiver.received == []


def test_host_name_with_a_private_address_is_blocked_at_the_attempt(settings, monkeypatch):
    settings.WEBHOOK_ALLOW_LOOPBACK = False
    answer = [(2, 1, 6, "", ("10.1.2.3", 443))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: answer)
    assert egress.post("https://hooks.example.com/", body=b"{}", headers={}).outcome == "blocked"


def test_unreachable_endpoint_is_retried(tenant, endpoint, pool):
    WebhookEndpoint.objects.update(url="http://127.0.0.1:9/hook")
    events.record(PUBLIC, tenant=tenant)
    fan_out_and_attempt(pool)
    assert Attempt.objects.get().outcome == "refused"
    assert Delivery.objects.get().state == "pending"
