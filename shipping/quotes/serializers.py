"""Requests for quotes and serviceability."""

from __future__ import annotations

from decimal import Decimal

from rest_framework import serializers

from apikeys.http.fields import TextField
from shipping.common.request_fields import AddressSerializer, PaymentRequestSerializer, PurchaseRequestSerializer
from shipping.warehouses.serializers import PlaceSerializer


class QuoteRequestSerializer(PurchaseRequestSerializer):
    """``POST /api/v1/quotes``"""

    origin = AddressSerializer()
    destination = AddressSerializer()


class ServiceabilityRequestSerializer(PaymentRequestSerializer):
    """``POST /api/v1/serviceability``"""

    carrier = TextField(max_length=40)
    origin = PlaceSerializer()
    destination = PlaceSerializer()
    weight_kg = serializers.DecimalField(
        max_digits=9, decimal_places=3, min_value=Decimal("0.001"), default=Decimal("0.5")
    )
