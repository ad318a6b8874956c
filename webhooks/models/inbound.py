"""Webhooks from carriers."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from apikeys.db.leases import Claimable
from apikeys.db.search import CaseKey
from apikeys.db.tenancy import Row
from carriers.models import Credential


class InboundWebhook(Claimable, Row):
    """A verified webhook from a carrier, stored unchanged."""

    class State(models.TextChoices):
        RECEIVED = "received", "received"  # stored, not parsed yet
        PROCESSED = "processed", "processed"
        UNMATCHED = "unmatched", "waiting for its shipment"  # names a number that is not known yet
        FAILED = "failed", "could not be read"

    carrier = models.CharField(max_length=20)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the body. A repeated webhook is stored once.")
    body = models.BinaryField()
    event_type = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    error = models.TextField(blank=True)
    correlation_id = models.CharField(max_length=64, blank=True)
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    processed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["credential", "digest"], name="inbound_body_once")]
        indexes = [
            models.Index(CaseKey("event_type"), name="inbound_event_type_prefix"),
            models.Index(fields=["correlation_id", "id"], name="inbound_by_correlation"),
            models.Index(fields=["state", "id"], condition=~models.Q(state="processed"), name="inbound_unfinished"),
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.event_type or 'webhook'}: {self.state}"


class UnmatchedNumber(Row):
    """A number in a stored webhook that no shipment or pickup of its credential has yet."""

    inbound = models.ForeignKey(InboundWebhook, on_delete=models.CASCADE, related_name="numbers")
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    tracking_number = models.CharField(max_length=64)
    is_pickup = models.BooleanField(default=False, help_text="Whether it is the number of a pickup.")

    class Meta:
        indexes = [
            models.Index(fields=["tracking_number", "id"], name="unmatched_by_number_alone"),
            models.Index(fields=["credential", "tracking_number"], name="unmatched_by_number"),
        ]

    def __str__(self) -> str:
        return self.tracking_number
