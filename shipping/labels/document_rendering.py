"""The parcels and documents of a shipment in responses."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from shipping.models import Document, Shipment

DocumentUrls = Mapping[uuid.UUID, str]


class ShipmentParcelSerializer(serializers.Serializer):
    number = serializers.IntegerField(help_text="From 1, in the order of `packages`.")
    tracking_number = serializers.CharField(allow_null=True, help_text="The carrier's number of this parcel.")
    reference = serializers.CharField(allow_null=True, help_text="Our reference of it, if the carrier has one.")
    label_url = serializers.URLField(
        allow_null=True, help_text="Its own label, or the one file that has the labels of all parcels."
    )


class ShipmentDocumentSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    kind = serializers.CharField(help_text="label, invoice, cn23, qr, receipt, manifest, pod, waybill or other.")
    format = serializers.CharField()
    parcel = serializers.IntegerField(allow_null=True, help_text="Number of its parcel; null: the whole shipment.")
    copies = serializers.IntegerField(help_text="How many to print.")
    source = serializers.ChoiceField(choices=["carrier", "merchant"], help_text="Who made it.")
    available = serializers.BooleanField(help_text="False until the carrier has provided the file.")
    url = serializers.URLField()


class DocumentListSerializer(serializers.Serializer):
    documents = ShipmentDocumentSerializer(many=True)


def parcels(shipment: Shipment, urls: DocumentUrls) -> list[dict[str, Any]]:
    """Render a shipment's parcels. ``urls`` has the URL of each document by its id."""
    labels = {row.parcel: urls[row.id] for row in shipment.documents.all() if row.kind == "label"}
    rows = list(shipment.parcels.all())
    only = shipment.tracking_number if len(rows) == 1 else ""
    return [
        {
            "number": row.number,
            "tracking_number": row.tracking_number or only or None,
            "reference": row.reference or None,
            "label_url": labels.get(row.number) or labels.get(0),
        }
        for row in rows
    ]


def documents(shipment: Shipment, urls: DocumentUrls) -> list[dict[str, Any]]:
    """Render a shipment's documents. ``urls`` has the URL of each by its id."""
    return [_document(row, urls[row.id]) for row in shipment.documents.all()]


def _document(row: Document, url: str) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "kind": row.kind,
        "format": row.format,
        "parcel": row.parcel or None,
        "copies": row.copies,
        "source": "merchant" if row.by_merchant else "carrier",
        "available": bool(row.file),
        "url": url,
    }
