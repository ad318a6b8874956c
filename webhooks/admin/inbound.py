"""Admin pages of webhooks from carriers, and of workers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apikeys.admin.base import (
    NOTHING,
    ReadOnlyAdmin,
    Section,
    badge,
    build_section,
    json_display,
)
from apikeys.http.text import number_key
from carriers.admin.base import CarrierFilter, carrier_name
from webhooks.inbound import service
from webhooks.models import InboundWebhook, UnmatchedNumber, Worker

log = logging.getLogger(__name__)
_MAX_PROCESSED = 200  # in one request
_INBOUND_TONES = {
    InboundWebhook.State.RECEIVED: "moving",
    InboundWebhook.State.PROCESSED: "good",
    InboundWebhook.State.UNMATCHED: "waiting",
    InboundWebhook.State.FAILED: "bad",
}


@admin.register(InboundWebhook)
class InboundWebhookAdmin(ReadOnlyAdmin):
    """Webhooks from carriers, as they were received."""

    list_display = (
        "received_at",
        "shown_carrier",
        "event_type",
        "shown_state",
        "shown_error",
        "credential",
        "processed_at",
    )
    list_select_related = ("credential__merchant",)
    list_filter = ("state", CarrierFilter, "received_at")
    list_defer = ("body",)
    search_fields = ("event_type__prefix", "numbers__tracking_number__exact", "correlation_id__exact")
    search_help_text = (
        "An event type, the complete number of a waiting webhook, a complete correlation id, or the webhook id."
    )
    id_search = ("id", "credential_id")
    ordering = ("-id",)
    actions = ("run_again",)
    fields = (
        "id",
        "shown_carrier",
        "credential",
        "event_type",
        "shown_state",
        "error",
        "shown_body",
        "received_at",
        "processed_at",
        "correlation_id",
        "digest",
    )
    shown_body = json_display("body")

    def search_values(self, lookup: str, text: str) -> Sequence[str]:
        return [number_key(text) if lookup.startswith("numbers") else text]

    def unmatched_section(self, request: HttpRequest, row: InboundWebhook) -> Section | None:
        """List the numbers in the webhook that no shipment or pickup has yet."""
        columns = {"tracking number": str}
        return build_section(request, "Unknown numbers", row.numbers.order_by("id"), columns, inbound=row.pk)

    @property
    def sections(self) -> tuple[Any, ...]:
        return (self.unmatched_section,)

    @admin.display(description="carrier", ordering="carrier")
    def shown_carrier(self, row: InboundWebhook) -> str:
        return carrier_name(row.carrier)

    @admin.display(description="state", ordering="state")
    def shown_state(self, row: InboundWebhook) -> str:
        return badge(row.get_state_display(), _INBOUND_TONES.get(row.state, "off"))

    @admin.display(description="error")
    def shown_error(self, row: InboundWebhook) -> str:
        return row.error[:120] or NOTHING

    @admin.action(description="Run again", permissions=["operate"])
    def run_again(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Process stored webhooks again. Nothing is applied twice."""
        results: Counter[str] = Counter()
        ids = list(queryset.order_by("id").values_list("pk", flat=True)[:_MAX_PROCESSED])
        for inbound_id in ids:
            try:
                results[service.process(inbound_id)] += 1
            except Exception as error:  # one webhook that cannot be processed must not stop the others
                log.exception("webhook not processed", extra={"inbound": str(inbound_id)})
                results[f"error ({type(error).__name__})"] += 1
        summary = ", ".join(f"{count} {result}" for result, count in sorted(results.items()))
        level = messages.SUCCESS if set(results) <= {"processed"} else messages.WARNING
        self.message_user(request, f"Run again: {summary}.", level)
        if len(ids) == _MAX_PROCESSED:
            self.message_user(request, f"At most {_MAX_PROCESSED} are run at a time.", messages.WARNING)


@admin.register(UnmatchedNumber)
class UnmatchedNumberAdmin(ReadOnlyAdmin):
    """Tracking numbers in webhooks that no shipment or pickup has."""

    list_display = ("tracking_number", "carrier", "credential", "received")
    list_select_related = ("inbound", "credential__merchant")
    list_filter = (("inbound__received_at", admin.DateFieldListFilter),)
    list_defer = ("inbound__body",)
    search_fields = ("tracking_number__exact",)
    search_help_text = "A complete tracking number."
    id_search = ("id", "inbound_id", "credential_id")
    ordering = ("-id",)

    def search_values(self, lookup: str, text: str) -> Sequence[str]:
        return [number_key(text)]

    @admin.display(ordering="inbound__carrier")
    def carrier(self, row: UnmatchedNumber) -> str:
        return carrier_name(row.inbound.carrier)

    @admin.display(ordering="inbound__received_at")
    def received(self, row: UnmatchedNumber) -> Any:
        return row.inbound.received_at


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Worker processes. One without a recent heartbeat was killed."""

    list_display = ("name", "started_at", "seen_at")
    list_filter = ("seen_at",)
    search_fields = ("name__prefix",)
    id_search = ("id",)
    ordering = ("-seen_at",)
    fields = ("id", "name", "started_at", "seen_at", "shown_tasks")
    shown_tasks = json_display("lanes", "tasks")
