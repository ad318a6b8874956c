"""Admin of people, memberships, sign-in attempts and second factors."""

from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from apikeys.admin.base import (
    MerchantFilter,
    ReadOnlyAdmin,
    WaybillAdmin,
)
from apikeys.models import (
    Invitation,
    Membership,
    User,
)


@admin.register(User)
class UserAdmin(WaybillAdmin, DjangoUserAdmin):
    """People, with Django's password forms."""

    change_form_template = None
    list_display = ("username", "email", "first_name", "last_name", "is_staff", "is_active", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("username__prefix", "email__prefix", "first_name__prefix", "last_name__prefix")
    search_help_text = "User name, e-mail or name."
    fieldsets = (*DjangoUserAdmin.fieldsets, ("API", {"fields": ("per_minute",)}))
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "email", "usable_password", "password1", "password2")}),
    )

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm, change: bool) -> None:
        """Store a missing e-mail address as NULL. Only one person could have an empty text."""
        obj.email = obj.email or None
        super().save_model(request, obj, form, change)


class MembershipInline(admin.TabularInline):
    """Members, on a merchant's page."""

    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Membership)
class MembershipAdmin(WaybillAdmin):
    """Roles of people at merchants."""

    list_display = ("merchant", "user", "role")
    list_select_related = ("merchant", "user")
    list_filter = ("role", MerchantFilter)
    search_fields = (
        "merchant__name__prefix",
        "merchant__slug__prefix",
        "user__username__prefix",
        "user__email__prefix",
    )
    autocomplete_fields = ("merchant", "user")
    ordering = ("merchant__name", "user__username")


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Invitations. Owners of merchants send them with the API."""

    list_display = ("email", "merchant", "role", "created_at", "expires_at", "accepted_at")
    list_select_related = ("merchant",)
    list_filter = ("role", ("accepted_at", admin.EmptyFieldListFilter), MerchantFilter)
    search_fields = ("email__prefix", "merchant__slug__prefix")
    fields = ("id", "merchant", "email", "role", "invited_by", "created_at", "expires_at", "accepted_at")


# Models of libraries. Their own admin pages show secrets or allow changes, so they are replaced or removed.
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
    """Groups of staff and their permissions."""

    change_form_template = None
    search_fields = ("name__exact",)
    id_search = ()


class _DeletableAdmin(ReadOnlyAdmin):
    """Rows that can be viewed, and deleted by superusers."""

    id_search = ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


@admin.register(AccessAttempt)
class AccessAttemptAdmin(_DeletableAdmin):
    """Failed attempts to sign in. Deleting a row unlocks the account for that address."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    list_filter = ("attempt_time",)
    search_fields = ("username__exact", "ip_address__exact")
    fields = ("username", "ip_address", "user_agent", "failures_since_start", "attempt_time")
    ordering = ("-attempt_time",)


@admin.register(TOTPDevice, StaticDevice)
class SecondFactorAdmin(_DeletableAdmin):
    """Second factors. A person without any signs in by password, and can then set up a new one."""

    list_display = ("user", "name", "confirmed")
    list_select_related = ("user",)
    list_filter = ("confirmed",)
    search_fields = ("user__username__prefix", "user__email__prefix")
    fields = ("user", "name", "confirmed")
    ordering = ("user__username",)
