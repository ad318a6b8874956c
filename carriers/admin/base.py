"""Filters and display functions that the admin pages of carriers share."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from carriers.adapters.registry import ADAPTERS

_MIN_LENGTH = 8  # the last four characters of a shorter text would reveal too much


class CarrierFilter(admin.SimpleListFilter):
    """Filter by carrier. The choices are all adapters, so that the table is not scanned for them."""

    title = "carrier"
    parameter_name = "carrier"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(slug, adapter.name) for slug, adapter in ADAPTERS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(carrier=self.value()) if self.value() else queryset


def carrier_name(slug: str) -> str:
    """Return a carrier's display name, or the slug if its adapter was removed."""
    return ADAPTERS[slug].name if slug in ADAPTERS else slug


def mask_field(value: Any, secret: bool) -> str:
    """Return ``set`` for a secret or a short text, else the last four characters."""
    text = str(value)
    return "set" if secret or len(text) < _MIN_LENGTH else f"•••{text[-4:]}"
