"""A circuit breaker per credential and operation, in a row that all processes share.

So many failures in a row open it; calls are then refused at once. After a rest exactly one caller, chosen by a lease
with a fencing number, tries again: an answer closes it, a failure opens it anew. No row, no failures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from apikeys.audit import events
from apikeys.db import leases
from apikeys.db.leases import Lease, Leases
from apikeys.db.tenancy import Tenant
from carriers.models import Breaker, Credential, breaker_rest
from carriers.models.event_types import BREAKER_CLOSED, BREAKER_OPENED

_WHILE_PROBED_S = 5
LEASES = Leases(Breaker, lasts=lambda: timedelta(seconds=settings.CARRIER_TIMEOUT_S + 15), until="probe_until")


class Open(Exception):
    """No call now."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"open for {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Permit:
    """Permission for one call, ended by ``answered``, ``failed`` or ``unused``. With a lease it is the probe's."""

    credential: Credential
    operation: str
    failures: int = 0
    lease: Lease | None = None

    @property
    def is_probe(self) -> bool:
        return self.lease is not None

    def answered(self) -> None:
        """The carrier spoke, were it to refuse."""
        if self.lease:
            _close(self.lease.rows)
        elif self.failures:  # a call begun before the first failure says nothing about what came after
            self._row().filter(opened_at=None).update(failures=0, updated_at=timezone.now())

    def failed(self, problem: str) -> None:
        """5xx, no answer in time, no connection or one that broke."""
        if self.lease:
            self.lease.release(
                retry_at=leases.now() + breaker_rest(), failures=F("failures") + 1, updated_at=timezone.now()
            )
            return
        Breaker.objects.get_or_create(credential=self.credential, operation=self.operation)
        with transaction.atomic():
            counted = {"failures": F("failures") + 1, "last_problem": problem[:100], "updated_at": timezone.now()}
            self._row().update(**counted)
            due = self._row().filter(opened_at=None, failures__gte=settings.CARRIER_BREAKER_FAILURES)
            if due.update(opened_at=timezone.now(), retry_at=leases.now() + breaker_rest(), probe_until=None):
                _tell(BREAKER_OPENED, self.credential, self.operation, problem=problem[:100])

    def unused(self) -> None:
        """Nothing was asked after all; another caller may probe."""
        if self.lease:
            self.lease.release()

    def _row(self) -> QuerySet[Breaker]:
        return Breaker.objects.filter(credential_id=self.credential.id, operation=self.operation)


def admit(credential: Credential, operation: str) -> Permit:
    """Leave for one call. Raises ``Open``."""
    row = Breaker.objects.filter(credential_id=credential.id, operation=operation).annotate(now=leases.now()).first()
    if row is None or row.opened_at is None:
        return Permit(credential, operation, failures=row.failures if row else 0)
    if row.is_resting(row.now):
        raise Open(ceil((row.retry_at - row.now).total_seconds()))
    unchanged = Breaker.objects.filter(id=row.id, fence=row.fence, opened_at=row.opened_at, retry_at=row.retry_at)
    if lease := LEASES.acquire(unchanged):
        return Permit(credential, operation, failures=row.failures, lease=lease)
    raise Open(_WHILE_PROBED_S)


def reset(row: Breaker) -> bool:
    """Close it by hand; False when it was closed already. A probe under way no longer counts."""
    return _close(Breaker.objects.filter(id=row.id))


def _close(rows: QuerySet[Breaker]) -> bool:
    with transaction.atomic():
        row = rows.select_for_update(of=("self",)).select_related("credential").filter(opened_at__isnull=False).first()
        if row is None:
            return False
        row.failures, row.opened_at, row.retry_at, row.probe_until = 0, None, None, None
        row.fence += 1
        row.save()
        _tell(BREAKER_CLOSED, row.credential, row.operation)
        return True


def _tell(kind: events.EventType, credential: Credential, operation: str, **more: str) -> None:
    tenant = Tenant(credential.merchant_id, credential.mode) if credential.merchant_id else None
    data = {"carrier": credential.carrier, "operation": operation, **more}
    events.record(kind, tenant=tenant, subject_id=credential.id, data=data)
