"""Badges, sections and the base class of the shipping pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest

from apikeys.admin.base import (
    MAX_MATCHES,
    MONITORED_LISTS,
    NOTHING,
    MonitoredList,
    ReadOnlyAdmin,
    Section,
    badge,
    build_section,
    join_lines,
    matching_keys,
)
from apikeys.db.search import fold_number
from apikeys.http.currencies import minor_digits
from apikeys.models import Event
from carriers.admin.base import CarrierFilter, carrier_name
from carriers.admin.calls import outcome_badge
from carriers.models import CarrierCall
from carriers.types import Status
from shipping.common import lookup as lookups
from shipping.models import (
    BookingState,
    Checkpoint,
    Orphan,
    Pickup,
    Shipment,
    StatusCode,
    WarehouseRegistration,
)
from shipping.models.search import matching_shipments

MAX_SETTLED = 200
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
    Status.INFO: "off",
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
MONITORED_LISTS += [
    MonitoredList(
        "Warehouse registrations that a carrier refused or did not answer",
        lambda: WarehouseRegistration.objects.exclude(state=WarehouseRegistration.State.REGISTERED),
        {"state__exact": WarehouseRegistration.State.FAILED},
    ),
    MonitoredList(
        "Shipments that need review: only the carrier's back office knows their state",
        lambda: Shipment.objects.filter(booking_state=BookingState.NEEDS_REVIEW),
        {"booking_state__exact": BookingState.NEEDS_REVIEW},
    ),
    MonitoredList(
        "Shipments without an answer from the carrier; the worker looks them up",
        lambda: Shipment.objects.filter(booking_state=BookingState.PENDING),
        {"booking_state__exact": BookingState.PENDING},
        tone="waiting",
    ),
    MonitoredList(
        "Cancelled shipments that their carriers scanned afterwards: stop the parcel, then mark the alarm as handled",
        lambda: Shipment.objects.filter(cancel_alarm_at__isnull=False),
        {"cancel_alarm_at__isempty": "0"},
    ),
    MonitoredList(
        "Orphaned labels that are not voided yet",
        lambda: Orphan.objects.filter(voided_at=None, is_harmless=False),
        {"voided_at__isempty": "1"},
    ),
    MonitoredList(
        "Pickups that need review: the carrier did not confirm them",
        lambda: Pickup.objects.filter(state=Pickup.State.NEEDS_REVIEW),
        {"state__exact": Pickup.State.NEEDS_REVIEW},
    ),
    MonitoredList(
        "Status codes that are not mapped: their scans decide no status",
        lambda: StatusCode.objects.filter(status__isnull=True),
        {"status__isnull": "True"},
    ),
]


def booking_badge(row: Shipment) -> str:
    """Return the booking state."""
    return badge(row.get_booking_state_display(), _BOOKING_TONES.get(row.booking_state, "off"))


def status_badge(row: Shipment | Checkpoint | StatusCode) -> str:
    """Return the status."""
    return badge(row.get_status_display(), _STATUS_TONES.get(row.status, "off"))


def pickup_badge(row: Pickup) -> str:
    """Return the state of a pickup."""
    return badge(row.get_state_display(), _PICKUP_TONES.get(row.state, "off"))


def address_lines(address: Mapping[str, Any]) -> str:
    """Return an address as on an envelope, followed by its other fields."""
    known = ("contact_name", "company", "street", "city", "state", "postal_code", "country")
    get = {name: str(address.get(name) or "") for name in known}
    town = " ".join(part for part in (get["city"], get["state"], get["postal_code"]) if part)
    others = {name.removeprefix("contact_"): value for name, value in address.items() if name not in known and value}
    rest = [f"{name.replace('_', ' ')}: {value}" for name, value in others.items()]
    return join_lines([get["contact_name"], get["company"], get["street"], town, get["country"], *rest])


def calls_section(request: HttpRequest, row: Shipment | Pickup) -> Section | None:
    """Return the carrier calls about a row."""
    return build_section(
        request,
        "Carrier calls",
        CarrierCall.objects.filter(subject_id=row.pk).order_by("-id").defer("request_body", "response_body"),
        {
            "at (UTC)": lambda one: one.created_at,
            "operation": lambda one: one.operation,
            "outcome": outcome_badge,
            "HTTP": lambda one: one.status,
            "took": lambda one: f"{one.duration_ms} ms",
            "error": lambda one: one.error,
        },
        subject_id=row.pk,
    )


def events_section(request: HttpRequest, row: Shipment | Pickup) -> Section | None:
    """Return the events of a row."""
    return build_section(
        request,
        "Events",
        Event.objects.filter(subject_id=row.pk).order_by("-id"),
        {
            "at (UTC)": lambda one: one.created_at,
            "type": lambda one: one.type,
            "visibility": lambda one: one.visibility,
            "facts": lambda one: join_lines([f"{name}: {value}" for name, value in one.data.items()]),
        },
        subject_id=row.pk,
    )


def _money(amount: Any, currency: str) -> str:
    if amount is None:
        return NOTHING
    usual = round(amount, minor_digits(currency))
    return f"{usual if usual == amount else amount.normalize():f} {currency}".strip()


class ShippingAdmin(ReadOnlyAdmin):
    """Base class of this app's pages.

    The search field ``search`` stands for all columns of ``ShipmentSearch`` and the numbers of parcels, also behind a
    relation to shipments.
    """

    def match(self, lookup: str, value: str) -> Sequence[Any]:
        relation, _, last = lookup.rpartition(LOOKUP_SEP)
        if last != "search":
            return super().match(lookup, value)
        parcels = lookups.numbered_parcels().filter(tracking_number__prefix=fold_number(value))
        found = matching_shipments(value, MAX_MATCHES + 1)
        found += parcels.values_list("shipment_id", flat=True)[: MAX_MATCHES + 1]
        shipments = list(dict.fromkeys(found))
        return matching_keys(self.model, f"{relation}__in", shipments) if relation and shipments else shipments

    @admin.display(description="carrier", ordering="carrier")
    def shown_carrier(self, row: Any) -> str:
        return carrier_name(row.carrier) or NOTHING

    @admin.display(description="price", ordering="total_price")
    def price(self, row: Any) -> str:
        return _money(row.total_price, row.currency)

    @admin.display(description="status", ordering="status")
    def shown_status(self, row: Any) -> str:
        return status_badge(row)


class ShipmentCarrierFilter(CarrierFilter):
    """Filter rows by the carrier of their shipment."""

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(shipment__carrier=self.value()) if self.value() else queryset
