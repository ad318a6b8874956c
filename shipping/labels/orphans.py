"""Scans of voided labels that no shipment uses: the carrier moves a parcel, and bills it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence

from django.db import transaction

from apikeys.audit import events
from apikeys.http.text import number_key
from carriers.types import Scan
from shipping.checkpoints.cancelled_scans import MOVED
from shipping.models import Orphan
from shipping.models.event_types import ORPHAN_SCANNED

# Instead of the carrier's refusal to void the label.
SCANNED = "Scanned by the carrier after it was voided."
log = logging.getLogger(__name__)


def report_scans(credential_id: uuid.UUID, scans: Mapping[str, Sequence[Scan]]) -> None:
    """Put voided labels back on operations' list of orphaned labels if a scan shows that the parcel moves.

    Args:
        scans: by numbers that no shipment has.
    """
    moved = {number_key(number) for number, found in scans.items() if any(scan.status in MOVED for scan in found)}
    voided = Orphan.objects.filter(tracking_number__any_case_in=moved, voided_at__isnull=False)
    for orphan in voided.filter(shipment__credential_id=credential_id).select_related("shipment"):
        with transaction.atomic():
            if Orphan.objects.filter(id=orphan.id, voided_at=orphan.voided_at).update(voided_at=None, refusal=SCANNED):
                data = {"tracking_number": orphan.tracking_number, "reference": orphan.shipment.reference}
                log.error("voided label scanned", extra=data)
                events.record(ORPHAN_SCANNED, tenant=orphan.tenant, subject_id=orphan.shipment_id, data=data)
