"""A carrier that does not exist, whose webhooks are proved by a secret header or by a secret URL."""

import json
from datetime import timedelta

from django.utils import timezone

from carriers.adapters.base import text_field
from carriers.adapters.records import Record
from carriers.adapters.registry import ADAPTERS
from carriers.adapters.webhooks import WebhookProof
from carriers.credentials import storage
from carriers.types import ReportedScan, Subscription, WebhookReport
from carriers.types.errors import CarrierUnavailable
from shipping.models import BookingState, Shipment
from shipping.tests.kestrel import KestrelAdapter, read_scan


class HookedKestrel(KestrelAdapter):
    """Subscribes numbers; ``log`` has the calls, and ``confirm`` decides which numbers it confirms."""

    webhook_proof = WebhookProof.TOKEN
    numbers_per_subscription = 2
    log: list = []
    failing = False
    credential_schema = {
        **KestrelAdapter.credential_schema,
        "properties": {
            **KestrelAdapter.credential_schema["properties"],
            "webhook_token": text_field("Webhook token", secret=True),
        },
    }

    def subscribe(self, numbers, url, secret):
        if self.failing:
            raise CarrierUnavailable(carrier=self.name)
        self.log.append(("subscribe", tuple(numbers), url, secret))
        known = tuple(number for number in numbers if number != "UNKNOWN")
        expires_at = timezone.now() + timedelta(days=14)
        return [Subscription(carrier_id=f"S-{len(self.log)}", numbers=known, expires_at=expires_at)]

    def unsubscribe(self, subscription):
        self.log.append(("unsubscribe", subscription.carrier_id))

    def verify_webhook(self, *, headers, body, now):
        self._verify_token("x-kestrel-token", headers=headers)

    def webhook_reply(self, headers, body):
        return (200, body) if "x-kestrel-challenge" in headers else None

    def parse_webhook(self, body):
        with self._reading_webhook():
            event = Record(json.loads(body))
            if reread := event.lenient(Record.text, "reread", ""):
                return WebhookReport(event_type="reread", reread=(reread,))
            handshake = event.lenient(Record.text, "handshake", "")
            if handshake:
                return WebhookReport(event_type="handshake", handshake=(handshake, "from-the-handshake"))
            scan = ReportedScan(tracking_number=event.text("number"), scan=read_scan(event))
            return WebhookReport(event_type="scan", scans=(scan,))


class ActivatedKestrel(HookedKestrel):
    """Sends a secret by webhook that activates a subscription."""

    def activate(self, subscription, secret):
        self.log.append(("activate", subscription.carrier_id, secret))


class OpenKestrel(HookedKestrel):
    """Sends webhooks without a proof."""

    webhook_proof = WebhookProof.NONE


def register(monkeypatch, adapter=HookedKestrel):
    """Register the carrier, with no calls in its log."""
    monkeypatch.setitem(ADAPTERS, "kestrel", adapter)
    monkeypatch.setattr(adapter, "log", [])


def save_credential(tenant, **fields):
    return storage.save_credential(
        tenant=tenant, mode="test", carrier="kestrel", environment="sandbox", fields={"key": "kestrel-key"} | fields
    )


def book(credential, number):
    return Shipment.objects.create(
        merchant_id=credential.merchant_id,
        mode="test",
        carrier="kestrel",
        credential=credential,
        booking_state=BookingState.BOOKED,
        status="created",
        tracking_number=number,
        reference=f"REF-{number}",
        poll_at=timezone.now() + timedelta(hours=6),
    )
