"""Serializer fields and request serializers that several resources share."""

from __future__ import annotations

import re
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar

from django.core.validators import RegexValidator
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
from carriers.types.countries import needs_postal_code
from shipping.common import country_forms

MAX_PACKAGES = 100
MAX_ITEMS = 500
SERVICE_HELP = "The carrier's code. Default: its standard service, if it has one."


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
        **dict.fromkeys(("street_2", "address2", "address_2", "address_line_2", "line2", "apartment"), "street2"),
        **dict.fromkeys(("street_3", "address3", "address_3", "address_line_3", "line3"), "street3"),
        **dict.fromkeys(("address", "address1", "address_line_1", "line1", "street1"), "street"),
        **dict.fromkeys(("street_number", "building_number"), "house_number"),
        **dict.fromkeys(("is_residential", "residential_indicator"), "residential"),
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
    street2 = TextField(max_length=200, required=False, allow_blank=True, help_text="Second line of the address.")
    street3 = TextField(max_length=200, required=False, allow_blank=True, help_text="Third line of the address.")
    house_number = TextField(
        max_length=20, required=False, allow_blank=True, help_text="If it is not a part of `street`."
    )
    city = TextField(max_length=100)
    state = TextField(max_length=60, required=False, allow_blank=True)
    postal_code = TextField(
        max_length=20, required=False, allow_blank=True, help_text="Required where the country's addresses have one."
    )
    country = CountryField()
    residential = serializers.BooleanField(required=False, help_text="Whether a person lives there; if it is known.")

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
    packaging = IdentifierField(
        max_length=40, required=False, allow_blank=True, help_text="The carrier's code. Default: your own box."
    )


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


@extend_schema_field({"type": "string", "maxLength": 20, "pattern": "^([0-9]{4,12})?$"})
class HsCodeField(TextField):
    """A code of the Harmonized System or of a national tariff; dots and blanks are left out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=20, **kwargs)
        self.validators.append(RegexValidator(r"^[0-9]{4,12}$", _("Four to twelve digits are expected.")))

    def to_internal_value(self, data: Any) -> str:
        return re.sub(r"[. ]", "", super().to_internal_value(data))


class ItemSerializer(serializers.Serializer):
    """One line of the order; prices are per unit, in the request's ``currency``."""

    aliases: ClassVar = {
        **dict.fromkeys(("qty", "count"), "quantity"),
        **dict.fromkeys(("ean", "upc", "barcode"), "gtin"),
        **dict.fromkeys(("weight", "net_weight", "net_weight_kg"), "weight_kg"),
        **dict.fromkeys(("hs", "hscode", "hts_code", "hs_tariff_number", "tariff_number", "hsn"), "hs_code"),
        **dict.fromkeys(("country_of_origin", "origin"), "origin_country"),
        **dict.fromkeys(("customs_value", "value"), "unit_value"),
        "price": "unit_price",
        "title": "name",
    }
    name = TextField(max_length=200)
    quantity = IntegerField(min_value=1, max_value=100_000, default=1)
    sku = IdentifierField(max_length=64, required=False, allow_blank=True)
    gtin = IdentifierField(
        max_length=14,
        required=False,
        allow_blank=True,
        validators=[RegexValidator(r"^[0-9]{8,14}$", _("Eight to fourteen digits are expected."))],
    )
    description = TextField(max_length=200, required=False, allow_blank=True, help_text="For customs, in English.")
    unit_price = MoneyField(min_value=Decimal(0), default=Decimal(0))
    discount = MoneyField(min_value=Decimal(0), default=Decimal(0))
    tax = MoneyField(min_value=Decimal(0), default=Decimal(0))
    unit_value = MoneyField(
        min_value=Decimal(0), required=False, help_text="For customs, of one unit. Default: `unit_price`."
    )
    weight_kg = MeasureField(
        max_digits=9, decimal_places=3, min_value=Decimal("0.001"), required=False, help_text="Net, of one unit."
    )
    hs_code = HsCodeField(required=False, allow_blank=True, help_text="Customs needs at least six digits.")
    origin_country = CountryField(required=False)
    parcel = IntegerField(
        min_value=1, max_value=MAX_PACKAGES, required=False, help_text="Number of the parcel that has it, from 1."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["discount"] > attrs["unit_price"] * attrs["quantity"]:
            raise serializers.ValidationError({"discount": [_("The discount is more than the price.")]})
        return attrs


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
