"""Webhook endpoints of merchants, deliveries and their attempts."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from apikeys.db.crypto import EncryptedField
from apikeys.db.leases import Claimable
from apikeys.db.search import CaseKey
from apikeys.db.tenancy import Row, TenantRow
from apikeys.models import Event


class WebhookEndpoint(TenantRow):
    """A merchant's URL for public events. Requests are signed by Standard Webhooks with the endpoint's own secret."""

    url = models.URLField(max_length=500)
    description = models.CharField(max_length=200, blank=True)
    event_types = models.JSONField(
        default=list,
        blank=True,
        help_text='Event types to send; empty for all. "shipment.*" is a family of types.',
    )
    secret = EncryptedField(help_text="whsec_…, base64 of 24 to 64 bytes.")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(CaseKey("url"), name="endpoint_url_prefix"),
            models.Index(fields=["merchant", "mode", "is_active"], name="endpoint_by_tenant"),
        ]

    def __str__(self) -> str:
        return self.url


class Delivery(Claimable, TenantRow):
    """One event to send to one endpoint. Its id is the ``webhook-id`` of all attempts."""

    class State(models.TextChoices):
        PENDING = "pending", "pending"
        DELIVERED = "delivered", "delivered"
        DEAD = "dead", "given up"

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.PROTECT, related_name="deliveries")
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="+")
    subject_id = models.UUIDField(null=True, help_text="The shipment or pickup of the event.")
    body = models.BinaryField(help_text="The exact bytes that are signed and sent.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    attempt_count = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    delivered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event"], name="one_delivery_per_endpoint_and_event")
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=models.Q(state="pending"), name="delivery_due"),
            models.Index(fields=["id"], condition=models.Q(state="dead"), name="delivery_dead"),
            models.Index(fields=["subject_id", "id"], name="delivery_by_subject"),
            models.Index(fields=["merchant", "mode", "id"], name="delivery_by_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.endpoint_id}: {self.state}"


class Attempt(Row):
    """One POST request of a delivery and its result."""

    class Outcome(models.TextChoices):
        DELIVERED = "delivered", "delivered"
        HTTP_ERROR = "http_error", "answered with an error"
        REDIRECT = "redirect", "answered with a redirect, which is not followed"
        TIMEOUT = "timeout", "no answer in time"
        DNS = "dns", "host name not found"
        TLS = "tls", "TLS failed"
        REFUSED = "refused", "connection refused or lost"
        BLOCKED = "blocked", "address not allowed"
        UNSIGNED = "unsigned", "not sent: the endpoint's secret cannot be read"

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    status = models.PositiveSmallIntegerField(null=True)
    response = models.CharField(max_length=1000, blank=True, help_text="The beginning of the endpoint's response.")
    error = models.CharField(max_length=300, blank=True)
    duration_ms = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["number"]
        indexes = [
            models.Index(fields=["status", "id"], name="attempt_by_status"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}: {self.outcome}"
