"""Work in rows, claimed by whoever runs it: one ``UPDATE … RETURNING`` with a lease and a fencing number.

Two workers never hold the same row; a killed worker's rows come free when the lease ends; what a slow worker writes
after that is refused by the fence.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import connection, models, transaction
from django.utils import timezone


class Claimable(models.Model):
    """A row that workers claim."""

    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        abstract = True


def claim(due: models.QuerySet, *, lease: timedelta, limit: int) -> list[tuple[uuid.UUID, int]]:
    """Claim up to ``limit`` of the ``due`` rows that nobody holds; (id, fence) of each, in no promised order."""
    now = timezone.now()
    free = due.filter(models.Q(lease_until__isnull=True) | models.Q(lease_until__lt=now)).values("pk")[:limit]
    if not free.exists():  # an idle look costs no write lock
        return []
    model = due.model
    with transaction.atomic(), connection.cursor() as cursor:
        # Django ignores skip_locked on SQLite, where the transaction itself excludes other writers.
        chosen, parameters = free.select_for_update(skip_locked=True).query.get_compiler(connection=connection).as_sql()
        table, pk = connection.ops.quote_name(model._meta.db_table), connection.ops.quote_name(model._meta.pk.column)
        cursor.execute(
            f"UPDATE {table} SET lease_until = %s, fence = fence + 1 WHERE {pk} IN ({chosen}) RETURNING {pk}, fence",  # noqa: S608 names come from the model
            [_adapt(now + lease), *parameters],
        )
        return [(model._meta.pk.to_python(row[0]), row[1]) for row in cursor.fetchall()]


def _adapt(moment: datetime) -> object:
    return connection.ops.adapt_datetimefield_value(moment)
