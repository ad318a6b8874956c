"""Merchants, people, keys, and the log of what happened."""

from __future__ import annotations

import ipaddress
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from apikeys.keys import lifecycle
from apikeys.admin.base import KeptAdmin
from apikeys.admin.base import MerchantFilter
from apikeys.admin.base import ReadOnlyAdmin
from apikeys.admin.base import WaybillAdmin
from apikeys.admin.base import badge
from apikeys.admin.base import json_display
from apikeys.admin.base import pretty
from apikeys.admin.base import section
from apikeys.models import (
    ApiKey,
    Event,
    IdempotencyRecord,
    Invitation,
    Membership,
    Merchant,
    Outbox,
    Plan,
    SecurityNotice,
    Store,
    UsageDay,
    User,
)
from apikeys.models.scopes import DEFAULT
from apikeys.models.scopes import OF_KEYS
from apikeys.db.tenancy import Tenant


@admin.register(User)
class UserAdmin(WaybillAdmin, DjangoUserAdmin):
    """People; passwords as Django keeps them."""

    change_form_template = None
    list_display = ("username", "email", "first_name", "last_name", "is_staff", "is_active", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("username", "email", "first_name", "last_name")
    search_help_text = "User name, e-mail or name."
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "email", "usable_password", "password1", "password2")}),
    )

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm, change: bool) -> None:
        """Django tidies a missing address into an empty one, of which there could be only one."""
        obj.email = obj.email or None
        super().save_model(request, obj, form, change)


class MembershipInline(admin.TabularInline):
    """Who belongs to a merchant."""

    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Merchant)
class MerchantAdmin(KeptAdmin):
    """Tenants."""

    list_display = ("name", "slug", "plan", "language", "default_country", "is_active", "created_at")
    list_filter = ("is_active", "plan", "language", "created_at")
    search_fields = ("name", "slug")
    search_help_text = "Name, slug or id."
    ordering = ("name",)
    date_hierarchy = "created_at"
    readonly_fields = ("id", "created_at")
    prepopulated_fields = {"slug": ("name",)}
    inlines = (MembershipInline,)
    sections = (
        lambda request, row: section(
            request,
            "API keys",
            ApiKey.objects.filter(merchant=row).order_by("-created_at"),
            {"name": str, "mode": lambda key: key.mode, "state": key_state, "created": lambda key: key.created_at},
            merchant=row.pk,
        ),
        lambda request, row: section(
            request,
            "Stores",
            Store.objects.filter(merchant=row),
            {"name": str, "code": lambda store: store.code, "active": lambda store: _yes_no(store.is_active)},
            merchant=row.pk,
        ),
    )


@admin.register(Membership)
class MembershipAdmin(WaybillAdmin):
    """Which person may do what for which merchant."""

    list_display = ("merchant", "user", "role")
    list_select_related = ("merchant", "user")
    list_filter = ("role", MerchantFilter)
    search_fields = ("merchant__name", "merchant__slug", "user__username", "user__email")
    autocomplete_fields = ("merchant", "user")
    ordering = ("merchant__name", "user__username")


@admin.register(Store)
class StoreAdmin(KeptAdmin):
    """Merchants' sales channels."""

    list_display = ("name", "code", "merchant", "is_active")
    list_select_related = ("merchant",)
    list_filter = ("is_active", MerchantFilter)
    search_fields = ("name", "code", "merchant__name")
    autocomplete_fields = ("merchant",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("id", "merchant") if obj else ()


@admin.register(Plan)
class PlanAdmin(KeptAdmin):
    """How often the keys of a merchant may call; a change counts from the next request on."""

    list_display = ("name", "code", "per_minute", "per_hour")
    list_editable = ("per_minute", "per_hour")
    list_filter = ("per_minute",)
    search_fields = ("name", "code")
    id_search = ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()


class ApiKeyForm(forms.ModelForm):
    """A key's owner and what it may do."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in OF_KEYS], widget=forms.CheckboxSelectMultiple, initial=list(DEFAULT)
    )
    allowed_ips = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Addresses or networks, separated by blanks or commas; empty: from anywhere.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["allowed_ips"] = " ".join(self.instance.allowed_ips)

    def clean_allowed_ips(self) -> list[str]:
        """Raises ``ValidationError`` naming the first that is none."""
        return [_network(text) for text in self.cleaned_data["allowed_ips"].replace(",", " ").split()]

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        store, merchant = data.get("store"), data.get("merchant")
        if store and merchant and store.merchant_id != merchant.id:
            self.add_error("store", "This store belongs to another merchant.")
        return data


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError as error:
        raise forms.ValidationError(f"{text} is no address or network.") from error


@admin.register(ApiKey)
class ApiKeyAdmin(KeptAdmin):
    """Keys: made here, shown once, told apart by their first characters."""

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
    search_fields = ("name", "prefix", "merchant__name", "merchant__slug")
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
        """The way of the API's: on record with what changed; a new key is generated and shown this once."""
        columns = {name: form.cleaned_data[name] for name in self.changeable if name != "name"}
        if change:
            lifecycle.change(obj, {"name": obj.name} | columns)
            return
        row, key = lifecycle.create(Tenant(obj.merchant_id, obj.mode), name=obj.name, store_id=obj.store_id, **columns)
        obj.pk, obj.prefix = row.pk, row.prefix
        shown = format_html("The key, shown only now; hand it over safely: <code>{}</code>", key)
        self.message_user(request, shown, messages.WARNING)

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A revoked key is looked at, not changed."""
        return super().has_change_permission(request, obj) and not (obj and obj.revoked_at)

    @admin.display(description="key", ordering="prefix")
    def shown_prefix(self, row: ApiKey) -> str:
        return f"{row.prefix}…"

    @admin.display(description="state")
    def state(self, row: ApiKey) -> str:
        return key_state(row)

    @admin.action(description="Revoke selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet) -> None:
        """At once and for good; the web processes read the row on every call."""
        self._revoke(request, queryset, ApiKey.Revocation.REVOKED)

    @admin.action(description="Revoke selected keys as leaked: later use raises an alarm", permissions=["change"])
    def revoke_as_leaked(self, request: HttpRequest, queryset: QuerySet) -> None:
        """The same, and each later use is told to people."""
        self._revoke(request, queryset, ApiKey.Revocation.LEAKED)

    def _revoke(self, request: HttpRequest, queryset: QuerySet, reason: str) -> None:
        live = list(queryset.exclude(revoked_for=reason))
        for row in live:
            lifecycle.revoke(row, reason)
            self.log_change(request, row, f"Revoked: {reason}.")
        self.message_user(request, f"{len(live)} keys revoked.", messages.SUCCESS)


def key_state(row: ApiKey) -> str:
    """Why a key works or does not."""
    state = lifecycle.state(row)
    word, tone = {"active": ("usable", "good"), "expired": ("expired", "off")}.get(state, (state, "bad"))
    return badge(word, tone)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Who was asked to join; merchants' owners invite in the API."""

    list_display = ("email", "merchant", "role", "created_at", "expires_at", "accepted_at")
    list_select_related = ("merchant",)
    list_filter = ("role", ("accepted_at", admin.EmptyFieldListFilter), MerchantFilter)
    search_fields = ("email__istartswith", "merchant__slug")
    fields = ("id", "merchant", "email", "role", "invited_by", "created_at", "expires_at", "accepted_at")


@admin.register(UsageDay)
class UsageDayAdmin(ReadOnlyAdmin):
    """What keys and credentials were used for, by day."""

    list_display = ("day", "kind", "subject_id", "merchant", "mode", "requests", "failures", "last_used_at")
    list_select_related = ("merchant",)
    list_filter = ("kind", "mode", MerchantFilter, "day")
    search_fields = ("merchant__slug",)
    search_help_text = "The id of a key or credential, or a merchant."
    id_search = ("id", "subject_id")
    date_hierarchy = "day"


@admin.register(SecurityNotice)
class SecurityNoticeAdmin(ReadOnlyAdmin):
    """Security events that people have not been told of yet; empty while mail works."""

    list_display = ("event_id", "type", "since", "fence", "lease_until")
    list_select_related = ("event",)
    list_filter = ("event__type",)
    list_defer = ("event__data",)
    search_fields = ("event__type__startswith",)
    id_search = ("event_id",)
    ordering = ("event_id",)
    fields = ("event", "type", "since", "fence", "lease_until")

    @admin.display(ordering="event__type")
    def type(self, row: SecurityNotice) -> str:
        return row.event.type

    @admin.display(ordering="event__created_at")
    def since(self, row: SecurityNotice) -> Any:
        return row.event.created_at


def _yes_no(value: bool) -> str:
    return badge("active", "good") if value else badge("switched off", "off")


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(ReadOnlyAdmin):
    """Creating requests that carried an Idempotency-Key."""

    list_display = ("key", "shown_state", "merchant", "mode", "response_status", "subject", "created_at")
    list_select_related = ("merchant",)
    list_filter = ("state", "mode", "response_status", MerchantFilter, "created_at")
    list_defer = ("response_body",)
    search_fields = ("key__exact",)
    search_help_text = "The whole Idempotency-Key, or the id of what the request made."
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
    """What happened. The database itself refuses a change."""

    list_display = ("type", "created_at", "merchant", "mode", "visibility", "subject_id", "actor", "address")
    list_select_related = ("merchant",)
    list_filter = ("visibility", "mode", MerchantFilter, "created_at")
    list_defer = ("data",)
    search_fields = ("type__startswith", "correlation_id__exact", "actor__exact")
    search_help_text = (
        'A type or its beginning ("shipment."), the id of its subject, a whole correlation id or actor ("key:…").'
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


@admin.register(Outbox)
class OutboxAdmin(ReadOnlyAdmin):
    """Public events that the worker has not offered to merchants' endpoints yet; empty while it keeps up."""

    list_display = ("event_id", "type", "merchant", "mode", "since")
    list_select_related = ("event__merchant",)
    list_filter = (("event__mode", admin.ChoicesFieldListFilter),)
    list_defer = ("event__data",)
    search_fields = ("event__type__startswith",)
    search_help_text = "A type of event or its beginning, or the id of the event or its subject."
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
        return pretty(row.event.data)


# Of the libraries: what staff need, as logs; their own pages would show secrets or let them be changed.
for _model in (
    AccessAttempt,
    AccessFailureLog,
    AccessLog,
    BlacklistedToken,
    Group,
    OutstandingToken,
    StaticDevice,
    TOTPDevice,
):
    admin.site.unregister(_model)


@admin.register(Group)
class GroupAdmin(WaybillAdmin, DjangoGroupAdmin):
    """What kinds of staff may do."""

    change_form_template = None
    id_search = ()


class _ClearedAdmin(ReadOnlyAdmin):
    """Rows that may be looked at and deleted."""

    id_search = ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


@admin.register(AccessAttempt)
class AccessAttemptAdmin(_ClearedAdmin):
    """Failures to sign in; deleting one lifts the lock-out for that account from that address."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    list_filter = ("attempt_time",)
    search_fields = ("username__istartswith", "ip_address__exact")
    fields = ("username", "ip_address", "user_agent", "failures_since_start", "attempt_time")
    ordering = ("-attempt_time",)


@admin.register(TOTPDevice, StaticDevice)
class SecondFactorAdmin(_ClearedAdmin):
    """People's second factors; deleting all of a person's lets them in by password, to set up a new one."""

    list_display = ("user", "name", "confirmed")
    list_select_related = ("user",)
    list_filter = ("confirmed",)
    search_fields = ("user__username__istartswith", "user__email__istartswith")
    fields = ("user", "name", "confirmed")
    ordering = ("user__username",)
