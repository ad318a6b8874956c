"""The documented status of the workers: who runs, what waits, and what there is not."""

import threading
import time
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.models import Outbox, SecurityNotice
from carriers.models import Credential
from config.worker import heartbeat, tasks
from config.worker.views import WorkStatusSerializer
from webhooks.models import Delivery, InboundWebhook, WebhookEndpoint, Worker
from webhooks.outbound import deliveries

pytestmark = pytest.mark.django_db

PATH = "/api/v1/celery/status"


def booked_event(tenant):
    return events.record(EventType("shipment.booked", public=True), tenant=tenant, subject_id=uuid.uuid4(), data={})


def beating(lanes=("fan-out",)):
    beats = heartbeat.Heartbeat({name: heartbeat.Record(heartbeat.queue_of(name)) for name in lanes})
    beats.beat()
    return beats


def test_without_a_worker_it_says_so(api):
    answer = api.get(PATH)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["active_workers"] == body["active_tasks"] == body["queued_tasks"] == 0
    assert body["registered_tasks"] == body["workers"] == []
    assert (body["executor"], body["broker"]) == ("embedded", "not_configured")
    assert set(body["queues"]) == {"checkpoints", "notifications", "celery"}


def test_a_broker_that_is_configured_is_not_said_to_be_used(api, settings):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    assert api.get(PATH).json()["broker"] == "not_used"


def test_it_needs_a_key(client):
    assert client.get(PATH).status_code == 401


def test_each_worker_is_there_while_its_heart_beats(api):
    first, second = beating(), beating(["fan-out", "inbound", "cleaning"])
    body = api.get(PATH).json()
    assert body["active_workers"] == 2
    assert body["registered_tasks"] == ["cleaning", "fan-out", "inbound"]
    assert {one["id"] for one in body["workers"]} == {str(first.id), str(second.id)}
    lanes = {lane["name"]: lane for one in body["workers"] for lane in one["lanes"]}
    assert {name: lane["queue"] for name, lane in lanes.items()} == {
        "fan-out": "notifications",
        "inbound": "checkpoints",
        "cleaning": "celery",
    }
    described = WorkStatusSerializer(data=body)
    assert described.is_valid(), described.errors
    assert set(body) == set(described.fields)
    first.end()
    first.beat()  # of a lane that was slower than the end
    assert api.get(PATH).json()["active_workers"] == 1
    Worker.objects.update(seen_at=timezone.now() - heartbeat.alive_for() - timedelta(seconds=1))
    assert api.get(PATH).json()["active_workers"] == 0


def test_one_that_was_killed_long_ago_is_forgotten(api):
    beating()
    Worker.objects.update(seen_at=timezone.now() - timedelta(days=2))
    beating()
    assert Worker.objects.count() == 1


def test_it_counts_what_waits_and_what_is_being_done(api, tenant, credential):
    WebhookEndpoint.objects.create(merchant_id=tenant.merchant_id, mode="test", url="https://a.example", secret="x")
    SecurityNotice.objects.all().delete()  # of the new credential
    Outbox.objects.all().delete()
    booked_event(tenant)
    assert api.get(PATH).json()["queues"]["notifications"] == {"queued": 1, "active": 0}
    while deliveries.fan_out():
        pass
    assert api.get(PATH).json()["queues"]["notifications"] == {"queued": 1, "active": 0}
    now = timezone.now()
    Delivery.objects.update(lease_until=now + timedelta(minutes=1))
    assert api.get(PATH).json()["queues"]["notifications"] == {"queued": 0, "active": 1}
    Delivery.objects.update(lease_until=now - timedelta(minutes=1))
    assert api.get(PATH).json()["queues"]["notifications"] == {"queued": 1, "active": 0}
    Delivery.objects.update(lease_until=None, next_attempt_at=now + timedelta(hours=1))
    assert api.get(PATH).json()["queued_tasks"] == 0
    row = Credential.objects.get()
    for number, state in enumerate(["received", "received", "failed"]):
        InboundWebhook.objects.create(
            carrier="pickit", credential=row, digest=f"digest-{number}", body=b"{}", state=state
        )
    body = api.get(PATH).json()
    assert body["queues"]["checkpoints"] == {"queued": 2, "active": 0}
    assert (body["queued_tasks"], body["active_tasks"]) == (2, 0)


def test_the_number_of_queries_does_not_grow(api, django_assert_max_num_queries):
    for _ in range(20):
        beating()
    with django_assert_max_num_queries(10):
        api.get(PATH)


@pytest.mark.django_db(transaction=True)
def test_a_running_worker_shows_its_lanes_and_leaves_nothing_when_it_stops(api, settings):
    settings.WORKER_HEARTBEAT_S = settings.WORKER_POLL_S = 0.05
    stop = threading.Event()

    def worker():
        try:
            tasks.run(stop)
        finally:
            connection.close()

    thread = threading.Thread(target=worker)
    thread.start()
    try:
        lanes = wait_for(lambda: [lane for lane in shown_lanes(api) if lane["name"] == "fan-out" and lane["runs"] > 1])
        assert lanes[0]["failures"] == 0
        assert lanes[0]["last_run_at"]
        assert {lane["queue"] for lane in shown_lanes(api)} == set(heartbeat.QUEUES)
        names = {lane["name"] for lane in shown_lanes(api)}
        assert set().union(*heartbeat.QUEUES.values()) <= names, "a lane that the table of queues names is gone"
    finally:
        stop.set()
        thread.join(timeout=30)
    assert api.get(PATH).json()["active_workers"] == Worker.objects.count() == 0


def shown_lanes(api):
    return [lane for one in api.get(PATH).json()["workers"] for lane in one["lanes"]]


def wait_for(look):
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        if found := look():
            return found
    raise AssertionError("nothing came")
