"""Webhooks from carriers, endpoints of merchants and deliveries to them, and the heartbeats of workers."""

from webhooks.models.inbound import InboundWebhook, UnmatchedNumber
from webhooks.models.outbound import Attempt, Delivery, WebhookEndpoint
from webhooks.models.subscriptions import CarrierSubscription
from webhooks.models.workers import Worker

__all__ = [
    "Attempt",
    "CarrierSubscription",
    "Delivery",
    "InboundWebhook",
    "UnmatchedNumber",
    "WebhookEndpoint",
    "Worker",
]
