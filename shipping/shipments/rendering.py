"""Responses about shipments: details, lists, events, cancellations, proofs of delivery and returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apikeys.http.rendering import rfc3339
from apikeys.models import Event
from carriers.types import PaymentMethod, ProofOfDelivery
from shipping.checkpoints.carrier_reports import CARRIER_INFORMED
from shipping.common.conversion import to_order
from shipping.common.response_fields import MANIFEST_HELP, WARNINGS_HELP, WarningSerializer, number
from shipping.labels import document_rendering
from shipping.labels import rendering as label_rendering
from shipping.labels.document_rendering import DocumentUrls
from shipping.labels.rendering import LabelSerializer, carrier_metadata, label
from shipping.models import BookingState, Shipment
from shipping.shipments.tracking_rendering import TrackEventSerializer, load_checkpoints, track_event


class ReturnSerializer(LabelSerializer):
    return_of = serializers.UUIDField(help_text="The shipment that is returned.")
    reason = serializers.CharField()


def return_label(shipment: Shipment, **urls: Any) -> dict[str, Any]:
    """Render a bought return; ``urls`` as for its label."""
    return label(shipment, **urls) | {
        "return_of": str(shipment.return_of_id),
        "reason": shipment.request.get("reason", ""),
    }


class UnitSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    tracking_id = serializers.CharField()
    status = serializers.CharField()
    location = serializers.CharField()
    delivery_time = serializers.DateTimeField(allow_null=True, help_text="The delivery, else the latest estimate.")
    estimated_delivery = serializers.DateTimeField(allow_null=True)
    total_checkpoints = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    carrier = serializers.CharField(allow_null=True)
    order_id = serializers.CharField(allow_null=True)


class PaginationSerializer(serializers.Serializer):
    total = serializers.IntegerField()
    total_is_exact = serializers.BooleanField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    has_more = serializers.BooleanField()
    next_cursor = serializers.UUIDField(allow_null=True)


@extend_schema_serializer(many=False)
class UnitListSerializer(serializers.Serializer):
    success = serializers.BooleanField()
    units = UnitSerializer(many=True)
    pagination = PaginationSerializer()
    filters = serializers.DictField()


def units(page: Iterable[Shipment], pagination: Mapping[str, Any], filters: Mapping[str, Any]) -> dict[str, Any]:
    """Render a page of units."""
    return {
        "success": True,
        "units": [_unit(row) for row in page],
        "pagination": dict(pagination),
        "filters": dict(filters),
    }


def _unit(row: Shipment) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "tracking_id": row.tracking_number,
        "status": row.status.upper(),
        "location": row.location,
        "delivery_time": rfc3339(row.delivery_time),
        "estimated_delivery": rfc3339(row.estimated_delivery),
        "total_checkpoints": row.checkpoint_count,
        "created_at": rfc3339(row.first_at or row.created_at),
        "updated_at": rfc3339(row.last_at or row.created_at),
        "carrier": row.carrier_name or None,
        "order_id": row.order_id or None,
    }


class PaymentSerializer(serializers.Serializer):
    method = serializers.CharField()
    cod_amount = serializers.FloatField(allow_null=True)
    currency = serializers.CharField(help_text="Of the items and the amount to collect; empty: the carrier's.")


class ShipmentSerializer(serializers.Serializer):
    shipment_id = serializers.UUIDField()
    booking_state = serializers.ChoiceField(choices=BookingState.choices)
    status = serializers.CharField(allow_null=True)
    carrier = serializers.CharField(allow_null=True)
    tracking_number = serializers.CharField(allow_null=True)
    order_id = serializers.CharField(allow_null=True)
    sequence = serializers.IntegerField()
    reference = serializers.CharField()
    waybill_number = serializers.CharField(allow_null=True)
    service_type = serializers.CharField()
    label_url = serializers.URLField(allow_null=True)
    manifest_url = serializers.URLField(allow_null=True, help_text=MANIFEST_HELP)
    origin = serializers.DictField()
    destination = serializers.DictField()
    packages = serializers.ListField(child=serializers.DictField())
    parcels = document_rendering.ShipmentParcelSerializer(many=True)
    documents = document_rendering.ShipmentDocumentSerializer(many=True)
    items = serializers.ListField(child=serializers.DictField())
    payment = PaymentSerializer()
    billing_address = serializers.DictField(allow_null=True)
    return_address = serializers.DictField(allow_null=True)
    customs = serializers.DictField(allow_null=True)
    options = serializers.DictField(allow_null=True)
    ship_at = serializers.CharField(allow_null=True, help_text="As ordered, with its offset.")
    warehouse_id = serializers.UUIDField(allow_null=True)
    return_of = serializers.UUIDField(allow_null=True)
    total_price = serializers.FloatField(allow_null=True)
    currency = serializers.CharField()
    estimated_delivery = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    checkpoints = TrackEventSerializer(many=True)
    failure = serializers.DictField(allow_null=True)
    pending_reason = serializers.DictField(allow_null=True, help_text=label_rendering.PENDING_REASON_HELP)
    cancellation = serializers.DictField(allow_null=True)
    scanned_after_cancellation_at = serializers.DateTimeField(
        allow_null=True, help_text="Time of the last scan that shows a movement after the cancellation."
    )
    metadata = serializers.DictField()
    created_at = serializers.DateTimeField()


class ChangedShipmentSerializer(ShipmentSerializer):
    """The response to a change."""

    warnings = WarningSerializer(many=True, help_text=WARNINGS_HELP)


def shipment(
    row: Shipment, *, label_url: str | None, manifest_url: str | None, document_urls: DocumentUrls
) -> dict[str, Any]:
    """Render one shipment in any booking state."""
    return {
        "shipment_id": str(row.id),
        "booking_state": row.booking_state,
        "status": row.status or None,
        "carrier": row.carrier_name or None,
        "tracking_number": row.tracking_number or None,
        "order_id": row.order_id or None,
        "sequence": row.sequence,
        "reference": row.reference,
        "waybill_number": row.waybill_number,
        "service_type": row.service_type,
        "label_url": label_url,
        "manifest_url": manifest_url,
        "origin": row.origin,
        "destination": row.destination,
        "packages": [_package(parcel) for parcel in row.parcels.all()],
        "parcels": document_rendering.parcels(row, document_urls),
        "documents": document_rendering.documents(row, document_urls),
        **_order_parts(row),
        "warehouse_id": row.warehouse_id and str(row.warehouse_id),
        "return_of": row.return_of_id and str(row.return_of_id),
        "total_price": number(row.total_price),
        "currency": row.currency,
        "estimated_delivery": rfc3339(row.estimated_delivery),
        "delivered_at": rfc3339(row.delivered_at),
        "checkpoints": [track_event(checkpoint) for checkpoint in load_checkpoints(row)],
        "failure": label_rendering.failure(row)[0] if row.failure else None,
        "pending_reason": row.pending_reason,
        "cancellation": _cancellation(row) if row.cancellation else None,
        "scanned_after_cancellation_at": rfc3339(row.scanned_after_cancel_at),
        "metadata": carrier_metadata(row),
        "created_at": rfc3339(row.created_at),
    }


_AS_ORDERED = ("billing_address", "return_address", "customs", "options", "ship_at")
_ITEM_NUMBERS = ("unit_price", "unit_value", "discount", "tax", "weight_kg")


def _order_parts(row: Shipment) -> dict[str, Any]:
    if not row.request:  # tracked by the merchant's own checkpoints
        payment = {"method": PaymentMethod.PREPAID, "cod_amount": None, "currency": ""}
        return {"items": [], "payment": payment, **dict.fromkeys(_AS_ORDERED)}
    order = to_order(row.request)
    return {
        "items": [_item(item) for item in row.request.get("items", ())],
        "payment": {
            "method": order.payment_method,
            "cod_amount": number(order.cod_amount),
            "currency": order.currency,
        },
        **{name: row.request.get(name) for name in _AS_ORDERED},
    }


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Render an item as the merchant sent it, with amounts and weights as numbers."""
    return {**item, **{name: number(Decimal(item[name])) for name in _ITEM_NUMBERS if name in item}}


def _package(parcel: Any) -> dict[str, Any]:
    measures = {name: number(getattr(parcel, name)) for name in ("weight_kg", "length_cm", "width_cm", "height_cm")}
    return measures | {
        "declared_value": number(parcel.declared_value),
        "currency": parcel.currency,
        "description": parcel.description,
        "packaging": parcel.packaging,
    }


class ShipmentEventSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    type = serializers.CharField()
    created_at = serializers.DateTimeField()
    data = serializers.DictField()
    correlation_id = serializers.CharField()


class EventListSerializer(serializers.Serializer):
    events = ShipmentEventSerializer(many=True)


def events(rows: Iterable[Event]) -> dict[str, Any]:
    """Render a shipment's public events."""
    return {
        "events": [
            {
                "id": str(row.id),
                "type": row.type,
                "created_at": rfc3339(row.created_at),
                "data": row.data,
                "correlation_id": row.correlation_id,
            }
            for row in rows
        ]
    }


class CancellationDataSerializer(serializers.Serializer):
    tracking_number = serializers.CharField()
    cancelled_at = serializers.DateTimeField()
    reason = serializers.CharField()
    refund_status = serializers.CharField()
    refund_amount = serializers.FloatField(allow_null=True)
    carrier_informed = serializers.BooleanField(
        help_text="False if the carrier has no way to cancel a shipment: it does not know of it and refunds nothing. "
        "Its next scan of the parcel undoes the cancellation."
    )


class CancellationSerializer(serializers.Serializer):
    status = serializers.CharField()
    message = serializers.CharField()
    cancellation = CancellationDataSerializer()


def cancellation(row: Shipment) -> dict[str, Any]:
    """Render a cancellation as documented."""
    shown = _cancellation(row)
    message = _("Shipment cancelled successfully")
    if not shown["carrier_informed"]:
        text = _(
            "The shipment is cancelled in Waybill only. %s has no way to cancel it and was not informed: do not hand "
            "over the parcel, and expect no refund for the label."
        )
        message = text % row.carrier_name
    return {"status": "success", "message": message, "cancellation": shown}


def _cancellation(row: Shipment) -> dict[str, Any]:
    stored = row.cancellation
    return {
        "tracking_number": row.tracking_number,
        "cancelled_at": stored["cancelled_at"],
        "reason": stored.get("reason", ""),
        "refund_status": stored.get("refund_status", ""),
        "refund_amount": number(stored.get("refund_amount")),
        "carrier_informed": stored.get(CARRIER_INFORMED, True),
    }


class ProofSerializer(serializers.Serializer):
    tracking_number = serializers.CharField()
    delivered_at = serializers.DateTimeField(allow_null=True)
    signed_by = serializers.CharField()
    signature_image = serializers.CharField(help_text="A data URL.")
    delivery_photo = serializers.CharField(help_text="A data URL.")
    location = serializers.CharField()
    pickup_code_used = serializers.CharField(allow_null=True)
    delivery_type = serializers.CharField()
    coordinates = serializers.DictField(allow_null=True)
    notes = serializers.CharField()


class ProofOfDeliverySerializer(serializers.Serializer):
    status = serializers.CharField()
    proof_of_delivery = ProofSerializer()


def proof_of_delivery(proof: ProofOfDelivery) -> dict[str, Any]:
    """Render a proof of delivery as documented."""
    return {
        "status": "success",
        "proof_of_delivery": {
            "tracking_number": proof.tracking_number,
            "delivered_at": rfc3339(proof.delivered_at),
            "signed_by": proof.signed_by,
            "signature_image": proof.signature_image,
            "delivery_photo": proof.delivery_photo,
            "location": proof.location,
            "pickup_code_used": proof.pickup_code_used,
            "delivery_type": proof.delivery_type,
            "coordinates": None
            if proof.latitude is None
            else {"latitude": proof.latitude, "longitude": proof.longitude},
            "notes": proof.notes,
        },
    }
