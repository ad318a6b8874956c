"""Admin pages of subscriptions at carriers."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apikeys.admin.base import ReadOnlyAdmin, badge
from apikeys.http.text import number_key
from carriers.admin.base import carrier_name
from webhooks.models import CarrierSubscription

_TONES = {
    CarrierSubscription.State.WANTED: "waiting",
    CarrierSubscription.State.TO_ACTIVATE: "waiting",
    CarrierSubscription.State.ACTIVE: "good",
    CarrierSubscription.State.FAILED: "bad",
}


@admin.register(CarrierSubscription)
class CarrierSubscriptionAdmin(ReadOnlyAdmin):
    """Subscriptions at carriers. A shipment without one is polled."""

    list_display = ("shown_carrier", "number", "shown_state", "error", "due_at", "expires_at", "credential")
    list_select_related = ("credential__merchant",)
    list_filter = ("state",)
    list_defer = ("secret",)
    search_fields = ("number__prefix",)
    search_help_text = "The beginning of a tracking number, or the id of a shipment or credential."
    id_search = ("id", "shipment_id", "credential_id")
    ordering = ("-id",)
    actions = ("try_again",)
    fields = (
        "id",
        "shown_carrier",
        "credential",
        "shipment",
        "number",
        "carrier_id",
        "shown_state",
        "error",
        "failures",
        "due_at",
        "expires_at",
        "created_at",
    )

    def search_values(self, lookup: str, text: str) -> Sequence[str]:
        return [number_key(text)]

    @admin.display(description="carrier")
    def shown_carrier(self, row: CarrierSubscription) -> str:
        return carrier_name(row.credential.carrier)

    @admin.display(description="state", ordering="state")
    def shown_state(self, row: CarrierSubscription) -> str:
        return badge(row.get_state_display(), _TONES.get(row.state, "off"))

    @admin.action(description="Try again now", permissions=["operate"])
    def try_again(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Have the worker subscribe again. Subscriptions that have ended stay so."""
        state = CarrierSubscription.State
        rows = queryset.filter(state__in=[state.WANTED, state.TO_ACTIVATE, state.FAILED])
        failed = rows.filter(state=state.FAILED).values_list("pk", flat=True)
        count = rows.update(due_at=timezone.now(), failures=0)
        CarrierSubscription.objects.filter(pk__in=list(failed)).update(state=state.WANTED)
        self.message_user(request, f"{count} subscriptions are tried again.", messages.SUCCESS)
