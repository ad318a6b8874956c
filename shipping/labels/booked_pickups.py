"""Pickups that a carrier books together with a label."""

from __future__ import annotations

import logging

from apikeys.audit import events
from carriers.types import BookedPickup
from shipping.common.conversion import to_builtins
from shipping.common.event_data import pickup_facts
from shipping.models import Pickup, Shipment
from shipping.models.event_types import PICKUP_SCHEDULED

log = logging.getLogger(__name__)


def store(shipment: Shipment, booked: BookedPickup) -> None:
    """Store a pickup that was booked with a shipment, or add the shipment to it. Call in a transaction."""
    known = Pickup.objects.filter(credential=shipment.credential, carrier_pickup_id=booked.carrier_pickup_id).first()
    if known is None:
        _create(shipment, booked)
    elif (known.merchant_id, known.mode) == (shipment.merchant_id, shipment.mode):
        known.shipments.add(shipment)
    else:
        log.error("pickup of another merchant booked with a label", extra={"shipment": str(shipment.id)})


def _create(shipment: Shipment, booked: BookedPickup) -> None:
    parcels = list(shipment.parcels.all())
    row = Pickup.objects.create(
        merchant_id=shipment.merchant_id,
        mode=shipment.mode,
        store_id=shipment.store_id,
        carrier=shipment.carrier,
        credential=shipment.credential,
        state=Pickup.State.SCHEDULED,
        carrier_pickup_id=booked.carrier_pickup_id,
        confirmation_number=booked.confirmation_number,
        scheduled_date=booked.scheduled_date,
        scheduled_day=booked.scheduled_date.date(),
        window_start=booked.window_start[:5],
        window_end=booked.window_end[:5],
        address=shipment.origin,
        packages_count=len(parcels) or 1,
        total_weight_kg=sum(parcel.weight_kg for parcel in parcels) or None,
        carrier_details=to_builtins(booked.extras),
        carrier_state=to_builtins(booked.carrier_state) or None,
    )
    row.shipments.add(shipment)
    events.record(PICKUP_SCHEDULED, tenant=row.tenant, subject_id=row.id, data=pickup_facts(row))
