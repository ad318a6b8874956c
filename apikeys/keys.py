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

import bcrypt
from django.conf import settings

from apikeys.models import ApiKey
from apikeys.tenancy import Tenant

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
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


def create(tenant: Tenant, key: str, *, name: str, is_demo: bool = False) -> ApiKey:
    """Store a key (ours or an imported string) for a merchant. Raises ``ValueError`` if it is not well-formed."""
    if not is_well_formed(key):
        raise ValueError("An API key is 1 to 72 printable ASCII characters; wb_ keys need their checksum.")
    return ApiKey.objects.create(
        merchant_id=tenant.merchant_id,
        mode=tenant.mode,
        store_id=tenant.store_id,
        name=name,
        prefix=key[:12] if key.startswith("wb_") else key[:4],
        digest=digest(key),
        hash=bcrypt.hashpw(key.encode(), bcrypt.gensalt(settings.API_KEY_BCRYPT_ROUNDS)).decode(),
        is_demo=is_demo,
    )


def find(key: str) -> ApiKey | None:
    """The usable row behind a key, else None.

    A malformed key costs no query, a stranger's one query and no bcrypt.
    """
    if not is_well_formed(key):
        return None
    row = ApiKey.objects.select_related("merchant", "store").filter(digest=digest(key)).first()
    if row is None or not row.is_usable() or (row.is_demo and not settings.DEMO):
        return None
    return row if _proved(row.hash, key) else None


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
