"""Keyset pagination: a page starts after the last id of the previous one, at constant cost."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apikeys.http.fields import IntegerField

Row = TypeVar("Row", bound=Model)
MAX_LIMIT = 100


class PageSerializer(serializers.Serializer):
    """The query parameters ``?limit=&cursor=`` of lists."""

    limit = IntegerField(min_value=1, max_value=MAX_LIMIT, default=50)
    cursor = serializers.UUIDField(required=False, help_text="next_cursor of the previous page.")


@extend_schema_serializer(component_name="CursorPagination")
class PaginationSerializer(serializers.Serializer):
    limit = serializers.IntegerField()
    has_more = serializers.BooleanField()
    next_cursor = serializers.UUIDField(allow_null=True)


def newest_first(
    rows: QuerySet[Row], *, limit: int, cursor: uuid.UUID | None = None, offset: int = 0
) -> tuple[list[Row], dict[str, Any]]:
    """Return one page of rows, the newest first, and its ``pagination``. Rows added between two pages shift nothing.

    offset: counts from the cursor, else from the newest row.
    """
    if cursor is not None:
        rows = rows.filter(pk__lt=cursor)
    page = list(rows.order_by("-pk")[offset : offset + limit + 1])
    has_more = len(page) > limit
    page = page[:limit]
    return page, {"limit": limit, "has_more": has_more, "next_cursor": page[-1].pk if has_more else None}
