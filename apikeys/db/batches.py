"""Delete many rows in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

SIZE = 2_000


def delete(rows: QuerySet[Any]) -> Iterator[int]:
    """Delete rows, oldest first, and yield the size of each batch. No statement holds locks for long."""
    while ids := list(rows.order_by("id").values_list("id", flat=True)[:SIZE]):
        rows.model._base_manager.filter(id__in=ids).delete()
        yield len(ids)
