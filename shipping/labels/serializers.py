"""Requests for labels."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apikeys.http.fields import IdentifierField, TextField
from shipping.common.order_fields import FilesSerializer, PurchaseRequestSerializer
from shipping.common.request_fields import StreetAddressSerializer
from tracking import numbers

LABEL_HELP = "One of those that `GET /api/v1/carriers/{carrier}` lists."


def validate_generated(number: str) -> None:
    """Raise ``ValidationError`` for a number that our generator cannot have made."""
    if not (numbers.check(number) or numbers.check_s10(number)):
        raise serializers.ValidationError(_("This is not a generated number: its check character is wrong."))


class LabelRequestSerializer(PurchaseRequestSerializer, FilesSerializer):
    """``POST /api/v1/labels``"""

    order_id = IdentifierField(max_length=100)
    waybill_number = IdentifierField(
        max_length=16,
        required=False,
        validators=[validate_generated],
        help_text="A number of /tracking-numbers, which then identifies the shipment like the carrier's number.",
    )
    origin = StreetAddressSerializer()
    destination = StreetAddressSerializer()
    label_format = TextField(max_length=8, default="PDF", help_text=LABEL_HELP)
    label_size = TextField(max_length=8, default="4x6", help_text=LABEL_HELP)
    additional = serializers.BooleanField(default=False, help_text="Buy another shipment for an order that has one.")
    billing_address = StreetAddressSerializer(required=False, help_text="The buyer's, if not the destination.")
    return_address = StreetAddressSerializer(
        required=False, help_text="Where undeliverable parcels go. Default: the origin."
    )
    warehouse_id = serializers.UUIDField(
        required=False, help_text="The warehouse it departs from; some carriers need it."
    )
