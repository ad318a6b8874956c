"""Storing what became of a purchase."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.audit import events
from apikeys.http.errors import (
    WaybillError,
)
from apikeys.http.rendering import rfc3339
from carriers.adapters.registry import adapter_class
from carriers.credentials import selection
from carriers.http import metrics
from carriers.types import (
    BookedLabel,
    Scan,
    Status,
)
from shipping.checkpoints import carrier_reports
from shipping.common import lookup
from shipping.common.conversion import to_builtins
from shipping.common.event_data import shipment_facts
from shipping.labels import documents
from shipping.models import BookingState, Label, Shipment
from shipping.models.event_types import (
    SHIPMENT_BOOKED,
    SHIPMENT_FAILED,
    SHIPMENT_NEEDS_REVIEW,
)

log = logging.getLogger(__name__)


def is_of(shipment: Shipment, booked: BookedLabel) -> bool:
    """Whether the carrier speaks of this purchase; some repeat a reference in letters of another case."""
    return booked.reference.casefold() == shipment.reference.casefold()


def finish(shipment_id: uuid.UUID, booked: BookedLabel, *, reconcile_at: datetime | None = None) -> Shipment:
    """Store what the carrier sold: label file, numbers, first checkpoint, event.

    ``reconcile_at``: when to look the reference up once more all the same. Does nothing to a shipment that is booked
    already. A file that the carrier has not given out yet is fetched later
    (``shipping.labels.documents``).
    """
    label = documents.made(shipment_id, booked)
    try:
        with transaction.atomic():
            return _book(shipment_id, booked, label, reconcile_at)
    except (IntegrityError, _NumberTaken):
        log.exception("booked label collides with a stored one", extra={"shipment": str(shipment_id)})
        text = _("The carrier sold %s, a number that it has sold to another shipment.") % booked.tracking_number
        return review(shipment_id, text)


def fail(shipment: Shipment, error: WaybillError, *, reconcile_at: datetime | None = None) -> None:
    """A booking that did not happen; keeps what the merchant is told. ``reconcile_at``: when to look all the same."""
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if row.booking_state not in (BookingState.PENDING, BookingState.NEEDS_REVIEW):
            return
        row.booking_state, row.failure, row.reconcile_at = (
            BookingState.FAILED,
            error.body() | {"http_status": error.status},
            reconcile_at,
        )
        row.frees_order = True
        row.save(update_fields=["booking_state", "failure", "reconcile_at", "frees_order", "updated_at"])
        data = shipment_facts(row) | {"error": error.code}
        events.record(SHIPMENT_FAILED, tenant=row.tenant, subject_id=row.id, data=data)


def review(shipment_id: uuid.UUID, reason: str) -> Shipment:
    """Only a person can tell what became of this booking."""
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment_id)
        if row.booking_state == BookingState.BOOKED:
            return row
        row.booking_state, row.reconcile_at = BookingState.NEEDS_REVIEW, None
        row.failure = {"error": "needs_review", "message": reason}
        row.save(update_fields=["booking_state", "failure", "reconcile_at", "updated_at"])
        events.record(SHIPMENT_NEEDS_REVIEW, tenant=row.tenant, subject_id=row.id, data={"reason": reason})
    return row


def _book(shipment_id: uuid.UUID, booked: BookedLabel, label: Label, reconcile_at: datetime | None) -> Shipment:
    row = Shipment.objects.select_for_update().get(id=shipment_id)
    if row.booking_state == BookingState.BOOKED:
        if reconcile_at or booked.tracking_number != row.tracking_number:  # the other label is nobody's
            Shipment.objects.filter(id=row.id).update(reconcile_at=reconcile_at or timezone.now())
        return row
    if row.booking_state == BookingState.FAILED:
        # Given up meanwhile, and the order may have been bought anew: reconciliation voids this late one.
        row.reconcile_at = timezone.now()
        row.save(update_fields=["reconcile_at", "updated_at"])
        return row
    _refuse_sold_twice(row, booked.tracking_number)
    row.booking_state, row.failure, row.reconcile_at = BookingState.BOOKED, None, reconcile_at
    row.tracking_number, row.carrier_shipment_id = booked.tracking_number, booked.carrier_shipment_id
    row.estimate(booked.estimated_delivery, told_at=booked.created_at)
    row.total_price, row.currency = booked.total_price, booked.currency
    row.poll_at = timezone.now() + settings.POLL_AFTER_SILENCE
    row.carrier_details = to_builtins(booked.extras) | (
        {"pickup_code": booked.pickup_code} if booked.pickup_code else {}
    )
    row.save()
    label.save(force_insert=True)
    carrier_reports.add_scans(row, [_first_scan(row, booked)])
    events.record(SHIPMENT_BOOKED, tenant=row.tenant, subject_id=row.id, data=shipment_facts(row))
    transaction.on_commit(lambda: metrics.shipments_created(row.carrier).labels(service_type=row.service_type).inc())
    return row


class _NumberTaken(Exception):
    """The carrier has sold another shipment's parcel under this number."""


def _refuse_sold_twice(row: Shipment, number: str) -> None:
    """Whoever held a number second would see the first one's parcel, and could call it off.

    At an account that merchants share no constraint sees to it: after months a number is given anew.
    """
    selection.lock_credential(row.credential_id)
    booked = Shipment.objects.filter(credential_id=row.credential_id, booking_state=BookingState.BOOKED)
    if booked.filter(tracking_number=number, created_at__gte=row.created_at - lookup.ANEW_AFTER).exists():
        raise _NumberTaken(number)


def _first_scan(row: Shipment, booked: BookedLabel) -> Scan:
    """The carrier's own news of it is the same scan, so this one holds what that would tell."""
    ends = {name: _town(place) for name, place in (("origin", row.origin), ("destination", row.destination))}
    details = ends | {"service_type": row.service_type, "estimated_delivery": rfc3339(row.estimated_delivery)}
    return Scan(
        code=adapter_class(row.carrier).created_code,
        status=Status.CREATED,
        occurred_at=booked.created_at,
        occurred_text=rfc3339(booked.created_at) or "",
        description="Shipment created",
        location=", ".join(part for part in (row.origin.get("city"), row.origin.get("state")) if part),
        details={name: value for name, value in details.items() if value},
    )


def _town(place: Mapping[str, Any]) -> dict[str, str]:
    return {name: place[name] for name in ("city", "state", "country") if place.get(name)}
