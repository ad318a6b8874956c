"""Read, sum, check and repair the counts that triggers keep (``shipping.models.counting``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet, Sum

from apikeys.db.tenancy import Tenant
from shipping.models import DeliveryTally, UnitTally, counting

FOLDED_AT_ONCE = 5_000
MODELS: tuple[type[UnitTally] | type[DeliveryTally], ...] = (UnitTally, DeliveryTally)


def units(tenant: Tenant, **filters: Any) -> int:
    """Return the number of a tenant's units, filtered by store, carrier or status."""
    return UnitTally.objects.of(tenant).filter(**filters).aggregate(total=Sum("units"))["total"] or 0


def fold() -> bool:
    """Sum up appended rows by key, and return whether more may be left. Several workers can run it at once."""
    return max([_fold(model) for model in MODELS]) == FOLDED_AT_ONCE


def differences() -> dict[str, list[dict[str, Any]]]:
    """Return the errors of the counts by table; the lists are empty if the counts are exact."""
    return {tally.table: _rows(counting.summed(tally, *counting.difference(tally))) for tally in _tallies()}


def repair() -> None:
    """Append what corrects the counts, also while others write."""
    with connection.cursor() as cursor:
        for statement in counting.repair(connection.vendor):
            cursor.execute(statement)


def _fold(model: Any) -> int:
    with transaction.atomic():
        # Rows that another worker has locked are skipped: it sums them. A key may have several sums.
        free = model.objects.select_for_update(skip_locked=True)
        fresh = list(free.filter(is_folded=False).order_by("id")[:FOLDED_AT_ONCE])
        if not fresh:
            return 0
        sums = _sums(model, fresh)
        old = _folded(model, free, fresh, sums)
        model.objects.filter(id__in=[row.id for row in (*fresh, *old)]).delete()
        model.objects.bulk_create(_whole(model, sums | _added(model, sums, _sums(model, old))), batch_size=500)
    return len(fresh)


def _key(model: Any, row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in model.KEYS)


def _sums(model: Any, rows: list[Any]) -> dict[tuple[Any, ...], list[int]]:
    found: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(model.SUMS))
    for row in rows:
        sums = found[_key(model, row)]
        for place, name in enumerate(model.SUMS):
            sums[place] += getattr(row, name)
    return dict(found)


def _added(model: Any, one: Mapping[Any, list[int]], other: Mapping[Any, list[int]]) -> dict[Any, list[int]]:
    return {key: [a + b for a, b in zip(one[key], other[key], strict=True)] for key in other}


def _folded(model: Any, free: QuerySet, fresh: list[Any], sums: Mapping[Any, Any]) -> list[Any]:
    """Return the existing sums of the keys."""
    rows = free.filter(is_folded=True, merchant_id__in={row.merchant_id for row in fresh})
    if "day" in model.KEYS:
        rows = rows.filter(day__in={row.day for row in fresh})
    return [row for row in rows.order_by("id") if _key(model, row) in sums]


def _whole(model: Any, sums: Mapping[tuple[Any, ...], list[int]]) -> list[Any]:
    return [
        model(is_folded=True, **dict(zip(model.KEYS, key, strict=True)), **dict(zip(model.SUMS, figures, strict=True)))
        for key, figures in sums.items()
        if any(figures)
    ]


def _tallies() -> tuple[counting.Tally, counting.Tally]:
    return counting.tallies(connection.vendor)


def _rows(sql: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        names = [column.name if hasattr(column, "name") else column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
