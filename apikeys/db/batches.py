"""Deleting many rows, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

SIZE = 2_000


def delete(rows: QuerySet[Any]) -> Iterator[int]:
    """Delete the rows oldest first, so that nobody waits for long; yields how many of them each batch had."""
    while ids := list(rows.order_by("id").values_list("id", flat=True)[:SIZE]):
        rows.model._base_manager.filter(id__in=ids).delete()
        yield len(ids)
