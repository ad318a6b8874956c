"""Parts of responses that several resources share."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

MANIFEST = "Null where the carrier gives out none."
ODD = "What looks wrong with the data; nothing was changed or refused."


def number(value: Any) -> float | None:
    """Money and measures are JSON numbers on the wire."""
    return None if value is None else float(Decimal(str(value)))


class WarningSerializer(serializers.Serializer):
    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()
