"""References to booked shipments and pickups, as adapters receive them. They are built from rows here only."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from django.db.models import prefetch_related_objects

from apikeys.http.fields import MomentField
from carriers.types import BookedShipment, Order, ParcelRef, PickupRef, PickupRequest, ShipmentRef
from shipping.common.conversion import to_address, to_order
from shipping.models import Pickup, Shipment

log = logging.getLogger(__name__)
_CONTACT = ("contact_name", "contact_phone", "contact_email")


def bought_order(shipment: Shipment) -> Order:
    """Return the order as it was bought; that of a return has the shipment that it returns."""
    order = _stored_order(shipment)
    if shipment.return_of is None:
        return order
    return replace(order, return_of=_build_ref(shipment.return_of, _stored_order(shipment.return_of)))


def shipment_ref(shipment: Shipment) -> ShipmentRef:
    """Return a reference to a shipment, pending or booked."""
    return _build_ref(shipment, bought_order(shipment))


def shipment_refs(shipments: Sequence[Shipment]) -> list[ShipmentRef]:
    """Return references to several shipments, with one query for their parcels."""
    prefetch_related_objects(shipments, "parcels")
    return [shipment_ref(shipment) for shipment in shipments]


def found_ref(shipment: Shipment, booked: BookedShipment) -> ShipmentRef:
    """Return a reference to what the carrier sold under a shipment's reference, which the row may not show."""
    return replace(
        shipment_ref(shipment),
        tracking_number=booked.tracking_number,
        carrier_shipment_id=booked.carrier_shipment_id,
        parcels=booked.parcels,
        carrier_state=booked.carrier_state,
    )


def pickup_request(pickup: Pickup, shipments: Sequence[Shipment]) -> PickupRequest:
    """Return the request of a pickup. Its date has the offset that the merchant sent."""
    sent = pickup.request
    contact = {name: sent[name] for name in _CONTACT if sent.get(name)}
    text = sent.get("pickup_date")
    return PickupRequest(
        reference=str(pickup.id),
        pickup_date=MomentField().to_internal_value(text).local if text else pickup.scheduled_date,
        window_start=pickup.window_start,
        window_end=pickup.window_end,
        address=to_address({"country": "", **pickup.address, **contact}),
        packages_count=pickup.packages_count,
        total_weight_kg=pickup.total_weight_kg,
        special_instructions=sent.get("special_instructions", ""),
        tracking_numbers=tuple(shipment.tracking_number for shipment in shipments),
        shipments=tuple(shipment_refs(shipments)),
    )


def pickup_ref(pickup: Pickup) -> PickupRef:
    """Return a reference to a booked pickup."""
    shipments = list(Shipment.objects.filter(pickups=pickup).select_related("return_of").order_by("id"))
    return PickupRef(
        carrier_pickup_id=pickup.carrier_pickup_id,
        request=pickup_request(pickup, shipments),
        confirmation_number=pickup.confirmation_number,
        carrier_state=pickup.carrier_state or {},
    )


def _stored_order(shipment: Shipment) -> Order:
    """Return the order of a row. The oldest rows have no request, but addresses.

    A request that cannot be read any more must not keep the shipment from being tracked or cancelled: then the order
    has the row's own columns only.
    """
    addresses = {name: {"country": "", **_without_null(getattr(shipment, name))} for name in ("origin", "destination")}
    own = {**addresses, "packages": [], "order_id": shipment.order_id, "service_type": shipment.service_type}
    try:
        return to_order({**own, **shipment.request, "reference": shipment.reference})
    except (msgspec.ValidationError, AttributeError, TypeError):
        log.exception("stored request not readable", extra={"shipment": str(shipment.id)})
        return to_order({**own, "reference": shipment.reference})


def _without_null(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _build_ref(shipment: Shipment, order: Order) -> ShipmentRef:
    return ShipmentRef(
        reference=shipment.reference,
        order=order,
        booked_at=shipment.created_at,
        ship_at=order.ship_at or shipment.ship_at or shipment.created_at,
        tracking_number=shipment.tracking_number,
        carrier_shipment_id=shipment.carrier_shipment_id,
        parcels=tuple(
            ParcelRef(number=row.number, tracking_number=row.tracking_number, reference=row.reference)
            for row in shipment.parcels.all()
        ),
        carrier_state=shipment.carrier_state or {},
    )
