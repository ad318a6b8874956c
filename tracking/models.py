"""Issued tracking numbers."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class IssuedNumber(models.Model):
    """A tracking number and the request that it was issued for. Rows are never changed."""

    number = models.CharField(primary_key=True, max_length=16)
    # SHA-256 of the request and its correlation id. It is unique, so that a repeated request gets its number even
    # after the secret has changed.
    fingerprint = models.CharField(max_length=64)
    secret_version = models.CharField(max_length=16)
    correlation_id = models.CharField(max_length=64)
    customer_id = models.UUIDField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-created_at"]
        # A constraint instead of unique=True, because the latter adds a second index (for LIKE) on PostgreSQL.
        constraints = [models.UniqueConstraint(fields=["fingerprint"], name="tracking_number_of_request")]
        indexes = [
            models.Index(fields=["customer_id", "created_at"], name="issued_number_by_customer"),
            models.Index(fields=["correlation_id", "created_at"], name="issued_by_correlation"),
        ]

    def __str__(self) -> str:
        return self.number
