"""Requests about warehouses."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apikeys.http.fields import CountryField, IdentifierField, TextField
from shipping.common.request_fields import StreetAddressSerializer, in_country_form


class WarehouseSerializer(serializers.Serializer):
    """``POST /api/v1/warehouses`` and ``PUT …/{id}``"""

    name = TextField(max_length=100)
    address = StreetAddressSerializer()
    return_address = StreetAddressSerializer(required=False, allow_null=True)


class WarehouseRequestSerializer(WarehouseSerializer):
    """A new warehouse, and the ``carriers`` to register it at."""

    carriers = serializers.ListField(child=IdentifierField(max_length=40), max_length=20, default=list)


class RegistrationRequestSerializer(serializers.Serializer):
    """``POST /api/v1/warehouses/{id}/registrations``"""

    carrier = IdentifierField(max_length=40)
    carrier_warehouse_id = IdentifierField(
        max_length=64,
        required=False,
        help_text="The name that the warehouse has at the carrier already. Leave it out to register it.",
    )


class PlaceSerializer(serializers.Serializer):
    """The part of an address that a serviceability check needs."""

    postal_code = TextField(max_length=20, required=False, allow_blank=True)
    country = CountryField()
    city = TextField(max_length=100, required=False, allow_blank=True)
    state = TextField(max_length=60, required=False, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return in_country_form(attrs)
