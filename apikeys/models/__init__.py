"""Who calls, how often they may, what they may not repeat, and what happened."""

from apikeys.models.events import Event, EventQuerySet, Outbox, SecurityNotice
from apikeys.models.keys import ApiKey, IdempotencyRecord, UsageDay
from apikeys.models.merchants import STANDARD_PLANS, Invitation, Membership, Merchant, Plan, Store
from apikeys.models.people import User

__all__ = [
    "ApiKey",
    "Event",
    "EventQuerySet",
    "IdempotencyRecord",
    "Invitation",
    "Membership",
    "Merchant",
    "Outbox",
    "Plan",
    "STANDARD_PLANS",
    "SecurityNotice",
    "Store",
    "UsageDay",
    "User",
]
