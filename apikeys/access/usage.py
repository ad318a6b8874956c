"""Usage statistics per API key or credential and day: counted in memory, written in batches.

So no request waits for a write. A killed process loses the counts of the last ``USAGE_FLUSH_S`` seconds.
"""

from __future__ import annotations

import atexit
import logging
import threading
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection, transaction
from django.db.models import Max, Sum
from django.utils import timezone

from apikeys.audit import events, security
from apikeys.db.tenancy import Tenant, new_id
from apikeys.http import actors
from apikeys.models import ApiKey, UsageDay

log = logging.getLogger(__name__)
Kind = UsageDay.Kind


@dataclass(frozen=True, order=True)
class _Subject:
    kind: str
    id: uuid.UUID
    day: date
    merchant_id: uuid.UUID
    mode: str


@dataclass
class _Count:
    last: datetime
    requests: int = 0
    failures: int = 0


_lock = threading.Lock()
_pending: dict[_Subject, _Count] = {}

_UPSERT_DAY = """
INSERT INTO apikeys_usageday
    (id, kind, subject_id, day, merchant_id, mode, requests, failures, last_used_at, is_summarised)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (merchant_id, kind, subject_id, day) DO UPDATE SET
    requests = apikeys_usageday.requests + excluded.requests,
    failures = apikeys_usageday.failures + excluded.failures,
    last_used_at = excluded.last_used_at,
    is_summarised = excluded.is_summarised
"""
_UPDATE_KEY = "UPDATE apikeys_apikey SET use_count = use_count + %s, last_used_at = %s WHERE id = %s"


def count(kind: str, subject_id: uuid.UUID, tenant: Tenant, *, failed: bool) -> None:
    """Count one use of a key or credential, in memory."""
    now = timezone.now()
    subject = _Subject(str(kind), subject_id, now.date(), tenant.merchant_id, str(tenant.mode))
    with _lock:
        counted = _pending.setdefault(subject, _Count(now))
        counted.requests += 1
        counted.failures += failed
        counted.last = now


def flush() -> int:
    """Write the counts and return the number of rows. After a database error they are kept for the next call."""
    with _lock:
        counts = dict(_pending)
        _pending.clear()
    if not counts:
        return 0
    try:
        with transaction.atomic():
            # Every process writes in this order. Otherwise two could deadlock.
            _write(sorted(counts.items(), key=lambda item: item[0]))
    except DatabaseError:
        log.exception("usage counts not written, kept for the next attempt")
        with _lock:
            for subject, counted in counts.items():
                kept = _pending.setdefault(subject, _Count(counted.last))
                kept.requests += counted.requests
                kept.failures += counted.failures
        return 0
    return len(counts)


def discard() -> None:
    """Discard the counts that are not written yet (for tests)."""
    with _lock:
        _pending.clear()


def flush_in_background() -> None:
    """Start a thread that writes the counts every ``USAGE_FLUSH_S`` seconds; the last ones are written at exit."""
    threading.Thread(target=_flush_repeatedly, name="usage", daemon=True).start()
    atexit.register(flush)


def by_day(tenant: Tenant, since: date, until: date) -> list[dict[str, Any]]:
    """Return ``{date, requests, failures, keys: […], credentials: […]}`` per day with any use, latest first."""
    flush()
    rows = UsageDay.objects.of(tenant).filter(day__gte=since, day__lte=until).order_by("-day", "kind", "-requests")
    days: dict[date, dict[str, Any]] = {}
    for row in rows:
        day = days.setdefault(row.day, {"date": row.day, "requests": 0, "failures": 0, "keys": [], "credentials": []})
        used = {
            "id": row.subject_id,
            "requests": row.requests,
            "failures": row.failures,
            "last_used_at": row.last_used_at,
        }
        if row.kind == Kind.KEY:
            day["keys"].append(used)
            day["requests"] += row.requests
            day["failures"] += row.failures
        else:
            day["credentials"].append(used)
    return list(days.values())


def totals(tenant: Tenant, subject_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    """Return ``{requests, failures, last_used_at}`` of keys or credentials; unused ones are left out."""
    flush()
    rows = UsageDay.objects.of(tenant).filter(subject_id__in=subject_ids).order_by().values("subject_id")
    sums = rows.annotate(
        total_requests=Sum("requests"), failed_requests=Sum("failures"), latest_use=Max("last_used_at")
    )
    return {
        row["subject_id"]: {
            "requests": row["total_requests"],
            "failures": row["failed_requests"],
            "last_used_at": row["latest_use"],
        }
        for row in sums
    }


def summarise_days(limit: int = 500) -> int:
    """Record an event per key and day, up to yesterday, that has none yet. Return the number of rows."""
    with transaction.atomic():
        due = UsageDay.objects.select_for_update(skip_locked=True).filter(
            is_summarised=False, day__lt=timezone.now().date()
        )
        rows = list(due.order_by("day")[:limit])
        for row in rows:
            if row.kind == Kind.KEY:
                data = {"date": row.day.isoformat(), "requests": row.requests, "failures": row.failures}
                events.record(security.KEY_DAILY_USE, tenant=row.tenant, subject_id=row.subject_id, data=data)
        UsageDay.objects.filter(pk__in=[row.pk for row in rows]).update(is_summarised=True)
    return len(rows)


def _write(items: Sequence[tuple[_Subject, _Count]]) -> None:
    ops = connection.ops
    days = [
        [
            _uuid(new_id()),
            subject.kind,
            _uuid(subject.id),
            ops.adapt_datefield_value(subject.day),
            _uuid(subject.merchant_id),
            subject.mode,
            counted.requests,
            counted.failures,
            ops.adapt_datetimefield_value(counted.last),
            False,
        ]
        for subject, counted in items
    ]
    keys = {subject: counted for subject, counted in items if subject.kind == Kind.KEY}
    uses = [[one.requests, ops.adapt_datetimefield_value(one.last), _uuid(key.id)] for key, one in keys.items()]
    with connection.cursor() as cursor:
        cursor.executemany(_UPSERT_DAY, days)
        cursor.executemany(_UPDATE_KEY, uses)
    _record_first_use(keys)


def _record_first_use(keys: Mapping[_Subject, _Count]) -> None:
    new = set(ApiKey.objects.filter(id__in={key.id for key in keys}, first_used_at=None).values_list("id", flat=True))
    for key, counted in keys.items():
        if key.id in new and ApiKey.objects.filter(id=key.id, first_used_at=None).update(first_used_at=counted.last):
            tenant = Tenant(key.merchant_id, key.mode)
            with actors.from_address(None):
                events.record(security.KEY_FIRST_USED, tenant=tenant, subject_id=key.id)


def _flush_repeatedly() -> None:
    pause = threading.Event()
    while not pause.wait(settings.USAGE_FLUSH_S):
        try:
            flush()
        finally:
            close_old_connections()
            connection.close()


def _uuid(value: uuid.UUID) -> Any:
    return value if connection.features.has_native_uuid_field else value.hex
