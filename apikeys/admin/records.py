"""Admin of events, usage statistics, security notices and idempotency keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin

from apikeys.admin.base import (
    MerchantFilter,
    ReadOnlyAdmin,
    badge,
    format_json,
    json_display,
)
from apikeys.audit.events import EVENT_TYPES
from apikeys.models import (
    Event,
    IdempotencyRecord,
    Outbox,
    SecurityNotice,
    UsageDay,
)


@admin.register(UsageDay)
class UsageDayAdmin(ReadOnlyAdmin):
    """Use of API keys and credentials per day."""

    list_display = ("day", "kind", "subject_id", "merchant", "mode", "requests", "failures", "last_used_at")
    list_select_related = ("merchant",)
    list_filter = ("kind", "mode", MerchantFilter, "day")
    search_fields = ("merchant__slug__prefix",)
    search_help_text = "The id of a key or credential, or the start of a merchant's slug."
    id_search = ("id", "subject_id")
    date_hierarchy = "day"


@admin.register(SecurityNotice)
class SecurityNoticeAdmin(ReadOnlyAdmin):
    """Security notices that are not sent yet. The list is empty while e-mail works."""

    list_display = ("event_id", "type", "since", "fence", "lease_until")
    list_select_related = ("event",)
    list_filter = ("event__type",)
    list_defer = ("event__data",)
    search_fields = ("event__correlation_id__exact",)
    id_search = ("event_id",)
    ordering = ("event_id",)
    fields = ("event", "type", "since", "fence", "lease_until")

    @admin.display(ordering="event__type")
    def type(self, row: SecurityNotice) -> str:
        return row.event.type

    @admin.display(ordering="event__created_at")
    def since(self, row: SecurityNotice) -> Any:
        return row.event.created_at


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(ReadOnlyAdmin):
    """Requests with an Idempotency-Key."""

    list_display = ("key", "shown_state", "merchant", "mode", "response_status", "subject", "created_at")
    list_select_related = ("merchant",)
    list_filter = ("state", "mode", "response_status", MerchantFilter, "created_at")
    list_defer = ("response_body",)
    search_fields = ("key__exact",)
    search_help_text = "The complete Idempotency-Key, or the id of the object that the request created."
    id_search = ("id", "subject")
    ordering = ("-id",)
    fields = (
        "key",
        "shown_state",
        "merchant",
        "mode",
        "subject",
        "fence",
        "lease_until",
        "fingerprint",
        "response_status",
        "shown_body",
        "created_at",
    )
    shown_body = json_display("response_body")

    @admin.display(description="state", ordering="state")
    def shown_state(self, row: IdempotencyRecord) -> str:
        tone = "good" if row.state == IdempotencyRecord.State.DONE else "moving"
        return badge(row.get_state_display(), tone)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """Events. The database refuses changes."""

    list_display = ("type", "created_at", "merchant", "mode", "visibility", "subject_id", "actor", "address")
    list_select_related = ("merchant",)
    list_filter = ("visibility", "mode", MerchantFilter, "created_at")
    list_defer = ("data",)
    search_fields = ("type__exact", "correlation_id__exact", "actor__exact")
    search_help_text = (
        'A type or its beginning ("shipment."), the id of its subject, a complete correlation id or actor ("key:…").'
    )
    id_search = ("id", "subject_id")
    ordering = ("-id",)
    fields = (
        "id",
        "type",
        "created_at",
        "merchant",
        "mode",
        "visibility",
        "subject_id",
        "actor",
        "address",
        "correlation_id",
        "shown_data",
    )
    shown_data = json_display("data")

    def search_values(self, lookup: str, text: str) -> Sequence[str]:
        """Replace the beginning of a type by all types with it, so that the latest events of each are found."""
        if lookup != "type__exact":
            return [text]
        return [name for name in EVENT_TYPES if name.startswith(text.lower())]


@admin.register(Outbox)
class OutboxAdmin(ReadOnlyAdmin):
    """Public events that are not yet turned into deliveries. The list is empty while the worker keeps up."""

    list_display = ("event_id", "type", "merchant", "mode", "since")
    list_select_related = ("event__merchant",)
    list_filter = (("event__mode", admin.ChoicesFieldListFilter),)
    list_defer = ("event__data",)
    search_fields = ("event__correlation_id__exact",)
    search_help_text = "A complete correlation id, or the id of the event or its subject."
    id_search = ("event_id", "event__subject_id")
    ordering = ("event_id",)
    fields = ("event", "type", "merchant", "mode", "since", "data")

    @admin.display(ordering="event__type")
    def type(self, row: Outbox) -> str:
        return row.event.type

    @admin.display()
    def merchant(self, row: Outbox) -> str:
        return str(row.event.merchant or "platform")

    @admin.display(ordering="event__mode")
    def mode(self, row: Outbox) -> str:
        return row.event.mode

    @admin.display(ordering="event__created_at")
    def since(self, row: Outbox) -> Any:
        return row.event.created_at

    @admin.display()
    def data(self, row: Outbox) -> str:
        return format_json(row.event.data)
