"""Map carrier codes that no adapter knows: operations choose a status, the worker gives it to the stored scans.

A mapped code that still has unknown scans is found by query, without a queue. So a killed worker loses nothing, and a
scan that was being written while its code was mapped is found too.
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
    """Select the checkpoints of a carrier's code that have no status yet. Both arguments may be ``OuterRef``."""
    return Checkpoint.objects.filter(status=Status.UNKNOWN, code=code, shipment__carrier=carrier)


def map_code(code_id: uuid.UUID, status: str) -> bool:
    """Set the status of a code. Returns whether it changed.

    New scans get the status when they are stored, unknown ones by ``apply_mappings``. A second mapping of the same
    code concerns later scans only: a scan that has a status keeps it.
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


def apply_mappings(*, limit: int = 200) -> int:
    """Give stored unknown scans the status of their code. Returns the number of shipments changed.

    ``limit``: the number of shipments to try.
    """
    unknown = unknown_scans(OuterRef("carrier"), OuterRef("code"))
    codes = StatusCode.objects.filter(Exists(unknown), status__isnull=False).order_by("placed_at")
    changed, tried = 0, 0
    for carrier, code, status in list(codes.values_list("carrier", "code", "status")):
        waiting = unknown_scans(carrier, code).order_by().values_list("shipment_id", flat=True).distinct()
        for shipment_id in list(waiting[: limit - tried]):
            tried += 1
            try:
                changed += carrier_reports.map_unknown_scans(shipment_id, code, status)
            except Exception:  # one shipment that cannot be stored must not stop the others
                log.exception("status not given to the scans of a code", extra={"shipment": str(shipment_id)})
        if tried >= limit:
            break
    return changed
