"""Shipments, their parcels, labels and orphaned labels."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from apikeys.admin.base import (
    NOTHING,
    MerchantFilter,
    Section,
    badge,
    build_section,
    join_lines,
    json_display,
)
from apikeys.http.errors import BusinessRuleViolated
from carriers.admin.base import CarrierFilter
from shipping.admin.base import (
    MAX_SETTLED,
    ShippingAdmin,
    _money,
    address_lines,
    booking_badge,
    calls_section,
    events_section,
    pickup_badge,
    status_badge,
)
from shipping.admin.documents import documents_section, file_links
from shipping.checkpoints import cancelled_scans
from shipping.common import downloads
from shipping.labels import files, reconciliation
from shipping.models import (
    BookingState,
    Checkpoint,
    Orphan,
    Parcel,
    Pickup,
    Shipment,
    ShipmentSearch,
)


def checkpoints_section(request: HttpRequest, row: Shipment) -> Section | None:
    """Return the checkpoints of a shipment, the latest first."""
    return build_section(
        request,
        "Checkpoints",
        Checkpoint.objects.filter(shipment=row).order_by("-occurred_at", "-id"),
        {
            "occurred (UTC)": lambda one: one.occurred_at,
            "suspect": lambda one: "yes" if one.suspect_time else "",
            "status": status_badge,
            "location": lambda one: one.location,
            "text": lambda one: one.description,
            "code": lambda one: one.code,
            "parcel": lambda one: one.parcel or "",
            "source": lambda one: one.get_source_display(),
        },
        shipment=row.pk,
    )


def parcels_section(request: HttpRequest, row: Shipment) -> Section | None:
    """Return the parcels of a shipment."""
    return build_section(
        request,
        "Parcels",
        Parcel.objects.filter(shipment=row).order_by("number"),
        {
            "number": lambda one: one.number,
            "tracking number": lambda one: one.tracking_number,
            "weight": lambda one: f"{one.weight_kg.normalize():f} kg",
            "size": parcel_size,
            "declared value": lambda one: _money(one.declared_value, one.currency),
            "content": lambda one: one.description,
        },
        shipment=row.pk,
    )


def pickups_section(request: HttpRequest, row: Shipment) -> Section | None:
    """Return the pickups of a shipment."""
    return build_section(
        request,
        "Pickups",
        Pickup.objects.filter(shipments=row).order_by("-id"),
        {
            "confirmation": str,
            "state": pickup_badge,
            "day": lambda one: f"{one.day}, {one.window_start}–{one.window_end}",
            "packages": lambda one: one.packages_count,
        },
        shipments=row.pk,
    )


def parcel_size(row: Parcel) -> str:
    """Return length × width × height in cm."""
    sides = (row.length_cm, row.width_cm, row.height_cm)
    return " × ".join(f"{side.normalize():f}" for side in sides) + " cm" if all(sides) else NOTHING


@admin.register(Shipment)
class ShipmentAdmin(ShippingAdmin):
    """Shipments. They are changed by the API or by the actions here."""

    list_display = (
        "name",
        "booking",
        "shown_status",
        "shown_carrier",
        "order_id",
        "recipient",
        "merchant",
        "mode",
        "created_at",
    )
    list_select_related = ("merchant",)
    list_filter = (
        "booking_state",
        ("return_of", admin.EmptyFieldListFilter),
        ("cancel_alarm_at", admin.EmptyFieldListFilter),
        "status",
        CarrierFilter,
        MerchantFilter,
        "mode",
        "created_at",
    )
    list_defer = ("origin", "destination", "request", "carrier_details", "failure", "pending_reason", "cancellation")
    search_fields = ("search",)
    search_help_text = (
        "Start of a tracking number, order, reference, carrier's shipment id, recipient, last name, e-mail address or "
        "postal code; end of a phone number; shipment id; or a merchant's complete slug."
    )
    ordering = ("-id",)
    actions = ("look_up", "nothing_bought", "alarm_handled")
    sections = (checkpoints_section, parcels_section, documents_section, pickups_section, calls_section, events_section)
    fieldsets = (
        (
            "Booking",
            {
                "classes": ("wb-card",),
                "fields": (
                    "booking",
                    "failure_text",
                    "pending_text",
                    "tracking_number",
                    "label_file",
                    "shown_carrier",
                    "service_type",
                    "carrier_shipment_id",
                    "reference",
                    "credential",
                    "reconcile_at",
                    "poll_at",
                    "warehouse",
                    "return_of",
                    "created_at",
                ),
            },
        ),
        (
            "Status",
            {
                "classes": ("wb-card",),
                "fields": (
                    "shown_status",
                    "location",
                    "first_at",
                    "last_at",
                    "estimated_delivery",
                    "delivered_at",
                    "checkpoint_count",
                    "shown_cancellation",
                    "scanned_after_cancel_at",
                    "cancel_alarm_at",
                    "updated_at",
                ),
            },
        ),
        (
            "Parties",
            {
                "classes": ("wb-card",),
                "fields": (
                    "merchant",
                    "mode",
                    "store",
                    "order_id",
                    "sequence",
                    "customer_reference",
                    "sender_address",
                    "recipient_address",
                    "pickup_point_id",
                ),
            },
        ),
        ("Money", {"classes": ("wb-card",), "fields": ("price",)}),
        (
            "Request and response",
            {"classes": ("wb-wide", "collapse"), "fields": ("id", "shown_request", "shown_details")},
        ),
    )
    shown_request = json_display("request", "the merchant's request")
    shown_details = json_display("carrier_details", "carrier's details")
    shown_cancellation = json_display("cancellation")

    def get_urls(self) -> list[URLPattern]:
        files = [
            path(f"<path:object_id>/{kind}/", self.admin_site.admin_view(view), name=f"shipping_shipment_{kind}")
            for kind, view in (("label", self.label), ("manifest", self.manifest))
        ]
        return [*files, *super().get_urls()]

    def label(self, request: HttpRequest, object_id: str) -> HttpResponse | FileResponse:
        """Return the label's file to staff who may see the shipment. ``admin_view`` forbids caching."""
        return self._file(request, object_id, "label", "This shipment has no label file.")

    def manifest(self, request: HttpRequest, object_id: str) -> HttpResponse | FileResponse:
        """Return the manifest to staff who may see the shipment."""
        return self._file(request, object_id, "manifest", "This shipment has no manifest.")

    def _file(self, request: HttpRequest, object_id: str, kind: str, missing: str) -> HttpResponse | FileResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        found = files.open_kind(row, kind)
        if found is None:
            self.message_user(request, missing, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:shipping_shipment_change", args=[row.pk]))
        return downloads.file_response(found.file, found.format, found.name.rpartition(".")[0])

    @admin.display(description="shipment", ordering="tracking_number")
    def name(self, row: Shipment) -> str:
        return row.tracking_number or row.order_id or row.reference

    @admin.display(description="booking", ordering="booking_state")
    def booking(self, row: Shipment) -> str:
        return booking_badge(row)

    @admin.display(description="failure")
    def failure_text(self, row: Shipment) -> str:
        failure = row.failure or {}
        texts = (failure.get("message"), failure.get("carrier_code"), failure.get("carrier_message"))
        return join_lines([str(text) for text in dict.fromkeys(texts) if text])

    @admin.display(description="carrier's answer to the request")
    def pending_text(self, row: Shipment) -> str:
        return join_lines([str(text) for text in (row.pending_reason or {}).values() if text])

    @admin.display(description="label")
    def label_file(self, row: Shipment) -> str:
        return file_links(row)

    @admin.display(description="from")
    def sender_address(self, row: Shipment) -> str:
        return address_lines(row.origin)

    @admin.display(description="to")
    def recipient_address(self, row: Shipment) -> str:
        return address_lines(row.destination)

    @admin.action(description="Look up at the carrier now (pending, needs review)", permissions=["operate"])
    def look_up(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Let the worker look the bookings up at the carrier now; nothing is bought."""
        count = reconciliation.request_lookup(queryset)
        if count:
            self.message_user(request, f"The worker looks up {count} bookings now.", messages.SUCCESS)
        else:
            text = "None of these bookings is pending or needs review: nothing to look up."
            self.message_user(request, text, messages.WARNING)

    @admin.action(description="Mark as not bought (needs review)", permissions=["operate"])
    def nothing_bought(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Fail bookings that the carrier's back office does not know, so that the order can be bought again."""
        found = queryset.filter(booking_state=BookingState.NEEDS_REVIEW)[:MAX_SETTLED]
        for shipment in found:
            reconciliation.confirm_failure(
                shipment, BusinessRuleViolated("Operations found that the carrier sold nothing.")
            )
        self.message_user(request, f"{len(found)} bookings failed; their orders can be bought again.", messages.SUCCESS)

    @admin.action(description="Mark the alarm as handled (scanned after cancellation)", permissions=["operate"])
    def alarm_handled(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Take shipments off the list of alarms until a carrier scans them again."""
        count = cancelled_scans.resolve_alarms(queryset)
        self.message_user(request, f"{count} alarms are marked as handled.", messages.SUCCESS)


@admin.register(Parcel)
class ParcelAdmin(ShippingAdmin):
    """Parcels of shipments."""

    list_display = ("shipment", "number", "weight_kg", "size", "declared", "description")
    list_select_related = ("shipment",)
    list_filter = (("shipment__mode", admin.ChoicesFieldListFilter),)
    search_fields = ("shipment__search",)
    search_help_text = "Any text that finds the shipment, or its id."
    id_search = ("id", "shipment_id")
    ordering = ("-id",)

    @admin.display(description="size")
    def size(self, row: Parcel) -> str:
        return parcel_size(row)

    @admin.display(description="declared value", ordering="declared_value")
    def declared(self, row: Parcel) -> str:
        return _money(row.declared_value, row.currency)


@admin.register(Orphan)
class OrphanAdmin(ShippingAdmin):
    """Labels found after their booking had failed, or a second time. The worker voids them at the carrier."""

    list_display = ("tracking_number", "state", "shown_carrier", "shipment", "merchant", "mode", "created_at")
    list_select_related = ("shipment", "merchant")
    list_filter = (("voided_at", admin.EmptyFieldListFilter), MerchantFilter, "mode", "created_at")
    search_fields = ("tracking_number__prefix", "shipment__search")
    search_help_text = "Tracking number, label id, or any text that finds the shipment."
    actions = ("void",)
    ordering = ("-id",)
    fields = ("id", "merchant", "mode", "shipment", "tracking_number", "state", "refusal", "voided_at", "created_at")

    @admin.display(description="carrier")
    def shown_carrier(self, row: Orphan) -> str:
        return row.shipment.carrier_name

    @admin.display(description="state")
    def state(self, row: Orphan) -> str:
        if row.voided_at:
            return badge("void", "good")
        if row.is_harmless:
            return badge("not billed", "good")
        return badge(f"refused: {row.refusal}", "bad") if row.refusal else badge("being voided", "waiting")

    @admin.action(description="Look up and void at the carrier now", permissions=["operate"])
    def void(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Let the worker void the labels now. One that the carrier's back office voided is then marked as void."""
        count = reconciliation.request_voiding(queryset)
        self.message_user(request, f"The worker voids {count} labels now.", messages.SUCCESS)


@admin.register(ShipmentSearch)
class ShipmentSearchAdmin(ShippingAdmin):
    """Folded texts that shipments are found by."""

    list_display = ("shipment", "tracking_number", "order_id", "recipient", "email", "phone", "postal_code")
    list_select_related = ("shipment",)
    list_filter = (("shipment__mode", admin.ChoicesFieldListFilter),)
    search_fields = ("search",)
    search_help_text = ShipmentAdmin.search_help_text
    id_search = ("shipment_id",)
    ordering = ("-shipment_id",)
