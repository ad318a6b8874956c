"""Finding a merchant's shipment by any of its names."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.db.tenancy import Tenant
from apikeys.http.errors import (
    Conflict,
    ShipmentNotFound,
    UnsupportedOperation,
)
from carriers.adapters.base import CarrierAdapter
from carriers.credentials import opening
from shipping.models import UNIT_STATES, UNSETTLED, BookingState, Orphan, Shipment

_NAMES = ("tracking_number", "carrier_shipment_id", "waybill_number")
_HELD = ("tracking_number", "id", "created_at")
# No carrier gives a number anew sooner.
ANEW_AFTER = timedelta(days=28)
# What nobody has settled for so long keeps no number from its holder, whose scans wait for less than a week.
_UNSETTLED_FOR = timedelta(days=2)


def find(tenant: Tenant, name: str, *, carrier: str = "") -> Shipment:
    """By our id, the tracking number, the carrier's shipment id or a number of our generator, in this order.

    The newest where several share a number.

    ``carrier`` (a slug) narrows. Raises ``ShipmentNotFound``, also for another merchant's.
    """
    rows = Shipment.objects.of(tenant).order_by("-id")
    if carrier:
        rows = rows.filter(carrier=carrier)
    for condition in _conditions(name):
        if shipment := rows.filter(**condition).first():
            return shipment
    raise ShipmentNotFound


def find_many(tenant: Tenant, names: Iterable[str], *, carrier: str = "") -> dict[str, Shipment]:
    """The same for many names, in one query for each kind of name; what is nobody's is left out.

    The shipments come with their credentials.
    """
    rows = Shipment.objects.of(tenant)
    if carrier:
        rows = rows.filter(carrier=carrier)
    wanted = [name for name in names if name]
    ours = {name: uuid.UUID(name) for name in wanted if is_id(name)}
    known = set(rows.filter(id__in=ours.values()).values_list("id", flat=True))
    ids = {name: id_ for name, id_ in ours.items() if id_ in known}
    for column in _NAMES:
        left = [name for name in wanted if name not in ids]
        # The newest comes last, and stays.
        ids |= dict(rows.filter(**{f"{column}__in": left}).order_by("id").values_list(column, "id"))
    found = rows.select_related("credential").in_bulk(ids.values())
    return {name: found[id_] for name, id_ in ids.items() if id_ in found}


def holders(
    credential_id: uuid.UUID, numbers: Iterable[str], *, at: datetime | None = None, since: datetime | None = None
) -> dict[str, uuid.UUID]:
    """Which shipment of an account each number is now (or was ``at`` a time): its newest booking (made ``since``).

    Carriers give numbers anew after a time, at an account that merchants share perhaps to another merchant's parcel. So
    an old booking counts for nothing while a purchase of the account is under way, which may have its number.
    """
    rows = Shipment.objects.filter(
        credential_id=credential_id, tracking_number__in=list(numbers), booking_state=BookingState.BOOKED
    )
    if at:
        rows = rows.filter(created_at__lte=at)
    if since:
        rows = rows.filter(created_at__gte=since)
    newest = {number: (id_, made) for number, id_, made in rows.order_by("id").values_list(*_HELD)}
    old = [number for number, (_id, made) in newest.items() if made < (at or timezone.now()) - ANEW_AFTER]
    lost = _given_away(credential_id, old, at or timezone.now()) if old else set()
    return {number: id_ for number, (id_, _made) in newest.items() if number not in lost}


def holds_its_number(shipment: Shipment) -> bool:
    """False where the carrier has given the number to another parcel since, or may have."""
    return shipment.id in holders(shipment.credential_id, [shipment.tracking_number]).values()


def is_buying(credential_id: uuid.UUID, at: datetime) -> bool:
    """Whether purchases of the account that were begun by then, and not two days ago, are not settled yet."""
    unsettled = Shipment.objects.filter(credential_id=credential_id, booking_state__in=UNSETTLED)
    return unsettled.filter(created_at__lte=at, created_at__gt=timezone.now() - _UNSETTLED_FOR).exists()


def _given_away(credential_id: uuid.UUID, numbers: Sequence[str], at: datetime) -> set[str]:
    if is_buying(credential_id, at):
        return set(numbers)
    orphans = Orphan.objects.filter(shipment__credential_id=credential_id, tracking_number__in=numbers, voided_at=None)
    return set(orphans.values_list("tracking_number", flat=True))


def is_id(name: str) -> bool:
    """Whether it can be an id of ours."""
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True


def _conditions(name: str) -> list[dict[str, object]]:
    by_name: list[dict[str, object]] = [{column: name} for column in _NAMES] if name else []
    return [{"id": uuid.UUID(name)}, *by_name] if is_id(name) else by_name


def find_unit(tenant: Tenant, name: str) -> Shipment | None:
    """The same, but only what has a status: booked and self-tracked shipments."""
    try:
        shipment = find(tenant, name)
    except ShipmentNotFound:
        return None
    return shipment if shipment.booking_state in UNIT_STATES else None


def open_adapter(shipment: Shipment) -> CarrierAdapter:
    return opening.open_adapter(shipment.credential, merchant_id=shipment.merchant_id, subject_id=shipment.id)


def need_booking(shipment: Shipment) -> None:
    """What may be asked of the carrier about it.

    Raises ``UnsupportedOperation`` for a self-tracked unit, and ``Conflict`` for what no carrier has confirmed, or by
    whose number it knows another parcel now.
    """
    if not shipment.carrier:
        raise UnsupportedOperation(_("This unit is tracked by your own checkpoints; no carrier has booked it."))
    if shipment.booking_state in (BookingState.PENDING, BookingState.NEEDS_REVIEW):
        raise Conflict(_("The carrier has not confirmed this booking yet."))
    if shipment.booking_state == BookingState.FAILED:
        raise Conflict(_("The booking of this shipment failed."))
    if not holds_its_number(shipment):
        raise Conflict(_("The carrier has given this tracking number to another parcel since."))
