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
    """The spent part of a token bucket at a carrier endpoint (``carriers.http.rate_limits``); used without Redis."""

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="+")
    endpoint = models.CharField(max_length=32)
    full_at = models.BigIntegerField(help_text="When the bucket is full again, in microseconds since 1970.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["credential", "endpoint"], name="one_budget")]

    def __str__(self) -> str:
        return f"{self.credential_id} {self.endpoint}"


class Breaker(Row):
    """How an operation of an account fares (``carriers.http.circuit_breaker``); there is a row once it has failed.

    Closed without ``opened_at``; open until ``retry_at``; then half open, and whoever holds the lease is the one probe.
    """

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="+")
    operation = models.CharField(max_length=32)
    failures = models.PositiveIntegerField(default=0, help_text="One after the other, up to now.")
    last_problem = models.CharField(max_length=100, blank=True)
    opened_at = models.DateTimeField(null=True, editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)
    probe_until = models.DateTimeField(null=True, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-updated_at"]
        constraints = [models.UniqueConstraint(fields=["credential", "operation"], name="one_breaker")]

    def __str__(self) -> str:
        return f"{self.credential}: {self.operation}"

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half_open``."""
        if self.opened_at is None:
            return "closed"
        return "open" if self.is_paused(timezone.now()) else "half_open"

    def is_paused(self, now: datetime) -> bool:
        """Whether nothing is asked now; of a closed one never."""
        return self.opened_at is not None and leases.lasts(self.retry_at, now, breaker_pause())


def breaker_pause() -> timedelta:
    """How long an operation that failed again and again is left alone."""
    return timedelta(seconds=settings.CARRIER_BREAKER_OPEN_S)


class PointAnswer(Row):
    """What a carrier answered to a question about pickup points (``shipping.points.points``)."""

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=64, help_text="A digest of account and question.")
    operation = models.CharField(max_length=32)
    question = models.JSONField()
    answer = models.JSONField()
    fetched_at = models.DateTimeField()
    refresh_at = models.DateTimeField(null=True, help_text="When the worker asks again: somebody was told old news.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["credential", "key"], name="one_point_answer")]
        indexes = [
            models.Index(fields=["fetched_at"], name="points_by_age"),
            models.Index(fields=["credential", "fetched_at"], name="points_of_account"),
            models.Index(fields=["refresh_at"], name="points_to_refresh", condition=models.Q(refresh_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.credential_id} {self.operation}"


class CarrierCall(Row):
    """One HTTP exchange with a carrier, secrets and personal data masked. Written whatever happens."""

    class Outcome(models.TextChoices):
        OK = "ok", "answered"
        REFUSED = "refused", "refused (4xx)"
        FAILED = "failed", "carrier failed (5xx)"
        TIMEOUT = "timeout", "no answer in time"
        UNREACHABLE = "unreachable", "not reached"
        BROKEN = "broken", "connection lost or unreadable"

    credential = models.ForeignKey(Credential, null=True, on_delete=models.SET_NULL, related_name="+")
    merchant = models.ForeignKey("apikeys.Merchant", null=True, on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    carrier = models.CharField(max_length=20)
    operation = models.CharField(max_length=32)
    subject_id = models.UUIDField(null=True, help_text="The shipment or pickup that it was about.")
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
            models.Index(fields=["subject_id", "id"], name="call_by_subject"),
            models.Index(fields=["merchant", "mode", "id"], name="call_by_tenant"),
            models.Index(fields=["created_at"], name="call_by_age"),
            models.Index(
                fields=["merchant", "mode", "carrier", "id"],
                condition=models.Q(outcome="ok"),
                name="call_that_worked",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.operation}: {self.outcome}"
