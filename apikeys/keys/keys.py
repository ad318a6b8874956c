"""API keys: ``wb_live_`` or ``wb_test_``, 30 random base-62 characters, 6 of checksum.

Found by an HMAC-SHA256 digest under ``API_KEY_PEPPER`` (one indexed query), proved by bcrypt. The proof is remembered
in this process per (row, hash); the row itself is read on every call, so a revoked key dies at once. A wrong checksum
costs nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Iterable
from typing import Any

import bcrypt
from django.conf import settings
from django.utils import timezone

from apikeys.db.prepared import Select
from apikeys.db.tenancy import Tenant
from apikeys.http import actors
from apikeys.http.callers import Caller
from apikeys.models import ApiKey
from apikeys.models.scopes import OF_KEYS

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# What a request's key is judged by: one query, and no model instances on the hottest path.
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
_by_digest = Select(lambda digest: ApiKey.objects.filter(digest=digest).order_by(), _COLUMNS, ["a digest"])
MAX_BYTES = 72  # bcrypt reads no further, and refuses more
_OURS = re.compile(r"wb_(live|test)_[0-9A-Za-z]{36}")


def generate(mode: str) -> str:
    """A new key of this mode."""
    body = f"wb_{mode}_" + "".join(secrets.choice(ALPHABET) for _ in range(30))
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """False for what cannot be a key: empty, too long, not ASCII, or ``wb_…`` with a wrong checksum."""
    if not key or not key.isascii() or not key.isprintable() or len(key) > MAX_BYTES:
        return False
    if not key.startswith("wb_"):
        return True  # an imported key may be any string
    return _OURS.fullmatch(key) is not None and hmac.compare_digest(key[-6:], _checksum(key[:-6]))


def create(
    tenant: Tenant, key: str, *, name: str, scopes: Iterable[str] = OF_KEYS, is_demo: bool = False, **more: Any
) -> ApiKey:
    """Store a key (ours or an imported string) for a merchant; ``more`` are further columns of ``ApiKey``.

    Raises ``ValueError`` if it is not well-formed.
    """
    if not is_well_formed(key):
        raise ValueError("An API key is 1 to 72 printable ASCII characters; wb_ keys need their checksum.")
    return ApiKey.objects.create(
        merchant_id=tenant.merchant_id,
        mode=tenant.mode,
        name=name,
        scopes=sorted(scopes),
        prefix=key[:12] if key.startswith("wb_") else key[:4],
        digest=digest(key),
        hash=bcrypt.hashpw(key.encode(), bcrypt.gensalt(settings.API_KEY_BCRYPT_ROUNDS)).decode(),
        is_demo=is_demo,
        **({"store_id": tenant.store_id} | more),
    )


def find(key: str) -> Any | None:
    """The row behind a key (its ``_COLUMNS``, as a named tuple), else None; ``refusal`` says whether it may be used.

    A malformed key costs no query, a stranger's one query and no bcrypt.
    """
    if not is_well_formed(key):
        return None
    row = _by_digest.first(digest(key))
    return row if row is not None and _proved(row.hash, key) else None


def refusal(row: Any, address: str | None) -> str:
    """Why a key that was found may not be used now: the reason as a word, empty when it may."""
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


def caller(row: Any) -> Caller:
    """What the limits and the views need to know of a key's row."""
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


def digest(key: str) -> str:
    """What the index holds."""
    return hmac.new(settings.API_KEY_PEPPER.encode(), key.encode(), hashlib.sha256).hexdigest()


def _proved(hash_: str, key: str) -> bool:
    proof = (hash_, hashlib.sha256(key.encode()).digest())
    if proof not in _proofs:
        if not bcrypt.checkpw(key.encode(), hash_.encode()):
            return False
        if len(_proofs) >= _MAX_PROOFS:
            _proofs.clear()
        _proofs.add(proof)
    return True


_proofs: set[tuple[str, bytes]] = set()  # of this process; holds no key
_MAX_PROOFS = 10_000


def _checksum(body: str) -> str:
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        letters = ALPHABET[rest] + letters
    return letters
