"""Checkpoints that carriers report: facts, stored once in any order of arrival, and folded into the shipment's row."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction

from apikeys.audit import events
from carriers.types import (
    Scan,
    Status,
    Track,
)
from shipping.checkpoints import carrier_reports
from shipping.checkpoints.fold import Point, summarize
from shipping.common.conversion import to_builtins
from shipping.common.event_data import scan_facts, shipment_facts
from shipping.models import Checkpoint, Shipment, StatusCode
from shipping.models.event_types import (
    SHIPMENT_CHECKPOINT,
    SHIPMENT_STATUS_CHANGED,
)

_CODE = 64


def report(
    shipment_id: uuid.UUID, scans: Sequence[Scan], *, estimates: Iterable[tuple[datetime, datetime]] = ()
) -> int:
    """Store what a carrier says happened, each scan once, in any order; how many were new.

    ``estimates``: when it will be delivered, and when the carrier said so.
    """
    with transaction.atomic():
        shipment = Shipment.objects.select_for_update().get(id=shipment_id)
        changed = {name for moment, told_at in estimates for name in shipment.estimate(moment, told_at=told_at)}
        if changed:
            shipment.save(update_fields=changed)
        return add_scans(shipment, scans)


def add_scans(shipment: Shipment, scans: Iterable[Scan]) -> int:
    """The same on a shipment that the caller's transaction has locked."""
    known = set(shipment.checkpoints.filter(source=Checkpoint.Source.CARRIER).values_list("code", "occurred_at"))
    fresh = {(scan.code, scan.occurred_at): scan for scan in scans if (scan.code, scan.occurred_at) not in known}
    placed = _placed(shipment.carrier, [scan for scan in fresh.values() if scan.status == Status.UNKNOWN])
    rows = [_carrier_checkpoint(shipment, scan, placed) for scan in fresh.values()]
    if rows:
        Checkpoint.objects.bulk_create(rows)
        _settle(shipment, rows)
    return len(rows)


def place(shipment_id: uuid.UUID, code: str, status: str) -> bool:
    """Give a status to a shipment's scans of a code that nobody knew; whether there were any."""
    with transaction.atomic():
        shipment = Shipment.objects.select_for_update().get(id=shipment_id)
        if not shipment.checkpoints.filter(code=code, status=Status.UNKNOWN).update(status=status):
            return False
        _settle(shipment, [])
        return True


def _placed(carrier: str, unknown: Sequence[Scan]) -> dict[str, str]:
    """Which of these codes operations have placed, and as what; one that was never met goes on their list."""
    if not unknown:
        return {}
    examples = {scan.code[:_CODE]: scan.description[:500] for scan in unknown}
    known = dict(StatusCode.objects.filter(carrier=carrier, code__in=examples).values_list("code", "status"))
    # In one order everywhere, so that two writers never wait for each other in a circle.
    new = [StatusCode(carrier=carrier, code=code, example=examples[code]) for code in sorted(examples.keys() - known)]
    if new:
        StatusCode.objects.bulk_create(new, ignore_conflicts=True)
    return {code: status for code, status in known.items() if status}


def _carrier_checkpoint(shipment: Shipment, scan: Scan, placed: Mapping[str, str]) -> Checkpoint:
    code, status = scan.code[:_CODE], scan.status.value
    return Checkpoint(
        merchant_id=shipment.merchant_id,
        mode=shipment.mode,
        shipment=shipment,
        source=Checkpoint.Source.CARRIER,
        status=placed.get(code, status) if scan.status == Status.UNKNOWN else status,
        code=code,
        description=scan.description[:500],
        location=scan.location[:200],
        details=dict(scan.details),
        occurred_at=scan.occurred_at,
        occurred_text=scan.occurred_text[:64],
        tz_assumed=scan.tz_assumed,
    )


def _settle(shipment: Shipment, fresh: Sequence[Checkpoint]) -> None:
    """Fold the set anew into the shipment's row and tell of what is new."""
    before = shipment.status
    points = shipment.checkpoints.values_list("occurred_at", "status", "code", "location")
    summary = summarize(Point(*values) for values in points)
    shipment.status = summary.status
    shipment.frees_order |= summary.status == Status.CANCELLED
    shipment.delivered_at, shipment.picked_up_at = summary.delivered_at, summary.picked_up_at
    shipment.location = summary.location
    shipment.checkpoint_count = summary.count
    shipment.first_at, shipment.last_at = summary.first_at, summary.last_at
    shipment.save(
        update_fields=[
            "status", "delivered_at", "location", "checkpoint_count", "first_at", "last_at", "picked_up_at",
            "frees_order", "updated_at",
        ]
    )  # fmt: skip
    facts, about = shipment_facts(shipment), {"tenant": shipment.tenant, "subject_id": shipment.id}
    told = [events.build_row(SHIPMENT_CHECKPOINT, data=facts | _scan(row), **about) for row in fresh]
    if shipment.status != before:
        told.append(
            events.build_row(SHIPMENT_STATUS_CHANGED, data=facts | {"previous_status": before or None}, **about)
        )
    events.record_all(told)


def _scan(row: Checkpoint) -> dict[str, object]:
    return scan_facts(
        row.id,
        status=row.status,
        code=row.code,
        description=row.description,
        location=row.location,
        occurred_at=row.occurred_at,
        tz_assumed=row.tz_assumed,
    )


log = logging.getLogger(__name__)


def store_track(shipment: Shipment, found: Track, *, asked_at: datetime) -> int:
    """What a carrier's track says, asked for at a time, and we did not know; how many scans were new."""
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if changed := row.estimate(found.estimated_delivery, told_at=asked_at):
            row.save(update_fields=changed)
        extras = {key: value for key, value in to_builtins(found.extras).items() if value not in (None, "")}
        if found.current_location:
            extras["current_location"] = found.current_location
        if any(row.carrier_details.get(key) != value for key, value in extras.items()):
            row.carrier_details = row.carrier_details | extras
            row.save(update_fields=["carrier_details", "updated_at"])
        return carrier_reports.add_scans(row, found.scans)


def stored_safely(shipment: Shipment, found: Track, *, asked_at: datetime) -> int | None:
    """The same, of one among many: None for what cannot be stored, which must not keep the others from it."""
    try:
        return store_track(shipment, found, asked_at=asked_at)
    except Exception:
        log.exception("track not stored", extra={"shipment": str(shipment.id)})
        return None
