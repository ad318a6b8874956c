"""Pickups."""

from __future__ import annotations

from datetime import date

from django.db import models
from django.utils import timezone

from apikeys.db.search import CaseKey
from apikeys.db.tenancy import TenantRow
from carriers.models import Credential
from shipping.models.shipments import Shipment


class Pickup(TenantRow):
    """A collection of parcels at the merchant's address."""

    class State(models.TextChoices):
        PENDING = "pending", "pending"  # requested, no answer yet
        SCHEDULED = "scheduled", "scheduled"
        COMPLETED = "completed", "completed"
        CANCELLED = "cancelled", "cancelled"
        FAILED = "failed", "failed"
        NEEDS_REVIEW = "needs_review", "needs review"

    carrier = models.CharField(max_length=20)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    store = models.ForeignKey("apikeys.Store", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    carrier_pickup_id = models.CharField(max_length=64, blank=True)
    confirmation_number = models.CharField(max_length=64, blank=True)
    scheduled_date = models.DateTimeField()
    scheduled_day = models.DateField(
        null=True, blank=True, help_text="The calendar day where the parcels are, which is not always that in UTC."
    )
    window_start = models.CharField(max_length=5)
    window_end = models.CharField(max_length=5)
    address = models.JSONField(default=dict)
    packages_count = models.PositiveIntegerField()
    total_weight_kg = models.DecimalField(max_digits=10, decimal_places=3, null=True)
    request = models.JSONField(default=dict)
    carrier_details = models.JSONField(default=dict, blank=True)
    failure = models.JSONField(null=True, blank=True)
    pending_reason = models.JSONField(
        null=True,
        blank=True,
        help_text="The carrier's code and message, if its answer left the pickup in doubt.",
    )
    shipments = models.ManyToManyField(Shipment, related_name="pickups", blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancel_reason = models.CharField(max_length=500, null=True, blank=True)
    carrier_state = models.JSONField(
        null=True, editable=False, help_text="Data that the carrier's adapter needs again; never shown to merchants."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["credential", "carrier_pickup_id"],
                condition=~models.Q(carrier_pickup_id=""),
                name="pickup_once_per_credential",
            )
        ]
        indexes = [
            models.Index(CaseKey("confirmation_number"), name="pickup_confirmation_prefix"),
            models.Index(CaseKey("carrier_pickup_id"), name="pickup_carrier_id_prefix"),
            models.Index(fields=["merchant", "mode", "id"], name="pickup_by_tenant"),
            models.Index("merchant", "mode", CaseKey("carrier_pickup_id"), name="pickup_by_carrier_id"),
            models.Index("merchant", "mode", CaseKey("confirmation_number"), name="pickup_by_confirmation"),
            models.Index(fields=["created_at"], condition=models.Q(state="pending"), name="pickup_pending"),
        ]

    def __str__(self) -> str:
        return self.confirmation_number or str(self.id)

    @property
    def day(self) -> date:
        """The calendar day of the pickup."""
        return self.scheduled_day or self.scheduled_date.date()
