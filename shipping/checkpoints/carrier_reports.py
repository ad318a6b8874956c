"""Store the checkpoints that carriers report, and fold them into the shipment's row.

A scan is a fact: it is stored once, and the order of arrival makes no difference.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction

from apikeys.audit import events
from carriers.types import Scan, Status, Track
from shipping.checkpoints import cancelled_scans
from shipping.checkpoints.fold import CheckpointFacts, summarize
from shipping.common.conversion import to_builtins
from shipping.common.event_data import scan_facts, shipment_facts
from shipping.models import Checkpoint, Shipment, StatusCode
from shipping.models.event_types import SHIPMENT_CHECKPOINT, SHIPMENT_STATUS_CHANGED

log = logging.getLogger(__name__)
_MAX_CODE = 64


def store_scans(
    shipment_id: uuid.UUID, scans: Sequence[Scan], *, estimates: Iterable[tuple[datetime, datetime]] = ()
) -> int:
    """Store the scans of a report, each once. Returns the number of new ones.

    ``estimates``: pairs of the estimated delivery and the time at which the carrier estimated it.
    """
    with transaction.atomic():
        shipment = Shipment.objects.select_for_update().get(id=shipment_id)
        changed = {
            name for moment, reported_at in estimates for name in shipment.estimate(moment, reported_at=reported_at)
        }
        if changed:
            shipment.save(update_fields=changed)
        return add_scans(shipment, scans)


def add_scans(shipment: Shipment, scans: Iterable[Scan]) -> int:
    """Store the scans of a shipment that the caller's transaction has locked. Returns the number of new ones."""
    known = set(shipment.checkpoints.filter(source=Checkpoint.Source.CARRIER).values_list("code", "occurred_at"))
    fresh = {(scan.code, scan.occurred_at): scan for scan in scans if (scan.code, scan.occurred_at) not in known}
    mapped = _mapped_statuses(shipment.carrier, [scan for scan in fresh.values() if scan.status == Status.UNKNOWN])
    rows = [_build_checkpoint(shipment, scan, mapped) for scan in fresh.values()]
    if rows:
        Checkpoint.objects.bulk_create(rows)
        _update_shipment(shipment, rows)
    return len(rows)


def map_unknown_scans(shipment_id: uuid.UUID, code: str, status: str) -> bool:
    """Give a status to a shipment's scans of a code that was unknown. Returns whether there were any."""
    with transaction.atomic():
        shipment = Shipment.objects.select_for_update().get(id=shipment_id)
        if not shipment.checkpoints.filter(code=code, status=Status.UNKNOWN).update(status=status):
            return False
        _update_shipment(shipment, [])
        return True


def store_track(shipment: Shipment, track: Track, *, asked_at: datetime) -> int:
    """Store what is new in a track that the carrier was asked for at ``asked_at``. Returns the number of new scans."""
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if changed := row.estimate(track.estimated_delivery, reported_at=asked_at):
            row.save(update_fields=changed)
        extras = {key: value for key, value in to_builtins(track.extras).items() if value not in (None, "")}
        if track.current_location:
            extras["current_location"] = track.current_location
        if any(row.carrier_details.get(key) != value for key, value in extras.items()):
            row.carrier_details = row.carrier_details | extras
            row.save(update_fields=["carrier_details", "updated_at"])
        return add_scans(row, track.scans)


def try_store_track(shipment: Shipment, track: Track, *, asked_at: datetime) -> int | None:
    """Store one track of several. Returns the number of new scans, or None (logged) if it could not be stored."""
    try:
        return store_track(shipment, track, asked_at=asked_at)
    except Exception:
        log.exception("track not stored", extra={"shipment": str(shipment.id)})
        return None


def _mapped_statuses(carrier: str, unknown: Sequence[Scan]) -> dict[str, str]:
    """Return the statuses that operations gave to codes of unknown scans. New codes go on operations' list."""
    if not unknown:
        return {}
    examples = {scan.code[:_MAX_CODE]: scan.description[:500] for scan in unknown}
    known = dict(StatusCode.objects.filter(carrier=carrier, code__in=examples).values_list("code", "status"))
    # Sorted, so that two writers insert in the same order and cannot deadlock.
    new = [StatusCode(carrier=carrier, code=code, example=examples[code]) for code in sorted(examples.keys() - known)]
    if new:
        StatusCode.objects.bulk_create(new, ignore_conflicts=True)
    return {code: status for code, status in known.items() if status}


def _build_checkpoint(shipment: Shipment, scan: Scan, mapped: Mapping[str, str]) -> Checkpoint:
    code, status = scan.code[:_MAX_CODE], scan.status.value
    return Checkpoint(
        merchant_id=shipment.merchant_id,
        mode=shipment.mode,
        shipment=shipment,
        source=Checkpoint.Source.CARRIER,
        status=mapped.get(code, status) if scan.status == Status.UNKNOWN else status,
        code=code,
        description=scan.description[:500],
        location=scan.location[:200],
        details=dict(scan.details),
        occurred_at=scan.occurred_at,
        occurred_text=scan.occurred_text[:64],
        tz_assumed=scan.tz_assumed,
    )


def _update_shipment(shipment: Shipment, new: Sequence[Checkpoint]) -> None:
    """Fold all checkpoints into the shipment's row. Record an event per new one and for a changed status."""
    before = shipment.status
    columns = shipment.checkpoints.values_list("occurred_at", "status", "code", "location")
    checkpoints = [CheckpointFacts(*values) for values in columns]
    summary = summarize(checkpoints)
    shipment.status = summary.status
    shipment.frees_order |= summary.status == Status.CANCELLED
    shipment.delivered_at, shipment.picked_up_at = summary.delivered_at, summary.picked_up_at
    shipment.location = summary.location
    shipment.checkpoint_count = summary.count
    shipment.first_at, shipment.last_at = summary.first_at, summary.last_at
    alarm = cancelled_scans.update_alarm(shipment, checkpoints)
    shipment.save(
        update_fields=[
            "status", "delivered_at", "location", "checkpoint_count", "first_at", "last_at", "picked_up_at",
            "frees_order", "updated_at", *(cancelled_scans.COLUMNS if alarm else ()),
        ]
    )  # fmt: skip
    facts, about = shipment_facts(shipment), {"tenant": shipment.tenant, "subject_id": shipment.id}
    recorded = [events.build_row(SHIPMENT_CHECKPOINT, data=facts | _scan_facts(row), **about) for row in new]
    if shipment.status != before:
        data = facts | {"previous_status": before or None}
        recorded.append(events.build_row(SHIPMENT_STATUS_CHANGED, data=data, **about))
    if alarm:
        recorded.append(alarm)
    events.record_all(recorded)


def _scan_facts(row: Checkpoint) -> dict[str, object]:
    return scan_facts(
        row.id,
        status=row.status,
        code=row.code,
        description=row.description,
        location=row.location,
        occurred_at=row.occurred_at,
        tz_assumed=row.tz_assumed,
    )
