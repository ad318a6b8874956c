"""Scopes of API keys, and the roles of people as sets of scopes."""

from __future__ import annotations

SHIPMENTS_READ = "shipments:read"
SHIPMENTS_WRITE = "shipments:write"
TRACKING_READ = "tracking:read"
TRACKING_WRITE = "tracking:write"
CREDENTIALS_MANAGE = "credentials:manage"
WEBHOOKS_MANAGE = "webhooks:manage"
KEYS_MANAGE = "keys:manage"
REPORTS_READ = "reports:read"
# Only for people: no API key can have this scope.
MEMBERS_MANAGE = "members:manage"
# Only for keys of the platform's operator, which operations staff create: it reads the events of all merchants.
AUDIT_EXPORT = "audit:export"

_DAILY = (SHIPMENTS_READ, SHIPMENTS_WRITE, TRACKING_READ, TRACKING_WRITE, REPORTS_READ)
_MANAGING = (CREDENTIALS_MANAGE, WEBHOOKS_MANAGE, KEYS_MANAGE)
OF_KEYS = (*_DAILY[:4], *_MANAGING, REPORTS_READ)
# Scopes that only operations staff can give to a key.
OF_PLATFORM_KEYS = (AUDIT_EXPORT,)
# Scopes of a new key. The managing scopes must be requested.
DEFAULT = _DAILY

# Membership.Role: scopes
OF_ROLES = {
    "owner": frozenset((*OF_KEYS, MEMBERS_MANAGE)),
    "developer": frozenset(OF_KEYS),
    "operator": frozenset(_DAILY),
    "viewer": frozenset((SHIPMENTS_READ, TRACKING_READ, REPORTS_READ)),
}


def of_every_key() -> list[str]:
    """Return all scopes that a key can have."""
    return list(OF_KEYS)
