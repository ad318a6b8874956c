"""Events: written in the transaction of the change that they describe.

A trigger copies public events to the outbox (``apikeys.models.triggers``).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apikeys.db.positions import next_position
from apikeys.db.prepared import Insert
from apikeys.db.tenancy import Tenant, first_id_at, new_id
from apikeys.http import actors, correlation
from apikeys.models import Event, SecurityNotice

# All types by name; the apps above declare theirs.
EVENT_TYPES: dict[str, EventType] = {}


@dataclass(frozen=True)
class EventType:
    """A type of event, and who may see it.

    ``public``: is sent to the merchant's endpoints. ``audit``: merchants read it by API. Neither: only operations
    staff see it. ``security``: is also sent to owners and operations staff (``apikeys.audit.notices``).
    """

    name: str
    public: bool = False
    audit: bool = False
    security: bool = False

    def __post_init__(self) -> None:
        EVENT_TYPES[self.name] = self

    @property
    def visibility(self) -> str:
        if self.public:
            return Event.Visibility.PUBLIC
        return Event.Visibility.AUDIT if self.audit else Event.Visibility.INTERNAL


def record(
    kind: EventType,
    *,
    tenant: Tenant | None,
    subject_id: uuid.UUID | None = None,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Append an event. Actor, address and correlation id come from the current request.

    Args:
        tenant: None for an event of the platform.
        data: ids and facts, no personal data, no secrets.
    """
    row = build_row(kind, tenant=tenant, subject_id=subject_id, data=data)
    event = Event(**dict(zip(_COLUMNS, row, strict=True)))
    if not kind.security:
        _insert([row])
        return event
    with transaction.atomic(savepoint=False):
        _insert([row])
        SecurityNotice.objects.create(event=event)
    return event


EventRow = tuple[Any, ...]


def build_row(
    kind: EventType, *, tenant: Tenant | None, subject_id: uuid.UUID | None, data: Mapping[str, Any] | None
) -> EventRow:
    """Return the values of an event for ``record_all``, in the order of ``_COLUMNS``."""
    actor = actors.current()
    return (
        new_id(),
        tenant.merchant_id if tenant else None,
        str(tenant.mode) if tenant else "",
        kind.name,
        str(kind.visibility),
        subject_id,
        dict(data or {}),
        actor.name,
        actor.address,
        correlation.current(),
        timezone.now(),
    )


def record_all(rows: Sequence[EventRow]) -> None:
    """Append several events in one statement. Security events are not supported."""
    _insert(rows)


_COLUMNS = (
    "id",
    "merchant_id",
    "mode",
    "type",
    "visibility",
    "subject_id",
    "data",
    "actor",
    "address",
    "correlation_id",
    "created_at",
)
_insert = Insert(Event, *_COLUMNS, on_sqlite={"position": next_position(Event._meta.db_table)})


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``{field: {"before": …, "after": …}}`` for the fields that differ. Do not pass secrets."""
    return {
        name: {"before": before.get(name), "after": value} for name, value in after.items() if before.get(name) != value
    }


def public_events_about(tenant: Tenant, subject_id: uuid.UUID, *, limit: int = 200) -> list[Event]:
    """Return the latest public events about one subject, oldest first."""
    rows = Event.objects.of(tenant).filter(subject_id=subject_id, visibility=Event.Visibility.PUBLIC)
    return list(reversed(rows.order_by("-id")[:limit]))


def match_types(names: Sequence[str]) -> Q:
    """Return the condition of some types, or prefixes such as ``shipment.*``."""
    matches = [Q(type__startswith=name[:-1]) if name.endswith(".*") else Q(type=name) for name in names]
    return Q(*matches, _connector=Q.OR)


def merchant_events(
    tenant: Tenant,
    *,
    types: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    **equal: Any,
) -> QuerySet[Event]:
    """Return the events that a merchant may read, newest first.

    Args:
        types: names, or prefixes such as ``shipment.*``.
        equal: values of columns.
    """
    rows = Event.objects.of(tenant).exclude(visibility=Event.Visibility.INTERNAL).filter(**equal).order_by("-id")
    if types:
        rows = rows.filter(match_types(types))
    # Ids contain their time (UUIDv7), so one index serves both order and range.
    if since:
        rows = rows.filter(id__gte=first_id_at(since))
    if until:
        rows = rows.filter(id__lt=first_id_at(until))
    return rows
