"""Requests for quotes and serviceability."""

from __future__ import annotations

from decimal import Decimal

from apikeys.http.fields import IdentifierField, MeasureField
from shipping.common.request_fields import AddressSerializer, PaymentRequestSerializer, PurchaseRequestSerializer
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
            "items",
            "billing_address",
            "warehouse_id",
        ]
    )

    origin = AddressSerializer()
    destination = AddressSerializer()


class ServiceabilityRequestSerializer(PaymentRequestSerializer):
    """``POST /api/v1/serviceability``"""

    carrier = IdentifierField(max_length=40)
    origin = PlaceSerializer()
    destination = PlaceSerializer()
    weight_kg = MeasureField(max_digits=9, decimal_places=3, min_value=Decimal("0.001"), default=Decimal("0.5"))
