"""Requests about shipments: returns, changes, tracking, cancellation and lists."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apikeys.http.fields import CurrencyField, IdentifierField, IntegerField, MomentField, MoneyField, TextField
from apikeys.http.text import number_key
from apikeys.models import Store
from carriers.types import PaymentMethod, Status
from shipping.common.lookup import is_id
from shipping.common.order_fields import DetailsSerializer, FilesSerializer
from shipping.common.request_fields import (
    MAX_ITEMS,
    MAX_PACKAGES,
    SERVICE_HELP,
    ItemSerializer,
    LowerCaseChoiceField,
    MetadataField,
    PackageSerializer,
    StatusField,
    StreetAddressSerializer,
)
from shipping.labels.serializers import LABEL_HELP

MAX_TRACKED = 50  # per request; one call to a carrier that takes many numbers


class ReturnRequestSerializer(DetailsSerializer, FilesSerializer):
    """``POST /api/v1/returns``: missing fields are taken from the shipment that is returned."""

    shipment_id = IdentifierField(max_length=64, help_text="Our id, the tracking number or the carrier's shipment id.")
    reason = TextField(max_length=200, default="")
    additional = serializers.BooleanField(default=False, help_text="Buy another return for a shipment that has one.")
    origin = StreetAddressSerializer(
        required=False, help_text="The collection address. Default: the original's destination."
    )
    destination = StreetAddressSerializer(
        required=False, help_text="Default: the warehouse, else the original's origin."
    )
    warehouse_id = serializers.UUIDField(
        required=False, help_text="Default: the warehouse that the original departed from."
    )
    packages = PackageSerializer(many=True, allow_empty=False, max_length=MAX_PACKAGES, required=False)
    currency = CurrencyField(required=False, help_text="ISO 4217. Default: the original's.")
    service_type = IdentifierField(max_length=40, required=False, help_text=SERVICE_HELP)
    label_format = TextField(max_length=8, default="PDF", help_text=LABEL_HELP)
    label_size = TextField(max_length=8, default="4x6", help_text=LABEL_HELP)
    metadata = MetadataField(default=dict)
    mute_warnings = serializers.BooleanField(
        default=False, help_text="Omit warnings about doubtful data. Also if the original was bought with it."
    )


class ShipmentUpdateSerializer(serializers.Serializer):
    """``PATCH /api/v1/shipments/{id}``: only the fields to change at the carrier."""

    destination = StreetAddressSerializer(
        required=False, help_text="The contact's name, phone and e-mail stay if they are not given."
    )
    packages = PackageSerializer(
        many=True,
        allow_empty=False,
        max_length=MAX_PACKAGES,
        required=False,
        help_text="All parcels, in order. If their number stays, missing fields (sides, value, description) stay too.",
    )
    items = ItemSerializer(many=True, allow_empty=False, max_length=MAX_ITEMS, required=False)
    payment_method = LowerCaseChoiceField(choices=[one.value for one in PaymentMethod], required=False)
    cod_amount = MoneyField(min_value=Decimal("0.001"), required=False, help_text="Only with cod.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(_("There is nothing to change."))
        if attrs.get("payment_method") == PaymentMethod.PREPAID and "cod_amount" in attrs:
            raise serializers.ValidationError({"cod_amount": [_("Only cash on delivery has an amount to collect.")]})
        return attrs


class TrackingRequestSerializer(serializers.Serializer):
    """``POST /api/v1/tracking``: one number, or many."""

    carrier = IdentifierField(max_length=40)
    tracking_number = IdentifierField(min_length=5, max_length=50, required=False)
    tracking_numbers = serializers.ListField(
        child=IdentifierField(min_length=5, max_length=50),
        min_length=1,
        max_length=MAX_TRACKED,
        required=False,
        help_text="Instead of tracking_number, without repeats; the results are in this order.",
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        is_plural = isinstance(data, Mapping) and "tracking_numbers" in data
        self.fields["tracking_number"].required = not is_plural
        return super().to_internal_value(data)

    def validate_tracking_numbers(self, names: list[str]) -> list[str]:
        if len({number_key(name) for name in names}) < len(names):
            raise serializers.ValidationError(_("The list has the same number more than once."))
        return names

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "tracking_number" in attrs and "tracking_numbers" in attrs:
            raise serializers.ValidationError({"tracking_numbers": [_("Send this or tracking_number, not both.")]})
        return attrs


class CancelRequestSerializer(serializers.Serializer):
    """``POST …/cancel``"""

    reason = TextField(max_length=500, required=False, allow_blank=True, default="")


class ShipmentListSerializer(serializers.Serializer):
    """The query of ``GET /api/v1/shipments``."""

    status = StatusField(states=tuple(Status), required=False)
    carrier = IdentifierField(max_length=40, required=False)
    store = TextField(max_length=64, required=False, help_text="The store's id or code.")
    order_id = IdentifierField(max_length=100, required=False)
    created_from = MomentField(required=False, help_text="Earliest time of the first checkpoint.")
    created_to = MomentField(required=False, help_text="Latest time of the first checkpoint; a date is the whole day.")
    updated_from = MomentField(required=False, help_text="Earliest time of the last checkpoint.")
    updated_to = MomentField(required=False, help_text="Latest time of the last checkpoint; a date is the whole day.")
    q = TextField(
        min_length=2,
        max_length=100,
        required=False,
        help_text="The beginning of the tracking number, order id, customer reference or recipient, or a parcel's "
        "whole number, in any case.",
    )
    limit = IntegerField(min_value=1, max_value=100, default=50)
    offset = IntegerField(min_value=0, max_value=100_000, default=0, help_text="To go deeper, use the cursor.")
    cursor = serializers.UUIDField(
        required=False, help_text="next_cursor of the previous page; an offset counts from there."
    )

    def validate_store(self, name: str) -> uuid.UUID:
        """Return the id of one of the caller's stores."""
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
