"""The documented status of the workers: running processes and waiting work."""

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


def record_event(tenant):
    return events.record(EventType("shipment.booked", public=True), tenant=tenant, subject_id=uuid.uuid4(), data={})


def start_heartbeat(tasks=("fan-out",)):
    started = heartbeat.Heartbeat({name: heartbeat.TaskRecord(heartbeat.queue_of(name)) for name in tasks})
    started.beat()
    return started


def test_status_without_workers(api):
    answer = api.get(PATH)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["active_workers"] == body["active_tasks"] == body["queued_tasks"] == 0
    assert body["registered_tasks"] == body["workers"] == []
    assert (body["executor"], body["broker"]) == ("embedded", "not_configured")
    assert set(body["queues"]) == {"checkpoints", "notifications", "celery"}


def test_configured_broker_is_reported_as_not_used(api, settings):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    assert api.get(PATH).json()["broker"] == "not_used"


def test_status_needs_a_key(client):
    assert client.get(PATH).status_code == 401


def test_worker_is_listed_while_its_heartbeat_is_recent(api):
    first, second = start_heartbeat(), start_heartbeat(["fan-out", "inbound", "cleaning"])
    body = api.get(PATH).json()
    assert body["active_workers"] == 2
    assert body["registered_tasks"] == ["cleaning", "fan-out", "inbound"]
    assert {one["id"] for one in body["workers"]} == {str(first.id), str(second.id)}
    shown = {task["name"]: task for worker in body["workers"] for task in worker["lanes"]}
    assert {name: task["queue"] for name, task in shown.items()} == {
        "fan-out": "notifications",
        "inbound": "checkpoints",
        "cleaning": "celery",
    }
    described = WorkStatusSerializer(data=body)
    assert described.is_valid(), described.errors
    assert set(body) == set(described.fields)
    first.end()
    first.beat()  # of a task that ran until after the end
    assert api.get(PATH).json()["active_workers"] == 1
    Worker.objects.update(seen_at=timezone.now() - heartbeat.max_heartbeat_age() - timedelta(seconds=1))
    assert api.get(PATH).json()["active_workers"] == 0


def test_row_of_a_worker_killed_long_ago_is_deleted(api):
    start_heartbeat()
    Worker.objects.update(seen_at=timezone.now() - timedelta(days=2))
    start_heartbeat()
    assert Worker.objects.count() == 1


def test_status_counts_queued_and_active_work(api, tenant, credential):
    WebhookEndpoint.objects.create(merchant_id=tenant.merchant_id, mode="test", url="https://a.example", secret="x")
    SecurityNotice.objects.all().delete()  # of the new credential
    Outbox.objects.all().delete()
    record_event(tenant)
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


def test_number_of_queries_is_constant(api, django_assert_max_num_queries):
    for _ in range(20):
        start_heartbeat()
    with django_assert_max_num_queries(10):
        api.get(PATH)


@pytest.mark.django_db(transaction=True)
def test_running_worker_shows_its_tasks_and_deletes_its_row_when_it_stops(api, settings):
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
        shown = wait_for(lambda: [task for task in shown_tasks(api) if task["name"] == "fan-out" and task["runs"] > 1])
        assert shown[0]["failures"] == 0
        assert shown[0]["last_run_at"]
        assert {task["queue"] for task in shown_tasks(api)} == set(heartbeat.QUEUES)
        names = {task["name"] for task in shown_tasks(api)}
        assert set().union(*heartbeat.QUEUES.values()) <= names, "a task in the table of queues does not exist"
    finally:
        stop.set()
        thread.join(timeout=60)
    assert api.get(PATH).json()["active_workers"] == Worker.objects.count() == 0


def shown_tasks(api):
    return [task for worker in api.get(PATH).json()["workers"] for task in worker["lanes"]]


def wait_for(find):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := find():
            return found
    raise AssertionError("nothing was found in time")
