"""Checkpoints, and carriers' status codes that operations map."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

from apikeys.db.search import CaseKey
from apikeys.db.tenancy import Row, TenantRow
from shipping.models.shipments import Shipment
from shipping.models.states import StatusChoices


class Checkpoint(TenantRow):
    """A stored scan or event of a shipment. It never changes, except that an ``unknown`` status is replaced once."""

    class Source(models.TextChoices):
        MERCHANT = "merchant", "merchant"
        CARRIER = "carrier", "carrier"
        WAYBILL = "waybill", "Waybill"

    class ReportedBy(models.TextChoices):
        POLL = "poll", "poll"
        WEBHOOK = "webhook", "webhook"
        BOOKING = "booking", "booking"  # the carrier's answer to a purchase or cancellation

    shipment = models.ForeignKey(Shipment, on_delete=models.PROTECT, related_name="checkpoints")
    source = models.CharField(max_length=8, choices=Source.choices)
    status = models.CharField(max_length=16, choices=StatusChoices.choices)
    code = models.CharField(
        max_length=64, help_text="The carrier's code; the status if the merchant posted the checkpoint."
    )
    description = models.CharField(max_length=500, blank=True)
    location = models.CharField(max_length=200, blank=True)
    details = models.JSONField(default=dict, blank=True)
    occurred_at = models.DateTimeField()
    occurred_text = models.CharField(max_length=64, blank=True, help_text="The time as received.")
    tz_assumed = models.BooleanField(default=False, help_text="The received time had no offset.")
    parcel = models.CharField(
        max_length=64, null=True, blank=True, help_text="Tracking number of the parcel; empty: the whole shipment."
    )
    reported_by = models.CharField(
        max_length=8, choices=ReportedBy.choices, null=True, blank=True, help_text="How a carrier reported it first."
    )
    location_key = models.CharField(max_length=100, null=True, blank=True, help_text="The location for comparison.")
    suspect_time = models.BooleanField(
        null=True, blank=True, help_text="The carrier's time cannot be right: it decides no status and no figure."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["occurred_at", "id"]
        constraints = [
            models.UniqueConstraint(
                "shipment",
                "reported_by",
                Coalesce("parcel", models.Value("")),
                "code",
                "occurred_at",
                "location_key",
                condition=models.Q(source="carrier"),
                name="carrier_scan_once",
            ),
            models.UniqueConstraint(
                fields=["shipment", "status", "occurred_at", "location"],
                condition=models.Q(source="merchant"),
                name="merchant_checkpoint_once",
            ),
        ]
        indexes = [
            models.Index(fields=["shipment", "occurred_at", "id"], name="checkpoint_by_time"),
            models.Index(fields=["code", "shipment"], condition=models.Q(status="unknown"), name="checkpoint_unknown"),
        ]

    def __str__(self) -> str:
        return f"{self.status} at {self.occurred_at:%Y-%m-%d %H:%M}"


class CheckpointReport(Row):
    """A second source's report of a carrier's scan. It never changes."""

    # The unique constraint has an index of this column.
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="reports", db_index=False)
    reported_by = models.CharField(max_length=8, choices=Checkpoint.ReportedBy.choices)
    location_key = models.CharField(max_length=100, blank=True)
    location = models.CharField(max_length=200, blank=True)
    description = models.CharField(max_length=500, blank=True)
    details = models.JSONField(default=dict, blank=True)
    occurred_text = models.CharField(max_length=64, blank=True, help_text="The time as received.")
    tz_assumed = models.BooleanField(default=False, help_text="The received time had no offset.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["checkpoint", "reported_by"], name="checkpoint_reported_once_by_source")
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint} by {self.reported_by}"


MAPPED_STATUSES = [(None, "not mapped yet"), *(one for one in StatusChoices.choices if one[0] != StatusChoices.UNKNOWN)]


class StatusCode(Row):
    """A carrier's code that its adapter does not map, and the status that operations staff map it to."""

    carrier = models.CharField(max_length=20, editable=False)
    code = models.CharField(max_length=64, editable=False)
    status = models.CharField(
        max_length=16,
        choices=MAPPED_STATUSES,
        null=True,
        help_text="For all past and future scans with this code that are unknown. Other scans keep their status.",
    )
    example = models.CharField(
        max_length=500, blank=True, editable=False, help_text="The carrier's text of one such scan."
    )
    first_seen_at = models.DateTimeField(default=timezone.now, editable=False)
    placed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["carrier", "code"], name="status_code_once_per_carrier"),
            models.CheckConstraint(condition=~models.Q(status="unknown"), name="status_code_placed_as_a_known_one"),
        ]
        indexes = [
            models.Index(CaseKey("code"), name="status_code_prefix"),
            models.Index(fields=["id"], condition=models.Q(status__isnull=True), name="status_code_to_place"),
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.code}"
