"""Request serializers of customs declarations: tax numbers, the payer of duties, the importer and the invoice."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apikeys.http.fields import CountryField, DateField, IdentifierField, MoneyField, TextField
from shipping.common.request_fields import LowerCaseChoiceField, StreetAddressSerializer

CONTENTS = ("merchandise", "gift", "sample", "documents", "return", "repair", "other")
# Incoterms 2020, and those of earlier editions that carriers still take.
INCOTERMS = ("EXW", "FCA", "FAS", "FOB", "CFR", "CIF", "CPT", "CIP", "DAP", "DPU", "DDP", "DAT", "DDU")
_MAX_TAX_IDS = 20


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
