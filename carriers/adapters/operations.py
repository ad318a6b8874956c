"""The operations of carriers and their effects: the only place that states which may be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Effect(StrEnum):
    """What an operation does at the carrier, which decides when it is repeated and how it fails."""

    LOCAL = "local"  # sends nothing
    READ = "read"  # repeated after a lost connection, 5xx or 429; fails as CarrierUnavailable or CarrierTimeout
    WRITE = "write"  # repeated if nothing was sent or after a 429; else OutcomeUnknown; the caller may retry
    PURCHASE = "purchase"  # as WRITE, after a row is reserved; OutcomeUnknown leads to a lookup, never to a retry


LOGIN = "token"  # the operation of ``fetch_token``; not a capability, because Waybill logs in when it needs to
CHECK = "check_credential"  # of adapters that check a credential by another request than a login; no capability either
# The names are used in the call log, in rates, metrics and capabilities, and by the circuit breaker.
OPERATIONS: Mapping[str, Effect] = MappingProxyType(
    {
        LOGIN: Effect.READ,
        CHECK: Effect.READ,
        "quote": Effect.READ,
        "transit_times": Effect.READ,
        "check_address": Effect.READ,
        "create_label": Effect.PURCHASE,
        "find_by_reference": Effect.READ,
        "documents": Effect.READ,
        "upload_document": Effect.WRITE,
        "cancel": Effect.WRITE,
        "track": Effect.READ,
        "proof_of_delivery": Effect.READ,
        "schedule_pickup": Effect.PURCHASE,
        "find_pickups": Effect.READ,
        "pickup_windows": Effect.READ,
        "cancel_pickup": Effect.WRITE,
        "pickup_points": Effect.READ,
        "pickup_point": Effect.READ,
        "coverage": Effect.READ,
        "register_warehouse": Effect.WRITE,
        "create_return": Effect.PURCHASE,
        "update_order": Effect.WRITE,
        "reports": Effect.READ,
        "close_day": Effect.WRITE,
        "rotate_credentials": Effect.WRITE,
        "subscribe": Effect.WRITE,
        "activate": Effect.WRITE,
        "unsubscribe": Effect.WRITE,
        "verify_webhook": Effect.LOCAL,
        "parse_webhook": Effect.LOCAL,
    }
)


def is_read(operation: str) -> bool:
    """Return whether an operation only reads, so that it can be repeated without harm."""
    return OPERATIONS[operation] is Effect.READ
