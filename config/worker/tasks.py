"""The worker's tasks. Each has its own thread, so slow merchant endpoints delay neither scans nor lookups."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.db import close_old_connections, connection

from apikeys.access import cleanup, usage
from apikeys.audit import notices
from apikeys.http import correlation
from carriers.credentials.refresh import refresh_tokens
from carriers.http import retention as carriers_retention
from config.worker.heartbeat import Heartbeat, TaskRecord, queue_of
from shipping.checkpoints import polling, status_codes
from shipping.labels import documents
from shipping.labels.reconciliation import reconcile
from shipping.pickups import pickups
from shipping.points import points
from shipping.reports import counters
from webhooks import subscriptions
from webhooks.inbound import retention, service
from webhooks.outbound.deliveries import Dispatcher, fan_out

log = logging.getLogger(__name__)
Row = tuple[str, Callable[[], object], float]  # name, function, interval in seconds

_CONCURRENT_DELIVERIES = 16


def queue_tasks(pool: ThreadPoolExecutor) -> list[Row]:
    """Return the tasks that run again at once while they find work (their function returns true), else at intervals."""
    poll = settings.WORKER_POLL_S
    return [
        ("fan-out", fan_out, poll),
        ("deliveries", Dispatcher(pool, slots=_CONCURRENT_DELIVERIES).start_due, poll),
        ("inbound", service.process_pending, poll * 2),
        ("label files", documents.fetch_missing, max(poll, settings.RECONCILE_EVERY_S)),
        ("pickup points", points.refresh_answers, max(poll, 2)),
        ("placed codes", status_codes.apply_mappings, max(poll, 2)),
        ("counts", counters.fold, max(poll, 2)),
        ("daily use", usage.summarise_days, 600),
        ("security notices", notices.send_due, max(poll, settings.SECURITY_NOTICE_EVERY_S)),
        ("old pickup points", points.delete_old_answers, 3600),
    ]


def periodic_tasks() -> list[Row]:
    """Return the tasks that run only at intervals."""
    return [
        ("reconciliation", reconcile, max(settings.WORKER_POLL_S, settings.RECONCILE_EVERY_S)),
        ("polling", polling.poll, settings.POLL_EVERY_S),
        ("carriers' subscriptions", subscriptions.run_due, settings.POLL_EVERY_S),
        ("pickups", pickups.review_interrupted, 60),
        ("tokens", refresh_tokens, 60),
        ("usage", usage.flush, settings.USAGE_FLUSH_S),
        ("cleaning", cleanup.delete_expired, 3600),
        ("call log", carriers_retention.delete_old_calls, 3600),
        ("carriers' webhooks", retention.clean, 3600),
    ]


class Task(threading.Thread):
    """A worker task in its thread. It runs at intervals, or at once while it finds work if ``repeat`` is set."""

    def __init__(
        self, name: str, function: Callable[[], object], interval_s: float, stop: threading.Event, *, repeat: bool
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.function, self.interval_s, self.stop, self.repeat = function, interval_s, stop, repeat
        self.record = TaskRecord(queue_of(name))

    def run(self) -> None:
        while not self.stop.is_set():
            close_old_connections()
            found_work = failed = False
            try:
                with correlation.scope():
                    found_work = bool(self.function())
            except Exception:  # the task continues after any failure, such as a lost database connection
                log.exception("worker task failed", extra={"task": self.name})
                connection.close()
                failed = True
            self.record.count(failed=failed)
            if not (self.repeat and found_work):
                self.stop.wait(self.interval_s)
        connection.close()


def run(stop: threading.Event) -> None:
    """Run the tasks until ``stop`` is set. Running work is then finished; other work stays in its rows."""
    with ThreadPoolExecutor(_CONCURRENT_DELIVERIES, thread_name_prefix="delivery") as pool:
        tasks = [Task(*row, stop, repeat=True) for row in queue_tasks(pool)]
        tasks += [Task(*row, stop, repeat=False) for row in periodic_tasks()]
        heartbeat = Heartbeat({task.name: task.record for task in tasks})
        tasks.append(Task("heartbeat", heartbeat.beat, settings.WORKER_HEARTBEAT_S, stop, repeat=False))
        for task in tasks:
            task.start()
        log.info("worker started")
        while not stop.is_set():
            # With a timeout, because a signal handler runs only between bytecodes of the main thread.
            stop.wait(1)
        deadline = time.monotonic() + settings.WEBHOOK_TIMEOUT_S + 5
        for task in tasks:
            task.join(timeout=max(0, deadline - time.monotonic()))
        heartbeat.end()
    log.info("worker stopped")
