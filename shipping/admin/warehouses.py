"""Warehouses and their registrations."""

from __future__ import annotations

from django.contrib import admin

from apikeys.admin.base import (
    NOTHING,
    MerchantFilter,
    format_json,
)
from shipping.admin.base import ShippingAdmin, address_lines
from shipping.models import (
    Warehouse,
    WarehouseRegistration,
)


@admin.register(Warehouse)
class WarehouseAdmin(ShippingAdmin):
    """Addresses that merchants ship from."""

    list_display = ("name", "merchant", "mode", "store", "is_active", "created_at")
    list_select_related = ("merchant", "store")
    list_filter = ("is_active", MerchantFilter, "mode")
    list_defer = ("address", "return_address")
    search_fields = ("name__prefix",)
    search_help_text = "Start of a name, a merchant's complete slug, or the warehouse id."
    ordering = ("-id",)
    fields = ("id", "merchant", "mode", "store", "name", "is_active", "where", "returns_to", "created_at", "updated_at")

    @admin.display(description="address")
    def where(self, row: Warehouse) -> str:
        return address_lines(row.address)

    @admin.display(description="return address")
    def returns_to(self, row: Warehouse) -> str:
        return address_lines(row.return_address) if row.return_address else NOTHING


@admin.register(WarehouseRegistration)
class WarehouseRegistrationAdmin(ShippingAdmin):
    """Registrations of warehouses with carriers."""

    list_display = ("warehouse", "credential", "state", "carrier_warehouse_id", "updated_at")
    list_select_related = ("warehouse", "credential__merchant")
    list_filter = ("state",)
    list_defer = ("failure",)
    search_fields = ("carrier_warehouse_id__prefix", "warehouse__name__prefix")
    search_help_text = "Start of the carrier's warehouse id or of the name."
    ordering = ("-id",)
    fields = ("id", "warehouse", "credential", "state", "carrier_warehouse_id", "shown_failure", "updated_at")

    @admin.display(description="failure")
    def shown_failure(self, row: WarehouseRegistration) -> str:
        return format_json(row.failure) if row.failure else NOTHING
