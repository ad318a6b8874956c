"""Giving out tracking numbers: one INSERT decides, nothing is looked up before it."""

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

from tracking import numbers
from tracking.models import IssuedNumber
from tracking.numbers import NumberRequest, Secret

log = logging.getLogger(__name__)
# With the real space even the second is never seen; the bound ends the search when something is badly wrong.
MAX_DERIVATIONS = 100
_COLUMNS = ("number", "fingerprint", "secret_version", "correlation_id", "customer_id", "created_at")


class NumbersExhausted(Exception):
    """Every derivation is taken by another request."""


@dataclass(frozen=True)
class Issued:
    """A number that was given out, now or when it was asked for first."""

    number: str
    correlation_id: str
    created_at: datetime


@dataclass(frozen=True)
class _Wanted:
    request: NumberRequest
    correlation_id: str
    message: bytes
    fingerprint: str

    def derive(self, secret: Secret, derivation: int) -> str:
        request, more = self.request, {"message": self.message, "secret": secret.value, "derivation": derivation}
        if request.indicator:
            return numbers.make_s10(indicator=request.indicator, country=request.origin, **more)
        return numbers.make(origin=request.origin, destination=request.destination, **more)


def issue(request: NumberRequest, *, correlation_id: str) -> Issued:
    """The number of this request under this correlation id, made now or when it was asked for first.

    Equal requests under one correlation id share a number and its ``created_at``, from any number of processes. Raises
    ``NumbersExhausted`` after ``MAX_DERIVATIONS``.
    """
    return issue_all([(request, correlation_id)])[0]


def issue_all(asked: Sequence[tuple[NumberRequest, str]]) -> list[Issued]:
    """The same for many, each under its correlation id, by one INSERT unless numbers collide; in their order."""
    secret = numbers.first_secret(settings.TRACKING_NUMBER_SECRETS)
    all_wanted = [_wanted(request, correlation_id) for request, correlation_id in asked]
    # In one order everywhere, so that equal requests of two processes never wait for each other in a circle.
    missing = {wanted.fingerprint: wanted for wanted in sorted(all_wanted, key=lambda one: one.fingerprint)}
    found: dict[str, Issued] = {}
    for derivation in range(MAX_DERIVATIONS):
        found |= _insert(missing.values(), secret, derivation)
        missing = {name: wanted for name, wanted in missing.items() if name not in found}
        if missing:
            found |= _stored(missing)
            missing = {name: wanted for name, wanted in missing.items() if name not in found}
        if not missing:
            return [found[wanted.fingerprint] for wanted in all_wanted]
        log.warning("tracking numbers are taken, deriving the next", extra={"count": len(missing)})
    raise NumbersExhausted(f"{MAX_DERIVATIONS} derivations are taken for {len(missing)} requests.")


def _wanted(request: NumberRequest, correlation_id: str) -> _Wanted:
    message = request.message(correlation_id)
    return _Wanted(request, correlation_id, message, hashlib.sha256(message).hexdigest())


def _insert(rows: Collection[_Wanted], secret: Secret, derivation: int) -> dict[str, Issued]:
    """What went in, by fingerprint; not what finds its number or its fingerprint taken.

    ``bulk_create(ignore_conflicts=True)`` would not tell which, and an IntegrityError would end the caller's
    transaction on PostgreSQL.
    """
    now = timezone.now()
    made = {row.fingerprint: Issued(row.derive(secret, derivation), row.correlation_id, now) for row in rows}
    values = [_values(row, made[row.fingerprint], secret) for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(_statement(len(values)), [_plain(value) for row in values for value in row])
        return {fingerprint: made[fingerprint] for (fingerprint,) in cursor.fetchall()}


def _values(row: _Wanted, issued: Issued, secret: Secret) -> tuple[object, ...]:
    """In the order of ``_COLUMNS``."""
    customer = row.request.customer_id
    return issued.number, row.fingerprint, secret.version, row.correlation_id, customer, issued.created_at


def _statement(rows: int) -> str:
    place = f"({', '.join(['%s'] * len(_COLUMNS))})"
    table, names = IssuedNumber._meta.db_table, ", ".join(_COLUMNS)
    places = ", ".join([place] * rows)
    return f"INSERT INTO {table} ({names}) VALUES {places} ON CONFLICT DO NOTHING RETURNING fingerprint"  # noqa: S608 the model's names


def _plain(value: object) -> object:
    """As the database's driver takes it."""
    if connection.vendor == "sqlite":
        if isinstance(value, datetime):
            return connection.ops.adapt_datetimefield_value(value)
        return value.hex if isinstance(value, UUID) else value
    return value


def _stored(missing: dict[str, _Wanted]) -> dict[str, Issued]:
    rows = IssuedNumber.objects.filter(fingerprint__in=list(missing))
    return {row.fingerprint: Issued(row.number, row.correlation_id, row.created_at) for row in rows}
