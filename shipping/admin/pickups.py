"""Pickups."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apikeys.admin.base import (
    MerchantFilter,
    Section,
    build_section,
    json_display,
)
from apikeys.http.errors import BusinessRuleViolated
from carriers.admin.base import CarrierFilter
from shipping.admin.base import (
    MAX_SETTLED,
    ShippingAdmin,
    address_lines,
    booking_badge,
    calls_section,
    events_section,
    pickup_badge,
    status_badge,
)
from shipping.admin.shipments import ShipmentAdmin
from shipping.models import (
    Pickup,
)
from shipping.pickups import pickups


def shipments_section(request: HttpRequest, row: Pickup) -> Section | None:
    """Return the shipments of a pickup."""
    return build_section(
        request,
        "Shipments",
        row.shipments.order_by("-id"),
        {"shipment": str, "order": lambda one: one.order_id, "booking": booking_badge, "status": status_badge},
        pickups=row.pk,
    )


@admin.register(Pickup)
class PickupAdmin(ShippingAdmin):
    """Collections of parcels at merchants' addresses."""

    list_display = (
        "name",
        "state_badge",
        "shown_carrier",
        "scheduled_day",
        "window",
        "packages_count",
        "merchant",
        "mode",
    )
    list_select_related = ("merchant",)
    list_filter = ("state", CarrierFilter, MerchantFilter, "mode", "scheduled_day")
    list_defer = ("address", "request", "carrier_details", "failure", "pending_reason")
    search_fields = ("confirmation_number__prefix", "carrier_pickup_id__prefix", "shipments__search")
    search_help_text = (
        "Confirmation number, carrier's pickup id, pickup id, or any text that finds one of its shipments."
    )
    date_hierarchy = "scheduled_day"
    ordering = ("-id",)
    actions = ("nothing_booked",)
    sections = (shipments_section, calls_section, events_section)
    fieldsets = (
        (
            "Pickup",
            {
                "classes": ("wb-card",),
                "fields": (
                    "state_badge",
                    "failure_text",
                    "pending_text",
                    "scheduled_date",
                    "scheduled_day",
                    "window",
                    "packages_count",
                    "total_weight_kg",
                    "confirmation_number",
                    "carrier_pickup_id",
                    "completed_at",
                    "cancelled_at",
                    "cancel_reason",
                ),
            },
        ),
        (
            "Parties",
            {
                "classes": ("wb-card",),
                "fields": ("merchant", "mode", "shown_carrier", "credential", "where", "created_at"),
            },
        ),
        (
            "Request and response",
            {"classes": ("wb-wide", "collapse"), "fields": ("id", "shown_request", "shown_details")},
        ),
    )
    shown_request = json_display("request", "the merchant's request")
    shown_details = json_display("carrier_details", "carrier's details")
    failure_text = ShipmentAdmin.failure_text
    pending_text = ShipmentAdmin.pending_text

    @admin.action(description="Mark as not booked (needs review)", permissions=["operate"])
    def nothing_booked(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Fail pickups that the carrier's back office does not know, so that the merchant can book again."""
        found = queryset.filter(state=Pickup.State.NEEDS_REVIEW)[:MAX_SETTLED]
        for pickup in found:
            pickups.mark_failed(pickup, BusinessRuleViolated("Operations found that the carrier booked nothing."))
        self.message_user(request, f"{len(found)} pickups failed.", messages.SUCCESS)

    @admin.display(description="pickup", ordering="confirmation_number")
    def name(self, row: Pickup) -> str:
        return str(row)

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: Pickup) -> str:
        return pickup_badge(row)

    @admin.display(description="time window")
    def window(self, row: Pickup) -> str:
        return f"{row.window_start}–{row.window_end}"

    @admin.display(description="address")
    def where(self, row: Pickup) -> str:
        return address_lines(row.address)
