"""Giving out tracking numbers: one INSERT decides, nothing is looked up before it."""

from __future__ import annotations

import hashlib
import logging

from django.conf import settings
from django.db import connection

from tracking import numbers
from tracking.models import IssuedNumber
from tracking.numbers import NumberRequest

log = logging.getLogger(__name__)
# With the real space even the second is never seen; the bound ends the search when something is badly wrong.
MAX_DERIVATIONS = 100


class NumbersExhausted(Exception):
    """Every derivation is taken by another request."""


def issue(request: NumberRequest, *, correlation_id: str) -> IssuedNumber:
    """The number of this request under this correlation id, made now or when it was asked for first.

    Equal requests under one correlation id share a number and its ``created_at``, from any number of processes. Raises
    ``NumbersExhausted`` after ``MAX_DERIVATIONS``.
    """
    secret = numbers.first_secret(settings.TRACKING_NUMBER_SECRETS)
    message = request.message(correlation_id)
    issued = IssuedNumber(
        fingerprint=hashlib.sha256(message).hexdigest(),
        secret_version=secret.version,
        correlation_id=correlation_id,
        customer_id=request.customer_id,
    )
    for derivation in range(MAX_DERIVATIONS):
        issued.number = numbers.make(
            origin=request.origin,
            destination=request.destination,
            message=message,
            secret=secret.value,
            derivation=derivation,
        )
        if _insert(issued):
            return issued
        if first := IssuedNumber.objects.filter(fingerprint=issued.fingerprint).first():
            return first
        log.warning("tracking number is taken, deriving the next", extra={"tracking_number": issued.number})
    raise NumbersExhausted(f"{MAX_DERIVATIONS} derivations are taken from {request.origin} to {request.destination}.")


def _insert(row: IssuedNumber) -> bool:
    """Whether the row went in; False where its number or its fingerprint is there already.

    ``bulk_create(ignore_conflicts=True)`` would not tell which, and an IntegrityError would end the caller's
    transaction on PostgreSQL.
    """
    fields = row._meta.concrete_fields
    table, *columns = map(connection.ops.quote_name, [row._meta.db_table, *(field.column for field in fields)])
    places = ", ".join(["%s"] * len(columns))
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) ON CONFLICT DO NOTHING",  # noqa: S608 names come from the model
            values,
        )
        return cursor.rowcount == 1
