"""Cancel shipments at their carriers, or only here if a carrier has no way to cancel them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.audit import events
from apikeys.db.tenancy import Tenant
from apikeys.http.errors import CannotCancel
from apikeys.http.rendering import rfc3339
from apikeys.http.text import number_key
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import adapter_class
from carriers.types import Cancellation, Scan, Status, Track
from carriers.types.errors import CarrierCannotCancel, CarrierError, OutcomeUnknown
from shipping.checkpoints.carrier_reports import CARRIER_INFORMED, add_own_cancellation, add_scans, store_track
from shipping.checkpoints.fold import FINAL
from shipping.common import lookup, refs
from shipping.common.conversion import to_builtins
from shipping.common.event_data import shipment_facts
from shipping.models import Checkpoint, Shipment
from shipping.models.event_types import SHIPMENT_CANCELLED

log = logging.getLogger(__name__)


def cancel(tenant: Tenant, name: str, *, carrier: str = "", reason: str = "") -> Shipment:
    """Cancel a shipment. A repeated call returns the same cancellation.

    If the carrier cannot be informed (``cancels_locally``), its next scan of the parcel undoes the cancellation.

    Raises ``ShipmentNotFound``, ``CannotCancel`` (final status, failed booking, or the carrier that cannot be informed
    has the parcel), ``Conflict`` (still pending), ``UnsupportedOperation`` (no carrier) and the carrier's refusal.
    """
    shipment = lookup.get_shipment(tenant, name, carrier=carrier)
    if shipment.cancellation:
        return shipment
    lookup.require_booking(shipment)
    if shipment.status == Status.CANCELLED:  # reported by the carrier
        return _store_cancellation(shipment, _read_from_scan(shipment, reason))
    if shipment.status in FINAL:
        raise CannotCancel(_("The shipment is %s already.") % shipment.status)
    if adapter_class(shipment.carrier).cancels_locally:
        return _cancel_here(shipment, reason)
    answer = cancel_at_carrier(lookup.open_adapter(shipment), shipment, reason)
    return _store_cancellation(shipment, to_builtins(answer) if answer else _read_from_scan(shipment, reason))


def cancel_at_carrier(adapter: CarrierAdapter, shipment: Shipment, reason: str) -> Cancellation | None:
    """Cancel a shipment at its carrier.

    Returns: the carrier's answer, or None if tracking shows the cancellation (the track is then stored).
    Raises: ``OutcomeUnknown`` or ``CarrierCannotCancel`` if tracking does not show it either.
    """
    try:
        answer = adapter.cancel(refs.shipment_ref(shipment), reason)
    except (OutcomeUnknown, CarrierCannotCancel):
        # The carrier may have cancelled in spite of the missing answer, or before this call.
        if not _is_cancelled_in_track(adapter, shipment):
            raise
        return None
    if answer.cancelled_at is None or shipment.is_suspect(answer.cancelled_at, received_at=timezone.now()):
        return None if _is_cancelled_in_track(adapter, shipment) else replace(answer, cancelled_at=timezone.now())
    return answer


def _cancel_here(shipment: Shipment, reason: str) -> Shipment:
    """Cancel a shipment without its carrier, unless tracking shows that the carrier has the parcel."""
    asked_at = timezone.now()
    if track := _read_track(shipment):
        store_track(shipment, track, asked_at=asked_at)
    cancellation = {
        "tracking_number": shipment.tracking_number,
        "cancelled_at": rfc3339(timezone.now()),
        "reason": reason,
        "refund_status": "",
        "refund_amount": None,
        CARRIER_INFORMED: False,
    }
    return _store_cancellation(shipment, cancellation)


def _is_cancelled_in_track(adapter: CarrierAdapter, shipment: Shipment) -> bool:
    """Return whether the carrier's track shows a cancellation of all parcels, and store it then.

    False if there is no track.
    """
    asked_at = timezone.now()
    track = _read_track(shipment, adapter)
    if track is None:
        return False
    cancelled = {number_key(scan.parcel) for scan in track.scans if scan.status == Status.CANCELLED}
    numbers = {number_key(row.tracking_number) for row in shipment.parcels.all() if row.tracking_number}
    if not cancelled or (len(numbers) > 1 and "" not in cancelled and not numbers <= cancelled):
        return False
    store_track(shipment, track, asked_at=asked_at)
    return True


def _read_track(shipment: Shipment, adapter: CarrierAdapter | None = None) -> Track | None:
    """Return a shipment's track, or None (logged) if the carrier does not answer."""
    try:
        adapter = adapter or lookup.open_adapter(shipment)
        return adapter.track([refs.shipment_ref(shipment)]).get(shipment.tracking_number)
    except CarrierError as error:
        log.warning("not known whether cancelled", extra={"shipment": str(shipment.id), "error": str(error)})
        return None


def _read_from_scan(shipment: Shipment, reason: str) -> dict[str, Any]:
    """Return the cancellation that the carrier's own scan reports."""
    scan = _cancelled_scans(shipment).order_by("-occurred_at").first()
    return {
        "tracking_number": shipment.tracking_number,
        "cancelled_at": rfc3339(scan.occurred_at if scan else timezone.now()),
        "reason": reason,
        "refund_status": "",
        "refund_amount": None,
    }


def _cancelled_scans(shipment: Shipment) -> QuerySet[Checkpoint]:
    """Select the carrier's scans of a cancellation. One with a suspect time is stored, but cancels nothing."""
    return shipment.checkpoints.filter(status=Status.CANCELLED).exclude(suspect_time=True)


def _store_cancellation(shipment: Shipment, cancellation: Mapping[str, Any]) -> Shipment:
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if row.cancellation:
            return row
        cancellation = dict(cancellation)
        if row.status == Status.CANCELLED:
            cancellation.pop(CARRIER_INFORMED, None)  # the carrier has reported it itself
        else:
            _add_cancelled_checkpoint(row, cancellation)
        row.cancellation, row.frees_order = cancellation, True
        row.save(update_fields=["cancellation", "frees_order", "updated_at"])
        events.record(SHIPMENT_CANCELLED, tenant=row.tenant, subject_id=row.id, data=shipment_facts(row))
    return row


def _add_cancelled_checkpoint(row: Shipment, cancellation: Mapping[str, Any]) -> None:
    text, reason = cancellation["cancelled_at"], cancellation.get("reason")
    scan = Scan(
        code=adapter_class(row.carrier).cancelled_code,
        status=Status.CANCELLED,
        occurred_at=datetime.fromisoformat(text),
        occurred_text=text,
        description="Shipment cancelled",
        details={"reason": reason} if reason else {},
    )
    if cancellation.get(CARRIER_INFORMED, True):
        add_scans(row, [scan], source=Checkpoint.ReportedBy.BOOKING)
    elif not add_own_cancellation(row, scan):
        text = _("%s has the parcel already, and has no way to cancel a shipment.") % row.carrier_name
        raise CannotCancel(text)
