"""Merchants, people, keys, and the log of what happened."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from apikeys import keys
from apikeys.admin_base import (
    KeptAdmin,
    MerchantFilter,
    ReadOnlyAdmin,
    WaybillAdmin,
    badge,
    json_display,
    pretty,
    section,
)
from apikeys.models import ApiKey, Event, IdempotencyRecord, Membership, Merchant, Outbox, Plan, Store, User
from apikeys.tenancy import Tenant

admin.site.site_header = "Waybill"
admin.site.site_title = "Waybill"
admin.site.index_title = "Operations"
admin.site.site_url = None  # an API has no front page to go to


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
    search_fields = ("name", "code")
    id_search = ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()


class ApiKeyForm(forms.ModelForm):
    """A new key's owner."""

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        store, merchant = data.get("store"), data.get("merchant")
        if store and merchant and store.merchant_id != merchant.id:
            self.add_error("store", "This store belongs to another merchant.")
        return data


@admin.register(ApiKey)
class ApiKeyAdmin(KeptAdmin):
    """Keys: made here, shown once, told apart by their first characters."""

    form = ApiKeyForm
    list_display = ("name", "shown_prefix", "merchant", "mode", "store", "state", "created_at", "expires_at")
    list_select_related = ("merchant", "store")
    list_filter = ("mode", ("revoked_at", admin.EmptyFieldListFilter), MerchantFilter, "created_at", "expires_at")
    list_defer = ("digest", "hash")
    search_fields = ("name", "prefix", "merchant__name", "merchant__slug")
    search_help_text = "Name, first characters or merchant."
    autocomplete_fields = ("merchant", "store")
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("merchant", "mode", "store", "name", "expires_at")
        made = ("id", "merchant", "mode", "store", "shown_prefix", "is_demo", "created_at", "revoked_at", "state")
        return ("name", "expires_at", *made)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return self.get_fields(request, obj)[2:] if obj else ()

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        """A new key is generated and shown this once."""
        if change:
            obj.save(update_fields=form.changed_data)
            return
        key = keys.generate(obj.mode)
        row = keys.create(Tenant(obj.merchant_id, obj.mode, obj.store_id), key, name=obj.name)
        if obj.expires_at:
            ApiKey.objects.filter(pk=row.pk).update(expires_at=obj.expires_at)
        obj.pk, obj.prefix = row.pk, row.prefix
        shown = format_html("The key, shown only now; hand it over safely: <code>{}</code>", key)
        self.message_user(request, shown, messages.WARNING)

    @admin.display(description="key", ordering="prefix")
    def shown_prefix(self, row: ApiKey) -> str:
        return f"{row.prefix}…"

    @admin.display(description="state")
    def state(self, row: ApiKey) -> str:
        return key_state(row)

    @admin.action(description="Revoke selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet) -> None:
        """At once and for good; the web processes read the row on every call."""
        live = list(queryset.filter(revoked_at__isnull=True))
        ApiKey.objects.filter(pk__in=[row.pk for row in live], revoked_at__isnull=True).update(
            revoked_at=timezone.now()
        )
        for row in live:
            self.log_change(request, row, "Revoked.")
        self.message_user(request, f"{len(live)} keys revoked.", messages.SUCCESS)


def key_state(row: ApiKey) -> str:
    """Why a key works or does not."""
    if row.revoked_at:
        return badge("revoked", "bad")
    if row.expires_at and row.expires_at <= timezone.now():
        return badge("expired", "off")
    return badge("usable", "good")


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

    list_display = ("type", "created_at", "merchant", "mode", "visibility", "subject_id", "correlation_id")
    list_select_related = ("merchant",)
    list_filter = ("visibility", "mode", MerchantFilter, "created_at")
    list_defer = ("data",)
    search_fields = ("type__startswith", "correlation_id__exact")
    search_help_text = 'A type or its beginning ("shipment."), the id of its subject, or a whole correlation id.'
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
