"""What the demos of all carriers share: calls of the API and of the carrier sandbox, and steps of every shipment."""

from __future__ import annotations

import base64
import os
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import requests

from config.environment import env
from deploy.demo_receiver import Receiver

WEB = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
SANDBOX = f"http://127.0.0.1:{os.environ.get('SANDBOX_PORT', '8010')}"
RECEIVER_PORT = env.int("RECEIVER_PORT", default=8020, minimum=1, maximum=65535)
KEY = os.environ.get("API_KEY", "test-api-key")
PATIENCE_S = env.float("DEMO_PATIENCE_S", default=30)
LABELS = Path(os.environ.get("DATA_DIR", "var"))

STARTS = {"PDF": b"%PDF-", "GIF": b"GIF8", "PNG": b"\x89PNG", "ZPL": b"^XA"}

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
    """Each method of ``STEPS`` is a step with its docstring as title. It returns a text or raises ``StepFailed``."""

    CARRIER: ClassVar[str]  # slug
    NAME: ClassVar[str]
    STEPS: ClassVar[tuple[str, ...]]
    UNSENT: ClassVar[tuple[str, ...]] = ()
    STATUSES: ClassVar[dict[str, str]] = {}  # steps of the sandbox -> statuses of other names

    def __init__(self) -> None:
        try:
            self.receiver = Receiver(RECEIVER_PORT)
        except OSError as error:
            raise StepFailed(f"port {RECEIVER_PORT} of the merchant's server is taken ({error})") from error
        self.order = f"DEMO-{datetime.now(UTC):%Y%m%d%H%M%S}-{uuid.uuid4().hex[:4]}"

    def make_order(self) -> dict[str, Any]:
        """Return the body of a quote and of a label."""
        raise NotImplementedError

    def earlier_parcel(self) -> str:
        """The delivered parcel of an earlier run"""
        units = api("GET", f"/api/v1/shipments?carrier={self.NAME}&status=delivered&limit=1").json()["units"]
        if not units:
            return "none yet: this is the first run"
        history = api("GET", f"/api/v1/tracking/{units[0]['tracking_id']}").json()
        if history["current_status"] != "DELIVERED":
            raise StepFailed(f"{units[0]['tracking_id']} was delivered but its status is {history['current_status']}")
        return f"{history['tracking_id']}: {history['total_checkpoints']} checkpoints, {history['current_status']}"

    def quote(self) -> str:
        """A quote"""
        quote = api("POST", "/api/v1/quotes", json=self.make_order()).json()
        if not quote["total_price"] > 0:
            raise StepFailed("the price is not positive")
        return f"{quote['total_price']:.2f} {quote['currency']}, {quote['transit_days']} days ({quote['service_type']})"

    def documents(self) -> str:
        """The files of the shipment, with the labels of all parcels, downloaded"""
        path = f"/api/v1/shipments/{self.shipment_id}"
        page, saved = api("GET", path).json(), []
        for document in api("GET", f"{path}/documents").json()["documents"]:
            if not document["available"]:
                raise StepFailed(f"the carrier has not provided the {document['kind']} yet")
            content = api("GET", f"{path}/documents/{document['id']}").content
            if not content.startswith(STARTS[document["format"]]):
                raise StepFailed(f"the {document['kind']} is no {document['format']} file")
            parcel = f"-{document['parcel']}" if document["parcel"] else ""
            saved.append(f"{document['kind']}-{self.number}{parcel}.{document['format'].lower()}")
            (LABELS / saved[-1]).write_bytes(content)
        if not all(parcel["label_url"] for parcel in page["parcels"]):
            raise StepFailed("a parcel has no label")
        return f"{', '.join(saved)} in {LABELS}"

    def parcels(self) -> str:
        """The shipment, found by the number of each parcel"""
        parcels = api("GET", f"/api/v1/shipments/{self.shipment_id}").json()["parcels"]
        numbers = [parcel["tracking_number"] for parcel in parcels]
        for number in numbers:
            body = {"carrier": self.NAME, "tracking_number": number}
            track = api("POST", "/api/v1/tracking", json=body).json()
            history = api("GET", f"/api/v1/tracking/{number}").json()
            if track["metadata"]["shipment_id"] != self.shipment_id or history["tracking_id"] != self.number:
                raise StepFailed(f"{number} is not found as a parcel of {self.number}")
        if len(set(numbers)) != len(numbers):
            raise StepFailed("two parcels have one number")
        return ", ".join(numbers)

    def delivered(self) -> str:
        """Delivery"""
        self.scan("delivered")
        page = api("GET", f"/api/v1/shipments/{self.shipment_id}").json()
        return f"{page['status']} at {page['delivered_at']}"

    def proof_of_delivery(self) -> str:
        """Proof of delivery"""
        path = f"/api/v1/{self.CARRIER}/shipments/{self.number}/proof-of-delivery"
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

    def buy(self, start: bytes) -> dict[str, Any]:
        """Buy a label twice with one Idempotency-Key and save its file, which begins with ``start``."""
        headers = {"Idempotency-Key": self.order}
        first = api("POST", "/api/v1/labels", json=self.make_order(), headers=headers).json()
        again = api("POST", "/api/v1/labels", json=self.make_order(), headers=headers)
        if again.json() != first or again.headers.get("Idempotent-Replayed") != "true":
            raise StepFailed("the repeated request did not return the first label")
        self.number, self.shipment_id = first["tracking_number"], first["shipment_id"]
        file = api("GET", f"/api/v1/shipments/{self.shipment_id}/label").content
        if not file.startswith(start) or file != base64.b64decode(first["label_data"]):
            raise StepFailed("the label file is not that of the response")
        LABELS.mkdir(parents=True, exist_ok=True)
        self.path = LABELS / f"label-{self.number}.{first['label_format'].lower()}"
        self.path.write_bytes(file)
        return first

    def fetch_track(self) -> dict[str, Any]:
        return api("POST", "/api/v1/tracking", json={"carrier": self.NAME, "tracking_number": self.number}).json()

    def scan(self, step: str, **more: Any) -> None:
        """Have the sandbox scan the parcel, and wait until Waybill has the scan.

        Steps of ``UNSENT`` come without a webhook: tracking the parcel returns their scans.
        """
        path = f"/_sandbox/{self.CARRIER}/shipments/{self.number}/advance"
        control_sandbox("POST", path, {"to": step} | more)
        if step in self.UNSENT:
            self.fetch_track()
        status = self.STATUSES.get(step, step)
        wait_for(
            f"the scan «{status.replace('_', ' ')}»",
            lambda: any(
                event["status"] == status
                for event in api("GET", f"/api/v1/shipments/{self.shipment_id}").json()["checkpoints"]
            ),
        )
