"""Quotes."""

from __future__ import annotations

from django.contrib import admin

from apikeys.admin.base import (
    MerchantFilter,
    json_display,
)
from carriers.admin.base import CarrierFilter
from shipping.admin.base import ShippingAdmin
from shipping.models import (
    Quote,
)


@admin.register(Quote)
class QuoteAdmin(ShippingAdmin):
    """Offers that merchants received."""

    list_display = ("created_at", "shown_carrier", "service_type", "price", "transit_days", "merchant", "mode")
    list_select_related = ("merchant",)
    list_filter = (CarrierFilter, "mode", MerchantFilter, "created_at")
    list_defer = ("breakdown", "request")
    search_fields = ("carrier_quote_id__exact", "service_type__exact")
    search_help_text = "Carrier's quote id, service, a merchant's slug, or the quote id."
    ordering = ("-id",)
    fields = (
        "id",
        "merchant",
        "mode",
        "shown_carrier",
        "credential",
        "carrier_quote_id",
        "service_type",
        "price",
        "transit_days",
        "estimated_delivery",
        "shown_breakdown",
        "shown_request",
        "created_at",
    )
    shown_breakdown = json_display("breakdown")
    shown_request = json_display("request")
