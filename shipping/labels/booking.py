"""Store the outcome of a purchase: booked, failed, or for review."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.audit import events
from apikeys.http.errors import WaybillError
from apikeys.http.rendering import rfc3339
from apikeys.http.text import number_key
from carriers.adapters.registry import adapter_class
from carriers.credentials import selection
from carriers.http import metrics
from carriers.types import BookedShipment, Scan, Status
from shipping.checkpoints import carrier_reports
from shipping.common import lookup
from shipping.common.conversion import to_builtins
from shipping.common.event_data import shipment_facts
from shipping.labels import booked_pickups, documents
from shipping.models import BookingState, Checkpoint, Document, Parcel, Shipment
from shipping.models.event_types import SHIPMENT_BOOKED, SHIPMENT_FAILED, SHIPMENT_NEEDS_REVIEW

log = logging.getLogger(__name__)
# The lengths of columns for texts that only describe: a longer one must not lose a paid label.
_MAX_SERVICE, _MAX_REFERENCE = 40, 64


class _NumberTaken(Exception):
    """The carrier sold another shipment under this tracking number."""


def is_for_shipment(shipment: Shipment, booked: BookedShipment) -> bool:
    """Return whether a label has the shipment's reference; some carriers change its case."""
    return booked.reference.casefold() == shipment.reference.casefold()


def has_number(shipment: Shipment, booked: BookedShipment) -> bool:
    """Return whether a label has the shipment's tracking number; some carriers change its case."""
    return number_key(booked.tracking_number) == number_key(shipment.tracking_number)


def store_booking(shipment_id: uuid.UUID, booked: BookedShipment, *, reconcile_at: datetime | None = None) -> Shipment:
    """Store a sold shipment: files, numbers, first checkpoint and event. A booked one does not change.

    A file that the carrier does not have yet is fetched later (``shipping.labels.documents``).

    Args:
        reconcile_at: When to look up the reference again in spite of the booking.
    """
    files = documents.build_documents(shipment_id, booked)
    try:
        with transaction.atomic():
            return _book(shipment_id, booked, files, reconcile_at)
    except (IntegrityError, _NumberTaken):
        log.exception("booked label collides with a stored one", extra={"shipment": str(shipment_id)})
        text = _("The carrier sold %s, a number that it has sold to another shipment.") % booked.tracking_number
        return require_review(shipment_id, text)


def fail_booking(shipment: Shipment, error: WaybillError, *, reconcile_at: datetime | None = None) -> None:
    """Store a failed booking with the error that the merchant gets.

    Args:
        reconcile_at: When to look up the reference in spite of the failure.
    """
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if row.booking_state not in (BookingState.PENDING, BookingState.NEEDS_REVIEW):
            return
        row.booking_state, row.reconcile_at = BookingState.FAILED, reconcile_at
        row.failure = error.body() | {"http_status": error.status}
        row.frees_order = True
        row.save(update_fields=["booking_state", "failure", "reconcile_at", "frees_order", "updated_at"])
        data = shipment_facts(row) | {"error": error.code}
        events.record(SHIPMENT_FAILED, tenant=row.tenant, subject_id=row.id, data=data)


def require_review(shipment_id: uuid.UUID, reason: str) -> Shipment:
    """Leave a booking to operations, because only a person can find its outcome."""
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment_id)
        if row.booking_state == BookingState.BOOKED:
            return row
        row.booking_state, row.reconcile_at = BookingState.NEEDS_REVIEW, None
        row.failure = {"error": "needs_review", "message": reason}
        row.save(update_fields=["booking_state", "failure", "reconcile_at", "updated_at"])
        events.record(SHIPMENT_NEEDS_REVIEW, tenant=row.tenant, subject_id=row.id, data={"reason": reason})
    return row


def _book(
    shipment_id: uuid.UUID, booked: BookedShipment, files: Sequence[Document], reconcile_at: datetime | None
) -> Shipment:
    row = Shipment.objects.select_for_update().get(id=shipment_id)
    if row.booking_state == BookingState.BOOKED:
        if reconcile_at or not has_number(row, booked):  # reconciliation voids the other label
            Shipment.objects.filter(id=row.id).update(reconcile_at=reconcile_at or timezone.now())
        return row
    if row.booking_state == BookingState.FAILED:
        # Failed while the carrier was called, and perhaps bought again since: reconciliation voids this late label.
        row.reconcile_at = timezone.now()
        row.save(update_fields=["reconcile_at", "updated_at"])
        return row
    _check_number_is_free(row, booked.tracking_number)
    row.booking_state, row.failure, row.reconcile_at = BookingState.BOOKED, None, reconcile_at
    row.pending_reason = None
    row.tracking_number, row.carrier_shipment_id = booked.tracking_number, booked.carrier_shipment_id
    if row.is_suspect(booked.created_at, received_at=timezone.now()):  # the shipment is created in spite of it
        booked = replace(booked, created_at=timezone.now().replace(microsecond=0))
    row.estimate(booked.estimated_delivery, reported_at=booked.created_at)
    row.total_price, row.currency = booked.total_price, booked.currency
    row.carrier_state = to_builtins(booked.carrier_state) or None
    row.service_type = booked.service_type[:_MAX_SERVICE] or row.service_type
    row.poll_at = timezone.now() + settings.POLL_AFTER_SILENCE
    row.carrier_details = to_builtins(booked.extras)
    if booked.pickup_code:
        row.carrier_details["pickup_code"] = booked.pickup_code
    row.save()
    documents.save_documents(row, files)
    _store_parcels(row, booked)
    if booked.pickup:
        booked_pickups.store(row, booked.pickup)
    carrier_reports.add_scans(row, [_build_first_scan(row, booked)], source=Checkpoint.ReportedBy.BOOKING)
    events.record(SHIPMENT_BOOKED, tenant=row.tenant, subject_id=row.id, data=shipment_facts(row))
    transaction.on_commit(lambda: _report_booking(row))
    return row


def _store_parcels(row: Shipment, booked: BookedShipment) -> None:
    """Store the numbers and references that the carrier gave to the parcels."""
    for parcel in booked.parcels:
        values = {"tracking_number": parcel.tracking_number, "reference": parcel.reference[:_MAX_REFERENCE]}
        given = {name: value for name, value in values.items() if value}
        if given:
            Parcel.objects.filter(shipment=row, number=parcel.number).update(**given)


def _report_booking(row: Shipment) -> None:
    """Count the shipment and write the documented log line."""
    metrics.shipments_created(row.carrier).labels(service_type=row.service_type).inc()
    extra = {
        "orderId": row.order_id,
        "awb": row.tracking_number,
        "carrier": row.carrier_details.get("courier_name") or row.carrier,
        "shipment_id": str(row.id),
    }
    log.info("%s order created", adapter_class(row.carrier).name, extra=extra)


def _check_number_is_free(row: Shipment, number: str) -> None:
    """Refuse a number that this credential booked within 28 days. The second holder could see and cancel the parcel.

    With a credential that merchants share no constraint can check this, because carriers reuse numbers after months.
    """
    selection.lock_credential(row.credential_id)
    booked = Shipment.objects.filter(credential_id=row.credential_id, booking_state=BookingState.BOOKED)
    if booked.filter(tracking_number__any_case=number, created_at__gte=row.created_at - lookup.REUSED_AFTER).exists():
        raise _NumberTaken(number)


def _build_first_scan(row: Shipment, booked: BookedShipment) -> Scan:
    """Return the first checkpoint. The carrier's own report counts as the same scan, so it has the same details."""
    details: dict[str, object] = {
        name: {part: address[part] for part in ("city", "state", "country") if address.get(part)}
        for name, address in (("origin", row.origin), ("destination", row.destination))
    }
    details |= {"service_type": row.service_type, "estimated_delivery": rfc3339(row.estimated_delivery)}
    return Scan(
        code=adapter_class(row.carrier).created_code,
        status=Status.CREATED,
        occurred_at=booked.created_at,
        occurred_text=rfc3339(booked.created_at) or "",
        description="Shipment created",
        location=", ".join(part for part in (row.origin.get("city"), row.origin.get("state")) if part),
        details={name: value for name, value in details.items() if value},
    )
