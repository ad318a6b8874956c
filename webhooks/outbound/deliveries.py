"""Merchants' webhooks out: outbox rows become deliveries, deliveries become attempts.

Delivery is at least once: the ``webhook-id`` is the same over all attempts, so a receiver can tell a repetition.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.db import leases
from apikeys.db.crypto import Undecryptable
from apikeys.http import correlation
from apikeys.http.rendering import rfc3339, to_json
from apikeys.models import Event, Outbox
from webhooks.models import Attempt, Delivery, WebhookEndpoint
from webhooks.models.metrics import ATTEMPTS
from webhooks.outbound import egress, signing
from webhooks.outbound.egress import Result

log = logging.getLogger(__name__)
State = Delivery.State
DELIVERED = EventType("webhook.delivered", audit=True)
GIVEN_UP = EventType("webhook.given_up", audit=True)

# After the first attempt at once: the documented five, then three days' worth, then dead and replayable.
RETRY_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 6 * 60, 12 * 60, 24 * 60, 24 * 60))
_MAX_RETRY_AFTER = timedelta(hours=1)
_PER_ENDPOINT = 4  # attempts at once
LEASES = leases.Leases(Delivery, lasts=lambda: settings.WEBHOOK_LEASE)


def fan_out(*, limit: int = 200) -> int:
    """Turn public events into deliveries, one per endpoint that wants the type; how many events were taken.

    One transaction takes the rows and makes the deliveries, so a killed worker leaves both or neither.
    """
    with transaction.atomic():
        taken = list(Outbox.objects.select_for_update(skip_locked=True).order_by("event_id")[:limit])
        if not taken:
            return 0
        told = Event.objects.filter(id__in=[row.event_id for row in taken])
        Delivery.objects.bulk_create(_deliveries(list(told)), ignore_conflicts=True)
        Outbox.objects.filter(event_id__in=[row.event_id for row in taken]).delete()
    return len(taken)


class Dispatcher:
    """Attempts what is due, several at once; an endpoint that is slow to answer holds up only itself."""

    def __init__(self, pool: ThreadPoolExecutor, *, slots: int = 16) -> None:
        self.pool, self.slots = pool, slots
        self.in_flight: Counter[uuid.UUID] = Counter()  # attempts by endpoint
        self._lock = threading.Lock()

    def start_due(self) -> list[Future]:
        """Claim a few due deliveries and start their attempts; the running attempts."""
        with self._lock:
            free = self.slots - self.in_flight.total()
            full = [endpoint for endpoint, running in self.in_flight.items() if running >= _PER_ENDPOINT]
        if free <= 0:
            return []
        due = Delivery.objects.filter(state=State.PENDING, next_attempt_at__lte=timezone.now())
        due = due.exclude(endpoint_id__in=full).order_by("next_attempt_at")
        # The lease is longer than an attempt should take; should it take longer, the fence refuses its outcome.
        fences = {lease.pk: lease.fence for lease in LEASES.claim(due, limit=min(free, _PER_ENDPOINT))}
        claimed = Delivery.objects.filter(id__in=fences).values_list("id", "endpoint_id")
        return [self._start(delivery_id, fences[delivery_id], endpoint_id) for delivery_id, endpoint_id in claimed]

    def _start(self, delivery_id: uuid.UUID, fence: int, endpoint_id: uuid.UUID) -> Future:
        with self._lock:
            self.in_flight[endpoint_id] += 1
        return self.pool.submit(self._run, delivery_id, fence, endpoint_id)

    def _run(self, delivery_id: uuid.UUID, fence: int, endpoint_id: uuid.UUID) -> None:
        try:
            _attempt_safely(delivery_id, fence)
        finally:
            with self._lock:
                self.in_flight[endpoint_id] -= 1
                self.in_flight += Counter()  # drops the zeros


def attempt(delivery_id: uuid.UUID, fence: int) -> str | None:
    """POST a claimed delivery once and record how it went; its outcome, or None when the claim was lost meanwhile."""
    delivery = Delivery.objects.select_related("endpoint", "event").get(id=delivery_id)
    if not delivery.endpoint.is_active:
        _finish(delivery, fence, Result(Attempt.Outcome.BLOCKED, error="the endpoint is switched off"), 0, give_up=True)
        return Attempt.Outcome.BLOCKED
    body = bytes(delivery.body)
    try:
        secret = delivery.endpoint.secret
    except Undecryptable as error:  # nothing but a person mends that, who can then send it again
        log.error("endpoint's secret not readable", extra={"delivery": str(delivery.id), "error": str(error)})
        _finish(delivery, fence, Result(Attempt.Outcome.UNSIGNED, error=str(error)), 0, give_up=True)
        return Attempt.Outcome.UNSIGNED
    headers = signing.headers(secret, message_id=str(delivery.id), timestamp=int(time.time()), body=body)
    headers |= {"Content-Type": "application/json", correlation.HEADER: delivery.event.correlation_id}
    started = time.monotonic()
    result = egress.post(delivery.endpoint.url, body=body, headers=headers)
    ATTEMPTS.labels(outcome=result.outcome).inc()
    took = _finish(delivery, fence, result, round((time.monotonic() - started) * 1000))
    return result.outcome if took else None


def replay(deliveries: Iterable[uuid.UUID]) -> int:
    """Send again, dead or delivered, under the same id; how many."""
    return Delivery.objects.filter(id__in=list(deliveries)).update(
        state=State.PENDING, next_attempt_at=timezone.now(), attempt_count=0, lease_until=None
    )


def _deliveries(told: list[Event]) -> list[Delivery]:
    endpoints = _endpoints(told)
    return [
        Delivery(
            merchant_id=event.merchant_id,
            mode=event.mode,
            endpoint=endpoint,
            event=event,
            subject_id=event.subject_id,
            body=_body(event),
        )
        for event in told
        for endpoint in endpoints[event.merchant_id, event.mode]
        if wants(endpoint, event.type)
    ]


def _endpoints(told: list[Event]) -> dict[tuple[object, str], list[WebhookEndpoint]]:
    found: dict[tuple[object, str], list[WebhookEndpoint]] = defaultdict(list)
    merchants = {event.merchant_id for event in told}
    for endpoint in WebhookEndpoint.objects.filter(merchant_id__in=merchants, is_active=True):
        found[endpoint.merchant_id, endpoint.mode].append(endpoint)
    return found


def wants(endpoint: WebhookEndpoint, event_type: str) -> bool:
    """Whether an endpoint listens to a type: by name, by family (``shipment.*``), or to all."""
    family = event_type.split(".")[0] + ".*"
    return not endpoint.event_types or event_type in endpoint.event_types or family in endpoint.event_types


def _body(event: Event) -> bytes:
    """The exact bytes that every attempt signs and sends."""
    return to_json(
        {
            "type": event.type,
            "timestamp": rfc3339(event.created_at),
            "data": event.data | {"event_id": str(event.id), "mode": event.mode},
        }
    )


def _attempt_safely(delivery_id: uuid.UUID, fence: int) -> None:
    close_old_connections()
    try:
        with correlation.scope():
            attempt(delivery_id, fence)
    except Exception:  # the claim runs out and another worker tries again
        log.exception("delivery attempt failed", extra={"delivery": str(delivery_id)})
    finally:
        connection.close()


def _finish(delivery: Delivery, fence: int, result: Result, duration_ms: int, *, give_up: bool = False) -> bool:
    number = delivery.attempt_count + 1
    with transaction.atomic():
        after = _next(result, number, give_up)
        if not leases.Lease(LEASES, delivery.id, fence).release(attempt_count=number, **after):
            return False
        Attempt.objects.create(
            delivery=delivery,
            number=number,
            outcome=result.outcome,
            status=result.status,
            response=result.response,
            error=result.error,
            duration_ms=duration_ms,
        )
        _tell_of_end(delivery, after.get("state"), number, result)
    return True


def _tell_of_end(delivery: Delivery, state: object, attempts: int, result: Result) -> None:
    kind = {State.DELIVERED: DELIVERED, State.DEAD: GIVEN_UP}.get(state)
    if kind is None:
        return
    data = {
        "endpoint_id": str(delivery.endpoint_id),
        "event_id": str(delivery.event_id),
        "attempts": attempts,
        "outcome": result.outcome,
        "status": result.status,
    }
    events.record(kind, tenant=delivery.tenant, subject_id=delivery.id, data=data)


def _next(result: Result, number: int, give_up: bool) -> dict[str, object]:
    now = timezone.now()
    if result.outcome == Attempt.Outcome.DELIVERED:
        return {"state": State.DELIVERED, "delivered_at": now}
    if give_up or number > len(RETRY_AFTER):
        return {"state": State.DEAD}
    wait = RETRY_AFTER[number - 1] * settings.WEBHOOK_RETRY_SCALE
    if result.retry_after_s is not None:
        wait = max(wait, min(timedelta(seconds=result.retry_after_s), _MAX_RETRY_AFTER))
    return {"next_attempt_at": now + wait}
