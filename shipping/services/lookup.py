"""Finding a merchant's shipment by any of its names."""

from __future__ import annotations

import uuid

from apikeys.errors import ShipmentNotFound
from apikeys.tenancy import Tenant
from shipping.models import UNIT_STATES, Shipment


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


def is_id(name: str) -> bool:
    """Whether it can be an id of ours."""
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True


def _conditions(name: str) -> list[dict[str, object]]:
    columns = ("tracking_number", "carrier_shipment_id", "waybill_number") if name else ()
    by_name: list[dict[str, object]] = [{column: name} for column in columns]
    return [{"id": uuid.UUID(name)}, *by_name] if is_id(name) else by_name


def find_unit(tenant: Tenant, name: str) -> Shipment | None:
    """The same, but only what has a status: booked and self-tracked shipments."""
    try:
        shipment = find(tenant, name)
    except ShipmentNotFound:
        return None
    return shipment if shipment.booking_state in UNIT_STATES else None
