"""Encrypt stored secrets with AES-256-GCM, bound to their row.

The associated data is ``table:column:row id:key id``. So a ciphertext that was copied to another row, column or table,
or in which a bit was changed, cannot be decrypted. Stored form: ``v1.<key id>.<nonce>.<ciphertext>`` (base64url). The
first of ``ENCRYPTION_KEYS`` encrypts, all of them decrypt. A key is 64 hex digits, base64 or 32 characters.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.query_utils import DeferredAttribute

_SESSIONS = "django_session:session_data"
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{43}=?")


class Undecryptable(Exception):
    """A stored secret was changed or copied from another row, or its key is no longer in ENCRYPTION_KEYS."""


class Ciphertext(str):
    """An encrypted value in its stored form."""


def encrypt(value: Any, *, bound_to: str) -> Ciphertext:
    """Encrypt a JSON value for one row and column (``bound_to``: ``table:column:row id``)."""
    key_id, key = next(iter(_keyring(settings.ENCRYPTION_KEYS).items()))
    nonce = os.urandom(12)
    content = AESGCM(key).encrypt(nonce, json.dumps(value).encode(), f"{bound_to}:{key_id}".encode())
    return Ciphertext(f"{current_prefix()}{_encode(nonce)}.{_encode(content)}")


def decrypt(ciphertext: str, *, bound_to: str) -> Any:
    """Decrypt a stored value. Raises ``Undecryptable``, which names the row and column and no content."""
    try:
        version, key_id, nonce, content = ciphertext.split(".")
        if version != "v1":
            raise ValueError(version)
        key = _keyring(settings.ENCRYPTION_KEYS)[key_id]
        plain = AESGCM(key).decrypt(_decode(nonce), _decode(content), f"{bound_to}:{key_id}".encode())
    except (ValueError, KeyError, InvalidTag, binascii.Error) as error:
        raise Undecryptable(f"The secret at {bound_to} cannot be decrypted.") from error
    return json.loads(plain)


def current_prefix() -> str:
    """Return the first characters of ciphertexts under the first key: ``v1.<key id>.``"""
    return f"v1.{next(iter(_keyring(settings.ENCRYPTION_KEYS)))}."


def check_keys() -> None:
    """Raise ``ImproperlyConfigured`` unless ENCRYPTION_KEYS is usable, so that the start fails and not a request."""
    _keyring(settings.ENCRYPTION_KEYS)


@lru_cache(maxsize=8)
def _keyring(setting: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    # A single key of 32 characters may contain commas.
    for part in [setting] if len(setting.encode()) == 32 else setting.split(","):
        if not part.strip():
            continue
        key_id, key = _parse_key(part.strip())
        # The name of an unnamed key is its fingerprint, which stays the same when keys are put before it.
        key_id = key_id or hashlib.sha256(b"waybill key id" + key).hexdigest()[:8]
        if keys.get(key_id, key) != key:
            raise ImproperlyConfigured(f"ENCRYPTION_KEYS: {key_id!r} names two keys.")
        keys[key_id] = key
    if not keys:
        raise ImproperlyConfigured("ENCRYPTION_KEYS contains no key.")
    return keys


def _parse_key(text: str) -> tuple[str, bytes]:
    """Return name and bytes of a key ``name:key``, or of a key without a name, for which the name is empty."""
    if key := _key_bytes(text):
        return "", key
    key_id, mark, encoded = (part.strip() for part in text.partition(":"))
    if mark and not _KEY_ID.fullmatch(key_id):
        raise ImproperlyConfigured("ENCRYPTION_KEYS: the name before a key may have 1 to 40 of A-Za-z0-9_-")
    if key := _key_bytes(encoded):
        return key_id, key
    raise ImproperlyConfigured(
        "ENCRYPTION_KEY and each key in ENCRYPTION_KEYS must be 32 bytes: 64 hex digits, base64 (also url-safe, as "
        "Fernet's keys are) or 32 characters. `python manage.py generate_env` generates one."
    )


def _key_bytes(text: str) -> bytes:
    """Return a key in one of the documented forms, or nothing."""
    if len(text.encode()) == 32:
        return text.encode()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if not _BASE64.fullmatch(text):
        return b""
    return _decode(text.rstrip("=").replace("+", "-").replace("/", "_"))


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class EncryptedSessionSerializer:
    """Django's ``SESSION_SERIALIZER``. Sessions briefly contain secrets, such as the token of a reset link."""

    def dumps(self, content: Any) -> bytes:
        """Encrypt the session's content."""
        return encrypt(content, bound_to=_SESSIONS).encode()

    def loads(self, ciphertext: bytes) -> Any:
        """Decrypt a session's content. On ``Undecryptable``, Django starts an empty session."""
        return decrypt(ciphertext.decode(), bound_to=_SESSIONS)


class _EncryptedAttribute(DeferredAttribute):
    """Decrypts the value on access, so that a row that cannot be decrypted still loads in the admin."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if instance is not None and isinstance(value, Ciphertext):
            return decrypt(value, bound_to=self.field.associated_data(instance.pk))
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedField(models.TextField):
    """A JSON value that is encrypted for its row.

    The primary key must be set before the first save (a UUID default sets it). ``QuerySet.update`` has no row to bind
    to, so it accepts only what ``encrypt_for`` returns.
    """

    descriptor_class = _EncryptedAttribute

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def associated_data(self, pk: Any) -> str:
        """Return the associated data for a row, without the key id."""
        return f"{self.model._meta.db_table}:{self.column}:{pk}"

    def encrypt_for(self, pk: Any, value: Any) -> Ciphertext:
        """Encrypt a value for the row with this primary key."""
        return encrypt(value, bound_to=self.associated_data(pk))

    def from_db_value(self, value: str | None, *args: Any) -> Ciphertext | None:
        return None if value is None else Ciphertext(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Ciphertext | None:
        value = model_instance.__dict__.get(self.attname)
        if value is None or isinstance(value, Ciphertext):
            return value
        ciphertext = self.encrypt_for(model_instance.pk, value)
        model_instance.__dict__[self.attname] = ciphertext
        return ciphertext

    def get_prep_value(self, value: Any) -> str | None:
        if value is None or isinstance(value, Ciphertext):
            return None if value is None else str(value)
        raise TypeError(f"{self.name} is encrypted; pass update() what encrypt_for() returns.")
