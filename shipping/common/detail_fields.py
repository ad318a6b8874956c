"""Request serializers of customs declarations, and of options: the services that an order requests."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, ClassVar

from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.http.fields import (
    CountryField,
    DateField,
    IdentifierField,
    IntegerField,
    MeasureField,
    MoneyField,
    TextField,
)
from shipping.common.request_fields import MAX_PACKAGES, LowerCaseChoiceField, StreetAddressSerializer

CONTENTS = ("merchandise", "gift", "sample", "documents", "return", "repair", "other")
# Incoterms 2020, and those of earlier editions that carriers still take.
INCOTERMS = ("EXW", "FCA", "FAS", "FOB", "CFR", "CIF", "CPT", "CIP", "DAP", "DPU", "DDP", "DAT", "DDU")
_MAX_TAX_IDS = 20
# Bounds of the options that only one carrier has.
MAX_CARRIER_KEYS, MAX_CARRIER_DEPTH, MAX_CARRIER_BYTES = 100, 6, 8_000
_MAX_DANGEROUS_GOODS = 50


class UpperCaseChoiceField(serializers.ChoiceField):
    """A choice field that accepts any case and returns upper case."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data.strip().upper() if isinstance(data, str) else data)


class TaxIdSerializer(serializers.Serializer):
    """A tax or customs number of a party."""

    kind = LowerCaseChoiceField(choices=("vat", "eori", "ioss", "voec", "ein", "gst", "other"))
    number = IdentifierField(max_length=40)
    country = CountryField(required=False, allow_blank=True, help_text="That issued it.")
    party = LowerCaseChoiceField(choices=("sender", "recipient", "importer"), default="sender")


class PayerSerializer(serializers.Serializer):
    """The party that pays the carrier, with its account number there. The sender's is in the credential."""

    aliases: ClassVar = {"account": "account_number"}
    who = LowerCaseChoiceField(choices=("sender", "recipient", "third_party"), default="sender")
    account_number = IdentifierField(max_length=40, required=False, allow_blank=True)
    postal_code = TextField(max_length=20, required=False, allow_blank=True, help_text="Of the account's address.")
    country = CountryField(required=False, allow_blank=True, help_text="Of the account's address.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["who"] == "third_party" and not attrs.get("account_number"):
            raise serializers.ValidationError({"account_number": [_("A third party pays with its account number.")]})
        return attrs


class CustomsSerializer(serializers.Serializer):
    """A customs declaration of the request's items. Its amounts are in the request's ``currency``."""

    aliases: ClassVar = {
        **dict.fromkeys(("reason", "contents_explanation", "reason_for_export"), "export_reason"),
        **dict.fromkeys(("contents_type", "content_type", "purpose"), "contents"),
        **dict.fromkeys(("terms", "terms_of_trade", "terms_of_sale", "incoterms"), "incoterm"),
    }
    contents = LowerCaseChoiceField(choices=CONTENTS, default="merchandise")
    export_reason = TextField(max_length=200, required=False, allow_blank=True, help_text="Required with `other`.")
    incoterm = UpperCaseChoiceField(choices=INCOTERMS, default="DAP")
    duties = PayerSerializer(
        required=False, help_text="Pays duties and taxes. Default: the sender with DDP, else the recipient."
    )
    tax_ids = TaxIdSerializer(many=True, required=False, max_length=_MAX_TAX_IDS)
    importer = StreetAddressSerializer(required=False, help_text="Default: the destination.")
    invoice_number = IdentifierField(max_length=40, required=False, allow_blank=True)
    invoice_date = DateField(required=False)
    freight = MoneyField(min_value=0, required=False, help_text="Cost of transport on the invoice.")
    insurance = MoneyField(min_value=0, required=False, help_text="Cost of insurance on the invoice.")
    mrn = IdentifierField(
        max_length=18,
        required=False,
        allow_blank=True,
        validators=[RegexValidator(r"^[0-9A-Za-z]{1,18}$", _("Up to 18 letters and digits are expected."))],
        help_text="Movement reference number of the export declaration.",
    )
    signer = TextField(max_length=100, required=False, allow_blank=True, help_text="Name of the person who signs.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["contents"] == "other" and not attrs.get("export_reason"):
            raise serializers.ValidationError({"export_reason": [_("State the reason if the contents are `other`.")]})
        who = attrs.get("duties", {}).get("who")
        if who == "recipient" and attrs["incoterm"] == "DDP":
            raise serializers.ValidationError({"duties": {"who": [_("With DDP the recipient pays no duties.")]}})
        if who == "sender" and attrs["incoterm"] != "DDP":
            text = _("The sender pays duties with DDP only.")
            raise serializers.ValidationError({"duties": {"who": [text]}})
        return attrs


@extend_schema_field({"type": "object", "additionalProperties": {}})
class CarrierOptionsField(serializers.JSONField):
    """A JSON object of a carrier's own options. The adapter's schema checks its contents."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError(_("An object is expected."))
        keys, depth = _measure(data)
        if keys > MAX_CARRIER_KEYS:
            raise serializers.ValidationError(_("It has more than %d keys.") % MAX_CARRIER_KEYS)
        if depth > MAX_CARRIER_DEPTH:
            raise serializers.ValidationError(_("It is nested deeper than %d levels.") % MAX_CARRIER_DEPTH)
        if len(json.dumps(data)) > MAX_CARRIER_BYTES:
            raise serializers.ValidationError(_("It has more than %d bytes.") % MAX_CARRIER_BYTES)
        return super().to_internal_value(data)


def _measure(value: Any) -> tuple[int, int]:
    """Return the number of keys and the levels of objects and lists in a value."""
    if not isinstance(value, dict | list):
        return 0, 0
    measured = [_measure(item) for item in (value.values() if isinstance(value, dict) else value)]
    keys = sum(count for count, _depth in measured) + (len(value) if isinstance(value, dict) else 0)
    return keys, 1 + max((depth for _count, depth in measured), default=0)


class UnNumberField(IdentifierField):
    """A UN number, with or without "UN"; returned as four digits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=7, **kwargs)
        self.validators.append(RegexValidator(r"^[0-9]{4}$", _("A UN number has four digits, like UN1263.")))

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        return text[2:].strip() if text[:2].upper() == "UN" else text


class DangerousGoodsSerializer(serializers.Serializer):
    """Dangerous goods in one parcel."""

    un_number = UnNumberField()
    hazard_class = IdentifierField(
        max_length=6,
        validators=[RegexValidator(r"^[1-9](\.[1-9][A-Z]?)?$", _("A class or division is expected, like 3 or 6.1."))],
    )
    packing_group = UpperCaseChoiceField(choices=("I", "II", "III"), required=False)
    quantity = MeasureField(max_digits=9, decimal_places=3, min_value=Decimal("0.001"))
    unit = LowerCaseChoiceField(choices=("kg", "l"), default="kg", help_text="Net kilograms, or litres.")
    parcel = IntegerField(min_value=1, max_value=MAX_PACKAGES, default=1, help_text="Number of the parcel, from 1.")


class OptionsSerializer(serializers.Serializer):
    """Requested services. A carrier that does not serve one refuses the order."""

    aliases: ClassVar = {
        **dict.fromkeys(("insurance", "insurance_amount", "insured_amount"), "insured_value"),
        **dict.fromkeys(("signature_required", "signature_confirmation"), "signature"),
        **dict.fromkeys(("saturday_delivery",), "saturday"),
        **dict.fromkeys(("age", "minimum_age"), "min_age"),
    }
    signature = LowerCaseChoiceField(
        choices=("any", "recipient", "adult"), required=False, help_text="Who must sign; not given: nobody."
    )
    min_age = IntegerField(min_value=1, max_value=99, required=False, help_text="Of the person who accepts, in years.")
    insured_value = MoneyField(min_value=0, required=False, help_text="In the request's `currency`.")
    saturday = serializers.BooleanField(default=False, help_text="Deliver on a Saturday.")
    dangerous_goods = DangerousGoodsSerializer(many=True, required=False, max_length=_MAX_DANGEROUS_GOODS)
    notify = serializers.BooleanField(default=False, help_text="The carrier notifies the recipient.")
    payer = PayerSerializer(required=False, help_text="Pays the transport. Default: the sender.")
    carrier = CarrierOptionsField(
        required=False, help_text="Options of this carrier only; `options_schema` of the carrier describes them."
    )
