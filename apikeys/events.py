"""What happened: events are written in the transaction that they describe, public ones with a row in the outbox."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apikeys import correlation
from apikeys.models import Event, Outbox
from apikeys.tenancy import Tenant


@dataclass(frozen=True)
class EventType:
    """A kind of event. Only a ``public`` one ever reaches a merchant's endpoint."""

    name: str
    public: bool = False


def record(
    kind: EventType,
    *,
    tenant: Tenant | None,
    subject_id: uuid.UUID | None = None,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Append an event (``data``: ids and facts, no personal data). ``tenant`` None is the platform itself."""
    event = Event.objects.create(
        merchant_id=tenant.merchant_id if tenant else None,
        mode=tenant.mode if tenant else "",
        type=kind.name,
        visibility=Event.Visibility.PUBLIC if kind.public else Event.Visibility.INTERNAL,
        subject_id=subject_id,
        data=dict(data or {}),
        correlation_id=correlation.current(),
    )
    if kind.public and tenant:
        Outbox.objects.create(event=event)
    return event


def public_about(tenant: Tenant, subject_id: uuid.UUID, *, limit: int = 200) -> list[Event]:
    """The public events about one subject, oldest first; the latest ``limit`` of them."""
    rows = Event.objects.of(tenant).filter(subject_id=subject_id, visibility=Event.Visibility.PUBLIC)
    return list(reversed(rows.order_by("-id")[:limit]))
