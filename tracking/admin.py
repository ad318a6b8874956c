"""Admin pages of issued tracking numbers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from tracking.models import IssuedNumber


@admin.register(IssuedNumber)
class IssuedNumberAdmin(admin.ModelAdmin):
    """Read-only, because an issued number can be neither changed nor withdrawn."""

    list_display = ("number", "created_at", "customer_id", "correlation_id", "secret_version")
    list_filter = ("created_at", "secret_version")
    search_fields = ("number__exact", "=customer_id", "correlation_id__exact")
    search_help_text = "A whole tracking number, customer id or correlation id."
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
