"""Request serializers of orders: what quotes, labels and returns share, and the rules between their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework import serializers

from apikeys.http.errors import ValidationFailed
from apikeys.http.fields import CurrencyField, IdentifierField, MomentField, MoneyField
from carriers.types import PaymentMethod
from shipping.common.attachment_fields import MAX_ATTACHMENTS, AttachmentSerializer, WantedDocumentsField
from shipping.common.detail_fields import CustomsSerializer, OptionsSerializer
from shipping.common.request_fields import (
    MAX_ITEMS,
    MAX_PACKAGES,
    SERVICE_HELP,
    ItemSerializer,
    LowerCaseChoiceField,
    MetadataField,
    PackageSerializer,
)

_HS_DIGITS = 6  # that customs needs at least


def check_details(values: Mapping[str, Any], packages: Sequence[Any]) -> None:
    """Check the rules between the fields of a validated request. Raises ``ValidationFailed`` naming each field."""
    problems = dict(find_problems(values, packages))
    if problems:
        raise ValidationFailed(details=problems)


def find_problems(values: Mapping[str, Any], packages: Sequence[Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield each field that contradicts another one, and the reason.

    Args:
        values: Validated data with ``items``, ``customs``, ``options`` and ``currency``, each of which may be missing.
        packages: The parcels.
    """
    items, customs, options = values.get("items", ()), values.get("customs"), values.get("options", {})
    goods = options.get("dangerous_goods", ())
    parts = [(f"items[{number}]", item.get("parcel")) for number, item in enumerate(items)]
    parts += [(f"options.dangerous_goods[{number}]", one["parcel"]) for number, one in enumerate(goods)]
    for field, parcel in parts:
        if parcel and parcel > len(packages):
            yield f"{field}.parcel", [_("The order has %d parcels.") % len(packages)]
    if customs is not None:
        for number, item in enumerate(items):
            if 0 < len(item.get("hs_code", "")) < _HS_DIGITS:
                yield f"items[{number}].hs_code", [_("Customs needs at least six digits.")]
    if not values.get("currency") and any(
        amount and Decimal(amount) for amount in _list_amounts(items, customs, options)
    ):
        yield "currency", [_("State the currency of the amounts.")]


def _list_amounts(
    items: Sequence[Mapping[str, Any]], customs: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> Iterator[Any]:
    """Yield the amounts that need the request's currency, stored ones as texts. Prices need it for customs only."""
    yield options.get("insured_value")
    yield from (item.get("unit_value") for item in items)
    if customs is not None:
        yield from (customs.get(name) for name in ("freight", "insurance"))
        yield from (item.get("unit_price") for item in items)


class ShipTimeField(MomentField):
    """The time at which parcels are handed over, with its offset; its date is the local day."""

    def to_internal_value(self, data: Any) -> datetime:
        return super().to_internal_value(data).local


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


class DetailsSerializer(serializers.Serializer):
    """The details of an order that every purchase and price may have."""

    aliases: ClassVar = {
        **dict.fromkeys(("parcels", "pieces"), "packages"),
        **dict.fromkeys(("customs_info", "customs_declaration"), "customs"),
        **dict.fromkeys(("ship_date", "shipping_date", "shipment_date"), "ship_at"),
        **dict.fromkeys(("extra", "extras", "services"), "options"),
        **dict.fromkeys(("documents", "files"), "attachments"),
    }
    items = ItemSerializer(many=True, max_length=MAX_ITEMS, required=False)
    customs = CustomsSerializer(required=False, help_text="For parcels that cross a customs border.")
    options = OptionsSerializer(required=False)
    ship_at = ShipTimeField(required=False, help_text="When the parcels are handed over. Default: now.")


class FilesSerializer(serializers.Serializer):
    """The files of an order: those to make, and the merchant's own."""

    wanted_documents = WantedDocumentsField(required=False, help_text="Documents to make besides the label.")
    attachments = AttachmentSerializer(
        many=True, max_length=MAX_ATTACHMENTS, required=False, help_text="Your own files, such as an invoice."
    )


class PurchaseRequestSerializer(PaymentRequestSerializer, DetailsSerializer):
    """The common fields of quotes and labels."""

    carrier = IdentifierField(max_length=40)
    packages = PackageSerializer(many=True, allow_empty=False, max_length=MAX_PACKAGES)
    service_type = IdentifierField(max_length=40, required=False, help_text=SERVICE_HELP)
    metadata = MetadataField(default=dict)
    mute_warnings = serializers.BooleanField(default=False, help_text="Omit warnings about doubtful data.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if problems := dict(find_problems(attrs, attrs["packages"])):
            raise serializers.ValidationError(problems)
        return attrs
