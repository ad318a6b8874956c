"""Pages of long lists by keyset: the next page starts after the last id, however deep it lies."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

Row = TypeVar("Row", bound=Model)
MAX_LIMIT = 100


class PageSerializer(serializers.Serializer):
    """``?limit=&cursor=`` of every list by keyset."""

    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=50)
    cursor = serializers.UUIDField(required=False, help_text="next_cursor of the page before.")


@extend_schema_serializer(component_name="CursorPagination")
class PaginationSerializer(serializers.Serializer):
    limit = serializers.IntegerField()
    has_more = serializers.BooleanField()
    next_cursor = serializers.UUIDField(allow_null=True)


def newest_first(
    rows: QuerySet[Row], *, limit: int, cursor: uuid.UUID | None = None, offset: int = 0
) -> tuple[list[Row], dict[str, Any]]:
    """One page, the newest rows first, and its ``pagination``. Rows that are added meanwhile shift nothing.

    An ``offset`` counts from the cursor, else from the newest row.
    """
    if cursor is not None:
        rows = rows.filter(pk__lt=cursor)
    found = list(rows.order_by("-pk")[offset : offset + limit + 1])
    has_more = len(found) > limit
    found = found[:limit]
    return found, {"limit": limit, "has_more": has_more, "next_cursor": found[-1].pk if has_more else None}
