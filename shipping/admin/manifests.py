"""Manifests of closed days."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from apikeys.admin.base import MerchantFilter, Section, build_section
from carriers.admin.base import CarrierFilter
from shipping.admin.base import ShippingAdmin, booking_badge, calls_section, events_section, status_badge
from shipping.models import Manifest, ManifestFile


def manifest_shipments_section(request: HttpRequest, row: Manifest) -> Section | None:
    """Return the shipments of a manifest."""
    return build_section(
        request,
        "Shipments",
        row.shipments.order_by("-id"),
        {"shipment": str, "order": lambda one: one.order_id, "booking": booking_badge, "status": status_badge},
        manifests=row.pk,
    )


@admin.register(Manifest)
class ManifestAdmin(ShippingAdmin):
    """Days that merchants have closed at their carriers."""

    list_display = ("day", "shown_carrier", "merchant", "mode", "created_at")
    list_select_related = ("merchant",)
    list_filter = (CarrierFilter, MerchantFilter, "mode", "day")
    search_fields = ("shipments__search",)
    search_help_text = "Manifest id, or any text that finds one of its shipments."
    id_search = ("id",)
    date_hierarchy = "day"
    ordering = ("-id",)
    sections = (manifest_shipments_section, calls_section, events_section)
    fields = ("id", "merchant", "mode", "store", "shown_carrier", "day", "created_at")


@admin.register(ManifestFile)
class ManifestFileAdmin(ShippingAdmin):
    """Files of manifests. Merchants download them from the API."""

    list_display = ("manifest", "format")
    list_select_related = ("manifest",)
    list_filter = ("format",)
    search_fields = ("manifest__shipments__search",)
    search_help_text = "File or manifest id, or any text that finds one of its shipments."
    id_search = ("id", "manifest_id")
    ordering = ("-id",)
    fields = ("id", "manifest", "format")
