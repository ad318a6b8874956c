"""Which workers run, and how much work waits for them."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils import timezone

from apikeys.audit import notices
from apikeys.db.leases import Leases
from apikeys.db.tenancy import new_id
from apikeys.http.rendering import rfc3339
from apikeys.models import Outbox, SecurityNotice
from webhooks.inbound import service as inbound
from webhooks.models import Delivery, InboundWebhook, Worker
from webhooks.outbound import deliveries

log = logging.getLogger(__name__)
# The documented queues and the worker's lanes that stand for them; every other lane is general.
CHECKPOINTS, NOTIFICATIONS, GENERAL = "checkpoints", "notifications", "celery"
QUEUES = {
    CHECKPOINTS: {"inbound", "reconciliation", "label files", "polling", "pickups", "placed codes"},
    NOTIFICATIONS: {"fan-out", "deliveries", "security notices"},
    GENERAL: set(),
}
# Counting further would cost more than the figure is worth.
MOST_COUNTED = 10_000
_FORGOTTEN_AFTER = timedelta(days=1)


@dataclass
class Record:
    """What one lane of this process has done."""

    queue: str
    runs: int = 0
    failures: int = 0
    last_run_at: datetime | None = None

    def count(self, *, failed: bool) -> None:
        """One run more."""
        self.runs += 1
        self.failures += failed
        self.last_run_at = timezone.now()

    def facts(self) -> dict[str, Any]:
        """As it is kept and shown."""
        return {
            "queue": self.queue,
            "runs": self.runs,
            "failures": self.failures,
            "last_run_at": rfc3339(self.last_run_at),
        }


def queue_of(lane: str) -> str:
    """Which of the documented queues a lane stands for."""
    return next((queue for queue, lanes in QUEUES.items() if lane in lanes), GENERAL)


class Heartbeat:
    """Keeps the row of this process. A process that is killed leaves its row, which then grows old."""

    def __init__(self, records: Mapping[str, Record]) -> None:
        self.records = records
        self.id: uuid.UUID = new_id()
        self.started_at = timezone.now()
        self._beating = threading.Lock()
        self._ended = False

    def beat(self) -> None:
        """Say that this process runs and what its lanes have done; forget processes that were killed long ago."""
        with self._beating:
            if self._ended:
                return
            now = timezone.now()
            lanes = {name: record.facts() for name, record in self.records.items()}
            if not Worker.objects.filter(id=self.id).update(seen_at=now, lanes=lanes):
                name = f"{socket.gethostname()[:100]}:{os.getpid()}"
                Worker.objects.create(id=self.id, name=name, started_at=self.started_at, seen_at=now, lanes=lanes)
                Worker.objects.filter(seen_at__lt=now - _FORGOTTEN_AFTER).delete()

    def end(self) -> None:
        """This process stops as it was asked to."""
        with self._beating:
            self._ended = True
            try:
                Worker.objects.filter(id=self.id).delete()
            except DatabaseError:  # the row grows old instead
                log.exception("the worker's row is left behind")


def status() -> dict[str, Any]:
    """The state of the workers, with the keys of the document and what this installation has besides."""
    now = timezone.now()
    workers = list(Worker.objects.filter(seen_at__gte=now - alive_for()).order_by("id"))
    queues = backlog(now)
    return {
        "active_workers": len(workers),
        "registered_tasks": sorted({name for worker in workers for name in worker.lanes}),
        "active_tasks": sum(queue["active"] for queue in queues.values()),
        "queued_tasks": sum(queue["queued"] for queue in queues.values()),
        "executor": "embedded",
        "broker": "not_used" if settings.CELERY_BROKER_URL else "not_configured",
        "queues": queues,
        "workers": [_facts(worker) for worker in workers],
    }


def alive_for() -> timedelta:
    """A worker that was not heard of for so long does not run, or cannot reach the database."""
    return timedelta(seconds=max(15.0, 3 * settings.WORKER_HEARTBEAT_S))


def backlog(now: datetime) -> dict[str, dict[str, int]]:
    """Rows by queue: under a worker's lease, and due without anyone at them; each count ends at ``MOST_COUNTED``."""
    received = InboundWebhook.objects.filter(state=InboundWebhook.State.RECEIVED)
    due = Delivery.objects.filter(state=Delivery.State.PENDING, next_attempt_at__lte=now)
    sources = {
        CHECKPOINTS: [_by_lease(inbound.LEASES, received)],
        NOTIFICATIONS: [
            {"active": 0, "queued": _counted(Outbox.objects.all())},
            _by_lease(deliveries.LEASES, due),
            _by_lease(notices.LEASES, SecurityNotice.objects.all()),
        ],
        GENERAL: [],
    }
    return {
        name: {kind: sum(source[kind] for source in sources[name]) for kind in ("queued", "active")} for name in QUEUES
    }


def _by_lease(kind: Leases, rows: QuerySet) -> dict[str, int]:
    return {"active": _counted(rows.filter(kind.running())), "queued": _counted(rows.filter(kind.free()))}


def _counted(rows: QuerySet) -> int:
    return rows.order_by().values("pk")[:MOST_COUNTED].count()


def _facts(worker: Worker) -> dict[str, Any]:
    return {
        "id": str(worker.id),
        "started_at": rfc3339(worker.started_at),
        "last_heartbeat_at": rfc3339(worker.seen_at),
        "lanes": [{"name": name} | facts for name, facts in sorted(worker.lanes.items())],
    }
