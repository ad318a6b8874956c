"""Accounts at carriers, their secrets going in and never out, and the log of what was said to carriers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apikeys.admin.base import WATCHES
from apikeys.admin.base import KeptAdmin
from apikeys.admin.base import MerchantFilter
from apikeys.admin.base import ReadOnlyAdmin
from apikeys.admin.base import Watch
from apikeys.admin.base import badge
from apikeys.admin.base import json_display
from apikeys.admin.base import lines
from apikeys.admin.base import moment
from apikeys.http.errors import ValidationFailed
from apikeys.http.errors import WaybillError
from apikeys.db.tenancy import Mode
from apikeys.db.tenancy import Tenant
from carriers.credentials import storage
from carriers.http import circuit_breaker
from carriers.adapters.registry import ADAPTERS
from carriers.adapters.base import CarrierAdapter
from carriers.models import ENVIRONMENT_OF_MODE, Breaker, CallBudget, CarrierCall, Credential, PointAnswer

_SHOWN_AT_LEAST = 8  # of a shorter text its last four characters would tell too much


_AT_ONCE = 10  # of actions that ask carriers while the page waits

WATCHES += [
    Watch(
        "Accounts that their carrier refuses to log in",
        lambda: Credential.objects.filter(is_active=True, refused_at__isnull=False),
        {"refused_at__isempty": "0"},
    ),
]


class CarrierFilter(admin.SimpleListFilter):
    """The carriers that Waybill speaks to, without asking the table which ones stand in it."""

    title = "carrier"
    parameter_name = "carrier"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(slug, adapter.name) for slug, adapter in ADAPTERS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(carrier=self.value()) if self.value() else queryset


def carrier_name(slug: str) -> str:
    """A carrier's display name; the slug itself of one that Waybill no longer knows."""
    return ADAPTERS[slug].name if slug in ADAPTERS else slug


def _names(adapter: type[CarrierAdapter]) -> Iterator[str]:
    yield from adapter.credential_fields()


def _input_name(slug: str, name: str) -> str:
    return f"{slug}__{name}"


def _input(adapter: type[CarrierAdapter], name: str) -> forms.CharField:
    secret = name in adapter.secret_fields()
    return forms.CharField(
        label=name,
        required=False,
        max_length=storage.MAX_FIELD_LENGTH,
        # What was typed never comes back to the page, also after a mistake elsewhere in the form.
        widget=forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "new-password" if secret else "off", "class": "vTextField"}
        ),
        help_text="Required for a new account." if name in adapter.required_fields() else "Optional.",
    )


class CredentialForm(forms.ModelForm):
    """An account; each field of each carrier has a write-only input named ``<carrier>__<field>``."""

    carrier = forms.ChoiceField(choices=[(slug, adapter.name) for slug, adapter in ADAPTERS.items()])
    given: dict[str, str]
    stored: dict[str, str] | None

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        is_new = self.instance._state.adding
        slug = data.get("carrier") if is_new else self.instance.carrier
        self.given, self.stored = {}, {} if is_new else storage.readable_fields(self.instance)
        if slug not in ADAPTERS:
            return data
        if is_new and self._exists(data):
            self.add_error("carrier", "There is such an account already; change that one.")
        names = {name: _input_name(slug, name) for name in _names(ADAPTERS[slug])}
        self.given = {name: data[key] for name, key in names.items() if data.get(key)}
        if is_new or self.given:
            self._check(ADAPTERS[slug], names)
        return data

    def _exists(self, data: dict[str, Any]) -> bool:
        return Credential.objects.filter(
            merchant=data.get("merchant"), mode=data.get("mode", ""), carrier=data["carrier"]
        ).exists()

    def _check(self, adapter: type[CarrierAdapter], inputs: dict[str, str]) -> None:
        try:
            storage.checked(adapter, self.given, self.stored or {})
        except ValidationFailed as problem:
            for field, sentences in problem.details.items():
                # What is stored and no longer known has no input.
                self.add_error(inputs.get(field.removeprefix("credentials.")), sentences)


@admin.register(Credential)
class CredentialAdmin(KeptAdmin):
    """Accounts at carriers."""

    list_display = (
        "shown_carrier",
        "owner",
        "mode",
        "environment",
        "is_active",
        "is_open",
        "token_state",
        "login_state",
        "updated_at",
    )
    list_select_related = ("merchant",)
    list_filter = (
        "is_active",
        ("refused_at", admin.EmptyFieldListFilter),
        CarrierFilter,
        "mode",
        MerchantFilter,
        ("merchant", admin.EmptyFieldListFilter),
    )
    list_defer = ("fields", "token")
    search_fields = ("carrier", "merchant__name", "merchant__slug")
    search_help_text = "Carrier, merchant or id."
    autocomplete_fields = ("merchant",)
    actions = ("log_in", "rotate")
    shown = (
        "id",
        "merchant",
        "mode",
        "environment",
        "shown_carrier",
        "stored_fields",
        "token_state",
        "token_fetched_at",
        "login_state",
        "trial",
        "created_at",
        "updated_at",
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Credential | None = None) -> tuple[str, ...]:
        return self.shown if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Credential | None = None) -> list[tuple[Any, dict[str, Any]]]:
        if obj is None:
            account: list[tuple[Any, dict[str, Any]]] = [(None, {"fields": ("merchant", "mode", "carrier", "is_open")})]
            slugs, title = list(ADAPTERS), "{} account"
        else:
            switches = ("is_active",) if obj.merchant_id else ("is_active", "is_open")
            account = [(None, {"fields": (*switches, *self.shown)})]
            slugs, title = [slug for slug in ADAPTERS if slug == obj.carrier], "New values for {}"
        if obj is not None and not self.has_change_permission(request, obj):
            return account
        text = "What is left empty stays as it is. What is stored is never shown again."
        inputs = [
            (
                title.format(ADAPTERS[slug].name),
                {"fields": [_input_name(slug, name) for name in _names(ADAPTERS[slug])], "description": text},
            )
            for slug in slugs
        ]
        return account + inputs

    def get_form(self, request: HttpRequest, obj: Credential | None = None, **kwargs: Any) -> type[forms.ModelForm]:
        slugs = [slug for slug in ADAPTERS if obj is None or slug == obj.carrier]
        inputs: dict[str, Any] = {
            _input_name(slug, name): _input(ADAPTERS[slug], name) for slug in slugs for name in _names(ADAPTERS[slug])
        }
        if obj is not None:
            inputs["carrier"] = None  # shown, not changed
        return super().get_form(request, obj, form=type("CredentialForm", (CredentialForm,), inputs), **kwargs)

    def save_model(self, request: HttpRequest, obj: Credential, form: CredentialForm, change: bool) -> None:
        """New values go the way of the API's: merged, recorded, and the old account's token forgotten."""
        if form.given:
            row = storage.save(
                tenant=Tenant(obj.merchant_id, obj.mode) if obj.merchant_id else None,
                mode=obj.mode,
                carrier=obj.carrier,
                environment=obj.environment,
                fields=form.given,
                by_staff=True,
            )
            obj.pk = row.pk
        switches = {"is_open": obj.is_open} | ({"is_active": obj.is_active} if change else {})
        Credential.objects.filter(pk=obj.pk).update(**switches, updated_at=timezone.now())

    @admin.display(description="carrier", ordering="carrier")
    def shown_carrier(self, row: Credential) -> str:
        return carrier_name(row.carrier)

    @admin.display(ordering="merchant__name")
    def owner(self, row: Credential) -> str:
        return str(row.merchant or "platform")

    @admin.display()
    def environment(self, row: Credential) -> str:
        return ENVIRONMENT_OF_MODE[Mode(row.mode)]

    @admin.display(description="stored fields")
    def stored_fields(self, row: Credential) -> str:
        fields = storage.readable_fields(row)
        if fields is None:
            return badge("cannot be decrypted; give all required fields anew", "bad")
        secret = ADAPTERS[row.carrier].secret_fields() if row.carrier in ADAPTERS else tuple(fields)
        return lines([f"{name}: {masked_field(value, name in secret)}" for name, value in sorted(fields.items())])

    @admin.action(description="Log in at the carrier now", permissions=["operate"])
    def log_in(self, request: HttpRequest, rows: QuerySet) -> None:
        """A real log-in each; how it went is shown and kept."""
        for row in rows.filter(is_active=True)[:_AT_ONCE]:
            result = storage.test(row)
            said = f"works ({result['latency_ms']} ms)" if result["ok"] else f"{result['error']}: {result['message']}"
            self.message_user(request, f"{row}: {said}", messages.SUCCESS if result["ok"] else messages.ERROR)

    @admin.action(description="Have the carrier make a new secret", permissions=["operate"])
    def rotate(self, request: HttpRequest, rows: QuerySet) -> None:
        """The old one works on for a while; of the platform's account it may also stand in the environment."""
        for row in rows.filter(is_active=True)[:_AT_ONCE]:
            try:
                storage.rotate(row)
            except WaybillError as error:
                self.message_user(request, f"{row}: {error}", messages.ERROR)
                continue
            self.log_change(request, row, "New secret made by the carrier.")
            self.message_user(request, f"{row}: a new secret is stored.{_old_variables(row)}", messages.SUCCESS)

    @admin.display(description="log-in", ordering="refused_at")
    def login_state(self, row: Credential) -> str:
        if row.refused_at is None:
            return badge("not refused", "off")
        return badge(f"refused since {row.refused_at:%Y-%m-%d %H:%M} UTC: {row.refusal}", "bad")

    @admin.display(description="last trial")
    def trial(self, row: Credential) -> str:
        if not row.last_test:
            return badge("never tried", "off")
        how = "works" if row.last_test["ok"] else f"{row.last_test['error']}: {row.last_test['message']}"
        text = f"{how} ({row.last_test['latency_ms']} ms, {row.last_test['at']})"
        return badge(text, "good" if row.last_test["ok"] else "bad")

    @admin.display(description="token", ordering="token_expires_at")
    def token_state(self, row: Credential) -> str:
        if row.token_expires_at is None:
            return badge("none fetched", "off")
        if row.token_expires_at <= timezone.now():
            return badge("expired", "waiting")
        return badge(f"valid until {row.token_expires_at:%Y-%m-%d %H:%M} UTC", "good")


def masked_field(value: Any, secret: bool) -> str:
    """``set`` for a secret; else the last four characters, if the text is long enough to hide behind them."""
    text = str(value)
    return "set" if secret or len(text) < _SHOWN_AT_LEAST else f"•••{text[-4:]}"


_BREAKER_TONES = {"closed": "good", "open": "bad", "half_open": "waiting"}


@admin.register(Breaker)
class BreakerAdmin(ReadOnlyAdmin):
    """Operations of accounts that have failed; those that are open are not asked for a while."""

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
    list_select_related = ("credential__merchant",)
    list_filter = (("opened_at", admin.EmptyFieldListFilter), "operation")
    search_fields = ("operation__exact", "credential__carrier")
    search_help_text = "An operation, a carrier, or the id of an account."
    id_search = ("id", "credential_id")
    actions = ("close",)
    hidden = ("fence",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("credential__fields", "credential__token")

    @admin.display(description="state", ordering="opened_at")
    def shown_state(self, row: Breaker) -> str:
        return badge(row.state.replace("_", " "), _BREAKER_TONES[row.state])

    @admin.action(description="Close: ask the carrier again at once", permissions=["operate"])
    def close(self, request: HttpRequest, rows: QuerySet) -> None:
        closed = [row for row in rows if circuit_breaker.reset(row)]
        for row in closed:
            self.log_change(request, row, "Closed by hand.")
        self.message_user(request, f"{len(closed)} closed.")


@admin.register(CallBudget)
class CallBudgetAdmin(ReadOnlyAdmin):
    """How far accounts have used what their carriers allow; empty where Redis keeps it."""

    list_display = ("credential", "endpoint", "full_again")
    list_select_related = ("credential__merchant",)
    list_filter = ("endpoint",)
    search_fields = ("endpoint__exact", "credential__carrier")
    search_help_text = "An endpoint, a carrier, or the id of an account."
    id_search = ("id", "credential_id")
    fields = ("credential", "endpoint", "full_again")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("credential__fields", "credential__token")

    @admin.display(ordering="full_at")
    def full_again(self, row: CallBudget) -> str:
        return moment(datetime.fromtimestamp(row.full_at // 1_000_000, UTC))


@admin.register(PointAnswer)
class PointAnswerAdmin(ReadOnlyAdmin):
    """Pickup points as carriers told of them; older than an hour they are asked for again when somebody wants them."""

    list_display = ("credential", "operation", "question", "fetched_at", "refresh_at")
    list_select_related = ("credential__merchant",)
    list_filter = ("operation", "fetched_at")
    list_defer = ("answer",)
    search_fields = ("credential__carrier",)
    search_help_text = "A carrier, or the id of an account."
    id_search = ("id", "credential_id")
    ordering = ("-fetched_at",)
    actions = ("ask_again",)
    fields = ("credential", "operation", "shown_question", "fetched_at", "refresh_at", "shown_answer")
    shown_question = json_display("question")
    shown_answer = json_display("answer")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("credential__fields", "credential__token")

    @admin.action(description="Ask the carrier again", permissions=["operate"])
    def ask_again(self, request: HttpRequest, rows: QuerySet) -> None:
        """The worker asks at its next turn; what is known is given until then."""
        asked = PointAnswer.objects.filter(pk__in=rows.values("pk")).update(refresh_at=timezone.now())
        self.message_user(request, f"{asked} will be asked again.")


_CALL_TONES = {
    CarrierCall.Outcome.OK: "good",
    CarrierCall.Outcome.REFUSED: "alert",
    CarrierCall.Outcome.FAILED: "bad",
    CarrierCall.Outcome.TIMEOUT: "bad",
    CarrierCall.Outcome.UNREACHABLE: "bad",
    CarrierCall.Outcome.BROKEN: "bad",
}


def call_outcome(row: CarrierCall) -> str:
    """How an exchange with a carrier ended."""
    return badge(row.get_outcome_display(), _CALL_TONES.get(row.outcome, "off"))


@admin.register(CarrierCall)
class CarrierCallAdmin(ReadOnlyAdmin):
    """What was said to carriers, as it was masked when it was written."""

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
    search_help_text = "The id of the shipment or pickup, an operation's name, or a whole correlation id."
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
            "For whom",
            {
                "classes": ("wb-card",),
                "fields": ("merchant", "mode", "credential", "subject_id", "correlation_id", "id"),
            },
        ),
        (
            "Said",
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
        return call_outcome(row)


def _old_variables(row: Credential) -> str:
    """Which variables of the environment, if any, hold what the carrier has replaced."""
    replaced = Credential.objects.values_list("replaced", flat=True).get(pk=row.pk) or {}
    names = [name for name, field in ADAPTERS[row.carrier].environment_names.items() if field in replaced]
    is_filled = row.merchant_id is None and row.mode == Mode.LIVE
    return f" Remove {', '.join(names)} from the environment: it is the old one." if names and is_filled else ""
