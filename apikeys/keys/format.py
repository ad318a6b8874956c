"""Format of API keys: ``wb_live_`` or ``wb_test_``, 30 random base-62 characters, and a checksum of 6 characters."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib

from django.conf import settings

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MAX_BYTES = 72  # bcrypt rejects longer passwords
_OURS = re.compile(r"wb_(live|test)_[0-9A-Za-z]{36}")


def generate_key(mode: str) -> str:
    """Generate a random key for this mode."""
    body = f"wb_{mode}_" + "".join(secrets.choice(ALPHABET) for _ in range(30))
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Return whether a string can be a key: 1 to 72 printable ASCII characters, with a valid checksum after ``wb_``."""
    if not key or not key.isascii() or not key.isprintable() or len(key) > MAX_BYTES:
        return False
    if not key.startswith("wb_"):
        return True  # an imported key may be any string
    return _OURS.fullmatch(key) is not None and hmac.compare_digest(key[-6:], _checksum(key[:-6]))


def key_digest(key: str) -> str:
    """Return the HMAC-SHA256 digest by which a key's row is found."""
    return hmac.new(settings.API_KEY_PEPPER.encode(), key.encode(), hashlib.sha256).hexdigest()


def _checksum(body: str) -> str:
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        letters = ALPHABET[rest] + letters
    return letters
