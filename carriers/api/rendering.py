"""What merchants are answered about pickup points, coverage and reports: each documented shape with its serializer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from apikeys.http.rendering import rfc3339
from carriers.adapters.registry import adapter_class
from carriers.api.overview import Overview
from carriers.http.rate_limits import Budget
from carriers.models import Credential
from carriers.types import Coverage, Report, ReportRequest


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


def coverage(place: Coverage) -> dict[str, Any]:
    """A place's coverage, as documented."""
    return {
        "status": "success",
        "coverage": {
            "postal_code": place.postal_code,
            "city": place.city,
            "country": place.country,
            "service_available": place.service_available,
            "service_types": list(place.service_types),
            "estimated_transit_days": dict(place.estimated_transit_days),
            "nearby_pickup_points": place.nearby_pickup_points,
            "coverage_quality": place.coverage_quality,
            "restrictions": list(place.restrictions),
            "surcharges": dict(place.surcharges),
        },
    }


class ReportSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    kind = serializers.CharField()
    since = serializers.DateField()
    until = serializers.DateField()
    rows = serializers.ListField(child=serializers.DictField())
    totals = serializers.DictField()


def report(carrier: str, asked: ReportRequest, found: Report) -> dict[str, Any]:
    """A carrier's own figures, as it writes them."""
    return {
        "carrier": carrier,
        "kind": found.kind,
        "since": asked.since.isoformat(),
        "until": asked.until.isoformat(),
        "rows": list(found.rows),
        "totals": found.totals,
    }


class CarrierHealthSerializer(serializers.Serializer):
    status = serializers.ChoiceField(choices=["up", "failing", "down", "unknown"])
    open_breakers = serializers.ListField(
        child=serializers.CharField(), help_text="Operations that are not asked for now."
    )
    last_success_at = serializers.DateTimeField(allow_null=True, help_text="Of your requests, however long ago.")
    calls = serializers.IntegerField(help_text="Of your requests in the last hour.")
    error_rate = serializers.FloatField(allow_null=True, help_text="Share that the carrier failed to answer.")
    latency_ms = serializers.IntegerField(allow_null=True, help_text="Mean.")


class CarrierSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    name = serializers.CharField()
    capabilities = serializers.ListField(child=serializers.CharField())
    services = serializers.DictField(child=serializers.CharField())
    payment_methods = serializers.ListField(child=serializers.CharField())
    currencies = serializers.ListField(
        child=serializers.CharField(), help_text="The only ones of the amounts sent to this carrier; empty: any."
    )
    countries = serializers.ListField(
        child=serializers.CharField(), help_text="The only ones that it serves; empty: it says itself."
    )
    label_formats = serializers.ListField(child=serializers.CharField())
    label_sizes = serializers.ListField(child=serializers.CharField())
    credential = serializers.ChoiceField(choices=["own", "platform", "none"])
    credential_refused_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when the carrier refuses to log that account in."
    )
    health = CarrierHealthSerializer()


class CarrierListSerializer(serializers.Serializer):
    carriers = CarrierSerializer(many=True)


class CarrierDetailSerializer(CarrierSerializer):
    credential_schema = serializers.DictField()
    report_kinds = serializers.ListField(child=serializers.CharField())


def carrier(one: Overview) -> dict[str, Any]:
    """What a carrier can, which account is used, and its health."""
    kind = one.adapter
    return {
        "carrier": kind.slug,
        "name": kind.name,
        "capabilities": list(kind.capabilities()),
        "services": dict(kind.services),
        "payment_methods": list(kind.payment_methods),
        "currencies": list(kind.currencies),
        "countries": list(kind.countries),
        "label_formats": list(kind.label_formats),
        "label_sizes": list(kind.label_sizes),
        "credential": one.credential,
        "credential_refused_at": rfc3339(one.refused_at),
        "health": asdict(one.health) | {"last_success_at": rfc3339(one.health.last_success_at)},
    }


def carrier_detail(one: Overview) -> dict[str, Any]:
    """The same with what an account consists of."""
    more = {"credential_schema": one.adapter.credential_schema, "report_kinds": list(one.adapter.report_kinds)}
    return carrier(one) | more


class ChecksSerializer(serializers.Serializer):
    authentication = serializers.BooleanField()
    api_connectivity = serializers.BooleanField()
    webhook_endpoint = serializers.BooleanField()
    database = serializers.BooleanField()


class CredentialHealthSerializer(serializers.Serializer):
    healthy = serializers.BooleanField()
    checks = ChecksSerializer()
    timestamp = serializers.DateTimeField()


class EndpointLimitSerializer(serializers.Serializer):
    endpoint = serializers.CharField()
    operations = serializers.ListField(child=serializers.CharField())
    limit = serializers.IntegerField()
    per = serializers.ChoiceField(choices=["second", "minute", "hour"])
    remaining = serializers.IntegerField()
    reset = serializers.DateTimeField()


class RateLimitSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    credential_id = serializers.UUIDField()
    limits = EndpointLimitSerializer(many=True)


def rate_limit(credential: Credential, found: Sequence[Budget]) -> dict[str, Any]:
    """What is left of a carrier's limits."""
    return {
        "carrier": adapter_class(credential.carrier).name,
        "credential_id": str(credential.id),
        "limits": [asdict(one) | {"reset": rfc3339(one.reset)} for one in found],
    }
