"""Feeds of events: oldest first, in the order of ``apikeys.db.positions``, with a cursor that loses no event."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from apikeys.audit.events import match_types
from apikeys.db.positions import SettledPosition
from apikeys.db.tenancy import Mode, Tenant
from apikeys.models import Event

# A page with filters reads at most this many events, and may then have fewer rows than its limit.
MAX_READ = 5_000
_CURSOR = re.compile(r"(0|[1-9][0-9]{0,17})\.([0-9a-f]{32})")
_ROW = '("apikeys_event"."position", "apikeys_event"."id")'
# Written as in the index's condition; SQLite uses the index only for the same text.
_NOT_PUBLIC = RawSQL('NOT ("apikeys_event"."visibility" = \'public\')', (), output_field=BooleanField())


class Cursor(NamedTuple):
    """A position in a feed: after the event with this position and id."""

    position: int
    id: uuid.UUID

    def __str__(self) -> str:
        return f"{self.position}.{self.id.hex}"


START = Cursor(0, uuid.UUID(int=0))


class UnknownCursor(ValueError):
    """The text is not a cursor of this installation's feeds."""


def parse_cursor(text: str) -> Cursor:
    """Return the cursor of a text: ``next_after`` of a page, ``0`` for the oldest event, ``latest`` for the end.

    Raises ``UnknownCursor``, also for a cursor from before the database was restored to an earlier state.
    """
    if text == "0":
        return START
    end = _read_end()
    if text == "latest":
        return end
    found = _CURSOR.fullmatch(text)
    if found is None or (connection.vendor == "postgresql" and int(found[1]) > end.position):
        raise UnknownCursor
    return Cursor(int(found[1]), uuid.UUID(found[2]))


def read_merchant_feed(
    tenant: Tenant, after: Cursor, *, limit: int, types: Sequence[str] = (), **equal: Any
) -> tuple[list[Event], dict[str, Any]]:
    """Return a page of the events that a merchant may read, and its ``pagination``.

    equal: values of columns.
    """
    filters = [match_types(types)] if types else []
    filters += [Q(**{name: value}) for name, value in equal.items()]
    rows = Event.objects.of(tenant).exclude(visibility=Event.Visibility.INTERNAL)
    return _read_page(rows, filters, after, limit)


def read_audit_feed(
    mode: str, after: Cursor, *, limit: int, types: Sequence[str] = ()
) -> tuple[list[Event], dict[str, Any]]:
    """Return a page of all merchants' and the platform's events that are not public, and its ``pagination``.

    mode: ``live`` includes events without a mode.
    """
    filters = [Q(mode=mode) if mode == Mode.TEST else Q(mode__in=(Mode.LIVE, ""))]
    if types:
        filters.append(match_types(types))
    rows = Event.objects.select_related("merchant").filter(_NOT_PUBLIC)
    return _read_page(rows, filters, after, limit)


def _read_page(
    rows: QuerySet[Event], filters: Collection[Q], after: Cursor, limit: int
) -> tuple[list[Event], dict[str, Any]]:
    """Read a page in one statement, and the cursor after the last event read in another if there are filters."""
    rows = rows.filter(_compare(">", after), position__lt=SettledPosition()).order_by("position", "id")
    end = _cursor_after(rows, MAX_READ) if filters else None
    if end:
        rows = rows.filter(_compare("<=", end))
    page = list(rows.filter(*filters)[: limit + 1])
    if len(page) > limit:
        page, has_more, last = page[:limit], True, Cursor(page[limit - 1].position, page[limit - 1].id)
    else:
        has_more, last = end is not None, end or (Cursor(page[-1].position, page[-1].id) if page else after)
    return page, {"limit": limit, "has_more": has_more, "next_after": str(last)}


def _cursor_after(rows: QuerySet[Event], number: int) -> Cursor | None:
    """Return the cursor of the row after so many rows, or None if there are fewer."""
    found = rows.values_list("position", "id")[number - 1 : number].first()
    return Cursor(*found) if found else None


def _compare(operator: str, cursor: Cursor) -> RawSQL:
    values = (cursor.position, cursor.id if connection.features.has_native_uuid_field else cursor.id.hex)
    return RawSQL(f"{_ROW} {operator} (%s, %s)", values, output_field=BooleanField())  # noqa: S611 the text is a constant


def _read_end() -> Cursor:
    """Return the cursor after all events that a feed may show now."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT waybill_settled_position() - 1")
        else:
            cursor.execute("SELECT position FROM apikeys_event ORDER BY rowid DESC LIMIT 1")
        (position,) = cursor.fetchone() or (0,)
    return Cursor(position, uuid.UUID(int=2**128 - 1))
