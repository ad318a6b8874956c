"""Requests for checks of addresses."""

from __future__ import annotations

from rest_framework import serializers

from apikeys.http.fields import IdentifierField
from shipping.common.request_fields import AddressSerializer


class AddressCheckRequestSerializer(serializers.Serializer):
    """``POST /api/v1/address-check``"""

    carrier = IdentifierField(max_length=40)
    address = AddressSerializer()
