"""Metrics count requests by route, generated numbers, exceeded limits, waiting work and circuit breakers."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from apikeys.audit import events
from apikeys.audit.events import EventType
from carriers.models import Breaker
from config.worker import metrics
from tracking import numbers
from tracking.tests.documented import PATH, QUERY
from webhooks.models import InboundWebhook, Worker

pytestmark = [pytest.mark.django_db, pytest.mark.once]
TRACKING = "api/v1/tracking/<"
PUBLIC = EventType("shipment.booked", public=True)


@pytest.fixture
def read(client):
    """Return a function that reads the metrics: values by name and labels."""

    def read():
        families = text_string_to_metric_families(client.get("/metrics").content.decode())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    return read


@pytest.fixture
def growth(read):
    """Return a function that returns by how much a series has grown since the test began."""
    before = read()

    def growth(name, **labels):
        key = (name, frozenset(labels.items()))
        return read().get(key, 0) - before.get(key, 0)

    return growth


def test_requests_are_counted_by_route_and_status(client, api, read, growth):
    for number in range(3):
        assert api.get(f"/api/v1/tracking/SECRET-{number}").status_code == 404
    client.get("/nowhere/SECRET")
    client.generic("BREW", "/health")
    counted = "waybill_http_requests_total"
    (route,) = {dict(labels)["route"] for name, labels in read() if name == counted and TRACKING in str(labels)}
    assert growth(counted, method="GET", route=route, status="404") == 3
    assert growth("waybill_http_request_duration_seconds_count", route=route) == 3
    assert growth(counted, method="GET", route="unmatched", status="404") == 1
    assert growth(counted, method="other", route="health", status="405") == 1
    assert "SECRET" not in client.get("/metrics").content.decode()


def test_generated_numbers_are_counted_with_their_outcome_and_collisions(client, growth, monkeypatch):
    calls, counted = "waybill_tracking_number_duration_seconds_count", "waybill_tracking_numbers_total"
    for correlation_id in ("one", "one", "two"):
        assert client.get(PATH, QUERY, headers={"X-Correlation-ID": correlation_id}).status_code == 200
    assert (growth(calls, outcome="generated"), growth(calls, outcome="repeated")) == (2, 1)
    assert (growth(counted, outcome="generated"), growth(counted, outcome="repeated")) == (2, 1)
    assert growth("waybill_tracking_number_collisions_total") == 0
    # One number for all requests.
    monkeypatch.setattr(numbers, "SPACE", 1)
    assert client.get(PATH, QUERY, headers={"X-Correlation-ID": "three"}).status_code == 200
    assert client.get(PATH, QUERY, headers={"X-Correlation-ID": "four"}).status_code == 500
    assert growth("waybill_tracking_number_collisions_total") == 100
    assert growth(calls, outcome="failed") == 1


def test_exceeded_limits_are_counted_by_policy(client, growth, settings, clock):
    settings.PUBLIC_RATES = ["1/m"]
    assert [client.get(PATH, QUERY).status_code for _ in range(3)] == [200, 429, 429]
    assert growth("waybill_rate_limit_exceeded_total", policy="public") == 2


def test_waiting_work_and_its_age_are_read_from_the_rows(read, tenant, credential):
    fan_out = frozenset({"queue": "notifications", "task": "fan-out"}.items())
    before = read()["waybill_work_due_rows", fan_out]
    hour_ago = timezone.now() - timedelta(hours=1)
    for number in range(2):
        InboundWebhook.objects.create(
            credential=credential, carrier="pickit", digest=str(number), body=b"{}", received_at=hour_ago
        )
    InboundWebhook.objects.filter(digest="1").update(lease_until=timezone.now() + timedelta(seconds=30))
    events.record(PUBLIC, tenant=tenant, data={})
    Worker.objects.create(name="w", started_at=hour_ago, seen_at=timezone.now())
    values = read()
    inbound = frozenset({"queue": "checkpoints", "task": "inbound"}.items())
    assert values["waybill_work_due_rows", inbound] == 2
    assert values["waybill_work_leased_rows", inbound] == 1
    assert 3600 <= values["waybill_work_oldest_due_seconds", inbound] < 3700
    assert values["waybill_work_due_rows", fan_out] == before + 1
    assert (
        values["waybill_work_oldest_due_seconds", frozenset({"queue": "checkpoints", "task": "polling"}.items())] == 0
    )
    assert values["waybill_workers", frozenset()] == 1


def test_circuit_breakers_are_counted_by_state(read, credential):
    now = timezone.now()
    for operation, opened, retry in (
        ("quote", None, None),
        ("track", now, now + timedelta(seconds=30)),
        ("create_label", now - timedelta(hours=1), now - timedelta(minutes=59)),
    ):
        Breaker.objects.create(credential=credential, operation=operation, opened_at=opened, retry_at=retry)
    states = {
        (dict(labels)["operation"], dict(labels)["state"]): value
        for (name, labels), value in read().items()
        if name == "waybill_circuit_breakers"
    }
    assert {key for key, value in states.items() if value} == {
        ("quote", "closed"),
        ("track", "open"),
        ("create_label", "half_open"),
    }
    assert len(states) == 9


def test_counts_are_shown_while_the_database_cannot_be_read(client, monkeypatch, caplog):
    def fail():
        raise OperationalError("connection refused")

    monkeypatch.setattr(metrics.circuit_breaker, "count_states", fail)
    response = client.get("/metrics")
    assert response.status_code == 200
    assert b"waybill_http_requests_total" in response.content
    assert b"waybill_circuit_breakers" not in response.content
    assert "the database cannot be read" in caplog.text
