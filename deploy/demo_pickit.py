"""The demo of Pickit: to a pickup point, with the other carrier of the first installation, Velocity."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.demo_shop import SHOP, Demo, StepFailed, api

CUSTOMER = {
    "contact_name": "Jane Smith",
    "street": "789 Customer St",
    "city": "Manhattan",
    "state": "NY",
    "postal_code": "10001",
    "country": "US",
    "contact_phone": "+1987654321",
    "contact_email": "jane.smith@example.com",
}
MUMBAI = {
    "contact_name": "Shipping Department",
    "contact_phone": "9000000001",
    "street": "12 Example Road",
    "city": "Mumbai",
    "state": "Maharashtra",
    "postal_code": "400069",
    "country": "IN",
}
BANGALORE = MUMBAI | {"contact_name": "Jane Smith", "city": "Bangalore", "state": "Karnataka", "postal_code": "560102"}
BOX = {"weight_kg": 2.5, "length_cm": 30, "width_cm": 20, "height_cm": 15, "declared_value": 100, "currency": "USD"}


class PickitDemo(Demo):
    CARRIER, NAME = "pickit", "Pickit"
    UNSENT = ("out_for_delivery",)
    STEPS = (
        "earlier_parcel",
        "pickup_points",
        "quote",
        "label",
        "pickup",
        "scans",
        "pickup_point",
        "track",
        "delivered",
        "proof_of_delivery",
        "deliveries",
        "event_trail",
        "another_carrier",
        "return_label",
    )

    def pickup_points(self) -> str:
        """Pickup points near the customer"""
        query = {"latitude": 40.7128, "longitude": -74.006, "radius_km": 5}
        points = api("GET", "/api/v1/pickit/pickup-points", params=query).json()["pickup_points"]
        if not points:
            raise StepFailed("Pickit returned no pickup point")
        self.point = points[0]
        return (
            f"{len(points)} found; nearest: {self.point['name']} ({self.point['id']}), {self.point['distance_km']} km"
        )

    def label(self) -> str:
        """A label, bought once although requested twice"""
        first = self.buy(b"%PDF")
        return f"{self.number}, {first['total_price']:.2f} {first['currency']}, saved as {self.path}"

    def pickup(self) -> str:
        """A pickup at the shop"""
        tomorrow = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=1)
        body = {
            "carrier": "Pickit",
            "pickup_date": tomorrow.isoformat(),
            "pickup_window_start": "10:00",
            "pickup_window_end": "14:00",
            "address": SHOP,
            "contact_name": "Warehouse Manager",
            "packages_count": 1,
            "total_weight_kg": 2.5,
            "shipment_ids": [self.number],
        }
        booked = api("POST", "/api/v1/pickups", json=body).json()
        return f"{booked['confirmation_number']} {booked['scheduled_date']}, {booked['status']}"

    def scans(self) -> str:
        """The carrier's scans, with a failed attempt, by signed webhook"""
        for status in ("picked_up", "in_transit", "out_for_delivery", "exception"):
            self.scan(status)
        # Pickit sends no webhook for out_for_delivery: tracking the parcel returns that scan.
        history = api("GET", f"/api/v1/tracking/{self.number}").json()
        return " → ".join(checkpoint["status"] for checkpoint in history["checkpoints"])

    def pickup_point(self) -> str:
        """Arrival at a pickup point, with a code for the customer"""
        self.scan("at_pickup_point", pickup_point_id=self.point["id"])
        track = self.fetch_track()
        code = track["metadata"].get("pickup_code")
        if not code:
            raise StepFailed("the track has no pickup code")
        return f"code {code} at {self.point['name']}"

    def track(self) -> str:
        """The track"""
        track = self.fetch_track()
        if not any(event["status"] == "exception" for event in track["events"]):
            raise StepFailed("the failed attempt is missing from the track")
        return f"{track['status']}, {len(track['events'])} events, {track['metadata']['delivery_attempts']} attempt(s)"

    def make_order(self) -> dict[str, Any]:
        return {
            "carrier": "Pickit",
            "order_id": self.order,
            "origin": SHOP,
            "destination": CUSTOMER,
            "packages": [BOX],
            "service_type": "standard",
            "label_format": "PDF",
            "label_size": "4x6",
            "metadata": {"customer_reference": "CUST-REF-001"},
        }

    def another_carrier(self) -> str:
        """Another carrier: a warehouse, cash on delivery, the cheapest courier"""
        details = {"name": f"Mumbai {self.order}", "address": MUMBAI, "carriers": ["velocity"]}
        warehouse = api("POST", "/api/v1/warehouses", expect=201, json=details).json()
        order = {
            "carrier": "velocity",
            "order_id": f"{self.order}-IN",
            "origin": MUMBAI,
            "destination": BANGALORE,
            "packages": [{"weight_kg": 0.5, "length_cm": 30, "width_cm": 20, "height_cm": 5}],
            "payment_method": "cod",
            "cod_amount": 990,
            "currency": "INR",
        }
        best = api("POST", "/api/v1/quotes", json=order).json()
        bought = order | {"warehouse_id": warehouse["id"], "service_type": best["service_type"]}
        label = api("POST", "/api/v1/labels", json=bought).json()
        self.indian = label["tracking_number"]
        return f"{self.indian} by {label['metadata']['courier_name']}, {best['total_price']:.2f} {best['currency']}"

    def return_label(self) -> str:
        """A return"""
        body = {"shipment_id": self.indian, "reason": "Does not fit"}
        returned = api("POST", "/api/v1/returns", json=body).json()
        if returned["tracking_number"] == self.indian:
            raise StepFailed("the return has the tracking number of the first shipment")
        return f"{returned['tracking_number']}, for {self.indian}"
