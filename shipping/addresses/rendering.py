"""Responses to checks of addresses."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from carriers.types import Address, AddressCheck
from shipping.common.conversion import without_empty
from shipping.common.response_fields import WARNINGS_HELP, WarningSerializer


class SuggestedAddressSerializer(serializers.Serializer):
    country = serializers.CharField()
    postal_code = serializers.CharField(required=False)
    city = serializers.CharField(required=False)
    state = serializers.CharField(required=False)
    street = serializers.CharField(required=False)
    street2 = serializers.CharField(required=False)
    street3 = serializers.CharField(required=False)
    house_number = serializers.CharField(required=False)
    company = serializers.CharField(required=False)
    contact_name = serializers.CharField(required=False)
    contact_phone = serializers.CharField(required=False)
    contact_email = serializers.CharField(required=False)
    residential = serializers.BooleanField(required=False)


class AddressCheckSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    ok = serializers.BooleanField(allow_null=True, help_text="Null if the carrier does not know the address.")
    residential = serializers.BooleanField(allow_null=True, help_text="Null if the carrier does not state it.")
    suggestions = SuggestedAddressSerializer(many=True, help_text="The best first; empty fields are left out.")
    warnings = WarningSerializer(many=True, help_text=WARNINGS_HELP)


def address_check(carrier: str, check: AddressCheck, warnings: list[dict[str, str]]) -> dict[str, Any]:
    """Render a carrier's check of an address, with our own warnings about it."""
    return {
        "carrier": carrier,
        "ok": check.ok,
        "residential": check.residential,
        "suggestions": [_address(one) for one in check.suggestions],
        "warnings": warnings,
    }


def _address(address: Address) -> dict[str, Any]:
    return {name: value for name, value in without_empty(address).items() if value is not None}
