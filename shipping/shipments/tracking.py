"""Track parcels at their carriers, one or many at once; an error of one parcel does not affect the others."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.http.errors import ShipmentNotFound, WaybillError
from carriers.adapters.registry import adapter_class
from carriers.credentials import opening
from carriers.types import ProofOfDelivery, Track
from carriers.types.errors import CarrierError, CarrierTimeout, CarrierUnavailable, CredentialUnreadable
from shipping.checkpoints.carrier_reports import store_track, try_store_track
from shipping.common import lookup, refs
from shipping.models import BookingState, Shipment

# Shipments that the carrier's answer did not cover, with the error if there was one.
_Missing = dict[uuid.UUID, CarrierError | None]


@dataclass(frozen=True)
class TrackResult:
    """The result for one number: its shipment or an error. ``stale``: the carrier did not report it just now."""

    name: str
    outcome: Shipment | WaybillError
    stale: bool = False


def track(tenant: Tenant, *, carrier: str, number: str) -> tuple[Shipment, bool]:
    """Read a parcel's history at the carrier and store it.

    Returns: the shipment, and whether it is stale: the carrier did not answer, or not about this parcel, or the
    credential cannot be read.
    Raises: ``ShipmentNotFound`` for a number that is not this merchant's, because a shared credential must not show
    one merchant's parcels to another; ``ValidationFailed`` if the carrier has no such numbers; the carrier's error
    if nothing is stored yet.
    """
    shipment = lookup.get_shipment(tenant, number, carrier=adapter_class(carrier).slug)
    if shipment.booking_state != BookingState.BOOKED:
        raise ShipmentNotFound
    if not lookup.owns_number(shipment):
        return shipment, True
    tracking_number = shipment.tracking_number
    asked_at = timezone.now()
    try:
        found = lookup.open_adapter(shipment).track([refs.shipment_ref(shipment)]).get(tracking_number)
    except (CarrierUnavailable, CarrierTimeout, CredentialUnreadable):
        if not shipment.checkpoint_count:
            raise
        return shipment, True
    if found:
        store_track(shipment, found, asked_at=asked_at)
    shipment.refresh_from_db()
    return shipment, found is None


def track_many(tenant: Tenant, *, carrier: str, names: Sequence[str]) -> list[TrackResult]:
    """Track many parcels with one call per credential. Each result, in order, is what ``track`` returns or raises."""
    slug = adapter_class(carrier).slug
    found = lookup.find_shipments(tenant, names, carrier=slug)
    booked = {name: row for name, row in found.items() if row.booking_state == BookingState.BOOKED}
    by_credential: dict[object, dict[uuid.UUID, Shipment]] = defaultdict(dict)
    for row in booked.values():  # two names may identify one shipment
        by_credential[row.credential_id][row.id] = row
    missing: _Missing = {}
    for rows in by_credential.values():
        missing |= _refresh(list(rows.values()))
    current = Shipment.objects.of(tenant).in_bulk([row.id for row in booked.values()])
    errors = {name: lookup.describe_missing(name, slug) for name in names if name not in found}
    return [
        TrackResult(name, errors[name])
        if name in errors
        else _build_result(name, current.get(booked[name].id) if name in booked else None, missing)
        for name in names
    ]


def get_proof_of_delivery(tenant: Tenant, name: str, *, carrier: str = "") -> ProofOfDelivery:
    """Return the carrier's proof of delivery. After RTO it proves the return, so it has no delivery time.

    Raises ``ShipmentNotFound``, ``UnsupportedOperation``, and ``CarrierNotFound`` before delivery.
    """
    shipment = lookup.get_shipment(tenant, name, carrier=carrier)
    lookup.require_booking(shipment)
    proof = lookup.open_adapter(shipment).proof_of_delivery(refs.shipment_ref(shipment))
    at = proof.delivered_at
    if at and (shipment.is_returning or shipment.is_suspect(at, received_at=timezone.now())):
        return replace(proof, delivered_at=None)
    return proof


def _refresh(rows: list[Shipment]) -> _Missing:
    """Store the tracks of shipments of one credential. Returns the shipments without a new track."""
    first = rows[0]
    subject = first.id if len(rows) == 1 else None
    owners = lookup.resolve_numbers(first.credential_id, (row.tracking_number for row in rows))
    current = [row for row in rows if owners.get(row.tracking_number) == row.id]
    tracks: Mapping[str, Track] = {}
    asked_at = timezone.now()
    try:
        adapter = opening.open_adapter(first.credential, merchant_id=first.merchant_id, subject_id=subject)
        if current:
            tracks = adapter.track(refs.shipment_refs(current))
    except CarrierError as error:
        return dict.fromkeys((row.id for row in rows), error)
    tracked = [row for row in current if row.tracking_number in tracks]
    stored = {
        row.id for row in tracked if try_store_track(row, tracks[row.tracking_number], asked_at=asked_at) is not None
    }
    return {row.id: None for row in rows if row.id not in stored}


def _build_result(name: str, row: Shipment | None, missing: Mapping[uuid.UUID, CarrierError | None]) -> TrackResult:
    if row is None:
        return TrackResult(name, ShipmentNotFound())
    error = missing.get(row.id)
    is_unavailable = isinstance(error, CarrierUnavailable | CarrierTimeout)
    if error and not (is_unavailable and row.checkpoint_count):
        return TrackResult(name, error)
    return TrackResult(name, row, stale=row.id in missing)
