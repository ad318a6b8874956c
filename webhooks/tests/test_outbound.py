"""Merchants hear of every public event: signed by the standard, again after failures, never lost, never a ghost."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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

pytestmark = pytest.mark.django_db(transaction=True)
PUBLIC = EventType("shipment.booked", public=True)
INTERNAL = EventType("shipment.pending")


class Receiver:
    """A merchant's server: keeps what it gets, answers what it is told to."""

    def __init__(self):
        self.got, self.status, self.headers = [], 200, {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def endpoint(tenant, receiver):
    return WebhookEndpoint.objects.create(
        merchant_id=tenant.merchant_id, mode="test", url=receiver.url, secret=signing.new_secret()
    )


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as one:
        yield one


def deliver(pool):
    """Attempt what is due, wait for the outcomes; how many attempts."""
    running = deliveries.Dispatcher(pool).start_due()
    wait(running)
    return len(running)


def work(pool):
    deliveries.fan_out()
    return deliver(pool)


def make_due():
    Delivery.objects.filter(state="pending").update(next_attempt_at=timezone.now() - timedelta(seconds=1))


def test_two_independent_libraries_verify_what_is_sent(tenant, endpoint, receiver, pool):
    with correlation.scope("corr-1"):
        event = events.record(PUBLIC, tenant=tenant, data={"tracking_number": "PKT-1", "city": "Bogotá"})
    assert work(pool) == 1
    headers, body = receiver.got[0]
    assert standardwebhooks.Webhook(endpoint.secret).verify(body.decode(), headers)
    svix.webhooks.Webhook(endpoint.secret).verify(body, headers)
    message = json.loads(body)
    assert set(message) == {"type", "timestamp", "data"}
    assert message["type"] == "shipment.booked"
    assert message["data"]["event_id"] == str(event.id)
    assert headers["X-Correlation-ID"] == "corr-1"
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        standardwebhooks.Webhook(endpoint.secret).verify(body.decode() + " ", headers)


def test_only_the_merchants_own_endpoints_of_its_mode_hear(tenant, endpoint, receiver, pool):
    other = Merchant.objects.create(name="Other", slug="other")
    events.record(PUBLIC, tenant=Tenant(other.id, "test"))
    events.record(PUBLIC, tenant=Tenant(tenant.merchant_id, "live"))
    events.record(INTERNAL, tenant=tenant)
    assert work(pool) == 0
    assert not Outbox.objects.exists()
    assert receiver.got == []


@pytest.mark.parametrize(
    ("wanted", "heard"), [([], True), (["shipment.booked"], True), (["shipment.*"], True), (["pickup.*"], False)]
)
def test_an_endpoint_hears_the_types_that_it_wants(tenant, endpoint, receiver, pool, wanted, heard):
    WebhookEndpoint.objects.update(event_types=wanted)
    events.record(PUBLIC, tenant=tenant)
    work(pool)
    assert bool(receiver.got) is heard


def test_an_event_of_a_rolled_back_transaction_is_never_sent(tenant, endpoint, receiver, pool):
    with pytest.raises(RuntimeError), transaction.atomic():
        events.record(PUBLIC, tenant=tenant)
        raise RuntimeError
    assert work(pool) == 0
    assert not Event.objects.exists()


def test_failures_are_retried_on_the_documented_schedule_and_then_given_up(tenant, endpoint, receiver, pool):
    receiver.status = 500
    events.record(PUBLIC, tenant=tenant)
    work(pool)
    waits = []
    for _ in range(8):
        delivery = Delivery.objects.get()
        waits.append(round((delivery.next_attempt_at - timezone.now()).total_seconds() / 60))
        make_due()
        assert deliver(pool) == 1
    assert waits == [1, 5, 15, 60, 360, 720, 1440, 1440]
    assert Delivery.objects.get().state == "dead"
    assert Attempt.objects.count() == 9
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert {body for _, body in receiver.got} == {receiver.got[0][1]}


def test_a_dead_delivery_can_be_sent_again_under_its_id(tenant, endpoint, receiver, pool):
    receiver.status = 410
    events.record(PUBLIC, tenant=tenant)
    work(pool)
    Delivery.objects.update(state="dead")
    receiver.status = 204
    assert deliveries.replay([Delivery.objects.get().id]) == 1
    deliver(pool)
    assert Delivery.objects.get().state == "delivered"
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]


def test_a_redirect_is_a_failure_and_is_not_followed(tenant, endpoint, receiver, pool):
    receiver.status, receiver.headers = 302, {"Location": receiver.url + "/elsewhere"}
    events.record(PUBLIC, tenant=tenant)
    work(pool)
    assert Attempt.objects.get().outcome == "redirect"
    assert len(receiver.got) == 1


def test_retry_after_is_obeyed_up_to_an_hour(tenant, endpoint, receiver, pool):
    receiver.status, receiver.headers = 429, {"Retry-After": "1800"}
    events.record(PUBLIC, tenant=tenant)
    work(pool)
    wait = Delivery.objects.get().next_attempt_at - timezone.now()
    assert timedelta(minutes=29) < wait < timedelta(minutes=31)


def test_a_worker_killed_between_claim_and_answer_loses_nothing(tenant, endpoint, receiver, pool):
    events.record(PUBLIC, tenant=tenant)
    deliveries.fan_out()
    # As a killed worker leaves it: claimed, never finished.
    Delivery.objects.update(lease_until=timezone.now() + timedelta(minutes=1), fence=1)
    assert deliver(pool) == 0
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert deliver(pool) == 1
    assert Delivery.objects.get().state == "delivered"


def test_what_a_slow_worker_writes_after_its_lease_is_refused(tenant, endpoint, receiver):
    events.record(PUBLIC, tenant=tenant)
    deliveries.fan_out()
    delivery = Delivery.objects.get()
    Delivery.objects.update(fence=5)
    assert deliveries.attempt(delivery.id, fence=4) is None
    assert Delivery.objects.get().state == "pending"


def test_several_workers_make_one_attempt_each(tenant, endpoint, receiver, pool):
    for _ in range(30):
        events.record(PUBLIC, tenant=tenant)
    threads = [threading.Thread(target=_worker, args=(pool,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Delivery.objects.filter(state="delivered").count() == 30
    assert len(receiver.got) == 30


def _worker(pool):
    deliveries.fan_out()
    while deliver(pool):
        pass
    deliveries.connection.close()


def test_a_slow_endpoint_holds_up_only_itself(tenant, endpoint, receiver, pool):
    slow = Receiver()
    let_go, plain_post = threading.Event(), egress.post

    def post(url, **kwargs):
        if url == slow.url:
            assert let_go.wait(20)
        return plain_post(url, **kwargs)

    WebhookEndpoint.objects.create(
        merchant_id=tenant.merchant_id, mode="test", url=slow.url, secret=signing.new_secret()
    )
    for _ in range(12):
        events.record(PUBLIC, tenant=tenant)
    deliveries.fan_out()
    with ThreadPoolExecutor(16) as roomy, pytest.MonkeyPatch.context() as patch:
        patch.setattr(egress, "post", post)
        dispatcher, running = deliveries.Dispatcher(roomy, slots=16), []
        while len(receiver.got) < 12:
            running += dispatcher.start_due()
        assert slow.got == []
        let_go.set()
        wait(running)
    slow.server.shutdown()
    slow.server.server_close()


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
def test_urls_into_private_places_are_refused(url, settings):
    with pytest.raises(ValidationError):
        egress.check_url(url)


def test_outside_of_demo_mode_loopback_is_private_too(settings, tenant, endpoint, receiver, pool):
    settings.WEBHOOK_ALLOW_LOOPBACK = False
    for url in ("http://127.0.0.1:9/", "https://localhost/", "https://127.0.0.1/", "https://[::1]/"):
        with pytest.raises(ValidationError):
            egress.check_url(url)
    events.record(PUBLIC, tenant=tenant)
    work(pool)
    assert Attempt.objects.get().outcome == "blocked"
    assert receiver.got == []


def test_a_host_name_that_resolves_to_a_private_address_is_blocked_at_the_attempt(settings, monkeypatch):
    settings.WEBHOOK_ALLOW_LOOPBACK = False
    answer = [(2, 1, 6, "", ("10.1.2.3", 443))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: answer)
    assert egress.post("https://hooks.example.com/", body=b"{}", headers={}).outcome == "blocked"


def test_an_endpoint_that_is_not_there_is_retried(tenant, endpoint, pool):
    WebhookEndpoint.objects.update(url="http://127.0.0.1:9/hook")
    events.record(PUBLIC, tenant=tenant)
    work(pool)
    assert Attempt.objects.get().outcome == "refused"
    assert Delivery.objects.get().state == "pending"
