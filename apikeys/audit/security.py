"""Event types of the access layer, and events about refused keys and sign-ins.

An event of a ``security`` type is also sent to people (``apikeys.audit.notices``).
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.db import counters
from apikeys.db.redis_client import RedisUnavailable
from apikeys.db.tenancy import Tenant
from apikeys.models import ApiKey

log = logging.getLogger(__name__)

KEY_CREATED = EventType("api_key.created", audit=True, security=True)
KEY_CHANGED = EventType("api_key.changed", audit=True)
KEY_REVOKED = EventType("api_key.revoked", audit=True)
KEY_REGENERATED = EventType("api_key.regenerated", audit=True)
KEY_FIRST_USED = EventType("api_key.first_used", audit=True)
KEY_DAILY_USE = EventType("api_key.daily_use", audit=True)
# An unusable key was sent: it has expired, or its merchant or store is not active.
KEY_REFUSED = EventType("api_key.refused", audit=True)
# A revoked or leaked key was sent, or a valid one from an address that is not allowed: it may be stolen.
KEY_MISUSED = EventType("api_key.misused", audit=True, security=True)
# Many unknown keys were sent from one network, or in all: a program guesses keys, or uses a key that was deleted.
UNKNOWN_KEYS = EventType("api_key.unknown_burst", security=True)
SIGNED_IN = EventType("person.signed_in")
SIGN_IN_REFUSED = EventType("person.sign_in_refused", security=True)
TOKEN_REUSED = EventType("person.refresh_token_reused", audit=True, security=True)
PASSWORD_CHANGED = EventType("person.password_changed", security=True)
TWO_FACTOR_CHANGED = EventType("person.two_factor_changed", security=True)
MEMBER_INVITED = EventType("member.invited", audit=True, security=True)
MEMBER_JOINED = EventType("member.joined", audit=True, security=True)
MEMBER_CHANGED = EventType("member.changed", audit=True, security=True)
MEMBER_REMOVED = EventType("member.removed", audit=True, security=True)
ADMIN_CHANGED = EventType("admin.changed")

_SUSPICIOUS = {ApiKey.Revocation.REVOKED, ApiKey.Revocation.LEAKED, "address"}
_HOUR_S = 3600


def record_refused_key(row: Any, reason: str) -> None:
    """Record that a known key was refused, at most once an hour per key and reason.

    Args:
        row: a row from ``verify_key``.
    """
    if not is_first_in_period(f"refused:{row.id}:{reason}", _HOUR_S):
        return
    kind = KEY_MISUSED if reason in _SUSPICIOUS else KEY_REFUSED
    events.record(kind, tenant=Tenant(row.merchant_id, row.mode), subject_id=row.id, data={"reason": str(reason)})


def record_refused_sign_in(person: uuid.UUID | None, account: str, *, reason: str) -> None:
    """Record that a sign-in was refused, at most once a minute per account and reason."""
    if is_first_in_period(f"sign-in:{person or account.lower()[:100]}:{reason}", 60):
        events.record(
            SIGN_IN_REFUSED, tenant=None, subject_id=person, data={"reason": reason, "known": person is not None}
        )


def is_first_in_period(name: str, seconds: int) -> bool:
    """Return whether this is the first call for ``name`` in this many seconds, in any process.

    Returns: False while Redis is unavailable, so the event is not recorded then.
    """
    try:
        return counters.count([(f"once:{name}", seconds)]) == [1]
    except RedisUnavailable:
        log.warning("security event not recorded, since the counter store is down: %s", name.split(":")[0])
        return False
