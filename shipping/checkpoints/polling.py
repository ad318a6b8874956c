"""Shipments that fell silent: their carriers are asked, many numbers a call.

A lost webhook, or a carrier that sends none, would leave a parcel in transit for ever. ``Shipment.poll_at`` says when
to look; only this module and the booking write it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from apikeys.db.leases import Schedule
from apikeys.http import correlation
from carriers.adapters.base import CarrierAdapter
from carriers.credentials import opening
from carriers.types.errors import CarrierError
from shipping.checkpoints import carrier_reports
from shipping.checkpoints.fold import FINAL
from shipping.common import lookup
from shipping.models import Shipment

log = logging.getLogger(__name__)
# Longer than the calls for the shipments of one round can take.
LEASES = Schedule(Shipment, lasts=lambda: timedelta(minutes=10), until="poll_at")
_AFTER_FAILURE = timedelta(minutes=15)
_AFTER_SILENCE_OF_THE_CARRIER = timedelta(hours=1)  # it told of the others and not of this one
_NUMBERS_A_CALL = 50


def poll(*, limit: int = 200) -> dict[str, int]:
    """Ask for the shipments that are due; how many were ``asked``, how many ``scans`` were new, what ``failed``."""
    counts = {"asked": 0, "scans": 0, "failed": 0}
    for rows in _silent(_claimed(limit)):
        for start in range(0, len(rows), _NUMBERS_A_CALL):
            with correlation.scope():
                _ask_safely(rows[start : start + _NUMBERS_A_CALL], counts)
    return counts


def _claimed(limit: int) -> list[Shipment]:
    ids = [lease.pk for lease in LEASES.claim(Shipment.objects.order_by("poll_at"), limit=limit)]
    rows = Shipment.objects.filter(id__in=ids).select_related("credential")
    return list(rows.annotate(heard_at=Max("checkpoints__created_at")))


def _silent(rows: Iterable[Shipment]) -> Iterable[list[Shipment]]:
    """Those that must be asked for, by account and merchant; the others are put off until they would be silent."""
    now, groups = timezone.now(), defaultdict(list)
    for row in rows:
        heard = row.heard_at or row.created_at
        if row.status in FINAL or now - row.created_at > settings.POLL_GIVE_UP:
            _look_again([row], None)
        elif now - heard < settings.POLL_AFTER_SILENCE:
            _look_again([row], heard + settings.POLL_AFTER_SILENCE)
        else:
            groups[(row.credential_id, row.merchant_id)].append(row)
    return groups.values()


def _ask_safely(rows: list[Shipment], counts: dict[str, int]) -> None:
    """One call that fails in a way that nobody thought of must not keep the others from it; its rows stay put off."""
    counts["asked"] += len(rows)
    try:
        _ask(_with_its_number(rows), counts)
    except Exception:
        log.exception("poll broke off", extra={"carrier": rows[0].carrier})
        counts["failed"] += len(rows)


def _with_its_number(rows: list[Shipment]) -> list[Shipment]:
    """Without those whose number is another parcel's by now, which are never asked for again, or may be, which wait."""
    holders = lookup.holders(rows[0].credential_id, (row.tracking_number for row in rows))
    _look_again([row for row in rows if holders.get(row.tracking_number, row.id) != row.id], None)
    _look_again([row for row in rows if row.tracking_number not in holders], timezone.now() + _AFTER_FAILURE)
    return [row for row in rows if holders.get(row.tracking_number) == row.id]


def _ask(rows: list[Shipment], counts: dict[str, int]) -> None:
    if not rows:
        return
    asked_at = timezone.now()
    try:
        found = _adapter(rows).track([row.tracking_number for row in rows])
    except CarrierError as error:
        log.warning("poll failed", extra={"carrier": rows[0].carrier, "error": str(error)})
        counts["failed"] += len(rows)
        _look_again(rows, timezone.now() + _AFTER_FAILURE)
        return
    missing = [row for row in rows if row.tracking_number not in found]
    _look_again(missing, timezone.now() + _AFTER_SILENCE_OF_THE_CARRIER)
    told = [row for row in rows if row.tracking_number in found]
    news = {row.id: carrier_reports.stored_safely(row, found[row.tracking_number], asked_at=asked_at) for row in told}
    _look_again([row for row in told if news[row.id] is not None], timezone.now() + settings.POLL_AFTER_SILENCE)
    unstored = [row for row in told if news[row.id] is None]
    _look_again(unstored, timezone.now() + _AFTER_FAILURE)
    counts["scans"] += sum(number or 0 for number in news.values())
    counts["failed"] += len(missing) + len(unstored)


def _adapter(rows: list[Shipment]) -> CarrierAdapter:
    subject = rows[0].id if len(rows) == 1 else None
    return opening.open_adapter(rows[0].credential, merchant_id=rows[0].merchant_id, subject_id=subject)


def _look_again(rows: list[Shipment], at: datetime | None) -> None:
    Shipment.objects.filter(id__in=[row.id for row in rows]).update(poll_at=at)
