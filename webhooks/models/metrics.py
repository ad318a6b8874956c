"""Counters of webhooks in and out."""

from prometheus_client import Counter

RECEIVED = Counter("carrier_webhooks_received_total", "Carrier webhooks by outcome", ["carrier", "outcome"])
ATTEMPTS = Counter("webhook_delivery_attempts_total", "Attempts to deliver to merchants' endpoints", ["outcome"])
