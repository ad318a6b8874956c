"""The worker: lanes that run side by side, so that slow endpoints hold up neither scans nor look-ups."""

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
from config.worker.heartbeat import Heartbeat, Record, queue_of
from shipping.checkpoints import polling, status_codes
from shipping.labels import documents
from shipping.labels.reconciliation import reconcile
from shipping.pickups import pickups
from shipping.points import points
from shipping.reports import counters
from webhooks.inbound import retention, service
from webhooks.outbound import deliveries

log = logging.getLogger(__name__)

_DELIVERIES_AT_ONCE = 16


class Lane(threading.Thread):
    """Does one kind of work again and again: at once while there is some, else every ``every_s`` seconds."""

    def __init__(self, name: str, work: Callable[[], object], every_s: float, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.work, self.every_s, self.stop = work, every_s, stop
        self.record = Record(queue_of(name))

    def run(self) -> None:
        while not self.stop.is_set():
            if not self._once():
                self.stop.wait(self.every_s)
        connection.close()

    def _once(self) -> bool:
        close_old_connections()
        try:
            with correlation.scope():
                more = bool(self.work())
        except Exception:  # a lane outlives any single failure, a lost database connection among them
            log.exception("worker lane failed", extra={"lane": self.name})
            connection.close()
            self.record.count(failed=True)
            return False
        self.record.count(failed=False)
        return more


def run(stop: threading.Event) -> None:
    """Work until ``stop`` is set; what was begun is finished, what was not is left in its row."""
    poll = settings.WORKER_POLL_S
    with ThreadPoolExecutor(_DELIVERIES_AT_ONCE, thread_name_prefix="delivery") as pool:
        lanes = [
            Lane("fan-out", deliveries.fan_out, poll, stop),
            Lane("deliveries", deliveries.Dispatcher(pool, slots=_DELIVERIES_AT_ONCE).start_due, poll, stop),
            Lane("inbound", service.process_pending, poll * 2, stop),
            Lane("reconciliation", _idle(reconcile), max(poll, settings.RECONCILE_EVERY_S), stop),
            Lane("label files", documents.fetch_missing, max(poll, settings.RECONCILE_EVERY_S), stop),
            Lane("pickup points", points.refresh_answers, max(poll, 2), stop),
            Lane("polling", _idle(polling.poll), 60, stop),
            Lane("pickups", _idle(pickups.review_interrupted), 60, stop),
            Lane("placed codes", status_codes.apply_mappings, max(poll, 2), stop),
            Lane("tokens", _idle(refresh_tokens), 60, stop),
            Lane("counts", counters.fold, max(poll, 2), stop),
            Lane("usage", _idle(usage.flush), settings.USAGE_FLUSH_S, stop),
            Lane("daily use", usage.summarise_days, 600, stop),
            Lane("security notices", notices.send_due, max(poll, settings.SECURITY_NOTICE_EVERY_S), stop),
            Lane("cleaning", _idle(cleanup.delete_expired), 3600, stop),
            Lane("old pickup points", points.delete_old_answers, 3600, stop),
            Lane("call log", carriers_retention.delete_old_calls, 3600, stop),
            Lane("carriers' webhooks", retention.clean, 3600, stop),
        ]
        heartbeat = Heartbeat({lane.name: lane.record for lane in lanes})
        lanes.append(Lane("heartbeat", _idle(heartbeat.beat), settings.WORKER_HEARTBEAT_S, stop))
        for lane in lanes:
            lane.start()
        log.info("worker started")
        while not stop.is_set():
            # Not a bare wait: a signal handler runs only between bytecodes of the main thread.
            stop.wait(1)
        give_up = time.monotonic() + settings.WEBHOOK_TIMEOUT_S + 5
        for lane in lanes:
            lane.join(timeout=max(0, give_up - time.monotonic()))
        heartbeat.end()
    log.info("worker stopped")


def _idle(work: Callable[[], object]) -> Callable[[], None]:
    """Work that is due by the clock, not by what there is to do."""

    def once() -> None:
        work()

    return once
