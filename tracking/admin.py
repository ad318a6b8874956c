"""Admin pages of issued tracking numbers."""

from __future__ import annotations

from django.contrib import admin

from apikeys.admin.base import ReadOnlyAdmin
from tracking.models import IssuedNumber


@admin.register(IssuedNumber)
class IssuedNumberAdmin(ReadOnlyAdmin):
    """Issued numbers. The page is read-only, because a number can be neither changed nor withdrawn."""

    list_display = ("number", "created_at", "customer_id", "correlation_id", "secret_version")
    list_filter = ("created_at", "secret_version")
    search_fields = ("number__exact", "correlation_id__exact")
    search_help_text = "A complete tracking number, customer id or correlation id."
    id_search = ("customer_id",)
