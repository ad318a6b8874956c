"""Heartbeats of worker processes, and the amount of work that waits for them."""

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
# The documented queues with the worker tasks that they stand for. All other tasks belong to GENERAL.
CHECKPOINTS, NOTIFICATIONS, GENERAL = "checkpoints", "notifications", "celery"
QUEUES = {
    CHECKPOINTS: {"inbound", "reconciliation", "label files", "polling", "pickups", "placed codes"},
    NOTIFICATIONS: {"fan-out", "deliveries", "security notices"},
    GENERAL: set(),
}
# Counts end here, because counting more rows is slow and adds no information.
MAX_COUNTED = 10_000
_DELETED_AFTER = timedelta(days=1)


@dataclass
class TaskRecord:
    """The runs of a worker task in this process."""

    queue: str
    runs: int = 0
    failures: int = 0
    last_run_at: datetime | None = None

    def count(self, *, failed: bool) -> None:
        """Count a run."""
        self.runs += 1
        self.failures += failed
        self.last_run_at = timezone.now()

    def to_json(self) -> dict[str, Any]:
        """Return the record as it is stored and shown."""
        return {
            "queue": self.queue,
            "runs": self.runs,
            "failures": self.failures,
            "last_run_at": rfc3339(self.last_run_at),
        }


def queue_of(task: str) -> str:
    """Return the documented queue that a worker task belongs to."""
    return next((queue for queue, tasks in QUEUES.items() if task in tasks), GENERAL)


class Heartbeat:
    """The row of this process in the table of workers. A killed process leaves a row with an old heartbeat."""

    def __init__(self, records: Mapping[str, TaskRecord]) -> None:
        self.records = records
        self.id: uuid.UUID = new_id()
        self.started_at = timezone.now()
        self._lock = threading.Lock()
        self._ended = False

    def beat(self) -> None:
        """Store the time and the records of the tasks. The first heartbeat deletes old rows of killed processes."""
        with self._lock:
            if self._ended:  # the heartbeat's task may run until after the end
                return
            now = timezone.now()
            lanes = {name: record.to_json() for name, record in self.records.items()}
            if not Worker.objects.filter(id=self.id).update(seen_at=now, lanes=lanes):
                name = f"{socket.gethostname()[:100]}:{os.getpid()}"
                Worker.objects.create(id=self.id, name=name, started_at=self.started_at, seen_at=now, lanes=lanes)
                Worker.objects.filter(seen_at__lt=now - _DELETED_AFTER).delete()

    def end(self) -> None:
        """Delete the row when the process stops."""
        with self._lock:
            self._ended = True
            try:
                Worker.objects.filter(id=self.id).delete()
            except DatabaseError:  # the row stays, and its heartbeat gets old
                log.exception("worker row not deleted")


def status() -> dict[str, Any]:
    """Return the state of all workers, with the documented keys and those of this installation."""
    now = timezone.now()
    workers = list(Worker.objects.filter(seen_at__gte=now - max_heartbeat_age()).order_by("id"))
    queues = count_work(now)
    return {
        "active_workers": len(workers),
        "registered_tasks": sorted({name for worker in workers for name in worker.lanes}),
        "active_tasks": sum(queue["active"] for queue in queues.values()),
        "queued_tasks": sum(queue["queued"] for queue in queues.values()),
        "executor": "embedded",
        "broker": "not_used" if settings.CELERY_BROKER_URL else "not_configured",
        "queues": queues,
        "workers": [
            {
                "id": str(worker.id),
                "started_at": rfc3339(worker.started_at),
                "last_heartbeat_at": rfc3339(worker.seen_at),
                "lanes": [{"name": name} | record for name, record in sorted(worker.lanes.items())],
            }
            for worker in workers
        ],
    }


def max_heartbeat_age() -> timedelta:
    """Return the age of a heartbeat at which its worker counts as stopped, or as cut off from the database."""
    return timedelta(seconds=max(15.0, 3 * settings.WORKER_HEARTBEAT_S))


def count_work(now: datetime) -> dict[str, dict[str, int]]:
    """Count by queue the rows under a lease (``active``) and the due ones without (``queued``), to ``MAX_COUNTED``."""
    received = InboundWebhook.objects.filter(state=InboundWebhook.State.RECEIVED)
    due = Delivery.objects.filter(state=Delivery.State.PENDING, next_attempt_at__lte=now)
    sources = {
        CHECKPOINTS: [_count_by_lease(inbound.LEASES, received)],
        NOTIFICATIONS: [
            {"active": 0, "queued": count_rows(Outbox.objects.all())},
            _count_by_lease(deliveries.LEASES, due),
            _count_by_lease(notices.LEASES, SecurityNotice.objects.all()),
        ],
        GENERAL: [],
    }
    return {
        name: {kind: sum(source[kind] for source in sources[name]) for kind in ("queued", "active")} for name in QUEUES
    }


def _count_by_lease(kind: Leases, rows: QuerySet) -> dict[str, int]:
    return {"active": count_rows(rows.filter(kind.running())), "queued": count_rows(rows.filter(kind.free()))}


def count_rows(rows: QuerySet) -> int:
    """Count rows, to ``MAX_COUNTED``."""
    return rows.order_by().values("pk")[:MAX_COUNTED].count()
