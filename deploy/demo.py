"""``make demo``: ship a parcel through the HTTP API of a running system; the exit status is 0 if all steps succeed.

The program acts as the merchant's shop, which uses the API, as the carrier, whose scans it causes in the sandbox, and
as the merchant's server, which receives and verifies webhooks. It uses none of Waybill's code.
"""

from __future__ import annotations

import base64
import os
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from config.environment import env
from deploy.demo_receiver import Receiver

WEB = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
SANDBOX = f"http://127.0.0.1:{os.environ.get('SANDBOX_PORT', '8010')}"
RECEIVER_PORT = env.int("RECEIVER_PORT", default=8020, minimum=1, maximum=65535)
KEY = os.environ.get("API_KEY", "test-api-key")
PATIENCE_S = env.float("DEMO_PATIENCE_S", default=30)
LABELS = Path(os.environ.get("DATA_DIR", "var"))

SHOP = {
    "company": "My Store",
    "contact_name": "Shipping Department",
    "street": "456 Warehouse Ave",
    "city": "Brooklyn",
    "state": "NY",
    "postal_code": "11201",
    "country": "US",
    "contact_phone": "+1234567890",
    "contact_email": "shipping@example.com",
}
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


class StepFailed(Exception):
    """The reason why a step failed, in a merchant's words."""


def api(method: str, path: str, *, expect: int = 200, **kwargs: Any) -> requests.Response:
    """Call Waybill. Another status than the expected one fails the step with Waybill's message."""
    headers = {"X-API-Key": KEY} | kwargs.pop("headers", {})
    try:
        response = requests.request(method, WEB + path, headers=headers, timeout=60, **kwargs)
    except requests.RequestException as error:
        raise StepFailed(
            f"Waybill does not answer at {WEB}. Is `make run` running? ({type(error).__name__})"
        ) from error
    if response.status_code != expect:
        raise StepFailed(_refusal(response))
    return response


def _refusal(response: requests.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return f"Waybill answered {response.status_code} without readable content"
    words = [f"Waybill answered {response.status_code} {body.get('error', '')}: {body.get('message', '')}"]
    if body.get("carrier"):
        words.append(f"the carrier is {body['carrier']}")
    if body.get("carrier_message"):
        words.append(f"its message: {body['carrier_message']}")
    if body.get("details"):
        words.append(str(body["details"]))
    return " · ".join(words)


def control_sandbox(method: str, path: str, body: Any = None) -> Any:
    """Use the control API of the simulated carrier."""
    try:
        response = requests.request(method, SANDBOX + path, json=body, timeout=30)
        response.raise_for_status()
        return response.json()
    except requests.HTTPError as error:
        raise StepFailed(f"the carrier sandbox refused: {error.response.text[:200]}") from error
    except requests.RequestException as error:
        raise StepFailed(f"the carrier sandbox does not answer at {SANDBOX}; is it running?") from error


def wait_for(what: str, look: Callable[[], Any]) -> Any:
    """Return the first true result of ``look``; fail the step after PATIENCE_S."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        if found := look():
            return found
        time.sleep(0.2)
    raise StepFailed(f"{what} did not happen within {PATIENCE_S:.0f} seconds")


class Demo:
    """Each public method is a step with its docstring as title. It returns a text to print or raises ``StepFailed``."""

    def __init__(self) -> None:
        try:
            self.receiver = Receiver(RECEIVER_PORT)
        except OSError as error:
            raise StepFailed(f"port {RECEIVER_PORT} of the merchant's server is taken ({error})") from error
        self.order = f"DEMO-{datetime.now(UTC):%Y%m%d%H%M%S}-{uuid.uuid4().hex[:4]}"

    def earlier_parcel(self) -> str:
        """The delivered parcel of an earlier run"""
        units = api("GET", "/api/v1/shipments?carrier=Pickit&status=delivered&limit=1").json()["units"]
        if not units:
            return "none yet: this is the first run"
        history = api("GET", f"/api/v1/tracking/{units[0]['tracking_id']}").json()
        if history["current_status"] != "DELIVERED":
            raise StepFailed(f"{units[0]['tracking_id']} was delivered but its status is {history['current_status']}")
        return f"{history['tracking_id']}: {history['total_checkpoints']} checkpoints, {history['current_status']}"

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

    def quote(self) -> str:
        """A quote"""
        quote = api("POST", "/api/v1/quotes", json=self._order()).json()
        if not quote["total_price"] > 0:
            raise StepFailed("the price is not positive")
        return f"{quote['total_price']:.2f} {quote['currency']}, {quote['transit_days']} days ({quote['service_type']})"

    def label(self) -> str:
        """A label, bought once although requested twice"""
        headers = {"Idempotency-Key": self.order}
        first = api("POST", "/api/v1/labels", json=self._order(), headers=headers).json()
        again = api("POST", "/api/v1/labels", json=self._order(), headers=headers)
        if again.json() != first or again.headers.get("Idempotent-Replayed") != "true":
            raise StepFailed("the repeated request did not return the first label")
        self.number, self.shipment_id = first["tracking_number"], first["shipment_id"]
        file = api("GET", f"/api/v1/shipments/{self.shipment_id}/label").content
        if not file.startswith(b"%PDF") or file != base64.b64decode(first["label_data"]):
            raise StepFailed("the label file is not the PDF of the response")
        LABELS.mkdir(parents=True, exist_ok=True)
        path = LABELS / f"label-{self.number}.pdf"
        path.write_bytes(file)
        return f"{self.number}, {first['total_price']:.2f} {first['currency']}, saved as {path}"

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
            self._scan(status)
        # Pickit sends no webhook for out_for_delivery: tracking the parcel returns that scan.
        history = api("GET", f"/api/v1/tracking/{self.number}").json()
        return " → ".join(checkpoint["status"] for checkpoint in history["checkpoints"])

    def pickup_point(self) -> str:
        """Arrival at a pickup point, with a code for the customer"""
        self._scan("at_pickup_point", pickup_point_id=self.point["id"])
        track = self._track()
        code = track["metadata"].get("pickup_code")
        if not code:
            raise StepFailed("the track has no pickup code")
        return f"code {code} at {self.point['name']}"

    def track(self) -> str:
        """The track"""
        track = self._track()
        if not any(event["status"] == "exception" for event in track["events"]):
            raise StepFailed("the failed attempt is missing from the track")
        return f"{track['status']}, {len(track['events'])} events, {track['metadata']['delivery_attempts']} attempt(s)"

    def delivered(self) -> str:
        """Delivery"""
        self._scan("delivered")
        page = api("GET", f"/api/v1/shipments/{self.shipment_id}").json()
        return f"{page['status']} at {page['delivered_at']}"

    def proof_of_delivery(self) -> str:
        """Proof of delivery"""
        path = f"/api/v1/pickit/shipments/{self.number}/proof-of-delivery"
        proof = api("POST", path).json()["proof_of_delivery"]
        if not proof["delivered_at"]:
            raise StepFailed("the proof has no delivery time")
        return f"signed by {proof['signed_by']} at {proof['delivered_at']}"

    def deliveries(self) -> str:
        """Webhooks to the merchant's server, which verified each signature"""
        expected = {"shipment.booked", "shipment.checkpoint", "shipment.status_changed"}

        def all_received() -> bool:
            webhooks = self.receiver.webhooks_of(self.shipment_id)
            changes = [m["data"]["status"] for m in webhooks if m["type"] == "shipment.status_changed"]
            return "delivered" in changes and expected <= {message["type"] for message in webhooks}

        wait_for("the webhook about the delivery", all_received)
        if self.receiver.rejected:
            raise StepFailed(f"{len(self.receiver.rejected)} had a wrong signature: {self.receiver.rejected[0]}")
        return f"{len(self.receiver.webhooks_of(self.shipment_id))} verified, 0 rejected"

    def event_trail(self) -> str:
        """The shipment's events"""
        events = api("GET", f"/api/v1/shipments/{self.shipment_id}/events").json()["events"]
        if not events:
            raise StepFailed("no event is stored")
        lines = [f"{event['created_at']}  {event['type']}  {event['data'].get('status') or ''}" for event in events]
        return f"{len(events)} events\n      " + "\n      ".join(lines)

    def _order(self) -> dict[str, Any]:
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

    def _track(self) -> dict[str, Any]:
        return api("POST", "/api/v1/tracking", json={"carrier": "Pickit", "tracking_number": self.number}).json()

    def _scan(self, status: str, **more: Any) -> None:
        control_sandbox("POST", f"/_sandbox/pickit/shipments/{self.number}/advance", {"to": status} | more)
        if status == "out_for_delivery":
            self._track()
        wait_for(
            f"the scan «{status.replace('_', ' ')}»",
            lambda: any(
                event["status"] == status
                for event in api("GET", f"/api/v1/shipments/{self.shipment_id}").json()["checkpoints"]
            ),
        )

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


def main() -> int:
    """Run the steps; return 1 at the first that fails, and print the reason."""
    title = "The merchant's server"
    try:
        demo = Demo()
        for number, name in enumerate(STEPS, start=1):
            step = getattr(demo, name)
            title = step.__doc__
            print(f"{number:>2}. {title}\n      {step()}", flush=True)
    except StepFailed as error:
        print(f"\nFAILED at «{title}»: {error}", file=sys.stderr)
        return 1
    print("\nAll steps succeeded.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
