"""Admin pages of credentials. Secrets are write-only."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
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
from carriers.admin.base import CarrierFilter, carrier_name, mask_field
from carriers.credentials import checks, rotation, storage
from carriers.credentials.fields import MAX_FIELD_LENGTH, decrypt_fields, find_inherited, validate_fields
from carriers.models import ENVIRONMENT_OF_MODE, Credential, CredentialToken

_MAX_CALLED = 10  # credentials per action that calls carriers while the page waits


def _input_names(slug: str) -> dict[str, str]:
    """Return the names of the form's inputs by credential field."""
    return {name: f"{slug}__{name}" for name in ADAPTERS[slug].credential_fields()}


def _make_input(adapter: type[CarrierAdapter], name: str) -> forms.CharField:
    secret = name in adapter.secret_fields()
    return forms.CharField(
        label=name,
        required=False,
        max_length=MAX_FIELD_LENGTH,
        # The value is not rendered again, also not with an error elsewhere in the form.
        widget=forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "new-password" if secret else "off", "class": "vTextField"}
        ),
        help_text="Required for a new credential." if name in adapter.required_fields() else "Optional.",
    )


class CredentialForm(forms.ModelForm):
    """A credential. Each field of each carrier has a write-only input named ``<carrier>__<field>``."""

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
        if is_new:
            same = Credential.objects.filter(merchant=data.get("merchant"), mode=data.get("mode", ""), carrier=slug)
            if same.exists():
                self.add_error("carrier", "There is already such a credential. Change that one.")
        names = _input_names(slug)
        self.given = {name: data[key] for name, key in names.items() if data.get(key)}
        if not is_new and not self.given:
            return data
        row = self.instance
        if is_new:
            row = Credential(merchant=data.get("merchant"), mode=data.get("mode", ""), carrier=slug)
        try:
            validate_fields(ADAPTERS[slug], row, self.given, self.stored or {})
        except ValidationFailed as problem:
            for field, texts in problem.details.items():
                # A stored field that the adapter no longer has is reported for the whole form.
                self.add_error(names.get(field.removeprefix("credentials.")), texts)
        return data


@admin.register(Credential)
class CredentialAdmin(NoDeleteAdmin):
    """Credentials of merchants and of the platform."""

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
    list_defer = ("fields",)
    search_fields = ("carrier__exact", "merchant__name__prefix", "merchant__slug__prefix")
    search_help_text = "Carrier, merchant or id."
    autocomplete_fields = ("merchant",)
    actions = ("log_in", "rotate")
    shown = (
        "id",
        "merchant",
        "mode",
        "environment",
        "shown_carrier",
        "webhook_url",
        "stored_fields",
        "token_state",
        "tokens_fetched_at",
        "login_state",
        "test_result",
        "created_at",
        "updated_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return (
            super().get_queryset(request).prefetch_related(Prefetch("tokens", CredentialToken.objects.defer("token")))
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Credential | None = None) -> tuple[str, ...]:
        return self.shown if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Credential | None = None) -> list[tuple[Any, dict[str, Any]]]:
        if obj is None:
            shown: list[tuple[Any, dict[str, Any]]] = [(None, {"fields": ("merchant", "mode", "carrier", "is_open")})]
            slugs, title = list(ADAPTERS), "{} credential"
        else:
            switches = ("is_active",) if obj.merchant_id else ("is_active", "is_open")
            shown = [(None, {"fields": (*switches, *self.shown)})]
            slugs, title = [slug for slug in ADAPTERS if slug == obj.carrier], "New values for {}"
        if obj is not None and not self.has_change_permission(request, obj):
            return shown
        text = "Empty fields keep their value. Stored values are never shown."
        inputs = [
            (title.format(ADAPTERS[slug].name), {"fields": list(_input_names(slug).values()), "description": text})
            for slug in slugs
        ]
        return shown + inputs

    def get_form(self, request: HttpRequest, obj: Credential | None = None, **kwargs: Any) -> type[forms.ModelForm]:
        slugs = [slug for slug in ADAPTERS if obj is None or slug == obj.carrier]
        inputs: dict[str, Any] = {
            key: _make_input(ADAPTERS[slug], name) for slug in slugs for name, key in _input_names(slug).items()
        }
        if obj is not None:
            inputs["carrier"] = None  # read-only
        return super().get_form(request, obj, form=type("CredentialForm", (CredentialForm,), inputs), **kwargs)

    def save_model(self, request: HttpRequest, obj: Credential, form: CredentialForm, change: bool) -> None:
        """Save new values as the API does: merge them, record an event and discard the access token."""
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
            if row.issued_webhook_token:
                text = f"Secret header for the carrier's webhooks, shown only now: {row.issued_webhook_token}"
                self.message_user(request, text, messages.WARNING)
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
            return badge("cannot be decrypted; enter all required fields again", "bad")
        secret = ADAPTERS[row.carrier].secret_fields() if row.carrier in ADAPTERS else tuple(fields)
        shown = [(name, mask_field(value, name in secret)) for name, value in fields.items()]
        if row.carrier in ADAPTERS:
            shown += [(name, "inherited") for name in find_inherited(ADAPTERS[row.carrier], row, fields)[0]]
        return join_lines([f"{name}: {value}" for name, value in sorted(shown)])

    @admin.action(description="Test the login at the carrier", permissions=["operate"])
    def log_in(self, request: HttpRequest, rows: QuerySet) -> None:
        """Log in with each credential; show and store the result."""
        for row in rows.filter(is_active=True)[:_MAX_CALLED]:
            result = checks.check_login(row)
            text = f"works ({result['latency_ms']} ms)" if result["ok"] else f"{result['error']}: {result['message']}"
            self.message_user(request, f"{row}: {text}", messages.SUCCESS if result["ok"] else messages.ERROR)

    @admin.action(description="Have the carrier issue a new secret", permissions=["operate"])
    def rotate(self, request: HttpRequest, rows: QuerySet) -> None:
        """Rotate the secrets. The platform's old secret may also be in an environment variable: name that."""
        for row in rows.filter(is_active=True)[:_MAX_CALLED]:
            try:
                rotation.rotate_secret(row)
            except WaybillError as error:
                self.message_user(request, f"{row}: {error}", messages.ERROR)
                continue
            self.log_change(request, row, "New secret issued by the carrier.")
            self.message_user(request, f"{row}: a new secret is stored.{_outdated_variables(row)}", messages.SUCCESS)

    @admin.display(description="login", ordering="refused_at")
    def login_state(self, row: Credential) -> str:
        if row.refused_at is None:
            return badge("not refused", "off")
        return badge(f"refused since {row.refused_at:%Y-%m-%d %H:%M} UTC: {row.refusal}", "bad")

    @admin.display(description="last test")
    def test_result(self, row: Credential) -> str:
        if not row.last_test:
            return badge("never tested", "off")
        result = "works" if row.last_test["ok"] else f"{row.last_test['error']}: {row.last_test['message']}"
        text = f"{result} ({row.last_test['latency_ms']} ms, {row.last_test['at']})"
        return badge(text, "good" if row.last_test["ok"] else "bad")

    @admin.display(description="token")
    def token_state(self, row: Credential) -> str:
        """Return the state of the token that expires first, since each kind is needed for some operations."""
        expiries = [one.expires_at for one in row.tokens.all() if one.expires_at]
        if not expiries:
            return badge("none fetched", "off")
        if min(expiries) <= timezone.now():
            return badge("expired", "waiting")
        return badge(f"valid until {min(expiries):%Y-%m-%d %H:%M} UTC", "good")

    @admin.display(description="token fetched at")
    def tokens_fetched_at(self, row: Credential) -> str:
        fetched = {one.kind: one.fetched_at for one in row.tokens.all() if one.fetched_at}
        return join_lines([f"{kind}: {moment:%Y-%m-%d %H:%M} UTC" for kind, moment in sorted(fetched.items())])


def _outdated_variables(row: Credential) -> str:
    """Return a sentence that names the environment variables with a replaced secret, if any."""
    replaced = Credential.objects.values_list("replaced", flat=True).get(pk=row.pk) or {}
    names = [name for name, field in ADAPTERS[row.carrier].environment_names.items() if field in replaced]
    is_filled = row.merchant_id is None and row.mode == Mode.LIVE
    return f" Remove the old secret from the environment: {', '.join(names)}." if names and is_filled else ""
