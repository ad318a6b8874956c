"""Requests for pickup points."""

from __future__ import annotations

from rest_framework import serializers

from apikeys.http.fields import FloatField, IntegerField


class PointSearchSerializer(serializers.Serializer):
    """A search for pickup points, within the documented bounds."""

    latitude = FloatField(min_value=-90, max_value=90)
    longitude = FloatField(min_value=-180, max_value=180)
    radius_km = FloatField(min_value=0.1, max_value=50, default=5.0)
    limit = IntegerField(min_value=1, max_value=100, default=20)
