"""Service coverage: serializers and endpoint."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.http.fields import CountryField, TextField
from apikeys.models import scopes
from carriers.api.base import CARRIER, CarrierViewSet
from carriers.types.countries import needs_postal_code


class CoverageSearchSerializer(serializers.Serializer):
    """The location whose coverage is requested."""

    postal_code = TextField(
        max_length=20, required=False, default="", help_text="Required where the country's addresses have one."
    )
    city = TextField(max_length=100)
    country = CountryField(default="US")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        country = attrs["country"]
        if not attrs["postal_code"] and needs_postal_code(country):
            raise serializers.ValidationError({"postal_code": [_("Addresses in %s need a postal code.") % country]})
        return attrs


class CoverageSerializer(serializers.Serializer):
    postal_code = serializers.CharField()
    city = serializers.CharField()
    country = serializers.CharField()
    service_available = serializers.BooleanField()
    service_types = serializers.ListField(child=serializers.CharField())
    estimated_transit_days = serializers.DictField(child=serializers.IntegerField())
    nearby_pickup_points = serializers.IntegerField()
    coverage_quality = serializers.CharField()
    restrictions = serializers.ListField(child=serializers.CharField())
    surcharges = serializers.DictField(child=serializers.BooleanField())


class ServiceCoverageSerializer(serializers.Serializer):
    status = serializers.CharField()
    coverage = CoverageSerializer()


class CoverageViewSet(CarrierViewSet):
    """Where a carrier delivers."""

    scopes: ClassVar = {"retrieve": scopes.SHIPMENTS_READ}

    @extend_schema(
        parameters=[CARRIER, CoverageSearchSerializer],
        responses={200: ServiceCoverageSerializer},
        tags=["coverage"],
    )
    def retrieve(self, request: Request, carrier: str = "") -> Response:
        """Show whether and how the carrier serves a location."""
        _credential, adapter = self.open_carrier(request, carrier)
        location = self.validate(CoverageSearchSerializer, request.query_params)
        found = adapter.coverage(**location)
        coverage = {
            "postal_code": found.postal_code,
            "city": found.city,
            "country": found.country,
            "service_available": found.service_available,
            "service_types": list(found.service_types),
            "estimated_transit_days": dict(found.estimated_transit_days),
            "nearby_pickup_points": found.nearby_pickup_points,
            "coverage_quality": found.coverage_quality,
            "restrictions": list(found.restrictions),
            "surcharges": dict(found.surcharges),
        }
        return Response({"status": "success", "coverage": coverage})
