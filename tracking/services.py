"""Issue tracking numbers. One INSERT decides which request gets a number; no query precedes it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from tracking import metrics, numbers
from tracking.models import IssuedNumber
from tracking.numbers import NumberRequest, Secret

log = logging.getLogger(__name__)
# In the real number space a second derivation is practically never needed. The bound prevents an endless loop.
MAX_DERIVATIONS = 100
_COLUMNS = ("number", "fingerprint", "secret_version", "correlation_id", "customer_id", "created_at")


class NumbersExhausted(Exception):
    """All derivations of a request are taken by other requests."""


@dataclass(frozen=True)
class Issued:
    """An issued number. ``created_at`` is the time of the first request."""

    number: str
    correlation_id: str
    created_at: datetime


@dataclass(frozen=True)
class _Candidate:
    """A request that needs a number, with its text to hash and the text's SHA-256."""

    request: NumberRequest
    correlation_id: str
    message: bytes
    fingerprint: str

    def derive(self, secret: Secret, derivation: int) -> str:
        request, options = self.request, {"message": self.message, "secret": secret.value, "derivation": derivation}
        if request.indicator:
            return numbers.make_s10(indicator=request.indicator, country=request.origin, **options)
        return numbers.make(origin=request.origin, destination=request.destination, **options)


def issue(request: NumberRequest, *, correlation_id: str) -> Issued:
    """Issue a number, or return the number of an earlier equal request with this correlation id.

    Concurrent equal requests get the same number and ``created_at``, also in different processes.

    Raises: NumbersExhausted after ``MAX_DERIVATIONS``.
    """
    return issue_all([(request, correlation_id)])[0]


def issue_all(requests: Sequence[tuple[NumberRequest, str]]) -> list[Issued]:
    """Issue a number for each request and correlation id, in their order. One INSERT suffices unless numbers collide.

    Raises: NumbersExhausted after ``MAX_DERIVATIONS``.
    """
    with metrics.observe_call() as call:
        return _issue_all(requests, call)


def _issue_all(requests: Sequence[tuple[NumberRequest, str]], call: metrics.Call) -> list[Issued]:
    secret = numbers.first_secret(settings.TRACKING_NUMBER_SECRETS)
    candidates = []
    for request, correlation_id in requests:
        message = request.message(correlation_id)
        candidates.append(_Candidate(request, correlation_id, message, hashlib.sha256(message).hexdigest()))
    # All processes insert in the same order, so that two with equal requests do not deadlock.
    missing = {candidate.fingerprint: candidate for candidate in sorted(candidates, key=lambda one: one.fingerprint)}
    found: dict[str, Issued] = {}
    for derivation in range(MAX_DERIVATIONS):
        inserted = _insert(missing.values(), secret, derivation)
        call.generated += len(inserted)
        found |= inserted
        missing = {fingerprint: candidate for fingerprint, candidate in missing.items() if fingerprint not in found}
        if missing:
            for row in IssuedNumber.objects.filter(fingerprint__in=list(missing)):
                found[row.fingerprint] = Issued(row.number, row.correlation_id, row.created_at)
                del missing[row.fingerprint]
        if not missing:
            call.count = len(candidates)
            return [found[candidate.fingerprint] for candidate in candidates]
        metrics.collisions.inc(len(missing))
        log.warning("tracking numbers are taken, deriving the next", extra={"count": len(missing)})
    raise NumbersExhausted(f"{MAX_DERIVATIONS} derivations are taken for {len(missing)} requests.")


def _insert(candidates: Collection[_Candidate], secret: Secret, derivation: int) -> dict[str, Issued]:
    """Insert numbers and return the inserted ones by fingerprint. Rows with a taken number or fingerprint are skipped.

    ``bulk_create(ignore_conflicts=True)`` does not return which rows it inserted, and after an IntegrityError the
    caller's transaction could not continue on PostgreSQL.
    """
    now = timezone.now()
    issued, values = {}, []
    for candidate in candidates:
        number = candidate.derive(secret, derivation)
        issued[candidate.fingerprint] = Issued(number, candidate.correlation_id, now)
        customer_id = candidate.request.customer_id
        row = (number, candidate.fingerprint, secret.version, candidate.correlation_id, customer_id, now)
        values += [_to_driver(value) for value in row]
    table, names = IssuedNumber._meta.db_table, ", ".join(_COLUMNS)
    placeholders = ", ".join([f"({', '.join(['%s'] * len(_COLUMNS))})"] * len(issued))
    sql = f"INSERT INTO {table} ({names}) VALUES {placeholders} ON CONFLICT DO NOTHING RETURNING fingerprint"  # noqa: S608 the model's names
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return {fingerprint: issued[fingerprint] for (fingerprint,) in cursor.fetchall()}


def _to_driver(value: object) -> object:
    """Convert a value for the database driver. psycopg accepts all types as they are."""
    if connection.vendor == "sqlite":
        if isinstance(value, datetime):
            return connection.ops.adapt_datetimefield_value(value)
        return value.hex if isinstance(value, UUID) else value
    return value
