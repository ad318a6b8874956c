"""Track shipments whose carrier has not reported for a while, many tracking numbers per call.

A lost webhook, or a carrier without webhooks, would otherwise leave a shipment in transit. ``Shipment.poll_at`` says
when to poll; only this module and the booking write it.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Case, F, Max, Q, When
from django.utils import timezone

from apikeys.db.leases import Schedule
from apikeys.http import correlation
from carriers.credentials import opening
from carriers.types import Status
from carriers.types.errors import CarrierError
from shipping.checkpoints import carrier_reports
from shipping.checkpoints.fold import FINAL
from shipping.common import lookup, refs
from shipping.models import BookingState, Shipment

log = logging.getLogger(__name__)
# Longer than the calls for the shipments of one round can take.
LEASES = Schedule(Shipment, lasts=lambda: timedelta(minutes=10), until="poll_at")
_AFTER_FAILURE = timedelta(minutes=15)
_AFTER_MISSING = timedelta(hours=1)  # the carrier's answer left this number out
# How long a cancelled shipment is polled after its last report: carriers sometimes collect it all the same.
_CANCELLED_FOR = timedelta(days=7)
_REREAD_FOR = timedelta(days=1)  # how long a requested poll is tried again after failures
_MAX_NUMBERS = 50  # per call


def poll(*, limit: int = 200) -> dict[str, int]:
    """Track the shipments that are due.

    Returns: the numbers of shipments ``asked`` for, of new ``scans``, and of shipments that ``failed``.
    """
    counts = {"asked": 0, "scans": 0, "failed": 0}
    for rows in _select_silent(_claim(limit)):
        for start in range(0, len(rows), _MAX_NUMBERS):
            with correlation.scope():
                group = rows[start : start + _MAX_NUMBERS]
                counts["asked"] += len(group)
                try:
                    _track(_select_current(group), counts)
                except Exception:  # one failing call must not stop the others; its rows stay leased
                    log.exception("poll failed", extra={"carrier": group[0].carrier})
                    counts["failed"] += len(group)
    return counts


def request(shipment_ids: Collection[uuid.UUID], *, after: timedelta = timedelta()) -> None:
    """Have shipments tracked soon, whatever has been reported of them. Repeated requests do not postpone each other."""
    now = timezone.now()
    rows = Shipment.objects.filter(id__in=shipment_ids, booking_state=BookingState.BOOKED)
    sooner = Case(When(poll_at__lt=now + after, then=F("poll_at")), default=now + after)
    rows.update(poll_at=sooner, reread_at=now)


def _claim(limit: int) -> list[Shipment]:
    ids = [lease.pk for lease in LEASES.claim(Shipment.objects.order_by("poll_at"), limit=limit)]
    rows = Shipment.objects.filter(id__in=ids).select_related("credential")
    return list(rows.annotate(reported_at=Max("checkpoints__created_at")))


def _select_silent(rows: Iterable[Shipment]) -> Iterable[list[Shipment]]:
    """Group the shipments without a recent report by credential and merchant; reschedule the others."""
    now, groups = timezone.now(), defaultdict(list)
    for row in rows:
        reported_at = row.reported_at or row.created_at
        if row.reread_at:
            groups[(row.credential_id, row.merchant_id)].append(row)
        elif _has_ended(row, reported_at, now):
            # A scan that another process has stored since resumes polling.
            rows = Shipment.objects.filter(id=row.id, scanned_after_cancel_at=row.scanned_after_cancel_at)
            rows.update(poll_at=None)
        elif now - reported_at < settings.POLL_AFTER_SILENCE:
            _poll_at([row], reported_at + settings.POLL_AFTER_SILENCE)
        else:
            groups[(row.credential_id, row.merchant_id)].append(row)
    return groups.values()


def _has_ended(row: Shipment, reported_at: datetime, now: datetime) -> bool:
    if row.status == Status.CANCELLED and now - row.created_at <= settings.POLL_GIVE_UP:
        return row.scanned_after_cancel_at is None and now - reported_at > _CANCELLED_FOR
    return row.status in FINAL or now - row.created_at > settings.POLL_GIVE_UP


def _select_current(rows: list[Shipment]) -> list[Shipment]:
    """Return the shipments that their tracking number still identifies at the carrier.

    A number that is another parcel's now is not polled again; one that may be is polled later.
    """
    holders = lookup.resolve_numbers(rows[0].credential_id, (row.tracking_number for row in rows))
    _poll_at([row for row in rows if holders.get(row.tracking_number, row.id) != row.id], None)
    doubtful = [row for row in rows if row.tracking_number not in holders]
    _poll_at(doubtful, timezone.now() + _AFTER_FAILURE, failed=True)
    return [row for row in rows if holders.get(row.tracking_number) == row.id]


def _track(rows: list[Shipment], counts: dict[str, int]) -> None:
    if not rows:
        return
    asked_at = timezone.now()
    subject = rows[0].id if len(rows) == 1 else None
    try:
        adapter = opening.open_adapter(rows[0].credential, merchant_id=rows[0].merchant_id, subject_id=subject)
        tracks = adapter.track(refs.shipment_refs(rows))
    except CarrierError as error:
        log.warning("poll failed", extra={"carrier": rows[0].carrier, "error": str(error)})
        counts["failed"] += len(rows)
        _poll_at(rows, timezone.now() + _AFTER_FAILURE, failed=True)
        return
    # Carriers may forget a cancelled number, which is no failure.
    forgotten = [row for row in rows if row.tracking_number not in tracks and row.status == Status.CANCELLED]
    _poll_at(forgotten, timezone.now() + settings.POLL_AFTER_SILENCE)
    missing = [row for row in rows if row.tracking_number not in tracks and row.status != Status.CANCELLED]
    _poll_at(missing, timezone.now() + _AFTER_MISSING, failed=True)
    tracked = [row for row in rows if row.tracking_number in tracks]
    new = {
        row.id: carrier_reports.try_store_track(row, tracks[row.tracking_number], asked_at=asked_at) for row in tracked
    }
    _poll_at([row for row in tracked if new[row.id] is not None], timezone.now() + settings.POLL_AFTER_SILENCE)
    unstored = [row for row in tracked if new[row.id] is None]
    _poll_at(unstored, timezone.now() + _AFTER_FAILURE, failed=True)
    counts["scans"] += sum(number or 0 for number in new.values())
    counts["failed"] += len(missing) + len(unstored)


def _poll_at(rows: list[Shipment], at: datetime | None, *, failed: bool = False) -> None:
    """Set the time of the next poll, unless a webhook has requested one since the shipments were claimed.

    A requested poll that failed stays requested, for ``_REREAD_FOR``: its shipment may be final, or just reported.
    """
    unchanged = Q(id__in=[row.id for row in rows if row.reread_at is None], reread_at=None)
    for row in rows:
        if row.reread_at:
            unchanged |= Q(id=row.id, reread_at=row.reread_at)
    kept = When(reread_at__gt=timezone.now() - _REREAD_FOR, then=F("reread_at"))
    Shipment.objects.filter(unchanged).update(poll_at=at, reread_at=Case(kept) if failed else None)
