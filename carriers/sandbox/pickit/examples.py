"""The shipments of the document's examples, which belong to every account."""

from __future__ import annotations

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.pickit import points, scans, shipments

_ORDER = {
    "origin": {"city": "Brooklyn", "state": "NY", "postal_code": "11201", "country": "US"},
    "destination": {"city": "Manhattan", "state": "NY", "postal_code": "10001", "country": "US"},
    "packages": [{"weight_kg": 2.5, "declared_value": 100}],
}


def create_shipments(carrier: SimulatedCarrier) -> None:
    """Create the documented shipments, unless they exist."""
    if carrier.store.get("shipment", shipments.DOCUMENTED):
        return
    transit = ("in_transit", "2024-01-16T08:00:00Z", "Package in transit to destination", "New York, NY")
    events = [
        scans.make_event("created", "2024-01-15T10:00:00Z", "Shipment created", "Brooklyn, NY", {}),
        scans.make_event("picked_up", "2024-01-15T14:00:00Z", "Package picked up", "Brooklyn, NY", {}),
        scans.make_event(*transit, {"vehicle": "VAN-123", "route": "NYC-001"}),
    ]
    for number in (shipments.DOCUMENTED, "PKT-1234567891", "PKT-1234567892"):
        label = {"format": "PDF", "size": "4x6"}
        shipment = shipments.make("", _ORDER, "standard", label, points.DOCUMENTED)
        shipment |= {
            "tracking_number": number,
            "shipment_id": f"SHP-45678{number[-1]}",
            "created_at": "2024-01-15T10:00:00Z",
            "estimated_delivery": "2024-01-17T15:00:00Z",
            "pickup_code": "PICKUP-123456",
            "events": events,
            "status": "in_transit",
        }
        scans.save(carrier, shipment)
