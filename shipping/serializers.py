"""What merchants send: every documented request, its bounds and its defaults."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.fields import CountryField, MomentField, TextField
from carriers.types import Status
from shipping.services.posting import POSTABLE

MAX_PACKAGES = 100
HHMM = RegexValidator(r"^([01]\d|2[0-3]):[0-5]\d$", _("A time of day is expected, like 10:00."))


class AddressSerializer(serializers.Serializer):
    """A place that is known well enough for a price."""

    company = TextField(max_length=100, required=False, allow_blank=True)
    contact_name = TextField(max_length=100, required=False, allow_blank=True)
    contact_phone = TextField(max_length=40, required=False, allow_blank=True)
    contact_email = TextField(max_length=254, required=False, allow_blank=True)
    street = TextField(max_length=200, required=False, allow_blank=True)
    city = TextField(max_length=100)
    state = TextField(max_length=60, required=False, allow_blank=True)
    postal_code = TextField(max_length=20)
    country = CountryField()


class StreetAddressSerializer(AddressSerializer):
    """A place that a parcel can be sent from or to."""

    street = TextField(max_length=200)


class PackageSerializer(serializers.Serializer):
    """One parcel: kilograms and centimetres."""

    weight_kg = serializers.DecimalField(max_digits=9, decimal_places=3, min_value=Decimal("0.001"))
    length_cm = serializers.DecimalField(max_digits=8, decimal_places=2, min_value=Decimal("0.01"), required=False)
    width_cm = serializers.DecimalField(max_digits=8, decimal_places=2, min_value=Decimal("0.01"), required=False)
    height_cm = serializers.DecimalField(max_digits=8, decimal_places=2, min_value=Decimal("0.01"), required=False)
    declared_value = serializers.DecimalField(max_digits=12, decimal_places=2, min_value=Decimal(0), required=False)
    currency = TextField(max_length=3, min_length=3, required=False)
    description = TextField(max_length=200, required=False, allow_blank=True)


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {},
        "properties": {
            "pickup_point_id": {"type": "string", "maxLength": 64},
            "customer_reference": {"type": "string", "maxLength": 100},
        },
    }
)
class MetadataField(serializers.JSONField):
    """An object of the merchant's own; ``pickup_point_id`` and ``customer_reference`` are ours to read."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError(_("An object is expected."))
        for name, limit in (("pickup_point_id", 64), ("customer_reference", 100)):
            value = data.get(name, "")
            if value is None or not isinstance(value, str) or len(value) > limit:
                raise serializers.ValidationError({name: [_("A text of at most %d characters is expected.") % limit]})
        return super().to_internal_value(data)


class _ShipmentRequestSerializer(serializers.Serializer):
    carrier = TextField(max_length=40)
    packages = PackageSerializer(many=True, allow_empty=False, max_length=MAX_PACKAGES)
    service_type = TextField(max_length=40, default="standard")
    metadata = MetadataField(default=dict)


class QuoteRequestSerializer(_ShipmentRequestSerializer):
    """``POST /api/v1/quotes``"""

    origin = AddressSerializer()
    destination = AddressSerializer()


class LabelRequestSerializer(_ShipmentRequestSerializer):
    """``POST /api/v1/labels``"""

    order_id = TextField(max_length=100)
    origin = StreetAddressSerializer()
    destination = StreetAddressSerializer()
    label_format = TextField(max_length=8, default="PDF")
    label_size = TextField(max_length=8, default="4x6")
    additional = serializers.BooleanField(default=False, help_text="Buy another shipment for an order that has one.")


class TrackingRequestSerializer(serializers.Serializer):
    """``POST /api/v1/tracking``"""

    carrier = TextField(max_length=40)
    tracking_number = TextField(min_length=5, max_length=50)


class CancelRequestSerializer(serializers.Serializer):
    """``POST …/cancel``"""

    reason = TextField(max_length=500, required=False, allow_blank=True, default="")


class PickupRequestSerializer(serializers.Serializer):
    """``POST /api/v1/pickups``"""

    carrier = TextField(max_length=40)
    pickup_date = MomentField()
    pickup_window_start = TextField(max_length=5, validators=[HHMM])
    pickup_window_end = TextField(max_length=5, validators=[HHMM])
    address = StreetAddressSerializer()
    contact_name = TextField(max_length=100, required=False, allow_blank=True)
    contact_phone = TextField(max_length=40, required=False, allow_blank=True)
    contact_email = TextField(max_length=254, required=False, allow_blank=True)
    packages_count = serializers.IntegerField(min_value=1, max_value=10_000)
    total_weight_kg = serializers.DecimalField(
        max_digits=10, decimal_places=3, min_value=Decimal("0.001"), required=False
    )
    special_instructions = TextField(max_length=500, required=False, allow_blank=True)
    shipment_ids = serializers.ListField(child=TextField(max_length=64), max_length=500, default=list)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["pickup_window_end"] <= attrs["pickup_window_start"]:
            raise serializers.ValidationError({"pickup_window_end": [_("The window ends before it starts.")]})
        return attrs


class StatusField(TextField):
    """One of the states, in any case; lower case inside."""

    def __init__(self, *, states: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(max_length=20, **kwargs)
        self.states = states

    def to_internal_value(self, data: Any) -> str:
        status = super().to_internal_value(data).lower()
        if status not in self.states:
            known = ", ".join(state.upper() for state in self.states)
            raise serializers.ValidationError(_("The status must be one of: %s") % known)
        return status


class StatusFieldSchema(OpenApiSerializerFieldExtension):
    """How the documents show the states, in the case in which they are answered."""

    target_class = StatusField

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"type": "string", "enum": [state.upper() for state in self.target.states]}


class CheckpointRequestSerializer(serializers.Serializer):
    """``POST /api/v1/checkpoints``"""

    tracking_id = TextField(
        min_length=6,
        max_length=50,
        validators=[
            RegexValidator(r"^[^\s/\\?#%]+$", _("Blanks, slashes, ?, # and percent signs cannot stand in it."))
        ],
        error_messages={"min_length": _("The tracking ID must have at least {min_length} characters.")},
    )
    status = StatusField(states=POSTABLE)
    location = TextField(max_length=200)
    description = TextField(max_length=500)
    timestamp = MomentField()


class ShipmentListSerializer(serializers.Serializer):
    """The query of ``GET /api/v1/shipments``."""

    status = StatusField(states=tuple(Status), required=False)
    carrier = TextField(max_length=40, required=False)
    order_id = TextField(max_length=100, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=100, default=50)
    offset = serializers.IntegerField(min_value=0, max_value=100_000, default=0)
