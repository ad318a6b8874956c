"""Responses to requests for quotes and serviceability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework import serializers

from apikeys.http.rendering import rfc3339
from carriers.adapters.registry import adapter_class
from carriers.types import Offer
from shipping.common import input_warnings
from shipping.common.conversion import to_builtins
from shipping.common.response_fields import WARNINGS_HELP, WarningSerializer, number
from shipping.models import Quote


class OfferSerializer(serializers.Serializer):
    quote_id = serializers.UUIDField()
    carrier = serializers.CharField()
    service_type = serializers.CharField()
    total_price = serializers.FloatField()
    currency = serializers.CharField()
    transit_days = serializers.IntegerField(allow_null=True)
    estimated_delivery = serializers.DateTimeField(allow_null=True)
    breakdown = serializers.DictField(child=serializers.FloatField())
    metadata = serializers.DictField()


class QuoteSerializer(OfferSerializer):
    offers = OfferSerializer(many=True)
    warnings = WarningSerializer(many=True, help_text=WARNINGS_HELP)


def quote(offers: Sequence[tuple[Quote, Offer]], route: Mapping[str, Any]) -> dict[str, Any]:
    """Render the best offer as documented, and all of them in ``offers``."""
    shown = [_offer(row, offer) for row, offer in offers]
    return shown[0] | {"offers": shown, "warnings": input_warnings.check_request(route)}


def _offer(row: Quote, offer: Offer) -> dict[str, Any]:
    return {
        "quote_id": str(row.id),
        "carrier": adapter_class(row.carrier).name,
        "service_type": offer.service_type,
        "total_price": number(offer.total_price),
        "currency": offer.currency,
        "transit_days": offer.transit_days,
        "estimated_delivery": rfc3339(offer.estimated_delivery),
        "breakdown": {name: number(amount) for name, amount in offer.breakdown.items()},
        "metadata": {"quote_id": offer.carrier_quote_id} | to_builtins(offer.extras),
    }


class ServiceSerializer(serializers.Serializer):
    service_type = serializers.CharField()
    price = serializers.FloatField(allow_null=True)
    currency = serializers.CharField(allow_null=True)
    transit_days = serializers.IntegerField(allow_null=True)
    metadata = serializers.DictField()


class ServiceabilitySerializer(serializers.Serializer):
    carrier = serializers.CharField()
    is_serviceable = serializers.BooleanField()
    services = ServiceSerializer(many=True)
    reason = serializers.CharField(allow_null=True, help_text="Why the route is not served, in the carrier's words.")


def serviceability(carrier: str, offers: Sequence[Offer], reason: str) -> dict[str, Any]:
    """Render whether a carrier serves a route, and its services."""
    return {
        "carrier": carrier,
        "is_serviceable": bool(offers),
        "services": [_service(offer) for offer in offers],
        "reason": reason or None,
    }


def _service(offer: Offer) -> dict[str, Any]:
    return {
        "service_type": offer.service_type,
        "price": number(offer.total_price),
        "currency": offer.currency or None,
        "transit_days": offer.transit_days,
        "metadata": to_builtins(offer.extras),
    }
