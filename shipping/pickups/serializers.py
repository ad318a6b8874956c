"""Requests for pickups."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apikeys.http.fields import IdentifierField, IntegerField, MeasureField, MomentField, TextField
from apikeys.http.pagination import PageSerializer
from shipping.common.request_fields import LowerCaseChoiceField, StreetAddressSerializer
from shipping.models import Pickup

HHMM = RegexValidator(r"^([01]\d|2[0-3]):[0-5]\d$", _("A time of day is expected, like 10:00."))


class PickupRequestSerializer(serializers.Serializer):
    """``POST /api/v1/pickups``"""

    carrier = IdentifierField(max_length=40)
    pickup_date = MomentField()
    pickup_window_start = TextField(max_length=5, validators=[HHMM])
    pickup_window_end = TextField(max_length=5, validators=[HHMM])
    address = StreetAddressSerializer()
    contact_name = TextField(max_length=100, required=False, allow_blank=True)
    contact_phone = TextField(max_length=40, required=False, allow_blank=True)
    contact_email = TextField(max_length=254, required=False, allow_blank=True)
    packages_count = IntegerField(min_value=1, max_value=10_000)
    total_weight_kg = MeasureField(max_digits=10, decimal_places=3, min_value=Decimal("0.001"), required=False)
    special_instructions = TextField(max_length=500, required=False, allow_blank=True)
    shipment_ids = serializers.ListField(child=IdentifierField(max_length=64), max_length=500, default=list)

    additional = serializers.BooleanField(
        default=False, help_text="Collect shipments that another open pickup collects already."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["pickup_window_end"] <= attrs["pickup_window_start"]:
            raise serializers.ValidationError({"pickup_window_end": [_("The window ends before it starts.")]})
        return attrs


class PickupWindowsRequestSerializer(serializers.Serializer):
    """``POST /api/v1/pickup-windows``"""

    # A pickup's request may be sent for its times.
    unread = frozenset(
        [
            "pickup_window_start",
            "pickup_window_end",
            "contact_name",
            "contact_phone",
            "contact_email",
            "special_instructions",
            "additional",
        ]
    )
    carrier = IdentifierField(max_length=40)
    pickup_date = MomentField(help_text="The first day that suits you.")
    address = StreetAddressSerializer()
    packages_count = IntegerField(min_value=1, max_value=10_000, default=1)
    total_weight_kg = MeasureField(max_digits=10, decimal_places=3, min_value=Decimal("0.001"), required=False)
    shipment_ids = serializers.ListField(child=IdentifierField(max_length=64), max_length=500, default=list)


class PickupListSerializer(PageSerializer):
    """``GET /api/v1/pickups``"""

    status = LowerCaseChoiceField(choices=Pickup.State.choices, required=False)
    carrier = IdentifierField(max_length=40, required=False)
    scheduled_from = MomentField(required=False)
    scheduled_to = MomentField(required=False)
