"""Helpers for tests of webhooks: a merchant's server, shipments, and signed webhooks of Pickit."""

import hashlib
import hmac
import json
import threading
import uuid
from concurrent.futures import wait
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from django.test import Client
from django.utils import timezone

from apikeys.models import Merchant
from carriers.credentials import storage
from shipping.models import BookingState, Pickup, Shipment
from webhooks.outbound import deliveries

NUMBER = "PKT-0000000001"
# Times of events: a scan that is far from its booking has a suspect time.
NOW = datetime.now(UTC).replace(microsecond=0)
AT = NOW.isoformat()
SOON = (NOW + timedelta(hours=1)).isoformat()
YEAR_2024 = {"created_at": datetime(2024, 1, 15, 9, tzinfo=UTC)}


class WebhookReceiver:
    """A merchant's server. It stores each request in ``received`` and answers with ``status`` and ``headers``."""

    def __init__(self):
        self.received, self.status, self.headers = [], 200, {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((dict(self.headers), body))
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def attempt_due(pool):
    """Attempt the due deliveries and wait for the results; return the number of attempts."""
    running = deliveries.Dispatcher(pool).start_due()
    wait(running)
    return len(running)


def fan_out_and_attempt(pool):
    deliveries.fan_out()
    return attempt_due(pool)


def book(credential, number=NUMBER, **changes):
    """Create a booked shipment."""
    return Shipment.objects.create(
        merchant_id=credential.merchant_id or Merchant.objects.get(slug="acme").id,
        mode="test",
        carrier="pickit",
        credential=credential,
        booking_state=BookingState.BOOKED,
        tracking_number=number,
        reference=f"REF-{uuid.uuid4().hex}",
        **changes,
    )


def schedule_pickup(credential, number="PCK-1", **changes):
    return Pickup.objects.create(
        merchant_id=credential.merchant_id,
        mode="test",
        carrier="pickit",
        credential=credential,
        state="scheduled",
        carrier_pickup_id=number,
        scheduled_date=timezone.now(),
        window_start="10:00",
        window_end="14:00",
        packages_count=2,
        **changes,
    )


def event(name="shipment.in_transit", number=NUMBER, at=AT, **data):
    return {"event_type": name, "timestamp": at, "data": {"tracking_number": number} | data}


def send_webhook(body, credential=None, *, secret="test-secret", at=None, path=None, client=None, **headers):
    """Send a signed webhook of Pickit; return the response."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    timestamp = at or datetime.now(UTC).isoformat()
    signature = hmac.new(secret.encode(), timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    path = path or "/webhooks/pickit/events" + (f"/{credential.id}" if credential else "")
    headers = {"X-Pickit-Signature": signature, "X-Pickit-Timestamp": timestamp} | headers
    return (client or Client()).post(path, raw, content_type="application/json", headers=headers)


def save_platform_credential(mode, **changes):
    fields = {"client_id": f"platform-{mode}", "client_secret": "test-secret", "webhook_secret": "one-for-both"}
    environment = {"test": "sandbox", "live": "production"}[mode]
    return storage.save_credential(
        tenant=None, mode=mode, carrier="pickit", environment=environment, fields=fields | changes
    )
