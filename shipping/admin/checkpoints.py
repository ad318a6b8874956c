"""Checkpoints and status codes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import IntegerField, OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from apikeys.admin.base import (
    MerchantFilter,
    NoDeleteAdmin,
    Section,
    badge,
    build_section,
    json_display,
)
from carriers.admin.base import CarrierFilter
from carriers.types import Status
from shipping.admin.base import ShipmentCarrierFilter, ShippingAdmin, status_badge
from shipping.checkpoints import status_codes
from shipping.models import (
    Checkpoint,
    CheckpointReport,
    StatusCode,
)

# Counting stops here.
_COUNTED = 1000


def unknown_section(request: HttpRequest, row: StatusCode) -> Section | None:
    """Return scans with an unmapped code, those of the latest shipments first."""
    return build_section(
        request,
        "Unknown checkpoints",
        status_codes.unknown_scans(row.carrier, row.code).select_related("shipment").order_by("-shipment_id"),
        {
            "shipment": lambda one: one.shipment,
            "occurred (UTC)": lambda one: one.occurred_at,
            "location": lambda one: one.location,
            "text": lambda one: one.description,
        },
        status__exact=Status.UNKNOWN.value,
        carrier=row.carrier,
        code=row.code,
    )


def reports_section(request: HttpRequest, row: Checkpoint) -> Section | None:
    """Return the reports of a scan by other sources."""
    return build_section(
        request,
        "Further reports",
        CheckpointReport.objects.filter(checkpoint=row).order_by("id"),
        {
            "reported by": lambda one: one.get_reported_by_display(),
            "location": lambda one: one.location,
            "text": lambda one: one.description,
        },
        checkpoint=row.pk,
    )


@admin.register(Checkpoint)
class CheckpointAdmin(ShippingAdmin):
    """Scans and events of shipments."""

    list_display = ("shipment", "occurred_at", "shown_status", "code", "location", "source", "merchant", "mode")
    list_select_related = ("shipment", "merchant")
    list_filter = ("status", "source", "suspect_time", ShipmentCarrierFilter, "mode", MerchantFilter, "occurred_at")
    sections = (reports_section,)
    list_defer = ("details", "shipment__request", "shipment__carrier_details")
    search_fields = ("shipment__search",)
    search_help_text = "Any text that finds the shipment, or its id."
    id_search = ("id", "shipment_id")
    ordering = ("-id",)
    fields = (
        "id",
        "shipment",
        "merchant",
        "mode",
        "source",
        "shown_status",
        "code",
        "parcel",
        "description",
        "location",
        "occurred_at",
        "occurred_text",
        "tz_assumed",
        "suspect_time",
        "reported_by",
        "shown_details",
        "created_at",
    )
    shown_details = json_display("details")


@admin.register(CheckpointReport)
class CheckpointReportAdmin(ShippingAdmin):
    """What a second source reports of a scan."""

    list_display = ("checkpoint", "reported_by", "location", "description", "created_at")
    list_select_related = ("checkpoint",)
    list_filter = ("reported_by", ("checkpoint__mode", admin.ChoicesFieldListFilter))
    list_defer = ("details", "checkpoint__details")
    search_fields = ("checkpoint__shipment__search",)
    search_help_text = "Any text that finds the shipment, or an id."
    id_search = ("id", "checkpoint_id")
    ordering = ("-id",)
    fields = (
        "id",
        "checkpoint",
        "reported_by",
        "description",
        "location",
        "occurred_text",
        "tz_assumed",
        "shown_details",
        "created_at",
    )
    shown_details = json_display("details")


class _Count(Subquery):
    """The number of rows of a query."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


@admin.register(StatusCode)
class StatusCodeAdmin(NoDeleteAdmin):
    """Codes that a carrier's adapter does not map. Choosing a status maps one."""

    list_display = ("shown_carrier", "code", "example", "unknown_scans", "shown_status", "first_seen_at", "placed_at")
    list_filter = ("status", CarrierFilter)
    search_fields = ("code__prefix",)
    search_help_text = "Start of a code, or the id."
    ordering = ("-id",)
    sections = (unknown_section,)
    fields = ("shown_carrier", "code", "example", "unknown_scans", "first_seen_at", "status", "placed_at")
    readonly_fields = tuple(name for name in fields if name != "status")
    shown_carrier = ShippingAdmin.shown_carrier

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        unknown = status_codes.unknown_scans(OuterRef("carrier"), OuterRef("code")).order_by().values("pk")
        return super().get_queryset(request).annotate(unknown=_Count(unknown[: _COUNTED + 1]))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: StatusCode, form: Any, change: bool) -> None:
        """Map the code. The worker updates the stored scans, which can be too many for one request."""
        if status_codes.map_code(obj.pk, obj.status):
            text = "New scans get this status at once. Stored scans that are unknown get it from the worker."
            self.message_user(request, text)

    @admin.display(description="unknown checkpoints")
    def unknown_scans(self, row: StatusCode) -> str:
        return f"{_COUNTED}+" if row.unknown > _COUNTED else str(row.unknown)

    @admin.display(description="status", ordering="status")
    def shown_status(self, row: StatusCode) -> str:
        return status_badge(row) if row.status else badge(row.get_status_display(), "alert")
