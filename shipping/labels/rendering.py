"""Responses to label purchases."""

from __future__ import annotations

import base64
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from apikeys.http.rendering import rfc3339
from shipping.common import input_warnings
from shipping.common.response_fields import MANIFEST_HELP, WARNINGS_HELP, WarningSerializer, number
from shipping.labels import document_rendering, files
from shipping.labels.document_rendering import DocumentUrls
from shipping.models import Shipment

PENDING_REASON_HELP = "`carrier_code` and `carrier_message` of a carrier's answer that left the outcome open."


class LabelSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    tracking_number = serializers.CharField()
    label_url = serializers.URLField()
    manifest_url = serializers.URLField(allow_null=True, help_text=MANIFEST_HELP)
    label_data = serializers.CharField(allow_null=True, help_text="The file in base64.")
    label_format = serializers.CharField()
    shipment_id = serializers.UUIDField()
    order_id = serializers.CharField()
    status = serializers.CharField()
    total_price = serializers.FloatField(allow_null=True)
    currency = serializers.CharField()
    metadata = serializers.DictField()
    parcels = document_rendering.ShipmentParcelSerializer(many=True)
    documents = document_rendering.ShipmentDocumentSerializer(many=True)
    warnings = WarningSerializer(many=True, help_text=WARNINGS_HELP)


class PendingShipmentSerializer(serializers.Serializer):
    shipment_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["pending", "needs_review"])
    carrier = serializers.CharField()
    order_id = serializers.CharField()
    message = serializers.CharField()
    pending_reason = serializers.DictField(allow_null=True, help_text=PENDING_REASON_HELP)


def label(
    shipment: Shipment, *, label_url: str | None, manifest_url: str | None, document_urls: DocumentUrls
) -> dict[str, Any]:
    """Render a bought label with its file."""
    return {
        "carrier": shipment.carrier_name,
        "tracking_number": shipment.tracking_number,
        "label_url": label_url,
        "manifest_url": manifest_url,
        **_label_file(shipment),
        "shipment_id": str(shipment.id),
        "order_id": shipment.order_id,
        "status": shipment.status,
        "total_price": number(shipment.total_price),
        "currency": shipment.currency,
        "metadata": carrier_metadata(shipment),
        "parcels": document_rendering.parcels(shipment, document_urls),
        "documents": document_rendering.documents(shipment, document_urls),
        "warnings": input_warnings.check_request(shipment.request),
    }


def _label_file(shipment: Shipment) -> dict[str, Any]:
    """Return the label in base64, one file for all parcels; null if it is not fetched yet, or lost."""
    stored = files.open_kind(shipment, "label")
    if stored is None:
        labels = files.select_documents(shipment, "label")
        return {"label_data": None, "label_format": labels[0].format if labels else ""}
    with stored.file as file:
        return {"label_data": base64.b64encode(file.read()).decode(), "label_format": stored.format}


def pending(shipment: Shipment) -> dict[str, Any]:
    """Render a booking without an outcome yet."""
    reason = shipment.pending_reason
    message = _(
        "The carrier has not answered yet. The label is looked up; repeat the request with the same "
        "Idempotency-Key or read the shipment. Do not order it again."
    )
    if reason:
        text = _(
            "The carrier answered: %s. Whether it sold the label is looked up; read the shipment. Do not order again."
        )
        message = text % (reason["carrier_message"] or reason["carrier_code"]).rstrip(".")
    return {
        "shipment_id": str(shipment.id),
        "status": shipment.booking_state,
        "carrier": shipment.carrier_name,
        "order_id": shipment.order_id,
        "message": message,
        "pending_reason": reason,
    }


def carrier_metadata(shipment: Shipment) -> dict[str, Any]:
    """Return the carrier's additional data and its own names for the shipment."""
    return shipment.carrier_details | {
        "carrier_shipment_id": shipment.carrier_shipment_id,
        "customer_reference": shipment.customer_reference,
        "estimated_delivery": rfc3339(shipment.estimated_delivery),
    }


def failure(row: Shipment) -> tuple[dict[str, Any], int]:
    """Return the error of a failed booking, as it was sent at the time, and its HTTP status."""
    body = dict(row.failure or {})
    return body, body.pop("http_status", 400)
