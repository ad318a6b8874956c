"""The demo of Bring: two parcels to a pickup point in Norway, scans of each parcel, and a label that is cancelled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.demo_shop import Demo, StepFailed, api

# Numbers that reach nobody.
OSLO = {
    "company": "Nordwind AS",
    "contact_name": "Ada Lane",
    "street": "Storgata 1",
    "city": "Oslo",
    "postal_code": "0155",
    "country": "NO",
    "contact_phone": "+4712345678",
    "contact_email": "ops@example.com",
}
BERGEN = {
    "contact_name": "Bo Quist",
    "street": "Bryggen 2",
    "city": "Bergen",
    "postal_code": "5003",
    "country": "NO",
    "contact_phone": "+4712345678",
    "contact_email": "bo@example.com",
}
BOX = {"weight_kg": 1.4, "length_cm": 20, "width_cm": 15, "height_cm": 10, "description": "Books"}


class BringDemo(Demo):
    CARRIER, NAME = "bring", "Bring"
    STATUSES = {
        "HANDED_IN": "picked_up",
        "IN_TRANSIT": "in_transit",
        "DEVIATION": "exception",
        "READY_FOR_PICKUP": "at_pickup_point",
        "DELIVERED": "delivered",
    }
    UNSENT = tuple(STATUSES)  # events are subscribed for installations with a public address only
    STEPS = (
        "earlier_parcel",
        "pickup_points",
        "quote",
        "label",
        "documents",
        "parcels",
        "pickup",
        "scans",
        "problem",
        "delivered",
        "proof_of_delivery",
        "deliveries",
        "event_trail",
        "cancellation",
    )

    def pickup_points(self) -> str:
        """Pickup points near the customer"""
        query = {"country": "NO", "postal_code": "5003", "street": "Bryggen 2", "limit": 3}
        points = api("GET", "/api/v1/bring/pickup-points", params=query).json()["pickup_points"]
        if not points:
            raise StepFailed("Bring returned no pickup point")
        self.point = points[0]
        return f"{len(points)} found; nearest: {self.point['name']} ({self.point['id']})"

    def label(self) -> str:
        """A label of two parcels to the pickup point, bought once although requested twice"""
        self.buy(b"%PDF")
        return f"{self.number}, saved as {self.path}"

    def pickup(self) -> str:
        """A pickup at the shop"""
        tomorrow = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=1)
        body = {
            "carrier": "Bring",
            "pickup_date": tomorrow.isoformat(),
            "pickup_window_start": "10:00",
            "pickup_window_end": "16:00",
            "address": OSLO,
            "packages_count": 2,
            "total_weight_kg": 2.2,
            "shipment_ids": [self.number],
        }
        booked = api("POST", "/api/v1/pickups", json=body).json()
        return f"{booked['confirmation_number']} {booked['scheduled_date']}, {booked['status']}"

    def scans(self) -> str:
        """The carrier's scans of both parcels"""
        for status in ("HANDED_IN", "IN_TRANSIT"):
            self.scan(status)
        return " → ".join(event["status"] for event in self.fetch_track()["events"])

    def problem(self) -> str:
        """A problem of one parcel, with its reason"""
        self.scan("DEVIATION", package=2, details={"cause_code": "AC"})
        event = next(one for one in self.fetch_track()["events"] if one["status"] == "exception")
        if event["reason"] != "weather":
            raise StepFailed(f"the reason of the problem is {event['reason']}")
        return f"{event['description']} ({event['reason']})"

    def delivered(self) -> str:
        """Delivery of both parcels at the pickup point"""
        self.scan("READY_FOR_PICKUP")
        self.scan("DELIVERED")
        page = api("GET", f"/api/v1/shipments/{self.shipment_id}").json()
        if page["status"] != "delivered":
            raise StepFailed(f"the shipment is {page['status']}")
        return f"{page['status']} at {page['delivered_at']}"

    def cancellation(self) -> str:
        """Another label, cancelled before its first scan: Bring itself cannot cancel"""
        bought = api("POST", "/api/v1/labels", json=self.make_order() | {"order_id": f"{self.order}-2"}).json()
        path = f"/api/v1/shipments/{bought['shipment_id']}"
        api("POST", f"{path}/cancel", json={"reason": "Changed mind"})
        page = api("GET", path).json()
        if page["status"] != "cancelled":
            raise StepFailed(f"the shipment is {page['status']}")
        return f"{bought['tracking_number']}: {page['status']}"

    def make_order(self) -> dict[str, Any]:
        return {
            "carrier": "Bring",
            "order_id": self.order,
            "origin": OSLO,
            "destination": BERGEN,
            "packages": [BOX, BOX | {"weight_kg": 0.8}],
            "currency": "NOK",
            "service_type": "5800",
            "metadata": {"pickup_point_id": self.point["id"]},
        }
