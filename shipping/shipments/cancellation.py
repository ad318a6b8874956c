"""Cancelling shipments."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.audit import events
from apikeys.db.tenancy import Tenant
from apikeys.http.errors import (
    CannotCancel,
)
from apikeys.http.rendering import rfc3339
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import adapter_class
from carriers.types import (
    Cancellation,
    Scan,
    Status,
)
from carriers.types.errors import (
    CarrierCannotCancel,
    CarrierError,
    OutcomeUnknown,
)
from shipping.checkpoints import carrier_reports
from shipping.checkpoints.carrier_reports import store_track
from shipping.checkpoints.fold import FINAL
from shipping.common import lookup
from shipping.common.conversion import to_builtins
from shipping.common.event_data import shipment_facts
from shipping.common.lookup import open_adapter, require_booking
from shipping.models import Shipment
from shipping.models.event_types import (
    SHIPMENT_CANCELLED,
)

log = logging.getLogger(__name__)


def cancel(tenant: Tenant, name: str, *, carrier: str = "", reason: str = "") -> Shipment:
    """Call a shipment off at its carrier; asking again gives the same cancellation.

    Raises ``ShipmentNotFound``, ``CannotCancel`` (final states, a failed booking), ``Conflict`` (still pending),
    ``UnsupportedOperation`` (no carrier) and the carrier's own refusal.
    """
    shipment = lookup.get_shipment(tenant, name, carrier=carrier)
    if shipment.cancellation:
        return shipment
    require_booking(shipment)
    if shipment.status == Status.CANCELLED:  # as its carrier has told
        return _store_cancellation(shipment, _told_of(shipment, reason))
    if shipment.status in FINAL:
        raise CannotCancel(_("The shipment is %s already.") % shipment.status)
    answer = _called_off(open_adapter(shipment), shipment, reason)
    return _store_cancellation(shipment, to_builtins(answer) if answer else _told_of(shipment, reason))


def _called_off(adapter: CarrierAdapter, shipment: Shipment, reason: str) -> Cancellation | None:
    """The carrier's answer; None where its own scan, which is kept now, tells more or is all that tells of it."""
    try:
        answer = adapter.cancel(shipment.tracking_number, reason)
    except (OutcomeUnknown, CarrierCannotCancel):
        # The carrier may have cancelled without our hearing of it.
        if not _is_cancelled_there(adapter, shipment):
            raise
        return None
    if answer.cancelled_at is None:
        return None if _is_cancelled_there(adapter, shipment) else replace(answer, cancelled_at=timezone.now())
    return answer


def _is_cancelled_there(adapter: CarrierAdapter, shipment: Shipment) -> bool:
    """Reads the track, and keeps it; False where it cannot be had."""
    asked_at = timezone.now()
    try:
        found = adapter.track([shipment.tracking_number]).get(shipment.tracking_number)
    except CarrierError as error:
        log.warning("not known whether cancelled", extra={"shipment": str(shipment.id), "error": str(error)})
        return False
    if found is None or all(scan.status != Status.CANCELLED for scan in found.scans):
        return False
    store_track(shipment, found, asked_at=asked_at)
    return True


def _told_of(shipment: Shipment, reason: str) -> dict[str, Any]:
    """The cancellation that the carrier's own scan tells of."""
    scan = shipment.checkpoints.filter(status=Status.CANCELLED).order_by("-occurred_at").first()
    return {
        "tracking_number": shipment.tracking_number,
        "cancelled_at": rfc3339(scan.occurred_at),
        "reason": reason,
        "refund_status": "",
        "refund_amount": None,
    }


def _store_cancellation(shipment: Shipment, cancellation: Mapping[str, Any]) -> Shipment:
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if row.cancellation:
            return row
        row.cancellation, row.frees_order = dict(cancellation), True
        row.save(update_fields=["cancellation", "frees_order", "updated_at"])
        if not row.checkpoints.filter(status=Status.CANCELLED).exists():
            carrier_reports.add_scans(row, [_cancel_scan(row, cancellation)])
        events.record(SHIPMENT_CANCELLED, tenant=row.tenant, subject_id=row.id, data=shipment_facts(row))
    return row


def _cancel_scan(row: Shipment, cancellation: Mapping[str, Any]) -> Scan:
    text = cancellation["cancelled_at"]
    return Scan(
        code=adapter_class(row.carrier).cancelled_code,
        status=Status.CANCELLED,
        occurred_at=datetime.fromisoformat(text),
        occurred_text=text,
        description="Shipment cancelled",
        details={"reason": cancellation["reason"]} if cancellation.get("reason") else {},
    )
