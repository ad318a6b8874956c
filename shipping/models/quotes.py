"""Quotes."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from apikeys.db.tenancy import TenantRow
from carriers.models import Credential


class Quote(TenantRow):
    """A priced offer that a merchant received."""

    carrier = models.CharField(max_length=20)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    carrier_quote_id = models.CharField(max_length=64, blank=True)
    service_type = models.CharField(max_length=40)
    total_price = models.DecimalField(max_digits=16, decimal_places=4)
    currency = models.CharField(max_length=3)
    breakdown = models.JSONField(default=dict)
    transit_days = models.PositiveSmallIntegerField(null=True)
    estimated_delivery = models.DateTimeField(null=True)
    request = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["carrier_quote_id", "id"], name="quote_by_carrier_id"),
            models.Index(fields=["service_type", "id"], name="quote_by_service"),
            models.Index(fields=["merchant", "mode", "id"], name="quote_by_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.service_type}: {self.total_price} {self.currency}"
