"""Admin of API keys."""

from __future__ import annotations

import ipaddress
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from apikeys.admin.base import (
    MerchantFilter,
    NoDeleteAdmin,
    badge,
)
from apikeys.db.tenancy import Tenant
from apikeys.keys import lifecycle
from apikeys.models import (
    ApiKey,
)
from apikeys.models.scopes import DEFAULT, OF_KEYS, OF_PLATFORM_KEYS


class ApiKeyForm(forms.ModelForm):
    """Settings of an API key."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in (*OF_KEYS, *OF_PLATFORM_KEYS)],
        widget=forms.CheckboxSelectMultiple,
        initial=list(DEFAULT),
        help_text="audit:export reads the events of all merchants: only for the platform's own systems.",
    )
    allowed_ips = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="IP addresses or networks, separated by blanks or commas. Empty: the key works from any address.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["allowed_ips"] = " ".join(self.instance.allowed_ips)

    def clean_allowed_ips(self) -> list[str]:
        """Return the networks. Raises ``ValidationError``, which names the first invalid one."""
        networks = []
        for text in self.cleaned_data["allowed_ips"].replace(",", " ").split():
            try:
                networks.append(str(ipaddress.ip_network(text, strict=False)))
            except ValueError as error:
                raise forms.ValidationError(f"{text} is not an address or network.") from error
        return networks

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        store, merchant = data.get("store"), data.get("merchant")
        if store and merchant and store.merchant_id != merchant.id:
            self.add_error("store", "This store belongs to another merchant.")
        return data


@admin.register(ApiKey)
class ApiKeyAdmin(NoDeleteAdmin):
    """API keys. A new key is shown once; later, only its first characters."""

    form = ApiKeyForm
    list_display = (
        "name",
        "shown_prefix",
        "merchant",
        "mode",
        "store",
        "state",
        "use_count",
        "last_used_at",
        "expires_at",
    )
    list_select_related = ("merchant", "store")
    list_filter = (
        "mode",
        ("revoked_at", admin.EmptyFieldListFilter),
        "revoked_for",
        MerchantFilter,
        "last_used_at",
        "expires_at",
    )
    list_defer = ("digest", "hash")
    search_fields = ("name__prefix", "prefix__prefix", "merchant__name__prefix", "merchant__slug__prefix")
    search_help_text = "Name, first characters or merchant."
    autocomplete_fields = ("merchant", "store")
    actions = ("revoke", "revoke_as_leaked")
    changeable = ("name", "scopes", "allowed_ips", "per_minute", "per_hour", "expires_at")
    shown = (
        "id",
        "merchant",
        "mode",
        "store",
        "shown_prefix",
        "state",
        "use_count",
        "first_used_at",
        "last_used_at",
        "created_at",
        "revoked_at",
        "revoked_for",
        "replaces",
        "is_demo",
    )

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return (*self.changeable, *self.shown) if obj else ("merchant", "mode", "store", *self.changeable)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return self.shown if obj else ()

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        """Create or change a key like the API does, with an event. A new key is shown in a message."""
        columns = {name: form.cleaned_data[name] for name in self.changeable if name != "name"}
        if change:
            lifecycle.change_key(obj, {"name": obj.name} | columns)
            return
        row, key = lifecycle.create_key(
            Tenant(obj.merchant_id, obj.mode), name=obj.name, store_id=obj.store_id, **columns
        )
        obj.pk, obj.prefix = row.pk, row.prefix
        shown = format_html("The key is shown only now. Hand it over safely: <code>{}</code>", key)
        self.message_user(request, shown, messages.WARNING)

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Revoked keys can be viewed, but not changed."""
        return super().has_change_permission(request, obj) and not (obj and obj.revoked_at)

    @admin.display(description="key", ordering="prefix")
    def shown_prefix(self, row: ApiKey) -> str:
        return f"{row.prefix}…"

    @admin.display(description="state")
    def state(self, row: ApiKey) -> str:
        return key_state_badge(row)

    @admin.action(description="Revoke selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Revoke keys permanently. Web processes read the row on every request, so this applies immediately."""
        self._revoke(request, queryset, ApiKey.Revocation.REVOKED)

    @admin.action(description="Revoke selected keys as leaked: later use raises an alarm", permissions=["change"])
    def revoke_as_leaked(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Revoke keys as leaked. Later use sends a security notice."""
        self._revoke(request, queryset, ApiKey.Revocation.LEAKED)

    def _revoke(self, request: HttpRequest, queryset: QuerySet, reason: str) -> None:
        changed = list(queryset.exclude(revoked_for=reason))
        for row in changed:
            lifecycle.revoke_key(row, reason)
            self.log_change(request, row, f"Revoked: {reason}.")
        self.message_user(request, f"{len(changed)} keys revoked.", messages.SUCCESS)


def key_state_badge(row: ApiKey) -> str:
    """Return a key's state as a badge."""
    state = lifecycle.key_state(row)
    word, tone = {"active": ("usable", "good"), "expired": ("expired", "off")}.get(state, (state, "bad"))
    return badge(word, tone)
