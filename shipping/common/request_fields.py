"""Serializer fields and request serializers that several resources share."""

from __future__ import annotations

import re
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.http.fields import (
    CountryField,
    CurrencyField,
    IdentifierField,
    IntegerField,
    MeasureField,
    MoneyField,
    TextField,
)
from apikeys.http.text import normalize_identifier
from carriers.types import PaymentMethod
from carriers.types.countries import needs_postal_code
from shipping.common import country_forms

MAX_PACKAGES = 100
MAX_ITEMS = 500


def to_code(text: str) -> str:
    """Return the code of a displayed name: ``Out For Delivery`` is ``out_for_delivery``."""
    return re.sub(r"[\s_-]+", "_", text.strip()).lower()


class LowerCaseChoiceField(serializers.ChoiceField):
    """A choice field that accepts any case and the displayed form ("Needs review"), and returns lower case."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(to_code(data) if isinstance(data, str) else data)


def in_country_form(address: dict[str, Any]) -> dict[str, Any]:
    """Return an address with postal code and state as its country writes them.

    Raises ``ValidationError`` if it lacks a postal code that the country needs.
    """
    country, postal_code, state = address["country"], address.get("postal_code"), address.get("state")
    if not postal_code and needs_postal_code(country):
        raise serializers.ValidationError({"postal_code": [_("Addresses in %s need a postal code.") % country]})
    if postal_code:
        address["postal_code"] = country_forms.format_postal_code(country, postal_code)
    if state:
        address["state"] = country_forms.format_state(country, state)
    return address


class AddressSerializer(serializers.Serializer):
    """An address with the fields that a price needs."""

    # Other words that merchants use, to suggest the field.
    aliases: ClassVar = {
        **dict.fromkeys(("zip", "zip_code", "zipcode", "pincode", "pin_code", "post_code", "cep"), "postal_code"),
        **dict.fromkeys(("street2", "street_2", "address2", "address_line_2", "line2", "apartment"), "street"),
        **dict.fromkeys(("address", "address1", "address_line_1", "line1", "street1"), "street"),
        **dict.fromkeys(("name", "full_name", "recipient"), "contact_name"),
        **dict.fromkeys(("phone", "telephone", "mobile", "phone_number"), "contact_phone"),
        **dict.fromkeys(("email", "mail"), "contact_email"),
        **dict.fromkeys(("province", "region"), "state"),
    }
    company = TextField(max_length=100, required=False, allow_blank=True)
    contact_name = TextField(max_length=100, required=False, allow_blank=True)
    contact_phone = TextField(max_length=40, required=False, allow_blank=True)
    contact_email = TextField(max_length=254, required=False, allow_blank=True)
    street = TextField(max_length=200, required=False, allow_blank=True)
    city = TextField(max_length=100)
    state = TextField(max_length=60, required=False, allow_blank=True)
    postal_code = TextField(
        max_length=20, required=False, allow_blank=True, help_text="Required where the country's addresses have one."
    )
    country = CountryField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return in_country_form(attrs)


class StreetAddressSerializer(AddressSerializer):
    """An address that a parcel can be sent from or to."""

    street = TextField(max_length=200)


class PackageSerializer(serializers.Serializer):
    """One parcel, in kilograms and centimetres."""

    weight_kg = MeasureField(max_digits=9, decimal_places=3, min_value=Decimal("0.001"))
    length_cm = MeasureField(max_digits=8, decimal_places=2, min_value=Decimal("0.01"), required=False)
    width_cm = MeasureField(max_digits=8, decimal_places=2, min_value=Decimal("0.01"), required=False)
    height_cm = MeasureField(max_digits=8, decimal_places=2, min_value=Decimal("0.01"), required=False)
    declared_value = MoneyField(min_value=Decimal(0), required=False)
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
    """The merchant's own JSON object, of which Waybill reads ``pickup_point_id`` and ``customer_reference``."""

    known_names = MappingProxyType({"pickup_point_id": 64, "customer_reference": 100})  # maximum lengths

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError(_("An object is expected."))
        named = {name: data[name] for name in self.known_names if data.get(name) is not None}
        for name, value in named.items():
            limit = self.known_names[name]
            if not isinstance(value, str) or len(value) > limit:
                raise serializers.ValidationError({name: [_("A text of at most %d characters is expected.") % limit]})
            try:
                named[name] = normalize_identifier(value)
            except ValueError:
                raise serializers.ValidationError({name: [IdentifierField.INVISIBLE]}) from None
        others = {name: value for name, value in data.items() if name not in self.known_names}
        return super().to_internal_value(others | named)


class ItemSerializer(serializers.Serializer):
    """One line of the order; prices are per unit, in the request's ``currency``."""

    aliases: ClassVar = {"qty": "quantity", "count": "quantity", "price": "unit_price", "title": "name"}
    name = TextField(max_length=200)
    quantity = IntegerField(min_value=1, max_value=100_000, default=1)
    sku = IdentifierField(max_length=64, required=False, allow_blank=True)
    unit_price = MoneyField(min_value=Decimal(0), default=Decimal(0))
    discount = MoneyField(min_value=Decimal(0), default=Decimal(0))
    tax = MoneyField(min_value=Decimal(0), default=Decimal(0))
    hs_code = TextField(max_length=14, required=False, allow_blank=True)
    origin_country = CountryField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["discount"] > attrs["unit_price"] * attrs["quantity"]:
            raise serializers.ValidationError({"discount": [_("The discount is more than the price.")]})
        return attrs


class PaymentRequestSerializer(serializers.Serializer):
    """The payment for the goods: prepaid, or cash on delivery with the amount that the carrier collects."""

    payment_method = LowerCaseChoiceField(choices=[one.value for one in PaymentMethod], default="prepaid")
    cod_amount = MoneyField(min_value=Decimal("0.001"), required=False, help_text="Only with cod.")
    currency = CurrencyField(required=False, help_text="ISO 4217, of the items and the amount to collect.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        is_cod = attrs.get("payment_method") == PaymentMethod.COD
        if is_cod and "cod_amount" not in attrs:
            raise serializers.ValidationError({"cod_amount": [_("Cash on delivery needs the amount to collect.")]})
        if not is_cod and "cod_amount" in attrs:
            raise serializers.ValidationError({"cod_amount": [_("Only cash on delivery has an amount to collect.")]})
        return attrs


class PurchaseRequestSerializer(PaymentRequestSerializer):
    """The common fields of quotes and labels."""

    carrier = IdentifierField(max_length=40)
    packages = PackageSerializer(many=True, allow_empty=False, max_length=MAX_PACKAGES)
    service_type = IdentifierField(max_length=40, default="standard")
    metadata = MetadataField(default=dict)
    mute_warnings = serializers.BooleanField(default=False, help_text="Omit warnings about doubtful data.")


class StatusField(TextField):
    """One of the given statuses, in any case, also as it is displayed ("Out For Delivery"); returned in lower case."""

    def __init__(self, *, states: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(max_length=20, **kwargs)
        self.states = states

    def to_internal_value(self, data: Any) -> str:
        status = to_code(super().to_internal_value(data))
        if status not in self.states:
            known = ", ".join(state.upper() for state in self.states)
            raise serializers.ValidationError(_("The status must be one of: %s") % known)
        return status


class StatusFieldSchema(OpenApiSerializerFieldExtension):
    """Document the statuses in upper case, as responses show them."""

    target_class = StatusField

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"type": "string", "enum": [state.upper() for state in self.target.states]}
