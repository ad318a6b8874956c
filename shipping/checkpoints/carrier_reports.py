"""Store the checkpoints that carriers report, and fold them into the shipment's row.

A scan is a fact: it is stored once, whichever sources report it, and the order of arrival makes no difference.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from apikeys.audit import events
from apikeys.db.prepared import Select
from apikeys.http.text import number_key
from carriers.adapters.registry import adapter_class
from carriers.types import Scan, Status, Track
from shipping.checkpoints import cancelled_scans, exceptions, merging
from shipping.checkpoints.fold import has_movement, summarize
from shipping.common.conversion import to_builtins
from shipping.common.event_data import scan_facts, shipment_facts
from shipping.models import Checkpoint, CheckpointReport, Parcel, Shipment, StatusCode
from shipping.models.event_types import SHIPMENT_CHECKPOINT, SHIPMENT_STATUS_CHANGED

log = logging.getLogger(__name__)
Source = Checkpoint.ReportedBy
# Of a stored cancellation, whether the carrier knows of it; true if it is missing.
CARRIER_INFORMED = "carrier_informed"
_MAX_CODE, _MAX_PARCEL = 64, 64
# All checkpoints of a shipment with all their reports, the oldest first.
_select_stored = Select(
    lambda shipment_id: (
        Checkpoint.objects.filter(shipment_id=shipment_id).annotate(other_reports=merging.OtherReports()).order_by("id")
    ),
    (*merging.COLUMNS, "source"),
    [uuid.UUID(int=1)],
)
_select_parcels = Select(
    lambda shipment_id: Parcel.objects.filter(shipment_id=shipment_id).order_by("number"),
    ["tracking_number"],
    [uuid.UUID(int=1)],
)


def store_scans(
    shipment_id: uuid.UUID,
    scans: Sequence[Scan],
    *,
    number: str = "",
    estimates: Iterable[tuple[datetime, datetime]] = (),
    received_at: datetime | None = None,
) -> int:
    """Store the scans of a webhook, each once. Returns the number of new ones.

    Args:
        number: the tracking number in the webhook. If it is not the shipment's, it is the parcel of scans without one.
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
        if number and number_key(number) != number_key(shipment.tracking_number):
            scans = [scan if scan.parcel else replace(scan, parcel=number) for scan in scans]
        return add_scans(shipment, scans, source=Source.WEBHOOK, received_at=received_at)


def add_scans(shipment: Shipment, scans: Iterable[Scan], *, source: str, received_at: datetime | None = None) -> int:
    """Store the scans of a shipment that the caller's transaction has locked. Returns the number of new ones.

    A scan that ``source`` has reported already is not stored again. One that only other sources have reported gets
    this report too. Two scans with one code in one second at two locations are two, and so are those of two parcels.
    """
    rows, parcels = _select_stored.all(shipment.id), _read_parcels(shipment)
    # Of a scan, each checkpoint's position in ``rows`` and location keys by source; a new one has no position.
    known: dict[tuple[Any, ...], list[tuple[int | None, dict[str, str]]]] = defaultdict(list)
    for number, row in enumerate(rows):
        if row.source == Checkpoint.Source.CARRIER:
            keys = {report.reported_by: report.location_key for report in merging.all_reports(row)}
            known[(row.parcel, row.code, row.occurred_at)].append((number, keys))
    fresh, reports = [], []
    for scan in scans:
        parcel = _name_parcel(scan, parcels)
        same = known[(parcel, scan.code[:_MAX_CODE], scan.occurred_at)]
        key = merging.make_location_key(scan.location)
        if any(keys.get(source) == key for _number, keys in same):
            continue
        others = [one for one in same if source not in one[1]]
        number, keys = next((one for one in others if key in one[1].values()), others[0] if others else (None, {}))
        keys[source] = key
        if number is None:
            same.append((None, keys))
            fresh.append((scan, parcel))
        else:
            report = CheckpointReport(checkpoint_id=rows[number].id, **_reported_fields(scan, source))
            rows[number] = merging.add_report(rows[number], report)
            reports.append(report)
    mapped = _mapped_statuses(shipment.carrier, [scan for scan, _parcel in fresh if scan.status == Status.UNKNOWN])
    received_at = received_at or timezone.now()
    new = [
        _build_checkpoint(
            shipment,
            scan,
            reported_by=source,
            source=Checkpoint.Source.CARRIER,
            parcel=parcel,
            status=_read_in_return(shipment, _map_status(scan, mapped)),
            suspect_time=shipment.is_suspect(scan.occurred_at, received_at=received_at),
        )
        for scan, parcel in fresh
    ]
    if new or reports:
        Checkpoint.objects.bulk_create(new)
        CheckpointReport.objects.bulk_create(reports)
        _update_shipment(shipment, [*rows, *new], parcels, new=new)
    return len(new)


def add_own_cancellation(shipment: Shipment, scan: Scan) -> bool:
    """Add a cancellation that the carrier does not know of to a shipment that the caller's transaction has locked.

    Returns: False, and adds nothing, if a carrier's scan shows that it has the parcel. A later one undoes it.
    """
    rows, parcels = _select_stored.all(shipment.id), _read_parcels(shipment)
    if has_movement(rows):
        return False
    row = _build_checkpoint(shipment, scan, source=Checkpoint.Source.WAYBILL, status=scan.status.value)
    row.save(force_insert=True)
    _update_shipment(shipment, [*rows, row], parcels, new=[row])
    return True


def map_unknown_scans(shipment_id: uuid.UUID, code: str, status: str) -> bool:
    """Give a status to a shipment's scans of a code that was unknown. Returns whether there were any."""
    with transaction.atomic():
        shipment = Shipment.objects.select_for_update().get(id=shipment_id)
        unknown = shipment.checkpoints.filter(code=code, status=Status.UNKNOWN)
        if not unknown.update(status=_read_in_return(shipment, status)):
            return False
        _update_shipment(shipment, _select_stored.all(shipment.id), _read_parcels(shipment))
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
        state = (row.carrier_state or {}) | to_builtins(track.carrier_state)
        if state != (row.carrier_state or {}):
            row.carrier_state = state
            row.save(update_fields=["carrier_state"])
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


def _read_parcels(shipment: Shipment) -> dict[str, str]:
    """Return the numbers of the parcels of a shipment by their keys; none if it has only one parcel or number."""
    if len(shipment.request.get("packages", ())) < 2:  # as nearly all, without a query
        return {}
    numbers = {number_key(row.tracking_number): row.tracking_number for row in _select_parcels.all(shipment.id)}
    numbers.pop("", None)
    return numbers if len(numbers) > 1 else {}


def _name_parcel(scan: Scan, parcels: Mapping[str, str]) -> str | None:
    """Return the number of a scan's parcel as it is stored; None for the whole shipment, or its only parcel.

    A number that no parcel has is kept: carriers give a parcel that they pack again another one.
    """
    if not parcels or not scan.parcel:
        return None
    key = number_key(scan.parcel)
    return parcels.get(key, key[:_MAX_PARCEL]) or None


def _map_status(scan: Scan, mapped: Mapping[str, str]) -> str:
    status = scan.status.value
    return mapped.get(scan.code[:_MAX_CODE], status) if scan.status == Status.UNKNOWN else status


def _read_in_return(shipment: Shipment, status: str) -> str:
    """Return the status of a scan: a return that is delivered has ended as its carrier's returns do."""
    if status == Status.DELIVERED and shipment.return_of_id:
        return adapter_class(shipment.carrier).returns_end_as.value
    return status


def _build_checkpoint(shipment: Shipment, scan: Scan, *, reported_by: str | None = None, **columns: Any) -> Any:
    row: Any = Checkpoint(
        merchant_id=shipment.merchant_id,
        mode=shipment.mode,
        shipment=shipment,
        code=scan.code[:_MAX_CODE],
        occurred_at=scan.occurred_at,
        **_reported_fields(scan, reported_by),
        **columns,
    )
    row.other_reports = None
    return row


def _reported_fields(scan: Scan, source: str | None) -> dict[str, Any]:
    """Return the columns that a checkpoint and a further report of it have in common."""
    return {
        "reported_by": source,
        "location_key": merging.make_location_key(scan.location),
        "location": scan.location[:200],
        "description": scan.description[:500],
        "details": exceptions.store_in_details(scan),
        "occurred_text": scan.occurred_text[:64],
        "tz_assumed": scan.tz_assumed,
    }


def _update_shipment(
    shipment: Shipment, rows: Sequence[Any], parcels: Mapping[str, str], *, new: Sequence[Checkpoint] = ()
) -> None:
    """Fold all checkpoints into the shipment's row. Record an event per new one and for a changed status."""
    before = shipment.status
    summary = summarize(merging.merge(rows), parcels.values())
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
    is_own = (shipment.cancellation or {}).get(CARRIER_INFORMED) is False
    if is_own and summary.status != Status.CANCELLED:
        values["cancellation"] = None  # undone
    is_same = all(getattr(shipment, name) == value for name, value in values.items())
    for name, value in values.items():
        setattr(shipment, name, value)
    right = [row for row in shown if not row.suspect_time]
    alarm = cancelled_scans.update_alarm(shipment, right, parcels.values())
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
    shown = exceptions.read_details(row.details)
    return scan_facts(
        row.id,
        status=status,
        code=row.code,
        description=row.description,
        location=row.location,
        occurred_at=row.occurred_at,
        tz_assumed=row.tz_assumed,
        suspect_time=bool(row.suspect_time),
        parcel=row.parcel,
        reason=shown["reason"],
        action_required_by=shown["action_required_by"],
    )
