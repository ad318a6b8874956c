"""Reports for merchants: the documented business metrics and carrier performance."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.views import ApiViewSet
from apikeys.api.usage import UsageQuerySerializer
from apikeys.http.fields import CountryField, TextField
from apikeys.models import scopes
from shipping.reports import figures


class BusinessMetricsSerializer(serializers.Serializer):
    total_units = serializers.IntegerField()
    units_by_status = serializers.DictField(child=serializers.IntegerField())
    total_checkpoints = serializers.IntegerField()
    avg_delivery_time = serializers.CharField(allow_null=True, help_text="From first checkpoint to delivery: 2.5 days.")


class PerformanceQuerySerializer(UsageQuerySerializer):
    """``?from=2026-01-01&to=2026-01-31``, days of delivery in UTC, both included; at most 366."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return super().get_fields() | {
            "carrier": TextField(max_length=40, required=False),
            "origin_country": CountryField(required=False),
            "destination_country": CountryField(required=False),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, date]:
        return attrs | super().validate(attrs)


class FiguresSerializer(serializers.Serializer):
    deliveries = serializers.IntegerField()
    promised = serializers.IntegerField(
        help_text="Deliveries for which the carrier, or you in a checkpoint, gave an estimate."
    )
    on_time = serializers.IntegerField(help_text="Promised deliveries that were no later than the first estimate.")
    late = serializers.IntegerField()
    on_time_rate = serializers.FloatField(allow_null=True)
    avg_transit_days = serializers.FloatField(allow_null=True, help_text="From pickup to delivery.")
    median_transit_days = serializers.IntegerField(
        allow_null=True, help_text="Started days from pickup to delivery, at most 365."
    )
    p90_transit_days = serializers.IntegerField(allow_null=True)


class CarrierFiguresSerializer(FiguresSerializer):
    carrier = serializers.CharField(allow_null=True, help_text="Null: tracked by the merchant itself.")


class LaneFiguresSerializer(CarrierFiguresSerializer):
    origin_country = serializers.CharField(allow_null=True)
    destination_country = serializers.CharField(allow_null=True)


class PerformanceSerializer(serializers.Serializer):
    total = FiguresSerializer()
    carriers = CarrierFiguresSerializer(many=True)
    lanes = LaneFiguresSerializer(many=True, help_text="The thousand with the most deliveries.")
    lanes_total = serializers.IntegerField()

    def get_fields(self) -> dict[str, serializers.Field]:
        """``from`` cannot be the name of an attribute."""
        return {"from": serializers.DateField(), "to": serializers.DateField()} | super().get_fields()


class BusinessMetricsViewSet(ApiViewSet):
    """Business metrics of the merchant."""

    scopes: ClassVar = {"retrieve": scopes.REPORTS_READ}

    @extend_schema(responses={200: BusinessMetricsSerializer}, tags=["reports"])
    def retrieve(self, request: Request) -> Response:
        """Units by status, checkpoints and the average delivery time, as of now; of its store for a store's key."""
        self.validate(
            serializers.Serializer, request.query_params
        )  # a filter without effect would return wrong figures
        return Response(figures.business(self.tenant))


class PerformanceViewSet(ApiViewSet):
    """Carrier performance."""

    scopes: ClassVar = {"retrieve": scopes.REPORTS_READ}

    @extend_schema(parameters=[PerformanceQuerySerializer], responses={200: PerformanceSerializer}, tags=["reports"])
    def retrieve(self, request: Request) -> Response:
        """On-time and transit-time figures of deliveries, by carrier and by lane (origin → destination country)."""
        asked = self.validate(PerformanceQuerySerializer, request.query_params)
        return Response(figures.performance(self.tenant, asked))
