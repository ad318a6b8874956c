"""Tenancy: every lookup of a merchant's data starts with ``Model.objects.of(tenant)``."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.db import models
from uuid6 import uuid7


class Mode(models.TextChoices):
    """Live rows and test rows are separate. A test key reaches only test rows and the carriers' sandboxes."""

    LIVE = "live", "live"
    TEST = "test", "test"


@dataclass(frozen=True)
class Tenant:
    """A merchant in one mode. ``store_id`` and ``key_id`` are set for an API key, the store if it is bound to one."""

    merchant_id: uuid.UUID
    mode: str
    store_id: uuid.UUID | None = None
    key_id: uuid.UUID | None = None

    def all_stores(self) -> Tenant:
        """Return the same merchant and mode without the limit to a store, for what must be unique in all stores."""
        return Tenant(self.merchant_id, self.mode)


@dataclass(frozen=True, slots=True)
class Caller:
    """A key or a person, for one merchant and mode: ``request.auth`` of every API request.

    name: ``key:<id>`` or ``person:<id>``.
    key_rates: requests of the key per minute and per hour; None for a person.
    user_rate: requests of the person per minute; None: the installation's rates.
    store_rate, merchant_rate: requests per minute; None without such a limit.
    language: the merchant's, used if the request names none.
    """

    tenant: Tenant
    name: str
    scopes: frozenset[str]
    key_rates: tuple[int, int] | None = None
    user_rate: int | None = None
    store_rate: int | None = None
    merchant_rate: int | None = None
    language: str = ""

    def may(self, scope: str) -> bool:
        """Return whether the caller has a scope."""
        return scope in self.scopes

    @property
    def is_person(self) -> bool:
        return self.key_rates is None


class TenantQuerySet(models.QuerySet):
    """A queryset with the tenant filter."""

    def of(self, tenant: Tenant) -> Self:
        """Return this merchant's rows of this mode; only those of its store for a caller that is bound to one."""
        rows = self.filter(merchant_id=tenant.merchant_id, mode=tenant.mode)
        if tenant.store_id and any(field.name == "store" for field in self.model._meta.fields):
            rows = rows.filter(store_id=tenant.store_id)
        return rows


def new_id() -> uuid.UUID:
    """Return a UUIDv7: unique, and in the order of creation."""
    return uuid.UUID(int=uuid7().int)


def first_id_at(moment: datetime) -> uuid.UUID:
    """Return the smallest id that can be made at this time or later (RFC 9562: 48 bits of milliseconds)."""
    return uuid.UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


class Row(models.Model):
    """A row with a UUIDv7, which is also its id in the API."""

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
        """The tenant that owns this row."""
        return Tenant(self.merchant_id, self.mode)
