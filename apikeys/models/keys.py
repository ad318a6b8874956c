"""API keys, usage statistics and idempotency records."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from apikeys.db.search import CaseKey
from apikeys.db.tenancy import Tenant, TenantRow
from apikeys.models import scopes
from apikeys.models.merchants import Store
from apikeys.models.rates import rate_field


class ApiKey(TenantRow):
    """An API key. The key itself is shown once and stored only as a digest and a bcrypt hash."""

    class Revocation(models.TextChoices):
        REVOKED = "revoked", "revoked"
        LEAKED = "leaked", "leaked"

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, help_text="The first characters, to recognise the key.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hash = models.CharField(max_length=72, editable=False)
    store = models.ForeignKey(Store, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    scopes = models.JSONField(default=scopes.of_every_key, help_text="What the key may do.")
    allowed_ips = models.JSONField(
        default=list,
        blank=True,
        help_text="IP addresses or networks from which the key works. Empty: any address.",
    )
    per_minute = rate_field("Requests per minute with this key. Empty: the plan's rate.")
    per_hour = rate_field("Requests per hour with this key. Empty: the plan's rate.")
    is_demo = models.BooleanField(default=False, editable=False, help_text="Works only with DEBUG=true.")
    use_count = models.PositiveBigIntegerField(default=0, editable=False)
    first_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_for = models.CharField(max_length=8, choices=Revocation.choices, blank=True, editable=False)
    replaces = models.OneToOneField(
        "self", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="replaced_by"
    )

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]
        indexes = [
            models.Index(CaseKey("name"), name="api_key_name_prefix"),
            models.Index(CaseKey("prefix"), name="api_key_prefix_prefix"),
            models.Index(fields=["merchant", "mode", "id"], name="api_key_by_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def tenant(self) -> Tenant:
        return Tenant(self.merchant_id, self.mode, self.store_id, self.id)


class UsageDay(TenantRow):
    """Use of one API key or carrier credential on one day (UTC)."""

    class Kind(models.TextChoices):
        KEY = "key", "API key"
        CREDENTIAL = "credential", "carrier credential"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    subject_id = models.UUIDField()
    day = models.DateField()
    requests = models.PositiveBigIntegerField(default=0)
    failures = models.PositiveBigIntegerField(
        default=0, help_text="Requests with a status of 400 or above, or without a response."
    )
    last_used_at = models.DateTimeField()
    is_summarised = models.BooleanField(default=False, editable=False, help_text="Whether the day's event is recorded.")

    class Meta:
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(fields=["merchant", "kind", "subject_id", "day"], name="one_usage_row_per_day")
        ]
        indexes = [
            models.Index(fields=["subject_id", "id"], name="usage_by_subject"),
            models.Index(fields=["merchant", "mode", "day"], name="usage_by_tenant"),
            models.Index(fields=["day"], condition=models.Q(is_summarised=False), name="usage_to_summarise"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id} on {self.day}: {self.requests}"


class IdempotencyRecord(TenantRow):
    """A request with an Idempotency-Key (``apikeys.access.idempotency``)."""

    class State(models.TextChoices):
        RUNNING = "running", "running"
        DONE = "done", "done"

    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    lease_until = models.DateTimeField()
    fence = models.PositiveIntegerField(default=1)
    subject = models.UUIDField(
        null=True, help_text="The object that the request created. A replay renders its current state."
    )
    response_status = models.PositiveSmallIntegerField(null=True)
    response_body = models.BinaryField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "mode", "key"], name="idempotency_key_per_tenant")]
        indexes = [
            models.Index(fields=["key", "id"], name="idempotency_by_key"),
            models.Index(fields=["subject"], name="idempotency_by_subject", condition=models.Q(subject__isnull=False)),
            models.Index(fields=["created_at"], name="idempotency_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.state}"
