"""Whose rows: every look-up of a merchant's data starts with ``Model.objects.of(tenant)``."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.db import models
from uuid6 import uuid7


class Mode(models.TextChoices):
    """Live rows and test rows never meet; a test key sees only test rows and carriers' sandboxes."""

    LIVE = "live", "live"
    TEST = "test", "test"


@dataclass(frozen=True)
class Tenant:
    """Who a look-up is for: a merchant in one mode, through a store where the key is bound to one."""

    merchant_id: uuid.UUID
    mode: str
    store_id: uuid.UUID | None = None
    key_id: uuid.UUID | None = None

    def whole(self) -> Tenant:
        """The same merchant and mode, all stores: for what must be unique beyond the caller's store."""
        return Tenant(self.merchant_id, self.mode)


class TenantQuerySet(models.QuerySet):
    """Adds the tenant filter."""

    def of(self, tenant: Tenant) -> Self:
        """Only this merchant's rows of this mode; of its store alone for a caller that is bound to one."""
        rows = self.filter(merchant_id=tenant.merchant_id, mode=tenant.mode)
        if tenant.store_id and any(field.name == "store" for field in self.model._meta.fields):
            rows = rows.filter(store_id=tenant.store_id)
        return rows


def new_id() -> uuid.UUID:
    """A UUIDv7: unique, and in the order of creation."""
    return uuid.UUID(int=uuid7().int)


def first_id_at(moment: datetime) -> uuid.UUID:
    """The smallest id that can have been made at this moment or later (RFC 9562: 48 bits of milliseconds)."""
    return uuid.UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


class Row(models.Model):
    """A row with our id, which is also its name on the wire."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    class Meta:
        abstract = True


class TenantRow(Row):
    """A row that belongs to one merchant in one mode."""

    merchant = models.ForeignKey("apikeys.Merchant", on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode.choices)

    objects: Any = TenantQuerySet.as_manager()

    class Meta:
        abstract = True

    @property
    def tenant(self) -> Tenant:
        """The tenant that this row belongs to."""
        return Tenant(self.merchant_id, self.mode)
