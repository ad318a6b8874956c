"""What merchants send: every documented request, its bounds and its defaults."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.core.validators import RegexValidator
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.http.fields import CountryField
from apikeys.http.fields import CurrencyField
from apikeys.http.fields import MomentField
from apikeys.http.fields import TextField
from apikeys.models import Store
from apikeys.http.pagination import PageSerializer
from carriers.types import PaymentMethod, Status
from shipping.models import Pickup
from shipping.common.lookup import is_id
from shipping.checkpoints.posting import POSTABLE
from tracking import numbers

MAX_PACKAGES = 100
MAX_ITEMS = 500
MAX_TRACKED = 50  # at once; one call at a carrier that is asked for many
HHMM = RegexValidator(r"^([01]\d|2[0-3]):[0-5]\d$", _("A time of day is expected, like 10:00."))


def is_generated(number: str) -> None:
    """Raises ``ValidationError`` for what our generator cannot have given out."""
    if not (numbers.check(number) or numbers.check_s10(number)):
        raise serializers.ValidationError(_("This is no number of the generator: its check character is wrong."))


class LowerCaseChoiceField(serializers.ChoiceField):
    """One of the choices, in any case."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data.lower() if isinstance(data, str) else data)


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
    currency = CurrencyField(required=False)
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


class ItemSerializer(serializers.Serializer):
    """One line of the order; prices are for one unit, in the request's ``currency``."""

    name = TextField(max_length=200)
    quantity = serializers.IntegerField(min_value=1, max_value=100_000, default=1)
    sku = TextField(max_length=64, required=False, allow_blank=True)
    unit_price = serializers.DecimalField(max_digits=12, decimal_places=2, min_value=Decimal(0), default=Decimal(0))
    discount = serializers.DecimalField(max_digits=12, decimal_places=2, min_value=Decimal(0), default=Decimal(0))
    tax = serializers.DecimalField(max_digits=12, decimal_places=2, min_value=Decimal(0), default=Decimal(0))
    hs_code = TextField(max_length=14, required=False, allow_blank=True)
    origin_country = CountryField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["discount"] > attrs["unit_price"] * attrs["quantity"]:
            raise serializers.ValidationError({"discount": [_("The discount is more than the price.")]})
        return attrs


class _PaymentSerializer(serializers.Serializer):
    """Who pays for the goods: prepaid, or cash on delivery with the amount that the carrier collects."""

    payment_method = LowerCaseChoiceField(choices=[one.value for one in PaymentMethod], default="prepaid")
    cod_amount = serializers.DecimalField(
        max_digits=12, decimal_places=2, min_value=Decimal("0.01"), required=False, help_text="With cod only."
    )
    currency = CurrencyField(required=False, help_text="ISO 4217, of the items and the amount to collect.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        is_cod = attrs.get("payment_method") == PaymentMethod.COD
        if is_cod and "cod_amount" not in attrs:
            raise serializers.ValidationError({"cod_amount": [_("Cash on delivery needs the amount to collect.")]})
        if not is_cod and "cod_amount" in attrs:
            raise serializers.ValidationError({"cod_amount": [_("There is nothing to collect without cod.")]})
        return attrs


class _ShipmentRequestSerializer(_PaymentSerializer):
    carrier = TextField(max_length=40)
    packages = PackageSerializer(many=True, allow_empty=False, max_length=MAX_PACKAGES)
    service_type = TextField(max_length=40, default="standard")
    metadata = MetadataField(default=dict)
    mute_warnings = serializers.BooleanField(default=False, help_text="Answer without warnings about odd data.")


class QuoteRequestSerializer(_ShipmentRequestSerializer):
    """``POST /api/v1/quotes``"""

    origin = AddressSerializer()
    destination = AddressSerializer()


class LabelRequestSerializer(_ShipmentRequestSerializer):
    """``POST /api/v1/labels``"""

    order_id = TextField(max_length=100)
    waybill_number = TextField(
        max_length=16,
        required=False,
        validators=[is_generated],
        help_text="A number of /tracking-numbers; the shipment is found by it as well as by the carrier's.",
    )
    origin = StreetAddressSerializer()
    destination = StreetAddressSerializer()
    label_format = TextField(max_length=8, default="PDF")
    label_size = TextField(max_length=8, default="4x6")
    additional = serializers.BooleanField(default=False, help_text="Buy another shipment for an order that has one.")
    items = ItemSerializer(many=True, max_length=MAX_ITEMS, required=False)
    billing_address = StreetAddressSerializer(required=False, help_text="The buyer's, if not the destination.")
    warehouse_id = serializers.UUIDField(required=False, help_text="Where it departs from; some carriers need it.")


class ReturnRequestSerializer(serializers.Serializer):
    """``POST /api/v1/returns``: what is not said is taken from the shipment that comes back."""

    shipment_id = TextField(max_length=64, help_text="Our id, the tracking number or the carrier's shipment id.")
    reason = TextField(max_length=200, default="")
    additional = serializers.BooleanField(default=False, help_text="Buy another return for a shipment that has one.")
    origin = StreetAddressSerializer(required=False, help_text="Where it is fetched; default: where it was sent to.")
    destination = StreetAddressSerializer(required=False, help_text="Default: the warehouse, else where it came from.")
    warehouse_id = serializers.UUIDField(required=False, help_text="Default: the one that it departed from.")
    packages = PackageSerializer(many=True, allow_empty=False, max_length=MAX_PACKAGES, required=False)
    items = ItemSerializer(many=True, max_length=MAX_ITEMS, required=False)
    service_type = TextField(max_length=40, default="standard")
    label_format = TextField(max_length=8, default="PDF")
    label_size = TextField(max_length=8, default="4x6")
    metadata = MetadataField(default=dict)
    mute_warnings = serializers.BooleanField(
        default=False, help_text="Answer without warnings about odd data; also where what comes back was bought so."
    )


class ShipmentUpdateSerializer(serializers.Serializer):
    """``PATCH /api/v1/shipments/{id}``: only what is to change at the carrier."""

    destination = StreetAddressSerializer(
        required=False, help_text="The contact's name, phone and e-mail stay where they are not given."
    )
    packages = PackageSerializer(
        many=True,
        allow_empty=False,
        max_length=MAX_PACKAGES,
        required=False,
        help_text="All of them, in their order. Where there are as many as before, what is not said of one (its sides, "
        "value, description) stays.",
    )
    items = ItemSerializer(many=True, allow_empty=False, max_length=MAX_ITEMS, required=False)
    payment_method = LowerCaseChoiceField(choices=[one.value for one in PaymentMethod], required=False)
    cod_amount = serializers.DecimalField(
        max_digits=12, decimal_places=2, min_value=Decimal("0.01"), required=False, help_text="With cod only."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(_("Nothing is to change."))
        if attrs.get("payment_method") == PaymentMethod.PREPAID and "cod_amount" in attrs:
            raise serializers.ValidationError({"cod_amount": [_("There is nothing to collect without cod.")]})
        return attrs


class WarehouseSerializer(serializers.Serializer):
    """``POST /api/v1/warehouses`` and ``PUT …/{id}``"""

    name = TextField(max_length=100)
    address = StreetAddressSerializer()
    return_address = StreetAddressSerializer(required=False, allow_null=True)


class WarehouseRequestSerializer(WarehouseSerializer):
    """A new place; ``carriers`` are told of it at once."""

    carriers = serializers.ListField(child=TextField(max_length=40), max_length=20, default=list)


class RegistrationRequestSerializer(serializers.Serializer):
    """``POST /api/v1/warehouses/{id}/registrations``"""

    carrier = TextField(max_length=40)
    carrier_warehouse_id = TextField(
        max_length=64, required=False, help_text="What the carrier calls it already; without it the carrier is told."
    )


class PlaceSerializer(serializers.Serializer):
    """A place that is known well enough to ask whether a carrier goes there."""

    postal_code = TextField(max_length=20)
    country = CountryField()
    city = TextField(max_length=100, required=False, allow_blank=True)
    state = TextField(max_length=60, required=False, allow_blank=True)


class ServiceabilityRequestSerializer(_PaymentSerializer):
    """``POST /api/v1/serviceability``"""

    carrier = TextField(max_length=40)
    origin = PlaceSerializer()
    destination = PlaceSerializer()
    weight_kg = serializers.DecimalField(
        max_digits=9, decimal_places=3, min_value=Decimal("0.001"), default=Decimal("0.5")
    )


class TrackingRequestSerializer(serializers.Serializer):
    """``POST /api/v1/tracking``: one number, or many."""

    carrier = TextField(max_length=40)
    tracking_number = TextField(min_length=5, max_length=50, required=False)
    tracking_numbers = serializers.ListField(
        child=TextField(min_length=5, max_length=50),
        min_length=1,
        max_length=MAX_TRACKED,
        required=False,
        help_text="In the place of tracking_number, without repeats; the answers come in this order.",
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        is_plural = isinstance(data, Mapping) and "tracking_numbers" in data
        self.fields["tracking_number"].required = not is_plural
        return super().to_internal_value(data)

    def validate_tracking_numbers(self, names: list[str]) -> list[str]:
        """Each of them once."""
        if len(set(names)) < len(names):
            raise serializers.ValidationError(_("The same number stands in it more than once."))
        return names

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "tracking_number" in attrs and "tracking_numbers" in attrs:
            raise serializers.ValidationError({"tracking_numbers": [_("Send this or tracking_number, not both.")]})
        return attrs


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


class PickupListSerializer(PageSerializer):
    """``GET /api/v1/pickups``"""

    status = serializers.ChoiceField(choices=Pickup.State.choices, required=False)
    carrier = TextField(max_length=40, required=False)
    scheduled_from = MomentField(required=False)
    scheduled_to = MomentField(required=False)


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
    store = TextField(max_length=64, required=False, help_text="The store's id or code.")
    order_id = TextField(max_length=100, required=False)
    created_from = MomentField(required=False, help_text="Of the first checkpoint; included.")
    created_to = MomentField(required=False, help_text="Included; a date alone is the whole day.")
    updated_from = MomentField(required=False, help_text="Of the last checkpoint; included.")
    updated_to = MomentField(required=False, help_text="Included; a date alone is the whole day.")
    q = TextField(
        min_length=2,
        max_length=100,
        required=False,
        help_text="How tracking number, order id, customer reference or the recipient's name begins, in any case.",
    )
    limit = serializers.IntegerField(min_value=1, max_value=100, default=50)
    offset = serializers.IntegerField(
        min_value=0, max_value=100_000, default=0, help_text="To go deeper, use the cursor."
    )
    cursor = serializers.UUIDField(
        required=False, help_text="next_cursor of the page before; an offset counts from there."
    )

    def validate_store(self, name: str) -> uuid.UUID:
        """The id of a store of the caller's."""
        tenant = self.context["tenant"]
        named = Q(id=name) | Q(code=name) if is_id(name) else Q(code=name)
        stores = Store.objects.filter(named, merchant_id=tenant.merchant_id)
        if tenant.store_id:
            stores = stores.filter(id=tenant.store_id)
        found = stores.values_list("id", flat=True).first()
        if found is None:
            raise serializers.ValidationError(_("No such store."))
        return found

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in ("created", "updated"):
            since, until = attrs.get(f"{name}_from"), attrs.get(f"{name}_to")
            if since and until and until.at < since.at:
                raise serializers.ValidationError({f"{name}_to": [_("The range ends before it starts.")]})
        return attrs
