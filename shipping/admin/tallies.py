"""Counts of units and deliveries."""

from __future__ import annotations

from django.contrib import admin

from apikeys.admin.base import (
    MerchantFilter,
    ReadOnlyAdmin,
)
from carriers.admin.base import CarrierFilter
from shipping.models import (
    DeliveryTally,
    UnitTally,
)


class TallyAdmin(ReadOnlyAdmin):
    """Counts kept by triggers. The rows of a key add up."""

    search_fields = ("id__exact",)
    list_filter = ("mode", MerchantFilter, CarrierFilter, "is_folded")
    list_select_related = ("merchant", "store")
    ordering = ("-id",)


@admin.register(UnitTally)
class UnitTallyAdmin(TallyAdmin):
    """Units by status."""

    list_display = ("id", "merchant", "mode", "store", "carrier", "status", "units", "checkpoints", "delivered")


@admin.register(DeliveryTally)
class DeliveryTallyAdmin(TallyAdmin):
    """Deliveries by day and route."""

    list_display = (
        "id",
        "merchant",
        "mode",
        "store",
        "carrier",
        "origin_country",
        "destination_country",
        "day",
        "transit_days",
        "deliveries",
        "on_time",
    )
