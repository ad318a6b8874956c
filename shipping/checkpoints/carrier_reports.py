"""Store the checkpoints that carriers report, and fold them into the shipment's row.

A scan is a fact: it is stored once, whichever sources report it, and the order of arrival makes no difference.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from apikeys.audit import events
from apikeys.db.prepared import Select
from carriers.types import Scan, Status, Track
from shipping.checkpoints import cancelled_scans, merging
from shipping.checkpoints.fold import summarize
from shipping.common.conversion import to_builtins
from shipping.common.event_data import scan_facts, shipment_facts
from shipping.models import Checkpoint, CheckpointReport, Shipment, StatusCode
from shipping.models.event_types import SHIPMENT_CHECKPOINT, SHIPMENT_STATUS_CHANGED

log = logging.getLogger(__name__)
Source = Checkpoint.ReportedBy
_MAX_CODE = 64
# All checkpoints of a shipment with all their reports, the oldest first.
_select_stored = Select(
    lambda shipment_id: (
        Checkpoint.objects.filter(shipment_id=shipment_id).annotate(other_reports=merging.OtherReports()).order_by("id")
    ),
    merging.COLUMNS,
    [uuid.UUID(int=1)],
)


def store_scans(
    shipment_id: uuid.UUID,
    scans: Sequence[Scan],
    *,
    estimates: Iterable[tuple[datetime, datetime]] = (),
    received_at: datetime | None = None,
) -> int:
    """Store the scans of a webhook, each once. Returns the number of new ones.

    Args:
        estimates: pairs of the estimated delivery and the time at which the carrier estimated it.
        received_at: when the webhook arrived; None: now.
    """
    received_at = received_at or timezone.now()
    with transaction.atomic():
        shipment = Shipment.objects.select_for_update().get(id=shipment_id)
        changed = {
            name
            for moment, reported_at in estimates
            if not shipment.is_suspect(reported_at, received_at=received_at)
            for name in shipment.estimate(moment, reported_at=reported_at)
        }
        if changed:
            shipment.save(update_fields=changed)
        return add_scans(shipment, scans, source=Source.WEBHOOK, received_at=received_at)


def add_scans(shipment: Shipment, scans: Iterable[Scan], *, source: str, received_at: datetime | None = None) -> int:
    """Store the scans of a shipment that the caller's transaction has locked. Returns the number of new ones.

    A scan that ``source`` has reported already is not stored again. One that only other sources have reported gets
    this report too. Two scans with one code in one second at two locations are two.
    """
    rows = _select_stored.all(shipment.id)
    # Of a scan, each checkpoint's position in ``rows`` and location keys by source; a new one has no position.
    known: dict[tuple[Any, ...], list[tuple[int | None, dict[str, str]]]] = defaultdict(list)
    for number, row in enumerate(rows):
        keys = {report.reported_by: report.location_key for report in merging.all_reports(row)}
        known[(row.parcel, row.code, row.occurred_at)].append((number, keys))
    fresh, reports = [], []
    for scan in scans:
        same = known[(None, scan.code[:_MAX_CODE], scan.occurred_at)]
        key = merging.make_location_key(scan.location)
        if any(keys.get(source) == key for _number, keys in same):
            continue
        others = [one for one in same if source not in one[1]]
        number, keys = next((one for one in others if key in one[1].values()), others[0] if others else (None, {}))
        keys[source] = key
        if number is None:
            same.append((None, keys))
            fresh.append(scan)
        else:
            report = CheckpointReport(checkpoint_id=rows[number].id, **_reported_fields(scan, source))
            rows[number] = merging.add_report(rows[number], report)
            reports.append(report)
    mapped = _mapped_statuses(shipment.carrier, [scan for scan in fresh if scan.status == Status.UNKNOWN])
    new = [_build_checkpoint(shipment, scan, source, mapped, received_at or timezone.now()) for scan in fresh]
    if new or reports:
        Checkpoint.objects.bulk_create(new)
        CheckpointReport.objects.bulk_create(reports)
        _update_shipment(shipment, [*rows, *new], new=new)
    return len(new)


def map_unknown_scans(shipment_id: uuid.UUID, code: str, status: str) -> bool:
    """Give a status to a shipment's scans of a code that was unknown. Returns whether there were any."""
    with transaction.atomic():
        shipment = Shipment.objects.select_for_update().get(id=shipment_id)
        if not shipment.checkpoints.filter(code=code, status=Status.UNKNOWN).update(status=status):
            return False
        _update_shipment(shipment, _select_stored.all(shipment.id))
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
        return add_scans(row, track.scans, source=Source.POLL)


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


def _build_checkpoint(
    shipment: Shipment, scan: Scan, source: str, mapped: Mapping[str, str], received_at: datetime
) -> Any:
    code, status = scan.code[:_MAX_CODE], scan.status.value
    row: Any = Checkpoint(
        merchant_id=shipment.merchant_id,
        mode=shipment.mode,
        shipment=shipment,
        source=Checkpoint.Source.CARRIER,
        status=mapped.get(code, status) if scan.status == Status.UNKNOWN else status,
        code=code,
        occurred_at=scan.occurred_at,
        suspect_time=shipment.is_suspect(scan.occurred_at, received_at=received_at),
        **_reported_fields(scan, source),
    )
    row.other_reports = None
    return row


def _reported_fields(scan: Scan, source: str) -> dict[str, Any]:
    """Return the columns that a checkpoint and a further report of it have in common."""
    return {
        "reported_by": source,
        "location_key": merging.make_location_key(scan.location),
        "location": scan.location[:200],
        "description": scan.description[:500],
        "details": dict(scan.details),
        "occurred_text": scan.occurred_text[:64],
        "tz_assumed": scan.tz_assumed,
    }


def _update_shipment(shipment: Shipment, rows: Sequence[Any], *, new: Sequence[Checkpoint] = ()) -> None:
    """Fold all checkpoints into the shipment's row. Record an event per new one and for a changed status."""
    before = shipment.status
    summary = summarize(merging.merge(rows))
    shown = merging.arrange(rows)
    values = {
        "status": summary.status,
        "frees_order": shipment.frees_order or summary.status == Status.CANCELLED,
        "delivered_at": summary.delivered_at,
        "picked_up_at": summary.picked_up_at,
        "location": summary.location,
        "checkpoint_count": summary.count,
        "first_at": summary.first_at,
        "last_at": summary.last_at,
    }
    is_same = all(getattr(shipment, name) == value for name, value in values.items())
    for name, value in values.items():
        setattr(shipment, name, value)
    alarm = cancelled_scans.update_alarm(shipment, [row for row in shown if not row.suspect_time])
    if is_same and not alarm:  # a further report of a known scan
        return
    shipment.save(update_fields=[*values, "updated_at", *(cancelled_scans.COLUMNS if alarm else ())])
    facts, about = shipment_facts(shipment), {"tenant": shipment.tenant, "subject_id": shipment.id}
    statuses = {row.id: row.status for row in shown}
    recorded = [
        events.build_row(SHIPMENT_CHECKPOINT, data=facts | _scan_facts(row, statuses[row.id]), **about) for row in new
    ]
    if shipment.status != before:
        data = facts | {"previous_status": before or None}
        recorded.append(events.build_row(SHIPMENT_STATUS_CHANGED, data=data, **about))
    if alarm:
        recorded.append(alarm)
    events.record_all(recorded)


def _scan_facts(row: Checkpoint, status: str) -> dict[str, object]:
    return scan_facts(
        row.id,
        status=status,
        code=row.code,
        description=row.description,
        location=row.location,
        occurred_at=row.occurred_at,
        tz_assumed=row.tz_assumed,
        suspect_time=bool(row.suspect_time),
    )
