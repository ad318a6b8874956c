"""Columns of rate limits."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models


def rate_field(help_text: str) -> models.PositiveIntegerField:
    """Return an optional column for a number of requests."""
    return models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)], help_text=help_text)
