"""What the carrier pages share."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from carriers.adapters.registry import ADAPTERS

_SHOWN_AT_LEAST = 8  # of a shorter text its last four characters would tell too much


class CarrierFilter(admin.SimpleListFilter):
    """The carriers that Waybill speaks to, without asking the table which ones stand in it."""

    title = "carrier"
    parameter_name = "carrier"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(slug, adapter.name) for slug, adapter in ADAPTERS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(carrier=self.value()) if self.value() else queryset


def carrier_name(slug: str) -> str:
    """A carrier's display name; the slug itself of one that Waybill no longer knows."""
    return ADAPTERS[slug].name if slug in ADAPTERS else slug


def masked_field(value: Any, secret: bool) -> str:
    """``set`` for a secret; else the last four characters, if the text is long enough to hide behind them."""
    text = str(value)
    return "set" if secret or len(text) < _SHOWN_AT_LEAST else f"•••{text[-4:]}"
