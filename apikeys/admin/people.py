"""People, their memberships, sign-in attempts and second factors."""

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


@admin.register(Membership)
class MembershipAdmin(WaybillAdmin):
    """Which person may do what for which merchant."""

    list_display = ("merchant", "user", "role")
    list_select_related = ("merchant", "user")
    list_filter = ("role", MerchantFilter)
    search_fields = ("merchant__name", "merchant__slug", "user__username", "user__email")
    autocomplete_fields = ("merchant", "user")
    ordering = ("merchant__name", "user__username")


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Who was asked to join; merchants' owners invite in the API."""

    list_display = ("email", "merchant", "role", "created_at", "expires_at", "accepted_at")
    list_select_related = ("merchant",)
    list_filter = ("role", ("accepted_at", admin.EmptyFieldListFilter), MerchantFilter)
    search_fields = ("email__istartswith", "merchant__slug")
    fields = ("id", "merchant", "email", "role", "invited_by", "created_at", "expires_at", "accepted_at")


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
