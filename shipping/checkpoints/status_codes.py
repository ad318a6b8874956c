"""Carriers' codes that no adapter knows: operations place them, and the worker gives their scans the status.

A placed code with scans that are still unknown is itself the claim, so nothing is lost with a worker that is killed,
and a scan that was being written while its code was placed is found too.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from apikeys.audit import events
from carriers.types import Status
from shipping.checkpoints import carrier_reports
from shipping.models import Checkpoint, StatusCode
from shipping.models.event_types import STATUS_CODE_PLACED

log = logging.getLogger(__name__)


def unknown_scans(carrier: Any, code: Any) -> QuerySet:
    """The checkpoints of a carrier's code that have no status yet; both may be ``OuterRef``."""
    return Checkpoint.objects.filter(status=Status.UNKNOWN, code=code, shipment__carrier=carrier)


def place(code_id: uuid.UUID, status: str) -> bool:
    """Say what a code means; whether that is news. New scans are stored so at once, old ones by ``settle``.

    Placing it anew is for the scans to come: a scan that has a status keeps it.
    """
    with transaction.atomic():
        row = StatusCode.objects.select_for_update().get(id=code_id)
        before = row.status
        if before == status:
            return False
        row.status, row.placed_at = status, timezone.now()
        row.save(update_fields=["status", "placed_at"])
        data = {"carrier": row.carrier, "code": row.code, "status": status, "previous_status": before}
        events.record(STATUS_CODE_PLACED, tenant=None, subject_id=row.id, data=data)
        return True


def settle(*, limit: int = 200) -> int:
    """Give old scans the status of their code, shipment by shipment; how many shipments it was."""
    settled, tried = 0, 0
    for carrier, code, status in _to_settle():
        waiting = unknown_scans(carrier, code).order_by().values_list("shipment_id", flat=True).distinct()
        for shipment_id in list(waiting[: limit - tried]):
            tried += 1
            settled += _settled(shipment_id, code, status)
        if tried >= limit:
            break
    return settled


def _to_settle() -> list[tuple[str, str, str]]:
    unknown = unknown_scans(OuterRef("carrier"), OuterRef("code"))
    rows = StatusCode.objects.filter(Exists(unknown), status__isnull=False).order_by("placed_at")
    return list(rows.values_list("carrier", "code", "status"))


def _settled(shipment_id: uuid.UUID, code: str, status: str) -> bool:
    try:
        return carrier_reports.place(shipment_id, code, status)
    except Exception:  # one shipment that cannot be stored must not keep the others from it
        log.exception("placed code not given to its scans", extra={"shipment": str(shipment_id)})
        return False
