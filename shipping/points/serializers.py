"""Requests for pickup points."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class CoordinateField(serializers.FloatField):
    """A finite number of degrees."""

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if value != value or value in (float("inf"), float("-inf")):
            self.fail("invalid")
        return value


class PointSearchSerializer(serializers.Serializer):
    """A search for pickup points, within the documented bounds."""

    latitude = CoordinateField(min_value=-90, max_value=90)
    longitude = CoordinateField(min_value=-180, max_value=180)
    radius_km = CoordinateField(min_value=0.1, max_value=50, default=5.0)
    limit = serializers.IntegerField(min_value=1, max_value=100, default=20)
