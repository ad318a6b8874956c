"""Requests for manifests."""

from __future__ import annotations

from rest_framework import serializers

from apikeys.http.fields import DateField, IdentifierField
from apikeys.http.pagination import PageSerializer

MAX_SHIPMENTS = 1_000


class ManifestRequestSerializer(serializers.Serializer):
    """``POST /api/v1/manifests``"""

    carrier = IdentifierField(max_length=40)
    day = DateField(help_text="The calendar day to close, where the parcels are.")
    shipment_ids = serializers.ListField(
        child=IdentifierField(max_length=64),
        allow_empty=False,
        max_length=MAX_SHIPMENTS,
        required=False,
        help_text="Default: all shipments of the day that are in no manifest.",
    )


class ManifestListSerializer(PageSerializer):
    """``GET /api/v1/manifests``"""

    carrier = IdentifierField(max_length=40, required=False)
    day = DateField(required=False)
