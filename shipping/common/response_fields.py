"""Response serializers, help texts and conversions that several resources share."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

MANIFEST_HELP = "Null if the carrier provides none."
WARNINGS_HELP = "Doubtful data; nothing was changed or refused."


def number(value: Any) -> float | None:
    """Return an amount or a measure as a JSON number."""
    return None if value is None else float(Decimal(str(value)))


class WarningSerializer(serializers.Serializer):
    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()
