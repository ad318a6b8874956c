"""Models of the access layer: merchants, people, API keys, idempotency records and events."""

from apikeys.models.events import Event, EventQuerySet, Outbox, SecurityNotice
from apikeys.models.keys import ApiKey, IdempotencyRecord, UsageDay
from apikeys.models.merchants import STANDARD_PLANS, Invitation, Membership, Merchant, Plan, Store
from apikeys.models.people import User
from apikeys.models.triggers import APPEND_ONLY_EVENTS, OUTBOX

__all__ = [
    "APPEND_ONLY_EVENTS",
    "ApiKey",
    "Event",
    "EventQuerySet",
    "IdempotencyRecord",
    "Invitation",
    "Membership",
    "Merchant",
    "OUTBOX",
    "Outbox",
    "Plan",
    "STANDARD_PLANS",
    "SecurityNotice",
    "Store",
    "UsageDay",
    "User",
]
