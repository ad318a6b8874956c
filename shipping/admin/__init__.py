"""Shipments with everything that happened to them, on one page; found by whatever name a caller knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import IntegerField, OuterRef, QuerySet, Subquery
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from apikeys.admin.base import NOTHING
from apikeys.admin.base import WATCHES
from apikeys.admin.base import KeptAdmin
from apikeys.admin.base import MerchantFilter
from apikeys.admin.base import ReadOnlyAdmin
from apikeys.admin.base import Section
from apikeys.admin.base import Watch
from apikeys.admin.base import badge
from apikeys.admin.base import json_display
from apikeys.admin.base import lines
from apikeys.admin.base import pretty
from apikeys.admin.base import section
from apikeys.http.errors import BusinessRuleViolated
from apikeys.models import Event
from carriers.admin import CarrierFilter, call_outcome, carrier_name
from carriers.models import CarrierCall
from carriers.types import Status
from shipping.models import (
    BookingState,
    Checkpoint,
    DeliveryTally,
    Label,
    Orphan,
    Parcel,
    Pickup,
    Quote,
    Shipment,
    StatusCode,
    UnitTally,
    Warehouse,
    WarehouseRegistration,
)
from shipping.checkpoints import status_codes
from shipping.pickups import pickups
from shipping.labels import reconciliation

MAX_SETTLED = 200
# Nobody needs to know how many more than this there are.
_COUNTED = 1000

_BOOKING_TONES = {
    BookingState.NONE: "off",
    BookingState.PENDING: "waiting",
    BookingState.BOOKED: "good",
    BookingState.FAILED: "bad",
    BookingState.NEEDS_REVIEW: "alert",
}
_STATUS_TONES = {
    Status.CREATED: "waiting",
    Status.PICKED_UP: "moving",
    Status.IN_TRANSIT: "moving",
    Status.AT_PICKUP_POINT: "moving",
    Status.OUT_FOR_DELIVERY: "moving",
    Status.DELIVERED: "good",
    Status.EXCEPTION: "alert",
    Status.RETURNED: "off",
    Status.CANCELLED: "off",
    Status.NDR: "alert",
    Status.RTO: "alert",
    Status.LOST: "bad",
    Status.DAMAGED: "bad",
    Status.UNKNOWN: "off",
}
_PICKUP_TONES = {
    Pickup.State.PENDING: "waiting",
    Pickup.State.SCHEDULED: "moving",
    Pickup.State.COMPLETED: "good",
    Pickup.State.CANCELLED: "off",
    Pickup.State.FAILED: "bad",
    Pickup.State.NEEDS_REVIEW: "alert",
}

WATCHES += [
    Watch(
        "Warehouses that a carrier refused or did not answer about",
        lambda: WarehouseRegistration.objects.exclude(state=WarehouseRegistration.State.REGISTERED),
        {"state__exact": WarehouseRegistration.State.FAILED},
    ),
    Watch(
        "Shipments that need review: only the carrier's own back-office can tell what became of them",
        lambda: Shipment.objects.filter(booking_state=BookingState.NEEDS_REVIEW),
        {"booking_state__exact": BookingState.NEEDS_REVIEW},
    ),
    Watch(
        "Shipments still without the carrier's answer, looked up by the worker",
        lambda: Shipment.objects.filter(booking_state=BookingState.PENDING),
        {"booking_state__exact": BookingState.PENDING},
        tone="waiting",
    ),
    Watch(
        "Labels that carriers sold and nobody waits for, not called off yet",
        lambda: Orphan.objects.filter(voided_at=None),
        {"voided_at__isempty": "1"},
    ),
    Watch(
        "Pickups that need review: the carrier did not say whether it comes",
        lambda: Pickup.objects.filter(state=Pickup.State.NEEDS_REVIEW),
        {"state__exact": Pickup.State.NEEDS_REVIEW},
    ),
    Watch(
        "Status codes that nobody knows: their scans count for nothing until somebody places them",
        lambda: StatusCode.objects.filter(status__isnull=True),
        {"status__isnull": "True"},
    ),
]


def booking_badge(row: Shipment) -> str:
    """How far the purchase got."""
    return badge(row.get_booking_state_display(), _BOOKING_TONES.get(row.booking_state, "off"))


def status_badge(row: Shipment | Checkpoint | StatusCode) -> str:
    """Where the parcel is in its life."""
    return badge(row.get_status_display(), _STATUS_TONES.get(row.status, "off"))


def pickup_badge(row: Pickup) -> str:
    """Whether somebody comes."""
    return badge(row.get_state_display(), _PICKUP_TONES.get(row.state, "off"))


def address_lines(address: Mapping[str, Any]) -> str:
    """An address as on an envelope; what it holds besides, below."""
    known = ("contact_name", "company", "street", "city", "state", "postal_code", "country")
    get = {name: str(address.get(name) or "") for name in known}
    place = " ".join(part for part in (get["city"], get["state"], get["postal_code"]) if part)
    others = {name.removeprefix("contact_"): value for name, value in address.items() if name not in known and value}
    rest = [f"{name.replace('_', ' ')}: {value}" for name, value in others.items()]
    return lines([get["contact_name"], get["company"], get["street"], place, get["country"], *rest])


# Sections


def checkpoints_section(request: HttpRequest, row: Shipment) -> Section | None:
    """The parcel's history, the latest first."""
    return section(
        request,
        "Checkpoints",
        Checkpoint.objects.filter(shipment=row).order_by("-occurred_at", "-id"),
        {
            "occurred (UTC)": lambda one: one.occurred_at,
            "status": status_badge,
            "place": lambda one: one.location,
            "text": lambda one: one.description,
            "code": lambda one: one.code,
            "said by": lambda one: one.get_source_display(),
        },
        shipment=row.pk,
    )


def unknown_section(request: HttpRequest, row: StatusCode) -> Section | None:
    """Scans with a code that nobody knows, those of the latest shipments first."""
    return section(
        request,
        "Unknown checkpoints",
        status_codes.unknown_scans(row.carrier, row.code).select_related("shipment").order_by("-shipment_id"),
        {
            "shipment": lambda one: one.shipment,
            "occurred (UTC)": lambda one: one.occurred_at,
            "place": lambda one: one.location,
            "text": lambda one: one.description,
        },
        status__exact=Status.UNKNOWN.value,
        carrier=row.carrier,
        code=row.code,
    )


def parcels_section(request: HttpRequest, row: Shipment) -> Section | None:
    """What is in it."""
    return section(
        request,
        "Parcels",
        Parcel.objects.filter(shipment=row).order_by("number"),
        {
            "number": lambda one: one.number,
            "weight": lambda one: f"{one.weight_kg.normalize():f} kg",
            "size": parcel_size,
            "declared value": lambda one: _money(one.declared_value, one.currency),
            "content": lambda one: one.description,
        },
        shipment=row.pk,
    )


def pickups_section(request: HttpRequest, row: Shipment) -> Section | None:
    """Who comes for it."""
    return section(
        request,
        "Pickups",
        Pickup.objects.filter(shipments=row).order_by("-id"),
        {
            "confirmation": str,
            "state": pickup_badge,
            "day": lambda one: f"{one.scheduled_date:%Y-%m-%d}, {one.window_start}–{one.window_end}",
            "packages": lambda one: one.packages_count,
        },
        shipments=row.pk,
    )


def shipments_section(request: HttpRequest, row: Pickup) -> Section | None:
    """What a pickup collects."""
    return section(
        request,
        "Shipments",
        row.shipments.order_by("-id"),
        {"shipment": str, "order": lambda one: one.order_id, "booking": booking_badge, "status": status_badge},
        pickups=row.pk,
    )


def calls_section(request: HttpRequest, row: Shipment | Pickup) -> Section | None:
    """What was said to the carrier about it."""
    return section(
        request,
        "Carrier calls",
        CarrierCall.objects.filter(subject_id=row.pk).order_by("-id").defer("request_body", "response_body"),
        {
            "at (UTC)": lambda one: one.created_at,
            "operation": lambda one: one.operation,
            "outcome": call_outcome,
            "HTTP": lambda one: one.status,
            "took": lambda one: f"{one.duration_ms} ms",
            "error": lambda one: one.error,
        },
        subject_id=row.pk,
    )


def events_section(request: HttpRequest, row: Shipment | Pickup) -> Section | None:
    """What happened."""
    return section(
        request,
        "Events",
        Event.objects.filter(subject_id=row.pk).order_by("-id"),
        {
            "at (UTC)": lambda one: one.created_at,
            "type": lambda one: one.type,
            "visibility": lambda one: one.visibility,
            "facts": lambda one: lines([f"{name}: {value}" for name, value in one.data.items()]),
        },
        subject_id=row.pk,
    )


def parcel_size(row: Parcel) -> str:
    """Length × width × height in cm."""
    sides = (row.length_cm, row.width_cm, row.height_cm)
    return " × ".join(f"{side.normalize():f}" for side in sides) + " cm" if all(sides) else NOTHING


def _money(amount: Any, currency: str) -> str:
    return f"{amount} {currency}".strip() if amount is not None else NOTHING


class ShippingAdmin(ReadOnlyAdmin):
    """What every page of this app shows in one way."""

    @admin.display(description="carrier", ordering="carrier")
    def shown_carrier(self, row: Any) -> str:
        return carrier_name(row.carrier) or NOTHING

    @admin.display(description="price", ordering="total_price")
    def price(self, row: Any) -> str:
        return _money(row.total_price, row.currency)

    @admin.display(description="status", ordering="status")
    def shown_status(self, row: Any) -> str:
        return status_badge(row)


@admin.register(Shipment)
class ShipmentAdmin(ShippingAdmin):
    """Shipments; what is done to one is done by the API or by the actions here."""

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
        "status",
        CarrierFilter,
        MerchantFilter,
        "mode",
        "created_at",
    )
    list_defer = ("origin", "destination", "request", "carrier_details", "failure", "cancellation")
    search_fields = (
        "order_id",
        "reference",
        "tracking_number",
        "carrier_shipment_id",
        "customer_reference",
        "recipient",
        "merchant__slug__exact",
    )
    search_help_text = (
        "Order, tracking number, our reference, the carrier's shipment id, customer reference, recipient, our id, "
        "or a merchant's whole slug."
    )
    ordering = ("-id",)
    actions = ("look_up", "nothing_bought")
    sections = (checkpoints_section, parcels_section, pickups_section, calls_section, events_section)
    fieldsets = (
        (
            "Booking",
            {
                "classes": ("wb-card",),
                "fields": (
                    "booking",
                    "trouble",
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
            "As asked and answered",
            {"classes": ("wb-wide", "collapse"), "fields": ("id", "shown_request", "shown_details")},
        ),
    )
    shown_request = json_display("request", "the merchant's request")
    shown_details = json_display("carrier_details", "what the carrier added")
    shown_cancellation = json_display("cancellation")

    def get_urls(self) -> list[URLPattern]:
        files = [
            path(f"<path:object_id>/{kind}/", self.admin_site.admin_view(view), name=f"shipping_shipment_{kind}")
            for kind, view in (("label", self.label), ("manifest", self.manifest))
        ]
        return [*files, *super().get_urls()]

    def label(self, request: HttpRequest, object_id: str) -> HttpResponse | FileResponse:
        """The label's file, for staff who may see the shipment (``admin_view`` forbids caches to keep it)."""
        return self._file(request, object_id, "label", "This shipment has no label file.")

    def manifest(self, request: HttpRequest, object_id: str) -> HttpResponse | FileResponse:
        """The manifest, for the same."""
        return self._file(request, object_id, "manifest", "This shipment has no manifest.")

    def _file(self, request: HttpRequest, object_id: str, kind: str, missing: str) -> HttpResponse | FileResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        label = Label.objects.filter(shipment=row).first()
        found = label.download(kind) if label else None
        try:
            file = found.file.open("rb") if found and found.file else None
        except OSError:
            file = None
        if found is None or file is None:
            self.message_user(request, missing, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:shipping_shipment_change", args=[row.pk]))
        is_shown = found.content_type in ("application/pdf", "image/png")
        return FileResponse(file, as_attachment=not is_shown, filename=found.name, content_type=found.content_type)

    @admin.display(description="shipment", ordering="tracking_number")
    def name(self, row: Shipment) -> str:
        return row.tracking_number or row.order_id or row.reference

    @admin.display(description="booking", ordering="booking_state")
    def booking(self, row: Shipment) -> str:
        return booking_badge(row)

    @admin.display(description="trouble")
    def trouble(self, row: Shipment) -> str:
        failure = row.failure or {}
        told = (failure.get("message"), failure.get("carrier_code"), failure.get("carrier_message"))
        return lines([str(text) for text in dict.fromkeys(told) if text])

    @admin.display(description="label")
    def label_file(self, row: Shipment) -> str:
        return file_links(getattr(row, "label", None))

    @admin.display(description="from")
    def sender_address(self, row: Shipment) -> str:
        return address_lines(row.origin)

    @admin.display(description="to")
    def recipient_address(self, row: Shipment) -> str:
        return address_lines(row.destination)

    @admin.action(description="Look up at the carrier now (pending, needs review)", permissions=["operate"])
    def look_up(self, request: HttpRequest, queryset: QuerySet) -> None:
        """The worker asks the carrier at once instead of at the next turn; nothing is bought."""
        asked = reconciliation.look_up_now(queryset)
        if asked:
            self.message_user(request, f"{asked} bookings are looked up at once.", messages.SUCCESS)
        else:
            text = "None of these is pending or needs review: nothing to look up."
            self.message_user(request, text, messages.WARNING)

    @admin.action(description="Nothing was bought: fail the booking (needs review)", permissions=["operate"])
    def nothing_bought(self, request: HttpRequest, queryset: QuerySet) -> None:
        """For bookings that only the carrier's back-office could explain; the order can then be bought anew."""
        found = queryset.filter(booking_state=BookingState.NEEDS_REVIEW)[:MAX_SETTLED]
        for shipment in found:
            reconciliation.give_up(shipment, BusinessRuleViolated("Operations found that the carrier sold nothing."))
        self.message_user(request, f"{len(found)} bookings failed; their orders are free again.", messages.SUCCESS)


def file_links(label: Label | None) -> str:
    """Links that open the files for staff: the label, and the manifest where the carrier gives one out."""
    if label is None:
        return NOTHING
    links = [_file_link(label, "label", f"Open the {label.format} label")]
    if label.has_manifest:
        links.append(_file_link(label, "manifest", "Open the manifest"))
    return lines(links)


def _file_link(label: Label, kind: str, text: str) -> str:
    if not label.download(kind).file:
        return badge(f"waiting for the carrier's {kind}", "waiting" if label.fetch_at else "bad")
    url = reverse(f"admin:shipping_shipment_{kind}", args=[label.shipment_id])
    return format_html('<a href="{}" target="_blank" rel="noopener">{}</a>', url, text)


@admin.register(Parcel)
class ParcelAdmin(ShippingAdmin):
    """Packages of shipments."""

    list_display = ("shipment", "number", "weight_kg", "size", "declared", "description")
    list_select_related = ("shipment",)
    list_filter = (("shipment__mode", admin.ChoicesFieldListFilter),)
    search_fields = ("shipment__tracking_number", "shipment__order_id", "description")
    search_help_text = "Tracking number, order, content, or the id of the shipment."
    id_search = ("id", "shipment_id")
    ordering = ("-id",)

    @admin.display(description="size")
    def size(self, row: Parcel) -> str:
        return parcel_size(row)

    @admin.display(description="declared value", ordering="declared_value")
    def declared(self, row: Parcel) -> str:
        return _money(row.declared_value, row.currency)


@admin.register(Label)
class LabelAdmin(ShippingAdmin):
    """Printable files; they are opened through the shipment's permission-checked address only."""

    list_display = ("shipment", "format", "size", "opened", "created_at")
    list_select_related = ("shipment",)
    list_filter = ("format", "size", "created_at")
    search_fields = ("shipment__tracking_number", "shipment__order_id")
    search_help_text = "Tracking number, order, or the id of the shipment."
    id_search = ("id", "shipment_id")
    ordering = ("-id",)
    fields = ("id", "shipment", "format", "size", "opened", "carrier_url", "created_at")

    @admin.display(description="file")
    def opened(self, row: Label) -> str:
        return file_links(row)


class ShipmentCarrierFilter(CarrierFilter):
    """Of rows that hang on a shipment."""

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(shipment__carrier=self.value()) if self.value() else queryset


@admin.register(Checkpoint)
class CheckpointAdmin(ShippingAdmin):
    """Scans and events of shipments."""

    list_display = ("shipment", "occurred_at", "shown_status", "code", "location", "source", "merchant", "mode")
    list_select_related = ("shipment", "merchant")
    list_filter = ("status", "source", ShipmentCarrierFilter, "mode", MerchantFilter, "occurred_at")
    list_defer = ("details", "shipment__request", "shipment__carrier_details")
    search_fields = ("shipment__tracking_number__exact", "shipment__order_id__exact", "code__exact")
    search_help_text = "A whole tracking number, order or carrier's code, or the id of the shipment."
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
        "description",
        "location",
        "occurred_at",
        "occurred_text",
        "tz_assumed",
        "shown_details",
        "created_at",
    )
    shown_details = json_display("details")


class _Count(Subquery):
    """How many rows a query finds."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


@admin.register(StatusCode)
class StatusCodeAdmin(KeptAdmin):
    """Carriers' codes that their adapters do not know; choosing a status places one."""

    list_display = ("shown_carrier", "code", "example", "unknown_scans", "shown_status", "first_seen_at", "placed_at")
    list_filter = ("status", CarrierFilter)
    search_fields = ("code", "example")
    search_help_text = "A code, what the carrier says with it, or our id."
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
        """The worker does the rest: there may be more scans than a page can wait for."""
        if status_codes.place(obj.pk, obj.status):
            told = "New scans have this status at once; those that are still unknown get it from the worker."
            self.message_user(request, told)

    @admin.display(description="unknown checkpoints")
    def unknown_scans(self, row: StatusCode) -> str:
        return f"{_COUNTED}+" if row.unknown > _COUNTED else str(row.unknown)

    @admin.display(description="status", ordering="status")
    def shown_status(self, row: StatusCode) -> str:
        return status_badge(row) if row.status else badge(row.get_status_display(), "alert")


@admin.register(Orphan)
class OrphanAdmin(ShippingAdmin):
    """Labels that turned up too late, or once too often; the worker has the carrier call them off."""

    list_display = ("tracking_number", "state", "shown_carrier", "shipment", "merchant", "mode", "created_at")
    list_select_related = ("shipment", "merchant")
    list_filter = (("voided_at", admin.EmptyFieldListFilter), MerchantFilter, "mode", "created_at")
    search_fields = ("tracking_number", "shipment__reference", "shipment__order_id")
    search_help_text = "Tracking number, our reference, an order, or our id."
    actions = ("void",)
    ordering = ("-id",)
    fields = ("id", "merchant", "mode", "shipment", "tracking_number", "state", "refusal", "voided_at", "created_at")

    @admin.display(description="carrier")
    def shown_carrier(self, row: Orphan) -> str:
        return row.shipment.carrier_name

    @admin.display(description="state")
    def state(self, row: Orphan) -> str:
        if row.voided_at:
            return badge("called off", "good")
        return badge(f"refused: {row.refusal}", "bad") if row.refusal else badge("being called off", "waiting")

    @admin.action(description="Look up and call off at the carrier now", permissions=["operate"])
    def void(self, request: HttpRequest, queryset: QuerySet) -> None:
        """The worker asks the carrier at once; one that was called off in its back-office is then known to be."""
        asked = reconciliation.void_now(queryset)
        self.message_user(request, f"{asked} labels are called off at once.", messages.SUCCESS)


@admin.register(Quote)
class QuoteAdmin(ShippingAdmin):
    """Offers that merchants were given."""

    list_display = ("created_at", "shown_carrier", "service_type", "price", "transit_days", "merchant", "mode")
    list_select_related = ("merchant",)
    list_filter = (CarrierFilter, "mode", MerchantFilter, "created_at")
    list_defer = ("breakdown", "request")
    search_fields = ("carrier_quote_id__exact", "service_type__exact", "merchant__slug__exact")
    search_help_text = "The carrier's quote id, a service, a merchant's slug, or our id."
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


@admin.register(Pickup)
class PickupAdmin(ShippingAdmin):
    """Collections at merchants' doors."""

    list_display = (
        "name",
        "state_badge",
        "shown_carrier",
        "scheduled_date",
        "window",
        "packages_count",
        "merchant",
        "mode",
    )
    list_select_related = ("merchant",)
    list_filter = ("state", CarrierFilter, MerchantFilter, "mode", "scheduled_date")
    list_defer = ("address", "request", "carrier_details", "failure")
    search_fields = ("confirmation_number", "carrier_pickup_id", "shipments__tracking_number__exact")
    search_help_text = "Confirmation number, the carrier's pickup id, a whole tracking number, or our id."
    date_hierarchy = "scheduled_date"
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
                    "trouble",
                    "scheduled_date",
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
            "As asked and answered",
            {"classes": ("wb-wide", "collapse"), "fields": ("id", "shown_request", "shown_details")},
        ),
    )
    shown_request = json_display("request", "the merchant's request")
    shown_details = json_display("carrier_details", "what the carrier added")
    trouble = ShipmentAdmin.trouble

    @admin.action(description="No van was booked: fail the pickup (needs review)", permissions=["operate"])
    def nothing_booked(self, request: HttpRequest, queryset: QuerySet) -> None:
        """For pickups that only the carrier's back-office could explain; the merchant can then book anew."""
        found = queryset.filter(state=Pickup.State.NEEDS_REVIEW)[:MAX_SETTLED]
        for pickup in found:
            pickups.fail(pickup, BusinessRuleViolated("Operations found that the carrier booked nothing."))
        self.message_user(request, f"{len(found)} pickups failed.", messages.SUCCESS)

    @admin.display(description="pickup", ordering="confirmation_number")
    def name(self, row: Pickup) -> str:
        return str(row)

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: Pickup) -> str:
        return pickup_badge(row)

    @admin.display(description="between")
    def window(self, row: Pickup) -> str:
        return f"{row.window_start}–{row.window_end}"

    @admin.display(description="where")
    def where(self, row: Pickup) -> str:
        return address_lines(row.address)


@admin.register(Warehouse)
class WarehouseAdmin(ShippingAdmin):
    """Merchants' places of departure."""

    list_display = ("name", "merchant", "mode", "store", "is_active", "created_at")
    list_select_related = ("merchant", "store")
    list_filter = ("is_active", MerchantFilter, "mode")
    list_defer = ("address", "return_address")
    search_fields = ("name", "merchant__slug__exact")
    search_help_text = "A name, a merchant's whole slug, or our id."
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
    """What carriers' accounts call them."""

    list_display = ("warehouse", "credential", "state", "carrier_warehouse_id", "updated_at")
    list_select_related = ("warehouse", "credential__merchant")
    list_filter = ("state",)
    list_defer = ("failure",)
    search_fields = ("carrier_warehouse_id", "warehouse__name")
    search_help_text = "The carrier's id of it, or its name."
    ordering = ("-id",)
    fields = ("id", "warehouse", "credential", "state", "carrier_warehouse_id", "shown_failure", "updated_at")

    @admin.display(description="failure")
    def shown_failure(self, row: WarehouseRegistration) -> str:
        return pretty(row.failure) if row.failure else NOTHING


class TallyAdmin(ReadOnlyAdmin):
    """Counts that the database keeps; several rows of a key add up."""

    search_fields = ("=id",)
    list_filter = ("mode", MerchantFilter, CarrierFilter, "is_folded")
    list_select_related = ("merchant", "store")
    ordering = ("-id",)


@admin.register(UnitTally)
class UnitTallyAdmin(TallyAdmin):
    """Units by status."""

    list_display = ("id", "merchant", "mode", "store", "carrier", "status", "units", "checkpoints", "delivered")


@admin.register(DeliveryTally)
class DeliveryTallyAdmin(TallyAdmin):
    """Deliveries by day and lane."""

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
