"""Rates, circuit breakers, stored pickup points and the call log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from apikeys.db import leases
from apikeys.db.tenancy import Mode, Row, TenantQuerySet
from carriers.models.credentials import Credential


class CallBudget(Row):
    """State of a token bucket for a carrier endpoint (``carriers.http.rate_limits``). Used without Redis."""

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="+")
    endpoint = models.CharField(max_length=32)
    full_at = models.BigIntegerField(help_text="Time at which the bucket is full again, in microseconds since 1970.")

    class Meta:
        verbose_name = "carrier rate"
        constraints = [models.UniqueConstraint(fields=["credential", "endpoint"], name="one_budget")]
        indexes = [
            models.Index(fields=["endpoint", "id"], name="budget_by_endpoint"),
        ]

    def __str__(self) -> str:
        return f"{self.credential_id} {self.endpoint}"


class Breaker(Row):
    """State of an operation's circuit breaker (``carriers.http.circuit_breaker``). The first failure creates the row.

    Without ``opened_at`` it is closed. Otherwise it is open until ``retry_at``, then half-open: one call, the probe, is
    let through under a lease until ``probe_until``.
    """

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="+")
    operation = models.CharField(max_length=32)
    failures = models.PositiveIntegerField(default=0, help_text="Consecutive failures.")
    last_problem = models.CharField(max_length=100, blank=True)
    opened_at = models.DateTimeField(null=True, editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)
    probe_until = models.DateTimeField(null=True, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "circuit breaker"
        ordering = ["-updated_at"]
        constraints = [models.UniqueConstraint(fields=["credential", "operation"], name="one_breaker")]
        indexes = [
            models.Index(fields=["operation", "id"], name="breaker_by_operation"),
        ]

    def __str__(self) -> str:
        return f"{self.credential}: {self.operation}"

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half_open``."""
        if self.opened_at is None:
            return "closed"
        return "open" if self.is_paused(timezone.now()) else "half_open"

    def is_paused(self, now: datetime) -> bool:
        """Return whether the breaker is open and no probe may be sent yet."""
        return self.opened_at is not None and leases.lasts(self.retry_at, now, breaker_pause())


def breaker_pause() -> timedelta:
    """Return how long the circuit breaker stays open before a probe."""
    return timedelta(seconds=settings.CARRIER_BREAKER_OPEN_S)


class PointAnswer(Row):
    """A carrier's cached answer to a pickup point query (``shipping.points.points``)."""

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=64, help_text="Digest of the credential and the query.")
    operation = models.CharField(max_length=32)
    question = models.JSONField()
    answer = models.JSONField()
    fetched_at = models.DateTimeField()
    refresh_at = models.DateTimeField(
        null=True, help_text="When the worker refreshes it; set when an old answer is used."
    )

    class Meta:
        verbose_name = "pickup point answer"
        constraints = [models.UniqueConstraint(fields=["credential", "key"], name="one_point_answer")]
        indexes = [
            models.Index(fields=["fetched_at"], name="points_by_age"),
            models.Index(fields=["credential", "fetched_at"], name="points_of_account"),
            models.Index(fields=["refresh_at"], name="points_to_refresh", condition=models.Q(refresh_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.credential_id} {self.operation}"


class CarrierCall(Row):
    """One HTTP exchange with a carrier, with secrets and personal data masked. Also failed exchanges are logged."""

    class Outcome(models.TextChoices):
        OK = "ok", "answered"
        REFUSED = "refused", "refused (4xx)"
        FAILED = "failed", "carrier failed (5xx)"
        TIMEOUT = "timeout", "no answer in time"
        UNREACHABLE = "unreachable", "not reached"
        BROKEN = "broken", "connection lost or unreadable"

    credential = models.ForeignKey(Credential, null=True, on_delete=models.SET_NULL, related_name="+")
    # ``call_by_tenant`` serves lookups by merchant alone.
    merchant = models.ForeignKey(
        "apikeys.Merchant", null=True, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    mode = models.CharField(max_length=4, choices=Mode.choices)
    carrier = models.CharField(max_length=20)
    operation = models.CharField(max_length=32)
    subject_id = models.UUIDField(null=True, help_text="The shipment or pickup that the call was for.")
    method = models.CharField(max_length=7)
    url = models.CharField(max_length=500)
    request_body = models.TextField(blank=True)
    status = models.PositiveSmallIntegerField(null=True)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    response_body = models.TextField(blank=True)
    error = models.CharField(max_length=300, blank=True)
    attempt = models.PositiveSmallIntegerField(default=1)
    duration_ms = models.PositiveIntegerField()
    correlation_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: Any = TenantQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["operation", "id"], name="call_by_operation"),
            models.Index(fields=["correlation_id", "id"], name="call_by_correlation"),
            models.Index(fields=["subject_id", "id"], name="call_by_subject"),
            models.Index(fields=["merchant", "mode", "id"], name="call_by_tenant"),
            # For the merchants' list; the two more columns of the first are for its figures (carriers.api.figures).
            models.Index(
                fields=["merchant", "mode", "carrier", "id", "outcome", "duration_ms"], name="call_figures_of_tenant"
            ),
            models.Index(fields=["merchant", "mode", "operation", "id"], name="call_of_tenant_by_operation"),
            models.Index(fields=["merchant", "mode", "outcome", "id"], name="call_of_tenant_by_outcome"),
            models.Index(fields=["merchant", "mode", "status", "id"], name="call_of_tenant_by_status"),
            models.Index(fields=["carrier", "mode", "id", "outcome", "duration_ms"], name="call_figures"),
            models.Index(fields=["created_at"], name="call_by_age"),
            models.Index(
                fields=["merchant", "mode", "carrier", "id"],
                condition=models.Q(outcome="ok"),
                name="call_that_worked",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.operation}: {self.outcome}"
