"""The numbers that have been given out."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class IssuedNumber(models.Model):
    """A tracking number and the request that it belongs to; written once, never changed."""

    number = models.CharField(primary_key=True, max_length=16)
    # SHA-256 of the request with its correlation id. Unique on its own, so that a repeated request finds its number
    # also after the secret has been changed.
    fingerprint = models.CharField(max_length=64)
    secret_version = models.CharField(max_length=16)
    correlation_id = models.CharField(max_length=64)
    customer_id = models.UUIDField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-created_at"]
        # A constraint and not unique=True, which on PostgreSQL brings a second index for LIKE along.
        constraints = [models.UniqueConstraint(fields=["fingerprint"], name="tracking_number_of_request")]

    def __str__(self) -> str:
        return self.number
