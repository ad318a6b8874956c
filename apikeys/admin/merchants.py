"""Admin of merchants, stores and plans."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apikeys.admin.base import (
    MerchantFilter,
    NoDeleteAdmin,
    active_badge,
    build_section,
)
from apikeys.admin.keys import key_state_badge
from apikeys.admin.people import MembershipInline
from apikeys.models import (
    ApiKey,
    Merchant,
    Plan,
    Store,
)


@admin.register(Merchant)
class MerchantAdmin(NoDeleteAdmin):
    """Merchants, the tenants."""

    list_display = ("name", "slug", "plan", "language", "default_country", "is_active", "created_at")
    list_filter = ("is_active", "plan", "language", "created_at")
    search_fields = ("name__prefix", "slug__prefix")
    search_help_text = "Name, slug or id."
    ordering = ("name",)
    date_hierarchy = "created_at"
    readonly_fields = ("id", "created_at")
    prepopulated_fields = {"slug": ("name",)}
    inlines = (MembershipInline,)
    sections = (
        lambda request, row: build_section(
            request,
            "API keys",
            ApiKey.objects.filter(merchant=row).order_by("-created_at"),
            {
                "name": str,
                "mode": lambda key: key.mode,
                "state": key_state_badge,
                "created": lambda key: key.created_at,
            },
            merchant=row.pk,
        ),
        lambda request, row: build_section(
            request,
            "Stores",
            Store.objects.filter(merchant=row),
            {"name": str, "code": lambda store: store.code, "active": lambda store: active_badge(store.is_active)},
            merchant=row.pk,
        ),
    )


@admin.register(Store)
class StoreAdmin(NoDeleteAdmin):
    """Merchants' sales channels."""

    list_display = ("name", "code", "merchant", "is_active")
    list_select_related = ("merchant",)
    list_filter = ("is_active", MerchantFilter)
    search_fields = ("name__prefix", "code__prefix", "merchant__name__prefix")
    autocomplete_fields = ("merchant",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("id", "merchant") if obj else ()


@admin.register(Plan)
class PlanAdmin(NoDeleteAdmin):
    """Rate limits of merchants' keys. Changes apply from the next request."""

    list_display = ("name", "code", "per_minute", "per_hour")
    list_editable = ("per_minute", "per_hour")
    list_filter = ("per_minute",)
    search_fields = ("name__prefix", "code__prefix")
    id_search = ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()
