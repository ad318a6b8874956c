"""Verification of API keys.

The row is found by a digest under ``API_KEY_PEPPER`` (one indexed query) and proved by bcrypt. Each process caches the
proof per (hash, key), but reads the row on every call, so a revocation takes effect immediately.
"""

from __future__ import annotations

import hashlib
from typing import Any

import bcrypt
from django.conf import settings
from django.utils import timezone

from apikeys.db.prepared import Select
from apikeys.db.tenancy import Caller, Tenant
from apikeys.http import actors
from apikeys.keys.format import is_well_formed, key_digest
from apikeys.models import ApiKey

# Columns that a request needs. Read as tuples by one query: this is the hottest path, and model instances are slow.
_COLUMNS = (
    "id",
    "hash",
    "merchant_id",
    "mode",
    "store_id",
    "scopes",
    "allowed_ips",
    "per_minute",
    "per_hour",
    "is_demo",
    "expires_at",
    "revoked_at",
    "revoked_for",
    "merchant__is_active",
    "merchant__per_minute",
    "merchant__language",
    "merchant__plan__per_minute",
    "merchant__plan__per_hour",
    "store__is_active",
    "store__per_minute",
)
_MAX_PROOFS = 10_000
_proofs: set[tuple[str, bytes]] = set()  # (bcrypt hash, SHA-256 of the key), proved by bcrypt in this process
_by_digest = Select(lambda digest: ApiKey.objects.filter(digest=digest).order_by(), _COLUMNS, ["a digest"])


def verify_key(key: str) -> Any | None:
    """Return the row of a key (``_COLUMNS`` as a named tuple), or None. Check ``refusal_reason`` before you admit it.

    A malformed key costs no query; an unknown key costs one query and no bcrypt.
    """
    if not is_well_formed(key):
        return None
    row = _by_digest.first(key_digest(key))
    if row is None:
        return None
    proof = (row.hash, hashlib.sha256(key.encode()).digest())
    if proof not in _proofs:
        if not bcrypt.checkpw(key.encode(), row.hash.encode()):
            return None
        if len(_proofs) >= _MAX_PROOFS:
            _proofs.clear()
        _proofs.add(proof)
    return row


def refusal_reason(row: Any, address: str | None) -> str:
    """Return why a verified key may not be used now, as one word; empty if it may."""
    if row.revoked_at:
        return row.revoked_for or ApiKey.Revocation.REVOKED
    if row.expires_at and row.expires_at <= timezone.now():
        return "expired"
    if row.is_demo and not settings.DEMO:
        return "demo"
    if not row.merchant__is_active or row.store__is_active is False:
        return "inactive"
    if row.allowed_ips and not (address and actors.is_within(address, row.allowed_ips)):
        return "address"
    return ""


def caller_for_key(row: Any) -> Caller:
    """Return the ``Caller`` for a verified key's row."""
    return Caller(
        tenant=Tenant(row.merchant_id, row.mode, row.store_id, row.id),
        name=f"key:{row.id}",
        scopes=frozenset(row.scopes),
        key_rates=(
            row.per_minute or row.merchant__plan__per_minute or settings.RATE_LIMIT_PER_MINUTE,
            row.per_hour or row.merchant__plan__per_hour or settings.RATE_LIMIT_PER_HOUR,
        ),
        store_rate=row.store__per_minute,
        merchant_rate=row.merchant__per_minute,
        language=row.merchant__language,
    )
