"""Requests for quotes and serviceability."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from apikeys.http.fields import IdentifierField, MeasureField
from shipping.common.detail_fields import OptionsSerializer
from shipping.common.order_fields import (
    PaymentRequestSerializer,
    PurchaseRequestSerializer,
    ShipTimeField,
    find_problems,
)
from shipping.common.request_fields import SERVICE_HELP, AddressSerializer
from shipping.warehouses.serializers import PlaceSerializer


class QuoteRequestSerializer(PurchaseRequestSerializer):
    """``POST /api/v1/quotes``"""

    # A label's request may be sent for its price.
    unread = frozenset(
        [
            "order_id",
            "waybill_number",
            "label_format",
            "label_size",
            "additional",
            "billing_address",
            "return_address",
            "warehouse_id",
            "wanted_documents",
            "attachments",
        ]
    )

    service_type = IdentifierField(
        max_length=40, required=False, allow_null=True, help_text=f"{SERVICE_HELP} Null: any service."
    )
    origin = AddressSerializer()
    destination = AddressSerializer()


class TransitTimesRequestSerializer(QuoteRequestSerializer):
    """``POST /api/v1/transit-times``"""

    service_type = IdentifierField(
        max_length=40, required=False, allow_null=True, default=None, help_text="Default: all services."
    )


class ServiceabilityRequestSerializer(PaymentRequestSerializer):
    """``POST /api/v1/serviceability``"""

    carrier = IdentifierField(max_length=40)
    origin = PlaceSerializer()
    destination = PlaceSerializer()
    weight_kg = MeasureField(max_digits=9, decimal_places=3, min_value=Decimal("0.001"), default=Decimal("0.5"))
    options = OptionsSerializer(required=False)
    ship_at = ShipTimeField(required=False, help_text="When the parcel is handed over. Default: now.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if problems := dict(find_problems(attrs, [attrs["weight_kg"]])):
            raise serializers.ValidationError(problems)
        return attrs
