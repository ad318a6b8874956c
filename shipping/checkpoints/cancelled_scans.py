"""Alarm for a cancelled shipment that its carrier moves.

The merchant has perhaps bought the order again or refunded it, so the parcel must be stopped or paid for.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from prometheus_client import Counter

from apikeys.audit import events
from apikeys.http.rendering import rfc3339
from carriers.types import Status
from shipping.common.event_data import shipment_facts
from shipping.models import Checkpoint, Shipment
from shipping.models.event_types import SHIPMENT_SCANNED_AFTER_CANCELLATION

log = logging.getLogger(__name__)
SCANNED = Counter(
    "shipments_scanned_after_cancellation_total", "Alarms for scans of cancelled shipments by carrier", ["carrier"]
)
# The carrier has the parcel. Back at the sender, it needs no alarm.
MOVED = frozenset(
    {
        Status.PICKED_UP,
        Status.IN_TRANSIT,
        Status.AT_PICKUP_POINT,
        Status.OUT_FOR_DELIVERY,
        Status.DELIVERED,
        Status.EXCEPTION,
        Status.NDR,
        Status.RTO,
        Status.LOST,
        Status.DAMAGED,
    }
)
# Columns of a shipment that ``update_alarm`` sets.
COLUMNS = ("scanned_after_cancel_at", "cancel_alarm_at", "poll_at")


def update_alarm(
    shipment: Shipment, checkpoints: Iterable[Any], parcels: Collection[str] = ()
) -> events.EventRow | None:
    """Set ``COLUMNS`` of a locked shipment, which the caller saves, if a later movement is known than before.

    Only the times of the scans count, so every order of arrival gives the same result. The shipment is polled again
    until it ends.

    Args:
        checkpoints: as they are shown, without suspect times.
        parcels: the numbers of all parcels, if there are several. Another parcel may still move after one's
            cancellation.

    Returns: the event of the alarm to record, or None if there is nothing new.
    """
    rows = list(checkpoints)
    since = _cancelled_since([row for row in rows if row.status == Status.CANCELLED], parcels)
    if not since:
        return None
    # The carrier does not know of a cancellation of ours: it moves the parcel in spite of it, whenever it was scanned.
    is_own = any(row.source == Checkpoint.Source.WAYBILL for row in rows)
    moved = [
        row
        for row in rows
        if row.status in MOVED and (at := since.get(row.parcel, since.get(None))) and (is_own or row.occurred_at > at)
    ]
    last = max(moved, key=lambda row: row.occurred_at, default=None)
    known = shipment.scanned_after_cancel_at
    if last is None or (known and last.occurred_at <= known):
        return None
    now = timezone.now()
    shipment.scanned_after_cancel_at, shipment.cancel_alarm_at = last.occurred_at, now
    shipment.poll_at = shipment.poll_at or now + settings.POLL_AFTER_SILENCE
    transaction.on_commit(lambda: _report(shipment, last))
    cancelled_at = since.get(last.parcel, since.get(None))
    return events.build_row(
        SHIPMENT_SCANNED_AFTER_CANCELLATION,
        tenant=shipment.tenant,
        subject_id=shipment.id,
        data=shipment_facts(shipment) | {"cancelled_at": rfc3339(cancelled_at), "checkpoint": _describe(last)},
    )


def _cancelled_since(cancelled: Iterable[Any], parcels: Collection[str]) -> dict[str | None, datetime]:
    """Return since when each parcel is cancelled, and under None the whole shipment, which all its parcels are."""
    since: dict[str | None, datetime] = {}
    for row in cancelled:
        since[row.parcel] = min(row.occurred_at, since.get(row.parcel, row.occurred_at))
    if parcels and since.keys() >= set(parcels):
        since.setdefault(None, max(since[number] for number in parcels))
    whole = since.get(None)
    return {parcel: min(at, whole or at) for parcel, at in since.items()}


def resolve_alarms(rows: QuerySet[Shipment]) -> int:
    """Take shipments off the list of alarms; a later scan puts them on it again. Returns their number."""
    return Shipment.objects.filter(pk__in=rows.values("pk"), cancel_alarm_at__isnull=False).update(cancel_alarm_at=None)


def _describe(row: Any) -> dict[str, Any]:
    return {
        "status": str(row.status),
        "code": row.code,
        "location": row.location,
        "parcel": row.parcel,
        "occurred_at": rfc3339(row.occurred_at),
    }


def _report(shipment: Shipment, last: Any) -> None:
    SCANNED.labels(carrier=shipment.carrier).inc()
    log.warning("cancelled shipment scanned", extra={"shipment": str(shipment.id), "code": last.code})
