"""Responses to requests for quotes and serviceability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework import serializers

from apikeys.http.rendering import rfc3339
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import adapter_class
from carriers.types import Offer, TransitTime
from shipping.common import input_warnings
from shipping.common.conversion import to_builtins
from shipping.common.response_fields import WARNINGS_HELP, WarningSerializer, number
from shipping.models import Quote


class OfferSerializer(serializers.Serializer):
    quote_id = serializers.UUIDField()
    carrier = serializers.CharField()
    service_type = serializers.CharField()
    service_name = serializers.CharField(allow_null=True, help_text="The carrier's name of the service.")
    total_price = serializers.FloatField()
    currency = serializers.CharField()
    price_kind = serializers.ChoiceField(
        choices=["negotiated", "list"], help_text="The price of your contract with the carrier, or its list price."
    )
    co2e_kg = serializers.FloatField(
        allow_null=True, help_text="Kilograms of CO2 equivalent, as the carrier reports them."
    )
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
    carrier = adapter_class(row.carrier)
    return {
        "quote_id": str(row.id),
        "carrier": carrier.name,
        "service_type": offer.service_type,
        "service_name": offer.service_name or carrier.services.get(offer.service_type),
        "total_price": number(offer.total_price),
        "currency": offer.currency,
        "price_kind": offer.price_kind,
        "co2e_kg": number(offer.co2e_kg),
        "transit_days": offer.transit_days,
        "estimated_delivery": rfc3339(offer.estimated_delivery),
        "breakdown": {name: number(amount) for name, amount in offer.breakdown.items()},
        "metadata": {"quote_id": offer.carrier_quote_id} | to_builtins(offer.extras),
    }


class ServiceSerializer(serializers.Serializer):
    service_type = serializers.CharField()
    service_name = serializers.CharField(allow_null=True, help_text="The carrier's name of the service.")
    price = serializers.FloatField(allow_null=True)
    currency = serializers.CharField(allow_null=True)
    transit_days = serializers.IntegerField(allow_null=True)
    metadata = serializers.DictField()


class ServiceabilitySerializer(serializers.Serializer):
    carrier = serializers.CharField()
    is_serviceable = serializers.BooleanField()
    services = ServiceSerializer(many=True)
    reason = serializers.CharField(allow_null=True, help_text="Why the route is not served, in the carrier's words.")


def serviceability(carrier: type[CarrierAdapter], offers: Sequence[Offer], reason: str) -> dict[str, Any]:
    """Render whether a carrier serves a route, and its services."""
    return {
        "carrier": carrier.name,
        "is_serviceable": bool(offers),
        "services": [_service(carrier, offer) for offer in offers],
        "reason": reason or None,
    }


def _service(carrier: type[CarrierAdapter], offer: Offer) -> dict[str, Any]:
    return {
        "service_type": offer.service_type,
        "service_name": offer.service_name or carrier.services.get(offer.service_type),
        "price": number(offer.total_price),
        "currency": offer.currency or None,
        "transit_days": offer.transit_days,
        "metadata": to_builtins(offer.extras),
    }


class TransitTimeSerializer(serializers.Serializer):
    service_type = serializers.CharField()
    service_name = serializers.CharField(allow_null=True, help_text="The carrier's name of the service.")
    days = serializers.IntegerField(allow_null=True, help_text="Working days.")
    delivers_at = serializers.DateTimeField(allow_null=True)
    book_until = serializers.DateTimeField(allow_null=True, help_text="Latest time to book this delivery.")


class TransitTimesSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    transit_times = TransitTimeSerializer(many=True, help_text="Empty if the carrier does not serve the route.")


def transit_times(carrier: type[CarrierAdapter], found: Sequence[TransitTime]) -> dict[str, Any]:
    """Render how long each service of a carrier takes."""
    return {
        "carrier": carrier.name,
        "transit_times": [
            {
                "service_type": one.service_type,
                "service_name": carrier.services.get(one.service_type),
                "days": one.days,
                "delivers_at": rfc3339(one.delivers_at),
                "book_until": rfc3339(one.book_until),
            }
            for one in found
        ],
    }
