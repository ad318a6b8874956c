"""Credentials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apikeys.admin.base import (
    MerchantFilter,
    NoDeleteAdmin,
    badge,
    join_lines,
)
from apikeys.db.tenancy import Mode, Tenant
from apikeys.http.errors import ValidationFailed, WaybillError
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import ADAPTERS
from carriers.admin.base import CarrierFilter, carrier_name, masked_field
from carriers.credentials import checks, rotation, storage
from carriers.credentials.fields import MAX_FIELD_LENGTH, decrypt_fields, validate_fields
from carriers.models import ENVIRONMENT_OF_MODE, Credential

_AT_ONCE = 10  # of actions that ask carriers while the page waits


def _names(adapter: type[CarrierAdapter]) -> Iterator[str]:
    yield from adapter.credential_fields()


def _input_name(slug: str, name: str) -> str:
    return f"{slug}__{name}"


def _input(adapter: type[CarrierAdapter], name: str) -> forms.CharField:
    secret = name in adapter.secret_fields()
    return forms.CharField(
        label=name,
        required=False,
        max_length=MAX_FIELD_LENGTH,
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
        self.given, self.stored = {}, {} if is_new else decrypt_fields(self.instance)
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
            validate_fields(adapter, self.given, self.stored or {})
        except ValidationFailed as problem:
            for field, sentences in problem.details.items():
                # What is stored and no longer known has no input.
                self.add_error(inputs.get(field.removeprefix("credentials.")), sentences)


@admin.register(Credential)
class CredentialAdmin(NoDeleteAdmin):
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
            row = storage.save_credential(
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
        fields = decrypt_fields(row)
        if fields is None:
            return badge("cannot be decrypted; give all required fields anew", "bad")
        secret = ADAPTERS[row.carrier].secret_fields() if row.carrier in ADAPTERS else tuple(fields)
        return join_lines([f"{name}: {masked_field(value, name in secret)}" for name, value in sorted(fields.items())])

    @admin.action(description="Log in at the carrier now", permissions=["operate"])
    def log_in(self, request: HttpRequest, rows: QuerySet) -> None:
        """A real log-in each; how it went is shown and kept."""
        for row in rows.filter(is_active=True)[:_AT_ONCE]:
            result = checks.check_login(row)
            said = f"works ({result['latency_ms']} ms)" if result["ok"] else f"{result['error']}: {result['message']}"
            self.message_user(request, f"{row}: {said}", messages.SUCCESS if result["ok"] else messages.ERROR)

    @admin.action(description="Have the carrier make a new secret", permissions=["operate"])
    def rotate(self, request: HttpRequest, rows: QuerySet) -> None:
        """The old one works on for a while; of the platform's account it may also stand in the environment."""
        for row in rows.filter(is_active=True)[:_AT_ONCE]:
            try:
                rotation.rotate_secret(row)
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


def _old_variables(row: Credential) -> str:
    """Which variables of the environment, if any, hold what the carrier has replaced."""
    replaced = Credential.objects.values_list("replaced", flat=True).get(pk=row.pk) or {}
    names = [name for name, field in ADAPTERS[row.carrier].environment_names.items() if field in replaced]
    is_filled = row.merchant_id is None and row.mode == Mode.LIVE
    return f" Remove {', '.join(names)} from the environment: it is the old one." if names and is_filled else ""
