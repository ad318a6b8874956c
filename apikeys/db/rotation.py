"""Encrypt all stored secrets again with the first of ``ENCRYPTION_KEYS``, while all processes keep running.

A secret is replaced only if it is still the one that was read, so a concurrent change wins. Readers find the old or the
new ciphertext, and can decrypt both while both keys are configured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models.functions import Left

from apikeys.db import crypto
from apikeys.db.crypto import Ciphertext, EncryptedField

_BATCH = 200


def encrypted_columns() -> list[EncryptedField]:
    """Return the encrypted columns of all tables."""
    return [
        field
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, EncryptedField)
    ]


def outdated_rows(field: EncryptedField) -> models.QuerySet:
    """Return the rows in which this column is encrypted with another key than the first."""
    rows = field.model._base_manager.filter(**{f"{field.name}__isnull": False})
    current = crypto.current_prefix()
    start = Left(field.name, len(current), output_field=models.CharField())
    return rows.annotate(_start=start).exclude(_start=current)


def reencrypt(field: EncryptedField) -> Iterator[tuple[Any, bool]]:
    """Encrypt a column of its ``outdated_rows`` again. Yield each primary key, with whether it was possible.

    A secret that cannot be decrypted is left as it is.
    """
    last = None
    while True:
        rows = outdated_rows(field).order_by("pk")
        batch = list((rows.filter(pk__gt=last) if last is not None else rows).values_list("pk", field.name)[:_BATCH])
        if not batch:
            return
        with transaction.atomic():
            done = [(pk, _reencrypt_value(field, pk, ciphertext)) for pk, ciphertext in batch]
        yield from done
        last = batch[-1][0]


def _reencrypt_value(field: EncryptedField, pk: Any, ciphertext: Ciphertext) -> bool:
    try:
        value = crypto.decrypt(ciphertext, bound_to=field.associated_data(pk))
    except crypto.Undecryptable:
        return False
    unchanged = field.model._base_manager.filter(**{"pk": pk, field.name: ciphertext})
    unchanged.update(**{field.name: field.encrypt_for(pk, value)})
    return True
