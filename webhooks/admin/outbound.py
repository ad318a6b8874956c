"""Admin pages of merchants' webhook endpoints and of deliveries."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from apikeys.admin.base import (
    MONITORED_LISTS,
    NOTHING,
    MerchantFilter,
    MonitoredList,
    NoDeleteAdmin,
    ReadOnlyAdmin,
    Section,
    badge,
    build_section,
    change_link,
    join_lines,
    json_display,
)
from apikeys.db.crypto import Undecryptable
from shipping.admin.pickups import PickupAdmin
from shipping.admin.shipments import ShipmentAdmin
from shipping.models import Shipment
from webhooks.models import Attempt, Delivery, InboundWebhook, WebhookEndpoint
from webhooks.outbound import deliveries, egress, signing

_MAX_REPLAYED = 2000
_DELIVERY_TONES = {
    Delivery.State.PENDING: "waiting",
    Delivery.State.DELIVERED: "good",
    Delivery.State.DEAD: "bad",
}
MONITORED_LISTS += [
    MonitoredList(
        "Carriers' webhooks that could not be read",
        lambda: InboundWebhook.objects.filter(state=InboundWebhook.State.FAILED),
        {"state__exact": InboundWebhook.State.FAILED},
        tone="bad",
    ),
    MonitoredList(
        "Webhooks to merchants that could not be delivered",
        lambda: Delivery.objects.filter(state=Delivery.State.DEAD),
        {"state__exact": Delivery.State.DEAD},
        tone="bad",
    ),
]


def delivery_badge(row: Delivery) -> str:
    """Show the state of a delivery."""
    return badge(row.get_state_display(), _DELIVERY_TONES.get(row.state, "off"))


def attempt_badge(row: Attempt) -> str:
    """Show the outcome of an attempt, with the HTTP status if there was a response."""
    tone = "good" if row.outcome == Attempt.Outcome.DELIVERED else "bad"
    return badge(f"{row.get_outcome_display()} ({row.status})" if row.status else row.get_outcome_display(), tone)


def _last_attempts(row: Delivery) -> str:
    """Show the last three attempts, the latest first."""
    latest = sorted(row.attempts.all(), key=lambda one: one.id, reverse=True)[:3]
    return join_lines([format_html("{} {}", attempt_badge(one), f"{one.created_at:%m-%d %H:%M}") for one in latest])


def deliveries_section(request: HttpRequest, row: Any) -> Section | None:
    """List the deliveries about a shipment or pickup, with their last attempts."""
    attempts = Attempt.objects.defer("response").order_by("-id")
    rows = Delivery.objects.filter(subject_id=row.pk).select_related("endpoint", "event").order_by("-id")
    return build_section(
        request,
        "Deliveries",
        rows.defer("body").prefetch_related(Prefetch("attempts", attempts)),
        {
            "at (UTC)": lambda one: one.created_at,
            "event": lambda one: one.event.type,
            "endpoint": lambda one: one.endpoint.url,
            "state": delivery_badge,
            "last attempts (UTC)": _last_attempts,
        },
        subject_id=row.pk,
    )


ShipmentAdmin.sections += (deliveries_section,)
PickupAdmin.sections += (deliveries_section,)


class EventTypesField(forms.CharField):
    """A list of event types, one per line."""

    widget = forms.Textarea(attrs={"rows": 4, "cols": 40})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        return super().to_python(value).split()

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.to_python(data)


class EndpointForm(forms.ModelForm):
    """An endpoint. Its URL is checked in the same way as at each attempt."""

    url = forms.URLField(max_length=500, assume_scheme="https")
    event_types = EventTypesField(
        required=False,
        help_text='One per line; empty for all. "shipment.*" is a family, "shipment.booked" one type.',
    )

    def clean_url(self) -> str:
        url = self.cleaned_data["url"]
        egress.check_url(url)
        return url


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(NoDeleteAdmin):
    """Endpoints of merchants for events."""

    form = EndpointForm
    list_display = ("url", "merchant", "mode", "shown_event_types", "is_active", "created_at")
    list_select_related = ("merchant",)
    list_filter = ("is_active", "mode", MerchantFilter, "created_at")
    list_defer = ("secret",)
    search_fields = ("url__prefix", "merchant__name__prefix", "merchant__slug__prefix")
    search_help_text = "URL, description, merchant or id."
    autocomplete_fields = ("merchant",)
    ordering = ("-id",)

    def get_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> tuple[str, ...]:
        owner = ("merchant", "mode")
        settings = ("url", "description", "event_types", "is_active")
        return (*settings, "id", *owner, "secret_state", "created_at") if obj else (*owner, *settings)

    def get_readonly_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> tuple[str, ...]:
        return ("id", "merchant", "mode", "secret_state", "created_at") if obj else ()

    def endpoint_deliveries(self, request: HttpRequest, row: WebhookEndpoint) -> Section | None:
        """List the latest deliveries to this endpoint."""
        return build_section(
            request,
            "Deliveries",
            Delivery.objects.filter(endpoint=row).select_related("event").defer("body").order_by("-id"),
            {"at (UTC)": lambda one: one.created_at, "event": lambda one: one.event.type, "state": delivery_badge},
            endpoint=row.pk,
        )

    @property
    def sections(self) -> tuple[Any, ...]:
        return (self.endpoint_deliveries,)

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: forms.ModelForm, change: bool) -> None:
        """Save an endpoint. The secret of a new one is generated and shown once."""
        if change:
            obj.save(update_fields=form.changed_data)
            return
        secret = signing.new_secret()
        obj.secret = secret
        obj.save()
        shown = format_html("The signing secret, shown only now; hand it over safely: <code>{}</code>", secret)
        self.message_user(request, shown, messages.WARNING)

    @admin.display(description="event types")
    def shown_event_types(self, row: WebhookEndpoint) -> str:
        return ", ".join(row.event_types) or "all"

    @admin.display(description="signing secret")
    def secret_state(self, row: WebhookEndpoint) -> str:
        try:
            return badge("set", "good") if row.secret else badge("missing", "bad")
        except Undecryptable:
            return badge("cannot be decrypted; create a new endpoint", "bad")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Deliveries of events to endpoints."""

    list_display = (
        "created_at",
        "event_type",
        "shown_state",
        "attempt_count",
        "endpoint",
        "merchant",
        "mode",
        "next_attempt_at",
    )
    list_select_related = ("event", "endpoint", "merchant")
    list_filter = ("state", "mode", MerchantFilter, "created_at")
    list_defer = ("body", "event__data", "endpoint__secret")
    search_fields = ("event__type__exact", "endpoint__url__prefix")
    search_help_text = "The id of the delivery, event, endpoint or shipment, an event type, or an endpoint's URL."
    id_search = ("id", "event_id", "endpoint_id", "subject_id")
    ordering = ("-id",)
    actions = ("send_again",)
    fields = (
        "id",
        "shown_state",
        "event",
        "event_type",
        "endpoint",
        "merchant",
        "mode",
        "subject",
        "attempt_count",
        "next_attempt_at",
        "delivered_at",
        "shown_body",
        "created_at",
    )
    shown_body = json_display("body", "signed and sent bytes")

    def attempts_section(self, request: HttpRequest, row: Delivery) -> Section | None:
        """List the attempts and the endpoint's responses."""
        columns = {
            "at (UTC)": lambda one: one.created_at,
            "number": lambda one: one.number,
            "outcome": attempt_badge,
            "duration": lambda one: f"{one.duration_ms} ms",
            "response": lambda one: one.response,
            "error": lambda one: one.error,
        }
        return build_section(
            request, "Attempts", Attempt.objects.filter(delivery=row).order_by("-id"), columns, delivery=row.pk
        )

    @property
    def sections(self) -> tuple[Any, ...]:
        return (self.attempts_section,)

    @admin.display(description="event", ordering="event__type")
    def event_type(self, row: Delivery) -> str:
        return row.event.type

    @admin.display(description="state", ordering="state")
    def shown_state(self, row: Delivery) -> str:
        return delivery_badge(row)

    @admin.display(description="shipment or pickup")
    def subject(self, row: Delivery) -> str:
        shipment = Shipment.objects.filter(pk=row.subject_id).first()
        return change_link(shipment, shipment) if shipment else str(row.subject_id or NOTHING)

    @admin.action(description="Send again, under the same webhook-id", permissions=["operate"])
    def send_again(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Replay deliveries in any state. The worker sends them at once."""
        ids = list(queryset.order_by("id").values_list("pk", flat=True)[:_MAX_REPLAYED])
        self.message_user(request, f"{deliveries.replay(ids)} deliveries are sent again.", messages.SUCCESS)
        if len(ids) == _MAX_REPLAYED:
            self.message_user(request, f"At most {_MAX_REPLAYED} are sent at a time.", messages.WARNING)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Attempts of deliveries."""

    list_display = ("created_at", "delivery_id", "number", "shown_outcome", "duration_ms", "endpoint")
    list_select_related = ("delivery__endpoint",)
    list_filter = ("outcome", "created_at")
    list_defer = ("response", "delivery__body", "delivery__endpoint__secret")
    search_fields = ("status__exact",)
    search_help_text = "The id of the delivery, or an HTTP status."
    id_search = ("id", "delivery_id")
    ordering = ("-id",)
    fields = (
        "id",
        "delivery",
        "endpoint",
        "number",
        "shown_outcome",
        "status",
        "response",
        "error",
        "duration_ms",
        "created_at",
    )

    @admin.display(description="outcome", ordering="outcome")
    def shown_outcome(self, row: Attempt) -> str:
        return attempt_badge(row)

    @admin.display(description="endpoint")
    def endpoint(self, row: Attempt) -> str:
        return row.delivery.endpoint.url
