"""Requests about credentials, and a reference to a booked shipment, for several test modules."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from carriers.types import Address, Order, Package, PickupRef, ShipmentRef

FIELDS = {"client_id": "test-client-id", "client_secret": "test-secret"}
NEW = {"carrier": "Pickit", "environment": "sandbox", "credentials": FIELDS}
VELOCITY = {"username": "+910000000000", "password": "test-secret"}
MOUNTS = pytest.mark.parametrize("mount", ["/api/v1", "/api/week3-integrations"])


def shipment_ref(order=None, **fields):
    """Return a reference to a booked shipment; without an order, to a small one within the United States."""
    address = Address(country="US", postal_code="12207", city="Albany", street="19 Depot Lane")
    order = order or Order(origin=address, destination=address, packages=(Package(weight_kg=Decimal(1)),))
    booked_at = datetime(2024, 3, 16, 10, 0, tzinfo=UTC)
    return ShipmentRef(
        **{"reference": order.reference, "order": order, "booked_at": booked_at, "ship_at": booked_at} | fields
    )


def pickup_ref(request, carrier_pickup_id):
    """Return a reference to a booked pickup."""
    return PickupRef(carrier_pickup_id=carrier_pickup_id, request=request)
