"""Metrics that are read from the database: waiting work, workers and circuit breakers.

They are the same in every process, so they are read when ``/metrics`` is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from apikeys.audit import notices
from apikeys.db.leases import Leases
from apikeys.models import Outbox, SecurityNotice
from carriers.http import circuit_breaker
from config.worker.heartbeat import count_rows, max_heartbeat_age, queue_of
from shipping.models import Shipment
from webhooks.inbound import service as inbound
from webhooks.models import Delivery, InboundWebhook, Worker
from webhooks.outbound import deliveries


def work_metrics() -> Iterator[Metric]:
    """Yield due and leased rows of each worker task, the age of the oldest due row, and the number of workers."""
    labels, now = ["queue", "task"], timezone.now()
    due = GaugeMetricFamily("waybill_work_due_rows", "Due rows of a worker task, to 10,000", labels=labels)
    leased = GaugeMetricFamily("waybill_work_leased_rows", "Due rows under a lease, to 10,000", labels=labels)
    oldest = GaugeMetricFamily(
        "waybill_work_oldest_due_seconds", "How long the oldest row has been due; 0 if none is", labels=labels
    )
    for task, rows, leases, since in _due(now):
        names = [queue_of(task), task]
        first = rows.values_list(since, flat=True).first()
        due.add_metric(names, count_rows(rows) if first else 0)
        leased.add_metric(names, count_rows(rows.filter(leases.running())) if first and leases else 0)
        oldest.add_metric(names, max(0.0, (now - first).total_seconds()) if first else 0)
    yield from (due, leased, oldest)
    alive = Worker.objects.filter(seen_at__gte=now - max_heartbeat_age()).count()
    yield GaugeMetricFamily("waybill_workers", "Worker processes with a recent heartbeat", value=alive)


def breaker_metrics() -> Iterator[Metric]:
    """Yield the number of circuit breakers by carrier, operation and state."""
    states = GaugeMetricFamily(
        "waybill_circuit_breakers",
        "Circuit breakers of credentials with failures, by state",
        labels=["carrier", "operation", "state"],
    )
    for carrier, operation, state, number in circuit_breaker.count_states():
        states.add_metric([carrier, operation, state], number)
    yield states


def _due(now: datetime) -> list[tuple[str, QuerySet, Leases | None, str]]:
    """Return task, due rows (the oldest first), kind of lease, and the column with the time since which a row is due.

    Each order is that of an index. A lease on a shipment moves its time, so a shipment under a lease is not due.
    """
    return [
        ("fan-out", Outbox.objects.order_by("pk"), None, "event__created_at"),
        ("security notices", SecurityNotice.objects.order_by("pk"), notices.LEASES, "event__created_at"),
        (
            "deliveries",
            Delivery.objects.filter(state=Delivery.State.PENDING, next_attempt_at__lte=now).order_by("next_attempt_at"),
            deliveries.LEASES,
            "next_attempt_at",
        ),
        (
            "inbound",
            InboundWebhook.objects.filter(state=InboundWebhook.State.RECEIVED).order_by("id"),
            inbound.LEASES,
            "received_at",
        ),
        (
            "reconciliation",
            Shipment.objects.filter(reconcile_at__lte=now).order_by("reconcile_at"),
            None,
            "reconcile_at",
        ),
        ("polling", Shipment.objects.filter(poll_at__lte=now).order_by("poll_at"), None, "poll_at"),
    ]
