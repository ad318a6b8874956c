"""Responses about manifests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework import serializers

from apikeys.http.pagination import PaginationSerializer as CursorPaginationSerializer
from apikeys.http.rendering import rfc3339
from carriers.adapters.registry import adapter_class
from shipping.models import Manifest, ManifestFile


class ManifestDocumentSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    kind = serializers.CharField()
    format = serializers.CharField()
    url = serializers.URLField()


class ManifestSerializer(serializers.Serializer):
    manifest_id = serializers.UUIDField()
    carrier = serializers.CharField()
    day = serializers.DateField()
    shipment_ids = serializers.ListField(child=serializers.UUIDField(), help_text="Those that the carrier has closed.")
    documents = ManifestDocumentSerializer(many=True)
    created_at = serializers.DateTimeField()


class ManifestListSerializer(serializers.Serializer):
    manifests = ManifestSerializer(many=True)
    pagination = CursorPaginationSerializer()


def manifest(row: Manifest, url: Callable[[ManifestFile], str]) -> dict[str, Any]:
    """Render a manifest; ``url`` returns the absolute URL of a file."""
    return {
        "manifest_id": str(row.id),
        "carrier": adapter_class(row.carrier).name,
        "day": row.day.isoformat(),
        "shipment_ids": sorted(str(shipment.id) for shipment in row.shipments.all()),
        "documents": [
            {"id": str(file.id), "kind": "manifest", "format": file.format, "url": url(file)}
            for file in row.files.all()
        ],
        "created_at": rfc3339(row.created_at),
    }
