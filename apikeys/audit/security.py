"""The door's own events: keys, people, refusals. Each kind with who may read it and whether people are told of it."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.db import counters
from apikeys.db.tenancy import Tenant
from apikeys.models import ApiKey

log = logging.getLogger(__name__)

KEY_CREATED = EventType("api_key.created", audit=True, security=True)
KEY_CHANGED = EventType("api_key.changed", audit=True)
KEY_REVOKED = EventType("api_key.revoked", audit=True)
KEY_REGENERATED = EventType("api_key.regenerated", audit=True)
KEY_FIRST_USED = EventType("api_key.first_used", audit=True)
KEY_DAILY_USE = EventType("api_key.daily_use", audit=True)
# A key that cannot open any more was tried: expired, or its merchant is switched off.
KEY_REFUSED = EventType("api_key.refused", audit=True)
# A revoked or leaked key was tried, or a good one from an address that is not its own: somebody else may hold it.
KEY_MISUSED = EventType("api_key.misused", audit=True, security=True)
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


def key_refused(row: Any, reason: str) -> None:
    """A known key was refused; on record once an hour for each key and reason. ``row``: see ``verify_key``."""
    if not once(f"refused:{row.id}:{reason}", _HOUR_S):
        return
    kind = KEY_MISUSED if reason in _SUSPICIOUS else KEY_REFUSED
    events.record(kind, tenant=Tenant(row.merchant_id, row.mode), subject_id=row.id, data={"reason": str(reason)})


def sign_in_refused(person: uuid.UUID | None, account: str, *, reason: str) -> None:
    """Somebody could not sign in; on record once a minute for each account and reason."""
    if once(f"sign-in:{person or account.lower()[:100]}:{reason}", 60):
        events.record(
            SIGN_IN_REFUSED, tenant=None, subject_id=person, data={"reason": reason, "known": person is not None}
        )


def once(what: str, seconds: int) -> bool:
    """Whether this is the first time of ``what`` in so many seconds, over all processes."""
    try:
        return counters.count([(f"once:{what}", seconds)]) == [1]
    except counters.StoreDown:
        log.warning("not on record, since the store is down: %s", what.split(":")[0])
        return False
