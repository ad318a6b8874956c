"""Leases: the right of one process to work on a row, for a limited time, by the database's clock.

A process takes a row with one UPDATE that checks that no lease runs and sets the end of its own, so two processes never
take the same row. No lock is held afterwards, so HTTP calls are allowed. A lease ends by itself: the row of a killed
process is taken over. Each lease has a fencing number, or in a table without a column for it the lease's end, and
``Lease.update`` changes nothing after another process has taken the row.

Ends are computed and compared by the database, because the clocks of web and worker processes may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models, transaction
from django.db.models import F, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.db.models.sql import UpdateQuery

# After a failover another server's clock may be behind by this much.
CLOCK_SKEW = timedelta(minutes=1)


class DatabaseNow(Now):
    """The database's time when the statement starts."""

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        # SQLite counts milliseconds and compares text. The last microsecond of the current one is not before a time
        # that Python has just stored.
        template = "STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f999', 'NOW')"
        return self.as_sql(compiler, connection, template=template, **context)


def now() -> models.Expression:
    """Return the database's current time as an expression. Tests that move the clock replace this function."""
    return DatabaseNow()


def lasts(until: datetime | None, at: datetime, longest: timedelta) -> bool:
    """Return whether a lease or wait that takes at most ``longest`` still runs at this time.

    One with a later end was stored before the clock was set back, and counts as ended. Otherwise it would run for as
    long as the clock was wrong.
    """
    return until is not None and at < until <= at + longest + CLOCK_SKEW


def still_lasting(column: str, longest: timedelta) -> Q:
    """Return the same as a condition on a column. Negated, it is true of an empty column too."""
    return Q(**{f"{column}__gt": now(), f"{column}__lte": now() + (longest + CLOCK_SKEW)})


class _EvaluatedOnce(Subquery):
    """A subquery with LIMIT and locks. PostgreSQL may run one in ``IN`` again for each row and so exceed the limit."""

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return self.as_sql(compiler, connection, template="(SELECT unnest(ARRAY(%(subquery)s)))")


class Claimable(models.Model):
    """A row with work for a worker task."""

    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        abstract = True


@dataclass(frozen=True)
class Leases:
    """One kind of lease on the rows of a model.

    until: the column with the lease's end.
    fence: the column with the fencing number; empty if there is none.
    lasts: returns how long a lease lasts.
    """

    model: type[models.Model]
    lasts: Callable[[], timedelta]
    until: str = "lease_until"
    fence: str = "fence"

    def running(self) -> Q:
        """Return the condition that a lease runs."""
        return still_lasting(self.until, self.lasts())

    def free(self) -> Q:
        """Return the condition that no lease runs."""
        return ~self.running()

    def abandoned(self) -> Q:
        """Return the condition that a lease ended without being released."""
        return self.free() & Q(**{f"{self.until}__isnull": False})

    def claim(self, rows: QuerySet, *, limit: int) -> list[Lease]:
        """Take up to ``limit`` free rows of ``rows`` in their order. The result has no particular order."""
        free = rows.filter(self.free()).values("pk")[:limit]
        if not free.exists():  # without free rows, do not take SQLite's write lock
            return []
        with transaction.atomic():
            # Django ignores skip_locked on SQLite, where the transaction excludes other writers.
            chosen = _EvaluatedOnce(free.select_for_update(skip_locked=True))
            return self._take(self.model._base_manager.filter(pk__in=chosen))

    def acquire(self, row: QuerySet) -> Lease | None:
        """Take the one row that ``row`` selects, or return None if it is not free or no longer matches."""
        return next(iter(self._take(row.filter(self.free()))), None)

    def acquire_each(self, rows: QuerySet, *, limit: int) -> Iterator[Lease]:
        """Take up to ``limit`` free rows one after another, each when the caller asks for it.

        So a lease need only last for the work on one row.
        """
        for pk in rows.filter(self.free()).values_list("pk", flat=True)[:limit]:
            if lease := self.acquire(rows.order_by().filter(pk=pk)):
                yield lease

    def _take(self, rows: QuerySet) -> list[Lease]:
        meta = self.model._meta
        changes: dict[str, Any] = {self.until: now() + self.lasts()}
        if self.fence:
            changes[self.fence] = F(self.fence) + 1
        query = rows.query.chain(UpdateQuery)
        query.add_update_values(changes)
        compiler = query.get_compiler(connection=connection)
        fields = [meta.pk, meta.get_field(self.fence or self.until)]
        returned = ", ".join(connection.ops.quote_name(field.column) for field in fields)
        sql, parameters = compiler.as_sql()
        if not sql:
            return []
        with connection.cursor() as cursor:
            cursor.execute(f"{sql} RETURNING {returned}", parameters)
            found = cursor.fetchall()
        converters = compiler.get_converters([field.get_col(meta.db_table) for field in fields])
        return [Lease(self, pk, fence) for pk, fence in compiler.apply_converters(found, converters)]


@dataclass(frozen=True)
class Schedule(Leases):
    """Leases in the column that says when a row's work is due; empty if there is none. A lease postpones it."""

    fence: str = ""

    def free(self) -> Q:
        """Return the condition that work is due, hence no lease runs."""
        return Q(**{f"{self.until}__lte": now()})


@dataclass(frozen=True)
class Lease:
    """A lease that this process has taken on one row."""

    kind: Leases
    pk: Any
    fence: Any

    @property
    def rows(self) -> QuerySet:
        """The row; empty after another process has taken it."""
        return self.kind.model._base_manager.filter(pk=self.pk, **{self.kind.fence or self.kind.until: self.fence})

    def update(self, **values: Any) -> bool:
        """Write to the row, unless another process has taken it; return whether it was written."""
        return bool(self.rows.update(**values))

    def release(self, **values: Any) -> bool:
        """End the lease and write to the row, unless another process has taken it; return whether it was written."""
        return self.update(**{self.kind.until: None}, **values)
