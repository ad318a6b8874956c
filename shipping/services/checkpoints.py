"""Checkpoints: posted by the merchant under the documented state machine, or reported by a carrier as facts."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys import events, idempotency
from apikeys.errors import BusinessRuleViolated, Conflict, ValidationFailed
from apikeys.fields import Moment
from apikeys.rendering import rfc3339
from apikeys.tenancy import Tenant
from carriers.types import Scan, Status
from shipping.events import SHIPMENT_CHECKPOINT, SHIPMENT_STATUS_CHANGED
from shipping.history import Point, summarize
from shipping.models import BookingState, Checkpoint, Shipment

# What may follow what when the merchant posts; in_transit alone may repeat.
NEXT = {
    "": {Status.CREATED},
    Status.CREATED: {Status.PICKED_UP, Status.EXCEPTION},
    Status.PICKED_UP: {Status.IN_TRANSIT, Status.EXCEPTION},
    Status.IN_TRANSIT: {Status.IN_TRANSIT, Status.OUT_FOR_DELIVERY, Status.EXCEPTION},
    Status.OUT_FOR_DELIVERY: {Status.DELIVERED, Status.EXCEPTION},
    Status.DELIVERED: set(),
    Status.EXCEPTION: set(),
}
POSTABLE = tuple(status for status in NEXT if status)
MAX_POSTED = 1000
_MAX_AHEAD = timedelta(days=1)


@dataclass(frozen=True)
class Posted:
    """The stored checkpoint, whether its unit is new, and whether it had been stored before."""

    checkpoint: Checkpoint
    unit_created: bool
    repeated: bool


def post(tenant: Tenant, *, tracking_id: str, status: str, location: str, description: str, moment: Moment) -> Posted:
    """Store a merchant's checkpoint. The same one again gives the first one back.

    Raises ``BusinessRuleViolated`` (wrong order of states or times, a carrier's shipment) and ``ValidationFailed`` (a
    time more than a day ahead); nothing is stored then.
    """
    if moment.at > timezone.now() + _MAX_AHEAD:
        raise ValidationFailed(details={"timestamp": [_("This time lies in the future.")]})
    while True:
        try:
            with transaction.atomic():
                return _post(tenant, tracking_id, status, location, description, moment)
        except IntegrityError:
            # Another request has just made the unit; the next round finds it.
            if not Shipment.objects.of(tenant.whole()).filter(carrier="", tracking_number=tracking_id).exists():
                raise


def stored(tenant: Tenant, checkpoint_id: uuid.UUID) -> Posted:
    """A checkpoint that an earlier request has stored."""
    row = Checkpoint.objects.of(tenant).select_related("shipment").get(id=checkpoint_id)
    first = row.shipment.checkpoints.order_by("occurred_at", "id").values_list("id", flat=True).first()
    return Posted(row, unit_created=first == row.id, repeated=True)


def report(shipment_id: uuid.UUID, scans: Sequence[Scan], *, estimated_delivery: datetime | None = None) -> int:
    """Store what a carrier says happened, each scan once, in any order; how many were new."""
    with transaction.atomic():
        shipment = Shipment.objects.select_for_update().get(id=shipment_id)
        if estimated_delivery and estimated_delivery != shipment.estimated_delivery:
            shipment.estimated_delivery = estimated_delivery
            shipment.save(update_fields=["estimated_delivery", "updated_at"])
        return add_scans(shipment, scans)


def add_scans(shipment: Shipment, scans: Iterable[Scan]) -> int:
    """The same on a shipment that the caller's transaction has locked."""
    known = set(shipment.checkpoints.filter(source=Checkpoint.Source.CARRIER).values_list("code", "occurred_at"))
    fresh = {(scan.code, scan.occurred_at): scan for scan in scans if (scan.code, scan.occurred_at) not in known}
    rows = [_carrier_checkpoint(shipment, scan) for scan in fresh.values()]
    if rows:
        Checkpoint.objects.bulk_create(rows)
        _settle(shipment, rows)
    return len(rows)


def _post(tenant: Tenant, tracking_id: str, status: str, location: str, description: str, moment: Moment) -> Posted:
    unit, created = _lock_unit(tenant, tracking_id)
    if not created and (first := _same(unit, status, location, moment)):
        return Posted(first, unit_created=False, repeated=True)
    _refuse_if_out_of_order(unit, status, moment)
    row = Checkpoint.objects.create(
        merchant_id=tenant.merchant_id,
        mode=tenant.mode,
        shipment=unit,
        source=Checkpoint.Source.MERCHANT,
        status=status,
        code=status,
        location=location,
        description=description,
        occurred_at=moment.at,
        occurred_text=moment.text,
        tz_assumed=moment.tz_assumed,
    )
    _settle(unit, [row])
    idempotency.bind(row.id)
    return Posted(row, unit_created=created, repeated=False)


def _lock_unit(tenant: Tenant, tracking_id: str) -> tuple[Shipment, bool]:
    """The merchant's own unit, locked, and whether it is new.

    Raises ``BusinessRuleViolated`` for a carrier's shipment, ``Conflict`` for one of a store that is not the caller's.
    """
    found = list(Shipment.objects.select_for_update().of(tenant.whole()).filter(tracking_number=tracking_id)[:10])
    own = next((unit for unit in found if not unit.carrier), None)
    if any(tenant.store_id not in (None, unit.store_id) for unit in found):
        raise Conflict(details={"tracking_id": [_("This tracking id belongs to another store.")]})
    if own:
        return own, False
    if found:
        text = _("This shipment was booked at %s, which alone reports its checkpoints.") % found[0].carrier_name
        raise BusinessRuleViolated(details={"tracking_id": [text]})
    unit = Shipment.objects.create(
        merchant_id=tenant.merchant_id,
        mode=tenant.mode,
        store_id=tenant.store_id,
        tracking_number=tracking_id,
        booking_state=BookingState.NONE,
        reference=f"WB{uuid.uuid4().hex}",
    )
    return unit, True


def _same(unit: Shipment, status: str, location: str, moment: Moment) -> Checkpoint | None:
    return unit.checkpoints.filter(
        source=Checkpoint.Source.MERCHANT, status=status, location=location, occurred_at=moment.at
    ).first()


def _refuse_if_out_of_order(unit: Shipment, status: str, moment: Moment) -> None:
    if status not in NEXT[unit.status]:
        if not unit.status:
            text = _("A new unit starts with CREATED, not %s.") % status.upper()
        else:
            text = _("%(new)s cannot follow %(old)s.") % {"new": status.upper(), "old": unit.status.upper()}
        raise BusinessRuleViolated(text, details={"status": [text]})
    if unit.last_at and moment.at < unit.last_at:
        text = _("This is earlier than the unit's last checkpoint (%s).") % rfc3339(unit.last_at)
        raise BusinessRuleViolated(text, details={"timestamp": [text]})
    if unit.checkpoint_count >= MAX_POSTED:
        raise BusinessRuleViolated(_("A unit takes at most %d checkpoints.") % MAX_POSTED)


def _carrier_checkpoint(shipment: Shipment, scan: Scan) -> Checkpoint:
    return Checkpoint(
        merchant_id=shipment.merchant_id,
        mode=shipment.mode,
        shipment=shipment,
        source=Checkpoint.Source.CARRIER,
        status=scan.status.value,
        code=scan.code[:64],
        description=scan.description[:500],
        location=scan.location[:200],
        details=dict(scan.details),
        occurred_at=scan.occurred_at,
        occurred_text=scan.occurred_text[:64],
        tz_assumed=scan.tz_assumed,
    )


def _settle(shipment: Shipment, fresh: Sequence[Checkpoint]) -> None:
    """Fold the set anew into the shipment's row and tell of what is new."""
    before = shipment.status
    points = shipment.checkpoints.values_list("occurred_at", "status", "code", "location")
    summary = summarize(Point(*values) for values in points)
    shipment.status = summary.status
    shipment.frees_order |= summary.status == Status.CANCELLED
    shipment.delivered_at = summary.delivered_at
    shipment.location = summary.location
    shipment.checkpoint_count = summary.count
    shipment.first_at, shipment.last_at = summary.first_at, summary.last_at
    shipment.save(
        update_fields=[
            "status", "delivered_at", "location", "checkpoint_count", "first_at", "last_at", "updated_at", "frees_order"
        ]
    )  # fmt: skip
    for row in fresh:
        events.record(
            SHIPMENT_CHECKPOINT, tenant=shipment.tenant, subject_id=shipment.id, data=facts(shipment) | _scan_facts(row)
        )
    if shipment.status != before:
        data = facts(shipment) | {"previous_status": before or None}
        events.record(SHIPMENT_STATUS_CHANGED, tenant=shipment.tenant, subject_id=shipment.id, data=data)


def facts(shipment: Shipment) -> dict[str, object]:
    """What an event says of a shipment: ids and facts, no personal data."""
    return {
        "shipment_id": str(shipment.id),
        "tracking_number": shipment.tracking_number,
        "carrier": shipment.carrier_name or None,
        "order_id": shipment.order_id or None,
        "status": shipment.status or None,
        "booking_state": shipment.booking_state,
        "estimated_delivery": rfc3339(shipment.estimated_delivery),
        "delivered_at": rfc3339(shipment.delivered_at),
    }


def _scan_facts(row: Checkpoint) -> dict[str, object]:
    return {
        "checkpoint": {
            "id": str(row.id),
            "status": row.status,
            "code": row.code,
            "description": row.description,
            "location": row.location,
            "occurred_at": rfc3339(row.occurred_at),
            "tz_assumed": row.tz_assumed,
        }
    }
