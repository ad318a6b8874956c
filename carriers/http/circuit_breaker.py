"""Circuit breaker per credential and operation. Its state is a row that all processes share.

After several failures in a row it is open and refuses calls. After a pause exactly one caller, chosen by a lease with a
fencing number, may probe: an answer closes the breaker, a failure keeps it open for another pause. No row means no
failures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from apikeys.audit import events
from apikeys.db import leases
from apikeys.db.leases import Lease, Leases
from carriers.models import Breaker, Credential, breaker_pause
from carriers.models.event_types import BREAKER_CLOSED, BREAKER_OPENED

_RETRY_DURING_PROBE_S = 5
LEASES = Leases(Breaker, lasts=lambda: timedelta(seconds=settings.CARRIER_TIMEOUT_S + 15), until="probe_until")


class Open(Exception):
    """The circuit breaker is open: no call now."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"open for {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Permission:
    """Permission for one call, ended by ``record_answer``, ``record_failure`` or ``release``. A probe has a lease."""

    credential: Credential
    operation: str
    failures: int = 0
    lease: Lease | None = None

    @property
    def is_probe(self) -> bool:
        return self.lease is not None

    def record_answer(self) -> None:
        """Record that the carrier answered, even with a refusal."""
        if self.lease:
            _close(self.lease.rows)
        elif self.failures:  # an answer to a call from before the first failure must not reset later failures
            self._row().filter(opened_at=None).update(failures=0, updated_at=timezone.now())

    def record_failure(self, problem: str) -> None:
        """Record a failure: 5xx, no answer in time, a refused or lost connection."""
        if self.lease:
            self.lease.release(
                retry_at=leases.now() + breaker_pause(), failures=F("failures") + 1, updated_at=timezone.now()
            )
            return
        Breaker.objects.get_or_create(credential=self.credential, operation=self.operation)
        with transaction.atomic():
            counted = {"failures": F("failures") + 1, "last_problem": problem[:100], "updated_at": timezone.now()}
            self._row().update(**counted)
            due = self._row().filter(opened_at=None, failures__gte=settings.CARRIER_BREAKER_FAILURES)
            if due.update(opened_at=timezone.now(), retry_at=leases.now() + breaker_pause(), probe_until=None):
                _record_event(BREAKER_OPENED, self.credential, self.operation, problem=problem[:100])

    def release(self) -> None:
        """Record that no call was sent, so that another caller may probe."""
        if self.lease:
            self.lease.release()

    def _row(self) -> QuerySet[Breaker]:
        return Breaker.objects.filter(credential_id=self.credential.id, operation=self.operation)


def request_permission(credential: Credential, operation: str) -> Permission:
    """Return permission for one call, or raise ``Open``."""
    row = Breaker.objects.filter(credential_id=credential.id, operation=operation).annotate(now=leases.now()).first()
    if row is None or row.opened_at is None:
        return Permission(credential, operation, failures=row.failures if row else 0)
    if row.is_paused(row.now):
        raise Open(ceil((row.retry_at - row.now).total_seconds()))
    unchanged = Breaker.objects.filter(id=row.id, fence=row.fence, opened_at=row.opened_at, retry_at=row.retry_at)
    if lease := LEASES.acquire(unchanged):
        return Permission(credential, operation, failures=row.failures, lease=lease)
    raise Open(_RETRY_DURING_PROBE_S)


def count_states() -> list[tuple[str, str, str, int]]:
    """Count circuit breakers by carrier, operation and state. One that never saw a failure has no row."""
    is_open = Q(opened_at__isnull=False)
    paused = leases.still_lasting("retry_at", breaker_pause())
    states = {"closed": ~is_open, "open": is_open & paused, "half_open": is_open & ~paused}
    counts = {state: Count("id", filter=condition) for state, condition in states.items()}
    rows = Breaker.objects.values("credential__carrier", "operation").order_by("credential__carrier", "operation")
    return [
        (row["credential__carrier"], row["operation"], state, row[state])
        for row in rows.annotate(**counts)
        for state in states
    ]


def close_manually(row: Breaker) -> bool:
    """Close an open breaker; return False if it is closed already. The result of a running probe is then ignored."""
    return _close(Breaker.objects.filter(id=row.id))


def _close(rows: QuerySet[Breaker]) -> bool:
    with transaction.atomic():
        row = rows.select_for_update(of=("self",)).select_related("credential").filter(opened_at__isnull=False).first()
        if row is None:
            return False
        row.failures, row.opened_at, row.retry_at, row.probe_until = 0, None, None, None
        row.fence += 1
        row.save()
        _record_event(BREAKER_CLOSED, row.credential, row.operation)
        return True


def _record_event(kind: events.EventType, credential: Credential, operation: str, **more: str) -> None:
    data = {"carrier": credential.carrier, "operation": operation, **more}
    events.record(kind, tenant=credential.tenant, subject_id=credential.id, data=data)
