"""Webhooks to merchants: outbox rows become deliveries, and each delivery is attempted until it succeeds.

Delivery is at least once. All attempts have the same ``webhook-id``, so that a receiver can recognise repetitions.
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

import prometheus_client
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
from webhooks import subscriptions
from webhooks.models import Attempt, Delivery, WebhookEndpoint
from webhooks.outbound import egress, signing
from webhooks.outbound.egress import Result

log = logging.getLogger(__name__)
State = Delivery.State
DELIVERED = EventType("webhook.delivered", audit=True)
GIVEN_UP = EventType("webhook.given_up", audit=True)
ATTEMPTS = prometheus_client.Counter(
    "webhook_delivery_attempts_total", "Attempts to deliver to merchants' endpoints", ["outcome"]
)

# Waits before the retries: the documented five, then three more within about three days.
RETRY_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 6 * 60, 12 * 60, 24 * 60, 24 * 60))
_MAX_RETRY_AFTER = timedelta(hours=1)
_PER_ENDPOINT = 4  # concurrent attempts
LEASES = leases.Leases(Delivery, lasts=lambda: settings.WEBHOOK_LEASE)


def fan_out(*, limit: int = 200) -> int:
    """Turn public events into deliveries, one per subscribed endpoint; return the number of events.

    One transaction deletes the outbox rows and creates the deliveries, so a killed worker leaves both or neither.
    """
    with transaction.atomic():
        rows = list(Outbox.objects.select_for_update(skip_locked=True).order_by("event_id")[:limit])
        if not rows:
            return 0
        event_ids = [row.event_id for row in rows]
        published = list(Event.objects.filter(id__in=event_ids))
        Delivery.objects.bulk_create(_make_deliveries(published), ignore_conflicts=True)
        subscriptions.create_for_bookings(published)
        Outbox.objects.filter(event_id__in=event_ids).delete()
    return len(rows)


class Dispatcher:
    """Attempts due deliveries concurrently. The limit per endpoint keeps a slow one from delaying the others."""

    def __init__(self, pool: ThreadPoolExecutor, *, slots: int = 16) -> None:
        self.pool, self.slots = pool, slots
        self.in_flight: Counter[uuid.UUID] = Counter()  # attempts by endpoint
        self._lock = threading.Lock()

    def start_due(self) -> list[Future]:
        """Claim a few due deliveries and start their attempts; return the running attempts."""
        with self._lock:
            free = self.slots - self.in_flight.total()
            full = [endpoint for endpoint, running in self.in_flight.items() if running >= _PER_ENDPOINT]
        if free <= 0:
            return []
        due = Delivery.objects.filter(state=State.PENDING, next_attempt_at__lte=timezone.now())
        due = due.exclude(endpoint_id__in=full).order_by("next_attempt_at")
        # The lease is longer than an attempt should take. If one takes longer, the fencing number rejects its result.
        fences = {lease.pk: lease.fence for lease in LEASES.claim(due, limit=min(free, _PER_ENDPOINT))}
        running = []
        for delivery_id, endpoint_id in Delivery.objects.filter(id__in=fences).values_list("id", "endpoint_id"):
            with self._lock:
                self.in_flight[endpoint_id] += 1
            running.append(self.pool.submit(self._run, delivery_id, fences[delivery_id], endpoint_id))
        return running

    def _run(self, delivery_id: uuid.UUID, fence: int, endpoint_id: uuid.UUID) -> None:
        try:
            close_old_connections()
            with correlation.scope():
                attempt(delivery_id, fence)
        except Exception:  # the lease ends, and a worker tries again
            log.exception("delivery attempt failed", extra={"delivery": str(delivery_id)})
        finally:
            connection.close()
            with self._lock:
                self.in_flight[endpoint_id] -= 1
                self.in_flight += Counter()  # removes the zeros


def attempt(delivery_id: uuid.UUID, fence: int) -> str | None:
    """Send a claimed delivery once and store the result.

    Returns: the outcome, or None if another process has claimed the delivery and the result was rejected.
    """
    delivery = Delivery.objects.select_related("endpoint", "event").get(id=delivery_id)
    if not delivery.endpoint.is_active:
        result = Result(Attempt.Outcome.BLOCKED, error="the endpoint is switched off")
        _store_result(delivery, fence, result, 0, give_up=True)
        return result.outcome
    body = bytes(delivery.body)
    try:
        secret = delivery.endpoint.secret
    except Undecryptable as error:  # staff must restore the secret and replay the delivery; retries would not help
        log.error("endpoint's secret not readable", extra={"delivery": str(delivery.id), "error": str(error)})
        _store_result(delivery, fence, Result(Attempt.Outcome.UNSIGNED, error=str(error)), 0, give_up=True)
        return Attempt.Outcome.UNSIGNED
    headers = signing.headers(secret, message_id=str(delivery.id), timestamp=int(time.time()), body=body)
    headers |= {"Content-Type": "application/json", correlation.HEADER: delivery.event.correlation_id}
    started = time.monotonic()
    result = egress.post(delivery.endpoint.url, body=body, headers=headers)
    ATTEMPTS.labels(outcome=result.outcome).inc()
    stored = _store_result(delivery, fence, result, round((time.monotonic() - started) * 1000))
    return result.outcome if stored else None


def replay(delivery_ids: Iterable[uuid.UUID]) -> int:
    """Send deliveries in any state again, with the same ids; return their number."""
    return Delivery.objects.filter(id__in=list(delivery_ids)).update(
        state=State.PENDING, next_attempt_at=timezone.now(), attempt_count=0, lease_until=None
    )


def is_subscribed(endpoint: WebhookEndpoint, event_type: str) -> bool:
    """Return whether an endpoint is subscribed to an event type: by name, by family (``shipment.*``) or to all."""
    family = event_type.split(".")[0] + ".*"
    return not endpoint.event_types or event_type in endpoint.event_types or family in endpoint.event_types


def _make_deliveries(published: list[Event]) -> list[Delivery]:
    """Return a delivery per event and subscribed endpoint, with the exact bytes that every attempt signs and sends."""
    endpoints: dict[tuple[object, str], list[WebhookEndpoint]] = defaultdict(list)
    merchants = {event.merchant_id for event in published}
    for endpoint in WebhookEndpoint.objects.filter(merchant_id__in=merchants, is_active=True):
        endpoints[endpoint.merchant_id, endpoint.mode].append(endpoint)
    made = []
    for event in published:
        data = event.data | {"event_id": str(event.id), "mode": event.mode}
        body = to_json({"type": event.type, "timestamp": rfc3339(event.created_at), "data": data})
        made += [
            Delivery(
                merchant_id=event.merchant_id,
                mode=event.mode,
                endpoint=endpoint,
                event=event,
                subject_id=event.subject_id,
                body=body,
            )
            for endpoint in endpoints[event.merchant_id, event.mode]
            if is_subscribed(endpoint, event.type)
        ]
    return made


def _store_result(delivery: Delivery, fence: int, result: Result, duration_ms: int, *, give_up: bool = False) -> bool:
    """Store an attempt and the delivery's next state; return False if another process has claimed the delivery."""
    number = delivery.attempt_count + 1
    with transaction.atomic():
        changes = _next_state(result, number, give_up)
        if not leases.Lease(LEASES, delivery.id, fence).release(attempt_count=number, **changes):
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
        event_type = {State.DELIVERED: DELIVERED, State.DEAD: GIVEN_UP}.get(changes.get("state"))
        if event_type is not None:
            data = {
                "endpoint_id": str(delivery.endpoint_id),
                "event_id": str(delivery.event_id),
                "attempts": number,
                "outcome": result.outcome,
                "status": result.status,
            }
            events.record(event_type, tenant=delivery.tenant, subject_id=delivery.id, data=data)
    return True


def _next_state(result: Result, number: int, give_up: bool) -> dict[str, object]:
    """Return the changes of a delivery after attempt ``number``."""
    now = timezone.now()
    if result.outcome == Attempt.Outcome.DELIVERED:
        return {"state": State.DELIVERED, "delivered_at": now}
    if give_up or number > len(RETRY_AFTER):
        return {"state": State.DEAD}
    wait = RETRY_AFTER[number - 1] * settings.WEBHOOK_RETRY_SCALE
    if result.retry_after_s is not None:
        wait = max(wait, min(timedelta(seconds=result.retry_after_s), _MAX_RETRY_AFTER))
    return {"next_attempt_at": now + wait}
