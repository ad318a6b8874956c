"""Subscriptions at carriers, which have them send webhooks."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from apikeys.db.crypto import EncryptedField
from apikeys.db.leases import Claimable
from apikeys.db.search import CaseKey
from apikeys.db.tenancy import Row
from carriers.models import Credential
from shipping.models import Shipment


class CarrierSubscription(Claimable, Row):
    """An order to a carrier to report one number, or all numbers of a credential, by webhook."""

    class State(models.TextChoices):
        WANTED = "wanted", "wanted"  # the carrier has not confirmed it yet, or it is to be renewed
        TO_ACTIVATE = "to_activate", "to activate"  # the carrier has sent the secret of its handshake
        ACTIVE = "active", "active"
        ENDED = "ended", "ended"
        FAILED = "failed", "failed"  # given up; the shipment is polled

    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    shipment = models.ForeignKey(
        Shipment, null=True, on_delete=models.PROTECT, related_name="+", help_text="Empty: for the whole credential."
    )
    number = models.CharField(max_length=64, blank=True, help_text="Tracking number; empty: the whole credential.")
    carrier_id = models.CharField(max_length=100, blank=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.WANTED)
    secret = EncryptedField(null=True, help_text="Secret of the carrier's handshake.")
    error = models.CharField(max_length=300, blank=True)
    failures = models.PositiveSmallIntegerField(default=0, help_text="Failed attempts since the last success.")
    due_at = models.DateTimeField(null=True, default=timezone.now, help_text="When a worker acts on it next.")
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["credential", "shipment", "number"], name="subscription_once"),
            models.UniqueConstraint(
                fields=["credential"], condition=models.Q(shipment__isnull=True), name="subscription_of_credential_once"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(due_at__isnull=False), name="subscription_due"),
            models.Index(fields=["credential", "carrier_id"], name="subscription_by_carrier_id"),
            models.Index(CaseKey("number"), name="subscription_number_prefix"),
        ]

    def __str__(self) -> str:
        return f"{self.credential}: {self.number or 'all numbers'}"
