"""Many parcels' histories read at their carrier at once; what goes wrong with one costs the others nothing."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.http.errors import (
    ShipmentNotFound,
    WaybillError,
)
from carriers.adapters.registry import adapter_class
from carriers.credentials import opening
from carriers.types import (
    ProofOfDelivery,
    Track,
)
from carriers.types.errors import (
    CarrierError,
    CarrierTimeout,
    CarrierUnavailable,
    CredentialUnreadable,
)
from shipping.checkpoints import carrier_reports
from shipping.checkpoints.carrier_reports import store_track
from shipping.common import lookup
from shipping.common.lookup import open_adapter, require_booking
from shipping.models import BookingState, Shipment

_Troubles = dict[uuid.UUID, CarrierError | None]


@dataclass(frozen=True)
class Tracked:
    """What became of one number: its shipment, or an error. ``stale``: the carrier did not tell of it just now."""

    name: str
    outcome: Shipment | WaybillError
    stale: bool = False


def read(tenant: Tenant, *, carrier: str, names: Sequence[str]) -> list[Tracked]:
    """What ``shipments.track`` gives or raises for each number, in their order; each account is asked once."""
    found = lookup.find_shipments(tenant, names, carrier=adapter_class(carrier).slug)
    booked = {name: row for name, row in found.items() if row.booking_state == BookingState.BOOKED}
    troubles = _refreshed(booked.values())
    now = Shipment.objects.of(tenant).in_bulk([row.id for row in booked.values()])
    fresh = {name: now[row.id] for name, row in booked.items() if row.id in now}
    return [_tracked(name, fresh.get(name), troubles) for name in names]


def _refreshed(rows: Iterable[Shipment]) -> _Troubles:
    """Store what the carrier tells; what it did not tell of, with the reason where it gave one."""
    groups: dict[object, dict[uuid.UUID, Shipment]] = defaultdict(dict)
    for row in rows:  # two names may be one shipment's
        groups[row.credential_id][row.id] = row
    troubles: _Troubles = {}
    for group in groups.values():
        troubles |= _asked(list(group.values()))
    return troubles


def _asked(rows: list[Shipment]) -> _Troubles:
    first = rows[0]
    subject = first.id if len(rows) == 1 else None
    holders = lookup.resolve_numbers(first.credential_id, (row.tracking_number for row in rows))
    asked = [row for row in rows if holders.get(row.tracking_number) == row.id]
    told: Mapping[str, Track] = {}
    asked_at = timezone.now()
    try:
        adapter = opening.open_adapter(first.credential, merchant_id=first.merchant_id, subject_id=subject)
        if asked:
            told = adapter.track([row.tracking_number for row in asked])
    except CarrierError as error:
        return dict.fromkeys((row.id for row in rows), error)
    found = [row for row in asked if row.tracking_number in told]
    stored = {
        row.id
        for row in found
        if carrier_reports.try_store_track(row, told[row.tracking_number], asked_at=asked_at) is not None
    }
    return {row.id: None for row in rows if row.id not in stored}


def _tracked(name: str, row: Shipment | None, troubles: Mapping[uuid.UUID, CarrierError | None]) -> Tracked:
    if row is None:
        return Tracked(name, ShipmentNotFound())
    error = troubles.get(row.id)
    is_away = isinstance(error, CarrierUnavailable | CarrierTimeout)
    if error and not (is_away and row.checkpoint_count):
        return Tracked(name, error)
    return Tracked(name, row, stale=row.id in troubles)


def track(tenant: Tenant, *, carrier: str, number: str) -> tuple[Shipment, bool]:
    """Read a parcel's history at the carrier into ours.

    The shipment, and whether it is stale: the carrier did not answer, or not of this one, or its account is gone.

    Raises ``ShipmentNotFound`` for a number that is not this merchant's: an account shared by merchants must not show
    one's parcels to another.
    """
    slug = adapter_class(carrier).slug
    shipment = lookup.get_shipment(tenant, number, carrier=slug)
    if shipment.booking_state != BookingState.BOOKED:
        raise ShipmentNotFound
    try:
        was_told = _refresh(shipment)
    except (CarrierUnavailable, CarrierTimeout, CredentialUnreadable):
        if not shipment.checkpoint_count:
            raise
        return shipment, True
    shipment.refresh_from_db()
    return shipment, not was_told


def proof_of_delivery(tenant: Tenant, name: str, *, carrier: str = "") -> ProofOfDelivery:
    """The carrier's proof. Raises ``ShipmentNotFound``.

    ``UnsupportedOperation`` and ``CarrierNotFound`` before delivery.
    """
    shipment = lookup.get_shipment(tenant, name, carrier=carrier)
    require_booking(shipment)
    return open_adapter(shipment).proof_of_delivery(shipment.tracking_number)


def _refresh(shipment: Shipment) -> bool:
    """Store what the carrier tells of it; False where it does not tell of it. Raises ``CarrierError``."""
    if not lookup.owns_number(shipment):
        return False
    asked_at = timezone.now()
    found = open_adapter(shipment).track([shipment.tracking_number]).get(shipment.tracking_number)
    if found:
        store_track(shipment, found, asked_at=asked_at)
    return found is not None
