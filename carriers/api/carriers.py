"""Carriers, their health and their rate limits: serializers and endpoints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.views import ApiViewSet
from apikeys.db.tenancy import Mode
from apikeys.http.rendering import rfc3339
from apikeys.models import scopes
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import adapter_class
from carriers.api import overview
from carriers.api.overview import Overview
from carriers.credentials import checks, selection
from carriers.credentials.fields import require_fields
from carriers.http import rate_limits
from carriers.models import ENVIRONMENT_OF_MODE, Environment


class CarrierHealthSerializer(serializers.Serializer):
    status = serializers.ChoiceField(choices=["up", "failing", "down", "unknown"])
    open_breakers = serializers.ListField(
        child=serializers.CharField(), help_text="Operations that are not sent now, because the last calls failed."
    )
    last_success_at = serializers.DateTimeField(
        allow_null=True, help_text="Last successful call of your requests, however long ago."
    )
    calls = serializers.IntegerField(help_text="Calls of your requests in the last hour.")
    error_rate = serializers.FloatField(
        allow_null=True, help_text="Share of these calls that the carrier did not answer or answered with 5xx."
    )
    latency_ms = serializers.IntegerField(allow_null=True, help_text="Mean of the answered calls.")
    latency_p95_ms = serializers.IntegerField(
        allow_null=True,
        help_text="95 % of the answered calls of your requests in the last 24 hours took no longer (the latest 1,000).",
    )
    availability = serializers.FloatField(
        allow_null=True,
        help_text="Share of the calls of your requests in the last 30 days (the latest 100,000) that the carrier "
        "answered, other than with 5xx. These two figures can be a minute old.",
    )


class CarrierSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    name = serializers.CharField()
    capabilities = serializers.ListField(child=serializers.CharField())
    services = serializers.DictField(child=serializers.CharField())
    payment_methods = serializers.ListField(child=serializers.CharField())
    currencies = serializers.ListField(
        child=serializers.CharField(), help_text="The only currencies that this carrier accepts; empty: any."
    )
    countries = serializers.ListField(
        child=serializers.CharField(), help_text="The only countries that it serves; empty: not limited by Waybill."
    )
    label_formats = serializers.ListField(child=serializers.CharField())
    label_sizes = serializers.ListField(child=serializers.CharField())
    credential = serializers.ChoiceField(
        choices=["own", "platform", "none"], help_text="The credential that your requests use."
    )
    credential_refused_at = serializers.DateTimeField(
        allow_null=True, help_text="Time since which the carrier has refused the login with that credential."
    )
    health = CarrierHealthSerializer()


class CarrierListSerializer(serializers.Serializer):
    carriers = CarrierSerializer(many=True)


class CarrierLimitsSerializer(serializers.Serializer):
    max_parcels = serializers.IntegerField(help_text="Parcels of one shipment.")


class CarrierEnvironmentSerializer(serializers.Serializer):
    environment = serializers.ChoiceField(choices=Environment.choices)
    mode = serializers.ChoiceField(choices=Mode.choices, help_text="Of the API keys that use it.")
    simulated = serializers.BooleanField(
        help_text="The carrier has no test environment; requests go to the simulated carrier."
    )


class CarrierDetailSerializer(CarrierSerializer):
    credential_schema = serializers.DictField()
    report_kinds = serializers.ListField(child=serializers.CharField())
    environments = CarrierEnvironmentSerializer(many=True)
    default_service = serializers.CharField(
        allow_null=True, help_text="The service of orders that name none; null: labels must name one."
    )
    served_options = serializers.ListField(
        child=serializers.CharField(), help_text="The fields of `options` that the carrier serves."
    )
    options_schema = serializers.DictField(help_text="JSON Schema (2020-12) of `options.carrier`.")
    limits = CarrierLimitsSerializer()


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
    per = serializers.ChoiceField(choices=["second", "minute", "hour", "day"])
    remaining = serializers.IntegerField()
    reset = serializers.DateTimeField()


class RateLimitSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    credential_id = serializers.UUIDField()
    limits = EndpointLimitSerializer(many=True)


class CarrierListViewSet(ApiViewSet):
    """All carriers, as the merchant's requests use them."""

    scopes: ClassVar = dict.fromkeys(("list", "retrieve", "health", "rate_limit"), scopes.SHIPMENTS_READ)

    @extend_schema(responses={200: CarrierListSerializer}, tags=["carriers"])
    def list(self, request: Request) -> Response:
        """List all carriers: capabilities, the credential that your requests use, and health over the last hour."""
        self.validate(serializers.Serializer, request.query_params)
        return Response({"carriers": [carrier_data(one) for one in overview.describe_all(self.tenant)]})

    @extend_schema(responses={200: CarrierDetailSerializer}, tags=["carriers"])
    def retrieve(self, request: Request, carrier: str) -> Response:
        """Show one carrier, with its options, its limits and the fields of its credential as JSON Schema."""
        found = overview.describe_one(self.tenant, carrier)
        return Response(carrier_data(found) | carrier_details(found.adapter))

    @extend_schema(responses={200: CredentialHealthSerializer, 503: CredentialHealthSerializer}, tags=["carriers"])
    def health(self, request: Request, carrier: str) -> Response:
        """Check the credential that your requests use by calling the carrier; 503 if a check fails."""
        results = checks.check_health(self.tenant, carrier)
        healthy = all(results.values())
        code = status.HTTP_200_OK if healthy else status.HTTP_503_SERVICE_UNAVAILABLE
        return Response({"healthy": healthy, "checks": results, "timestamp": rfc3339(timezone.now())}, status=code)

    @extend_schema(responses={200: RateLimitSerializer}, tags=["carriers"])
    def rate_limit(self, request: Request, carrier: str) -> Response:
        """Show the unused part of the carrier's rate limits for the credential that your requests use."""
        credential = selection.select_credential(self.tenant, carrier)
        owner = require_fields(credential).platform or credential
        limits = [asdict(one) | {"reset": rfc3339(one.reset)} for one in rate_limits.read_rates(owner)]
        name = adapter_class(credential.carrier).name
        return Response({"carrier": name, "credential_id": str(credential.id), "limits": limits})


def carrier_data(found: Overview) -> dict[str, Any]:
    """Return a carrier as documented for ``GET /api/v1/carriers``."""
    adapter = found.adapter
    return {
        "carrier": adapter.slug,
        "name": adapter.name,
        "capabilities": list(adapter.capabilities()),
        "services": dict(adapter.services),
        "payment_methods": list(adapter.payment_methods),
        "currencies": list(adapter.currencies),
        "countries": list(adapter.countries),
        "label_formats": list(adapter.label_formats),
        "label_sizes": list(adapter.label_sizes),
        "credential": found.credential,
        "credential_refused_at": rfc3339(found.refused_at),
        "health": asdict(found.health) | {"last_success_at": rfc3339(found.health.last_success_at)},
    }


def carrier_details(adapter: type[CarrierAdapter]) -> dict[str, Any]:
    """Return what ``GET /api/v1/carriers/{carrier}`` adds about one carrier."""
    return {
        "credential_schema": adapter.credential_schema,
        "report_kinds": list(adapter.report_kinds),
        "environments": [
            {
                "environment": environment.value,
                "mode": mode.value,
                "simulated": not getattr(adapter.apis["main"], environment.value),
            }
            for mode, environment in ENVIRONMENT_OF_MODE.items()
        ],
        "default_service": adapter.default_service or None,
        "served_options": list(adapter.served_options),
        "options_schema": adapter.options_schema,
        "limits": {"max_parcels": adapter.max_parcels},
    }
