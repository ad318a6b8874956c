"""Responses about pickup points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from carriers.types import PickupPoint


class PointAddressSerializer(serializers.Serializer):
    street = serializers.CharField()
    city = serializers.CharField()
    state = serializers.CharField()
    postal_code = serializers.CharField()
    country = serializers.CharField()


class LocationSerializer(serializers.Serializer):
    latitude = serializers.FloatField()
    longitude = serializers.FloatField()


class PickupPointSerializer(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    code = serializers.CharField()
    type = serializers.CharField()
    address = PointAddressSerializer()
    location = LocationSerializer()
    distance_km = serializers.FloatField()
    opening_hours = serializers.DictField(child=serializers.CharField())
    services = serializers.ListField(child=serializers.CharField())
    capacity = serializers.DictField(child=serializers.IntegerField())


@extend_schema_serializer(many=False)
class PickupPointListSerializer(serializers.Serializer):
    status = serializers.CharField()
    count = serializers.IntegerField()
    pickup_points = PickupPointSerializer(many=True)
    as_of = serializers.DateTimeField(help_text="When the carrier answered.")


class PointDetailSerializer(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    code = serializers.CharField()
    type = serializers.CharField()
    active = serializers.BooleanField()
    address = PointAddressSerializer()
    location = LocationSerializer()
    opening_hours = serializers.DictField(child=serializers.CharField())
    services = serializers.ListField(child=serializers.CharField())
    capacity = serializers.DictField(child=serializers.IntegerField())
    accessibility = serializers.DictField(child=serializers.BooleanField())
    images = serializers.ListField(child=serializers.CharField())
    instructions = serializers.CharField()


class PickupPointDetailSerializer(serializers.Serializer):
    status = serializers.CharField()
    pickup_point = PointDetailSerializer()
    as_of = serializers.DateTimeField(help_text="When the carrier answered.")


def pickup_points(points: Sequence[PickupPoint]) -> dict[str, Any]:
    """Render the documented response to a search."""
    return {
        "status": "success",
        "count": len(points),
        "pickup_points": [_point(point) | {"distance_km": point.distance_km} for point in points],
    }


def pickup_point(point: PickupPoint) -> dict[str, Any]:
    """Render the documented response for one point."""
    details = {
        "active": point.active,
        "accessibility": dict(point.accessibility),
        "images": list(point.images),
        "instructions": point.instructions,
    }
    return {"status": "success", "pickup_point": _point(point) | details}


def _point(point: PickupPoint) -> dict[str, Any]:
    address = point.address
    return {
        "id": point.id,
        "name": point.name,
        "code": point.code,
        "type": point.kind,
        "address": {
            "street": address.street,
            "city": address.city,
            "state": address.state,
            "postal_code": address.postal_code,
            "country": address.country,
        },
        "location": {"latitude": point.latitude, "longitude": point.longitude},
        "opening_hours": dict(point.opening_hours),
        "services": list(point.services),
        "capacity": dict(point.capacity),
    }
