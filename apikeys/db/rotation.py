"""Sealing all stored secrets anew under the first of ``ENCRYPTION_KEYS``, while everything goes on running.

Each secret is replaced only if it is still the one that was read, so a change that comes in between wins; readers find
the old or the new one, and both open while both keys are configured.
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


def columns() -> list[EncryptedField]:
    """Every encrypted column of every table."""
    return [
        field
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, EncryptedField)
    ]


def due(field: EncryptedField) -> models.QuerySet:
    """The rows whose secret in this column is sealed under another key than the first."""
    rows = field.model._base_manager.filter(**{f"{field.name}__isnull": False})
    current = crypto.envelope_prefix()
    start = Left(field.name, len(current), output_field=models.CharField())
    return rows.annotate(_start=start).exclude(_start=current)


def rotate(field: EncryptedField) -> Iterator[tuple[Any, bool]]:
    """Seal the ``due`` rows of a column anew; yields (primary key, whether it is done) of each.

    A secret that does not open is left as it is and yields False.
    """
    last = None
    while True:
        rows = due(field).order_by("pk")
        batch = list((rows.filter(pk__gt=last) if last is not None else rows).values_list("pk", field.name)[:_BATCH])
        if not batch:
            return
        with transaction.atomic():
            done = [(pk, _seal_anew(field, pk, sealed)) for pk, sealed in batch]
        yield from done
        last = batch[-1][0]


def _seal_anew(field: EncryptedField, pk: Any, sealed: Ciphertext) -> bool:
    try:
        value = crypto.open_sealed(sealed, bound_to=field.place(pk))
    except crypto.Undecryptable:
        return False
    still_the_same = field.model._base_manager.filter(**{"pk": pk, field.name: sealed})
    still_the_same.update(**{field.name: field.sealed_for(pk, value)})
    return True
