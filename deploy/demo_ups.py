"""The demo of UPS: two parcels abroad, with customs, an invoice, a signature and scans of each parcel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.demo_shop import SHOP, Demo, StepFailed, api, wait_for

BERLIN = {
    "contact_name": "Jörg Weiß",
    "street": "Torstraße 1",
    "city": "Berlin",
    "postal_code": "10119",
    "country": "DE",
    "contact_phone": "+4930123456",
    "contact_email": "joerg@example.com",
}
BOX = {"weight_kg": 1.4, "length_cm": 25, "width_cm": 20, "height_cm": 10, "declared_value": 25, "currency": "USD"}
BOOKS = {"name": "Paper book", "quantity": 2, "unit_price": 12.5, "sku": "B-1", "hs_code": "490199"}
SHIRT = {"name": "Cotton shirt", "quantity": 1, "unit_price": 25, "sku": "S-1", "hs_code": "610510"}


class UpsDemo(Demo):
    CARRIER, NAME = "ups", "UPS"
    # The subscription to the account's scans may be made only minutes after the first label.
    UNSENT = ("picked_up", "in_transit", "out_for_delivery", "attempted", "delivered")
    STATUSES = {"attempted": "exception"}
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
    )

    def pickup_points(self) -> str:
        """Access Points near the customer"""
        query = {"country": "DE", "city": "Berlin", "postal_code": "10119", "limit": 3, "radius_km": 50}
        points = api("GET", "/api/v1/ups/pickup-points", params=query).json()["pickup_points"]
        if not points:
            raise StepFailed("UPS returned no Access Point")
        return f"{len(points)} found; nearest: {points[0]['name']} ({points[0]['id']}), {points[0]['distance_km']} km"

    def label(self) -> str:
        """Labels of two parcels abroad, bought once although requested twice"""
        first = self.buy(b"%PDF")
        return f"{self.number}, {first['total_price']:.2f} {first['currency']}, saved as {self.path}"

    def pickup(self) -> str:
        """A pickup at the shop, cancelled again"""
        tomorrow = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=1)
        body = {
            "carrier": "UPS",
            "pickup_date": tomorrow.isoformat(),
            "pickup_window_start": "10:00",
            "pickup_window_end": "17:00",
            "address": SHOP,
            "contact_name": "Warehouse Manager",
            "packages_count": 2,
            "total_weight_kg": 2.8,
            "shipment_ids": [self.number],
        }
        booked = api("POST", "/api/v1/pickups", json=body).json()
        path = f"/api/v1/pickups/{booked['pickup_id']}/cancel"
        cancelled = api("POST", path, json={"reason": "The shop delivers to UPS"}).json()
        return f"{booked['confirmation_number']} {booked['scheduled_date']}, {cancelled['status']}"

    def scans(self) -> str:
        """The carrier's scans of both parcels"""
        for status in ("picked_up", "in_transit"):
            self.scan(status, whole_shipment=True)
        return " → ".join(event["status"] for event in self.fetch_track()["events"])

    def problem(self) -> str:
        """A failed attempt, with its reason"""
        self.scan("out_for_delivery", whole_shipment=True)
        self.scan("attempted", whole_shipment=True)
        event = next(one for one in self.fetch_track()["events"] if one["status"] == "exception")
        if event["reason"] != "not_home":
            raise StepFailed(f"the reason of the failed attempt is {event['reason']}")
        return f"{event['description']} ({event['reason']})"

    def delivered(self) -> str:
        """Delivery of both parcels"""
        self.scan("delivered", whole_shipment=True)
        page = wait_for("the delivery", self._find_delivered)
        return f"{page['status']} at {page['delivered_at']}"

    def _find_delivered(self) -> Any:
        page = api("GET", f"/api/v1/shipments/{self.shipment_id}").json()
        return page if page["status"] == "delivered" else None

    def make_order(self) -> dict[str, Any]:
        return {
            "carrier": "UPS",
            "order_id": self.order,
            "origin": SHOP,
            "destination": BERLIN,
            "packages": [BOX | {"description": "Paper books"}, BOX],
            "items": [BOOKS | {"origin_country": "US"}, SHIRT | {"origin_country": "PT"}],
            "currency": "USD",
            "service_type": "65",
            "customs": {"incoterm": "DAP", "invoice_number": self.order},
            "options": {"signature": "adult", "carrier": {"eu_de_minimis": True}},
        }
