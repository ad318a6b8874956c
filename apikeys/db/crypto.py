"""Secrets at rest: AES-256-GCM, bound to the row that they stand in.

The associated data is ``table:column:row id:key id``, so a ciphertext copied to another row, column or table does not
open, nor does one with a changed bit. Envelope: ``v1.<key id>.<nonce>.<ciphertext>`` (base64url). ``ENCRYPTION_KEYS``
holds several keys; the first writes, all read.
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


class Undecryptable(Exception):
    """A stored secret does not open: it was changed, moved to another row, or its key is gone from ENCRYPTION_KEYS."""


class Ciphertext(str):
    """A sealed value as it lies in the database."""


def seal(value: Any, *, bound_to: str) -> Ciphertext:
    """Encrypt a JSON value for one place (``bound_to`` = ``table:column:row id``)."""
    key_id, key = next(iter(_keyring(settings.ENCRYPTION_KEYS).items()))
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, json.dumps(value).encode(), f"{bound_to}:{key_id}".encode())
    return Ciphertext(f"{envelope_prefix()}{_encode(nonce)}.{_encode(sealed)}")


def open_sealed(sealed: str, *, bound_to: str) -> Any:
    """The reverse of ``seal``. Raises ``Undecryptable`` with the place, never with the content."""
    try:
        version, key_id, nonce, content = sealed.split(".")
        if version != "v1":
            raise ValueError(version)
        key = _keyring(settings.ENCRYPTION_KEYS)[key_id]
        opened = AESGCM(key).decrypt(_decode(nonce), _decode(content), f"{bound_to}:{key_id}".encode())
    except (ValueError, KeyError, InvalidTag, binascii.Error) as error:
        raise Undecryptable(f"The secret at {bound_to} cannot be decrypted.") from error
    return json.loads(opened)


def envelope_prefix() -> str:
    """How everything begins that is sealed now: ``v1.<id of the first key>.``"""
    return f"v1.{next(iter(_keyring(settings.ENCRYPTION_KEYS)))}."


def check_keys() -> None:
    """Raises ``ImproperlyConfigured`` unless ENCRYPTION_KEYS holds usable keys: a start fails, not a request."""
    _keyring(settings.ENCRYPTION_KEYS)


@lru_cache(maxsize=8)
def _keyring(setting: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for part in setting.split(","):
        key_id, _, encoded = part.strip().rpartition(":")
        key = _key_bytes(encoded)
        # A key without a name is known by its fingerprint, which stays when keys are put before it.
        key_id = key_id or hashlib.sha256(b"waybill key id" + key).hexdigest()[:8]
        if not _KEY_ID.fullmatch(key_id) or keys.get(key_id, key) != key:
            raise ImproperlyConfigured(f"ENCRYPTION_KEYS: {key_id!r} is no name, or the name of two keys.")
        keys[key_id] = key
    return keys


def _key_bytes(text: str) -> bytes:
    if len(text.encode()) == 32:  # the documents' form: 32 characters
        return text.encode()
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise ImproperlyConfigured("Each key in ENCRYPTION_KEYS must be 32 bytes in base64.")
    return key


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class SealedSessions:
    """Django's ``SESSION_SERIALIZER``: for a moment a session holds what opens an account, as a reset link's token."""

    def dumps(self, content: Any) -> bytes:
        """The sealed content."""
        return seal(content, bound_to=_SESSIONS).encode()

    def loads(self, sealed: bytes) -> Any:
        """The reverse. Raises ``Undecryptable``, for which Django opens an empty session."""
        return open_sealed(sealed.decode(), bound_to=_SESSIONS)


class _SealedAttribute(DeferredAttribute):
    """Opens the value on access, so a row that cannot be opened still loads in the admin."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if instance is not None and isinstance(value, Ciphertext):
            return open_sealed(value, bound_to=self.field.place(instance.pk))
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedField(models.TextField):
    """A JSON value that is encrypted for its row.

    The row's primary key must be set before the first save (UUID default).

    ``QuerySet.update`` takes only what ``sealed_for`` returns, because it has no row to bind to.
    """

    descriptor_class = _SealedAttribute

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def place(self, pk: Any) -> str:
        """The associated data for one row."""
        return f"{self.model._meta.db_table}:{self.column}:{pk}"

    def sealed_for(self, pk: Any, value: Any) -> Ciphertext:
        """Encrypt for the row with this primary key."""
        return seal(value, bound_to=self.place(pk))

    def from_db_value(self, value: str | None, *args: Any) -> Ciphertext | None:
        return None if value is None else Ciphertext(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Ciphertext | None:
        value = model_instance.__dict__.get(self.attname)
        if value is None or isinstance(value, Ciphertext):
            return value
        sealed = self.sealed_for(model_instance.pk, value)
        model_instance.__dict__[self.attname] = sealed
        return sealed

    def get_prep_value(self, value: Any) -> str | None:
        if value is None or isinstance(value, Ciphertext):
            return None if value is None else str(value)
        raise TypeError(f"{self.name} is encrypted; give update() what sealed_for() returns.")
