"""What happened: events are written in the transaction that they describe.

The database itself puts public ones into the outbox (``apikeys.models.triggers``).
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

from apikeys.db.prepared import Insert
from apikeys.db.tenancy import Tenant, first_id_at, new_id
from apikeys.http import actors, correlation
from apikeys.models import Event, SecurityNotice


@dataclass(frozen=True)
class EventType:
    """A kind of event.

    Only a ``public`` one ever reaches a merchant's endpoint. An ``audit`` one the merchant may read through the API,
    the others only operations staff. People are told of a ``security`` one (``apikeys.audit.notices``).
    """

    name: str
    public: bool = False
    audit: bool = False
    security: bool = False

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
    """Append an event (``data``: ids and facts, no personal data, no secret). ``tenant`` None is the platform itself.

    Who caused it and from where is taken from the running request.
    """
    row = made(kind, tenant=tenant, subject_id=subject_id, data=data)
    event = Event(**dict(zip(_COLUMNS, row, strict=True)))
    if not kind.security:
        _insert([row])
        return event
    with transaction.atomic(savepoint=False):
        _insert([row])
        SecurityNotice.objects.create(event=event)
    return event


Made = tuple[Any, ...]


def made(
    kind: EventType, *, tenant: Tenant | None, subject_id: uuid.UUID | None, data: Mapping[str, Any] | None
) -> Made:
    """An event that is not stored yet, for ``record_all``."""
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


def record_all(rows: Sequence[Made]) -> None:
    """Append several in one statement; none of a security kind."""
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
_insert = Insert(Event, *_COLUMNS)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """``{field: {"before": …, "after": …}}`` of what differs, for an event's data. Secrets are not to be given."""
    return {
        name: {"before": before.get(name), "after": value} for name, value in after.items() if before.get(name) != value
    }


def public_about(tenant: Tenant, subject_id: uuid.UUID, *, limit: int = 200) -> list[Event]:
    """The public events about one subject, oldest first; the latest ``limit`` of them."""
    rows = Event.objects.of(tenant).filter(subject_id=subject_id, visibility=Event.Visibility.PUBLIC)
    return list(reversed(rows.order_by("-id")[:limit]))


def readable_by(
    tenant: Tenant,
    *,
    types: Sequence[str] = (),
    subject_id: uuid.UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[Event]:
    """What a merchant may read of its events, the newest first; ``shipment.*`` in ``types`` takes a family."""
    rows = Event.objects.of(tenant).exclude(visibility=Event.Visibility.INTERNAL).order_by("-id")
    if types:
        rows = rows.filter(Q(*(_of_type(name) for name in types), _connector=Q.OR))
    if subject_id:
        rows = rows.filter(subject_id=subject_id)
    # Ids carry their time, so the same index serves the order and the range.
    if since:
        rows = rows.filter(id__gte=first_id_at(since))
    if until:
        rows = rows.filter(id__lt=first_id_at(until))
    return rows


def _of_type(name: str) -> Q:
    return Q(type__startswith=name[:-1]) if name.endswith(".*") else Q(type=name)
