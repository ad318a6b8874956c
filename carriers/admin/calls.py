"""Admin pages of carrier calls, circuit breakers, rates and pickup point answers."""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apikeys.admin.base import (
    MONITORED_LISTS,
    MerchantFilter,
    MonitoredList,
    ReadOnlyAdmin,
    badge,
    format_time,
    json_display,
)
from carriers.admin.base import CarrierFilter, carrier_name
from carriers.http import circuit_breaker
from carriers.models import Breaker, CallBudget, CarrierCall, Credential, CredentialToken, PointAnswer

MONITORED_LISTS += [
    MonitoredList(
        "Credentials with a refused login",
        lambda: Credential.objects.filter(is_active=True, refused_at__isnull=False),
        {"refused_at__isempty": "0"},
    ),
]
_BREAKER_TONES = {"closed": "good", "open": "bad", "half_open": "waiting"}


class CredentialStateAdmin(ReadOnlyAdmin):
    """Base of the pages with state of a credential."""

    list_select_related = ("credential__merchant",)
    id_search = ("id", "credential_id")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("credential__fields")


@admin.register(Breaker)
class BreakerAdmin(CredentialStateAdmin):
    """Circuit breakers of operations that have failed. While one is open, calls are refused."""

    list_display = (
        "credential",
        "operation",
        "shown_state",
        "failures",
        "last_problem",
        "opened_at",
        "retry_at",
        "updated_at",
    )
    list_filter = (("opened_at", admin.EmptyFieldListFilter), "operation")
    search_fields = ("operation__exact", "credential__carrier__exact")
    search_help_text = "Operation, carrier or credential id."
    actions = ("close",)
    hidden = ("fence",)

    @admin.display(description="state", ordering="opened_at")
    def shown_state(self, row: Breaker) -> str:
        return badge(row.state.replace("_", " "), _BREAKER_TONES[row.state])

    @admin.action(description="Close circuit breakers: send calls again at once", permissions=["operate"])
    def close(self, request: HttpRequest, rows: QuerySet) -> None:
        closed = [row for row in rows if circuit_breaker.close_manually(row)]
        for row in closed:
            self.log_change(request, row, "Closed manually.")
        self.message_user(request, f"{len(closed)} closed.")


@admin.register(CredentialToken)
class CredentialTokenAdmin(CredentialStateAdmin):
    """Access tokens: when they were fetched and expire, never their values."""

    list_display = ("credential", "kind", "fetched_at", "expires_at", "used_at", "refusal")
    list_filter = ("kind",)
    list_defer = ("token",)
    search_fields = ("kind__exact", "credential__carrier__exact")
    search_help_text = "Kind, carrier or credential id."
    fields = ("credential", "kind", "fetched_at", "expires_at", "used_at", "refusal", "login_after", "lease_until")


@admin.register(CallBudget)
class CallBudgetAdmin(CredentialStateAdmin):
    """Used rates of credentials. Empty if Redis stores them."""

    list_display = ("credential", "endpoint", "full_again")
    list_filter = ("endpoint",)
    search_fields = ("endpoint__exact", "credential__carrier__exact")
    search_help_text = "Endpoint, carrier or credential id."
    fields = ("credential", "endpoint", "full_again")

    @admin.display(ordering="full_at")
    def full_again(self, row: CallBudget) -> str:
        return format_time(datetime.fromtimestamp(row.full_at // 1_000_000, UTC))


@admin.register(PointAnswer)
class PointAnswerAdmin(CredentialStateAdmin):
    """Cached pickup point answers. One that is older than an hour is refreshed after its next use."""

    list_display = ("credential", "operation", "question", "fetched_at", "refresh_at")
    list_filter = ("operation", "fetched_at")
    list_defer = ("answer",)
    search_fields = ("credential__carrier__exact",)
    search_help_text = "Carrier or credential id."
    ordering = ("-fetched_at",)
    actions = ("refresh",)
    fields = ("credential", "operation", "shown_question", "fetched_at", "refresh_at", "shown_answer")
    shown_question = json_display("question")
    shown_answer = json_display("answer")

    @admin.action(description="Refresh from the carrier", permissions=["operate"])
    def refresh(self, request: HttpRequest, rows: QuerySet) -> None:
        """Have the worker refresh the answers. They are used until then."""
        scheduled = PointAnswer.objects.filter(pk__in=rows.values("pk")).update(refresh_at=timezone.now())
        self.message_user(request, f"{scheduled} will be refreshed.")


_CALL_TONES = {
    CarrierCall.Outcome.OK: "good",
    CarrierCall.Outcome.REFUSED: "alert",
    CarrierCall.Outcome.FAILED: "bad",
    CarrierCall.Outcome.TIMEOUT: "bad",
    CarrierCall.Outcome.UNREACHABLE: "bad",
    CarrierCall.Outcome.BROKEN: "bad",
}


def outcome_badge(row: CarrierCall) -> str:
    """Return the badge of a call's outcome."""
    return badge(row.get_outcome_display(), _CALL_TONES.get(row.outcome, "off"))


@admin.register(CarrierCall)
class CarrierCallAdmin(ReadOnlyAdmin):
    """The call log. Secrets and personal data were masked before it was stored."""

    list_display = (
        "created_at",
        "shown_carrier",
        "operation",
        "shown_outcome",
        "status",
        "duration_ms",
        "attempt",
        "merchant",
        "mode",
        "subject_id",
    )
    list_select_related = ("merchant",)
    list_filter = ("outcome", CarrierFilter, "mode", MerchantFilter, "created_at")
    list_defer = ("request_body", "response_body")
    search_fields = ("operation__exact", "correlation_id__exact")
    search_help_text = "Id of the shipment or pickup, operation, or complete correlation id."
    id_search = ("id", "subject_id")
    ordering = ("-id",)
    fieldsets = (
        (
            "Call",
            {
                "classes": ("wb-card",),
                "fields": (
                    "shown_carrier",
                    "operation",
                    "shown_outcome",
                    "status",
                    "error",
                    "attempt",
                    "duration_ms",
                    "created_at",
                ),
            },
        ),
        (
            "Caller",
            {
                "classes": ("wb-card",),
                "fields": ("merchant", "mode", "credential", "subject_id", "correlation_id", "id"),
            },
        ),
        (
            "Request and response",
            {"classes": ("wb-wide",), "fields": ("method", "url", "shown_request", "shown_response")},
        ),
    )
    shown_request = json_display("request_body")
    shown_response = json_display("response_body")

    @admin.display(description="carrier", ordering="carrier")
    def shown_carrier(self, row: CarrierCall) -> str:
        return carrier_name(row.carrier)

    @admin.display(description="outcome", ordering="outcome")
    def shown_outcome(self, row: CarrierCall) -> str:
        return outcome_badge(row)
