"""What merchants are answered.

Each documented shape in one function, with its serializer for the OpenAPI document beside it.

The checkpoint family (``/checkpoints``, ``/tracking/{id}``, ``/shipments``) writes statuses in upper case, as its
document does; everything else in lower case.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch, prefetch_related_objects
from django.utils.translation import gettext as _
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apikeys.models import Event
from apikeys.http.pagination import PaginationSerializer as CursorPaginationSerializer
from apikeys.http.rendering import rfc3339
from carriers.adapters.registry import adapter_class
from carriers.types import Offer, PaymentMethod, ProofOfDelivery
from shipping.checkpoints.fold import Point
from shipping.models import (
    BookingState,
    Checkpoint,
    Pickup,
    Quote,
    Shipment,
    Warehouse,
    WarehouseRegistration,
)
from shipping.common import input_warnings
from shipping.warehouses import warehouses
from shipping.common.conversion import plain
from shipping.checkpoints.posting import Outcome
from shipping.checkpoints.posting import Posted
from shipping.shipments.tracking import Tracked

MAX_SHOWN_CHECKPOINTS = 1000
_LATEST = ("-occurred_at", "-id")
MANIFEST = "Null where the carrier gives out none."
ODD = "What looks wrong with the data; nothing was changed or refused."


def number(value: Any) -> float | None:
    """Money and measures are JSON numbers on the wire."""
    return None if value is None else float(Decimal(str(value)))


# Quotes


class OfferSerializer(serializers.Serializer):
    quote_id = serializers.UUIDField()
    carrier = serializers.CharField()
    service_type = serializers.CharField()
    total_price = serializers.FloatField()
    currency = serializers.CharField()
    transit_days = serializers.IntegerField(allow_null=True)
    estimated_delivery = serializers.DateTimeField(allow_null=True)
    breakdown = serializers.DictField(child=serializers.FloatField())
    metadata = serializers.DictField()


class WarningSerializer(serializers.Serializer):
    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class QuoteSerializer(OfferSerializer):
    offers = OfferSerializer(many=True)
    warnings = WarningSerializer(many=True, help_text=ODD)


def quote(offers: Sequence[tuple[Quote, Offer]], route: Mapping[str, Any]) -> dict[str, Any]:
    """The best offer as documented, and all of them in ``offers``."""
    shown = [_offer(row, offer) for row, offer in offers]
    return shown[0] | {"offers": shown, "warnings": input_warnings.of_order(route)}


def _offer(row: Quote, offer: Offer) -> dict[str, Any]:
    return {
        "quote_id": str(row.id),
        "carrier": adapter_class(row.carrier).name,
        "service_type": offer.service_type,
        "total_price": number(offer.total_price),
        "currency": offer.currency,
        "transit_days": offer.transit_days,
        "estimated_delivery": rfc3339(offer.estimated_delivery),
        "breakdown": {name: number(amount) for name, amount in offer.breakdown.items()},
        "metadata": {"quote_id": offer.carrier_quote_id} | plain(offer.extras),
    }


# Labels


class LabelSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    tracking_number = serializers.CharField()
    label_url = serializers.URLField()
    manifest_url = serializers.URLField(allow_null=True, help_text=MANIFEST)
    label_data = serializers.CharField(allow_null=True, help_text="The file in base64.")
    label_format = serializers.CharField()
    shipment_id = serializers.UUIDField()
    order_id = serializers.CharField()
    status = serializers.CharField()
    total_price = serializers.FloatField(allow_null=True)
    currency = serializers.CharField()
    metadata = serializers.DictField()
    warnings = WarningSerializer(many=True, help_text=ODD)


class PendingShipmentSerializer(serializers.Serializer):
    shipment_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["pending", "needs_review"])
    carrier = serializers.CharField()
    order_id = serializers.CharField()
    message = serializers.CharField()


def label(shipment: Shipment, *, label_url: str | None, manifest_url: str | None) -> dict[str, Any]:
    """A bought label with its file."""
    return {
        "carrier": shipment.carrier_name,
        "tracking_number": shipment.tracking_number,
        "label_url": label_url,
        "manifest_url": manifest_url,
        "label_data": _file(shipment),
        "label_format": shipment.label.format,
        "shipment_id": str(shipment.id),
        "order_id": shipment.order_id,
        "status": shipment.status,
        "total_price": number(shipment.total_price),
        "currency": shipment.currency,
        "metadata": carrier_metadata(shipment),
        "warnings": input_warnings.of_order(shipment.request),
    }


def _file(shipment: Shipment) -> str | None:
    """The label in base64; None where it is not here yet or the storage has lost it, so that the rest is still told."""
    if not shipment.label.file:
        return None
    try:
        with shipment.label.file.open("rb") as file:
            return base64.b64encode(file.read()).decode()
    except FileNotFoundError:
        return None


class ReturnSerializer(LabelSerializer):
    return_of = serializers.UUIDField(help_text="The shipment that comes back.")
    reason = serializers.CharField()


def way_back(shipment: Shipment, **urls: str | None) -> dict[str, Any]:
    """A bought return; ``urls`` as for its label."""
    return label(shipment, **urls) | {
        "return_of": str(shipment.return_of_id),
        "reason": shipment.request.get("reason", ""),
    }


def pending(shipment: Shipment) -> dict[str, Any]:
    """A booking whose outcome is not known yet."""
    return {
        "shipment_id": str(shipment.id),
        "status": shipment.booking_state,
        "carrier": shipment.carrier_name,
        "order_id": shipment.order_id,
        "message": _(
            "The carrier has not answered yet. The label is looked up; ask again with the same Idempotency-Key or read "
            "the shipment. Do not order it anew."
        ),
    }


def carrier_metadata(shipment: Shipment) -> dict[str, Any]:
    """What the carrier says beyond our own fields, and its own names for the shipment."""
    return shipment.carrier_details | {
        "carrier_shipment_id": shipment.carrier_shipment_id,
        "customer_reference": shipment.customer_reference,
        "estimated_delivery": rfc3339(shipment.estimated_delivery),
    }


# Tracking


class TrackEventSerializer(serializers.Serializer):
    timestamp = serializers.DateTimeField()
    status = serializers.CharField()
    description = serializers.CharField()
    location = serializers.CharField()
    details = serializers.DictField()


class TrackSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    tracking_number = serializers.CharField()
    status = serializers.CharField()
    events = TrackEventSerializer(many=True)
    estimated_delivery = serializers.DateTimeField(allow_null=True)
    current_location = serializers.CharField()
    metadata = serializers.DictField()


class TrackErrorSerializer(serializers.Serializer):
    tracking_number = serializers.CharField(help_text="As it was asked.")
    error = serializers.CharField()
    message = serializers.CharField()
    details = serializers.DictField()
    carrier = serializers.CharField(required=False)
    carrier_code = serializers.CharField(required=False)
    carrier_message = serializers.CharField(required=False)
    retryable = serializers.BooleanField(required=False)


@extend_schema_field(
    PolymorphicProxySerializer(
        component_name="TrackResult",
        serializers=[TrackSerializer, TrackErrorSerializer],
        resource_type_field_name=None,
        many=True,
    )
)
class _TrackResultsField(serializers.ListField):
    """A track or an error for each number."""


class TrackListSerializer(serializers.Serializer):
    results = _TrackResultsField(help_text="In the order asked.")


# One number is answered by its track, several by a list.
TRACK_ANSWER = PolymorphicProxySerializer(
    component_name="TrackAnswer",
    serializers=[TrackSerializer, TrackListSerializer],
    resource_type_field_name=None,
)


def track(shipment: Shipment, *, stale: bool) -> dict[str, Any]:
    """A carrier's parcel with its scans. ``metadata.stale``: the carrier did not answer just now."""
    rows = _ordered(shipment)
    attempts = [row.details.get("attempts") for row in rows if isinstance(row.details.get("attempts"), int)]
    return {
        "carrier": shipment.carrier_name,
        "tracking_number": shipment.tracking_number,
        "status": shipment.status,
        "events": [_track_event(row) for row in rows],
        "estimated_delivery": rfc3339(shipment.estimated_delivery),
        "current_location": shipment.carrier_details.get("current_location") or shipment.location,
        "metadata": {"delivery_attempts": max(attempts, default=0)}
        | carrier_metadata(shipment)
        | {"shipment_id": str(shipment.id), "stale": stale},
    }


def tracks(answers: Sequence[Tracked]) -> dict[str, Any]:
    """Many parcels, each as ``track`` shows it, or as the error that it would have been refused with."""
    shipments = [one.outcome for one in answers if isinstance(one.outcome, Shipment)]
    latest = Checkpoint.objects.order_by(*_LATEST)[:MAX_SHOWN_CHECKPOINTS]
    prefetch_related_objects(shipments, Prefetch("checkpoints", latest, to_attr="latest_checkpoints"))
    return {"results": [_tracked(one) for one in answers]}


def _tracked(answer: Tracked) -> dict[str, Any]:
    if isinstance(answer.outcome, Shipment):
        return track(answer.outcome, stale=answer.stale)
    return {"tracking_number": answer.name} | answer.outcome.body()


def _track_event(row: Checkpoint) -> dict[str, Any]:
    return {
        "timestamp": rfc3339(row.occurred_at),
        "status": row.status,
        "description": row.description,
        "location": row.location,
        "details": row.details,
    }


def _ordered(shipment: Shipment) -> list[Checkpoint]:
    rows = getattr(shipment, "latest_checkpoints", None)  # of ``tracks``
    if rows is None:
        rows = shipment.checkpoints.order_by(*_LATEST)[:MAX_SHOWN_CHECKPOINTS]
    return sorted(rows, key=lambda row: Point(row.occurred_at, row.status, row.code, row.location).order)


# The checkpoint family


class CheckpointDataSerializer(serializers.Serializer):
    tracking_id = serializers.CharField()
    checkpoint_id = serializers.UUIDField()
    status = serializers.CharField()
    location = serializers.CharField()
    description = serializers.CharField()
    timestamp = serializers.DateTimeField()
    unit_created = serializers.BooleanField()


class CheckpointSerializer(serializers.Serializer):
    success = serializers.BooleanField()
    message = serializers.CharField()
    data = CheckpointDataSerializer()


class HistoryItemSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    status = serializers.CharField()
    location = serializers.CharField()
    description = serializers.CharField()
    timestamp = serializers.DateTimeField()
    details = serializers.DictField()


class HistorySerializer(serializers.Serializer):
    success = serializers.BooleanField()
    tracking_id = serializers.CharField()
    current_status = serializers.CharField()
    delivery_time = serializers.DateTimeField(allow_null=True)
    checkpoints = HistoryItemSerializer(many=True)
    total_checkpoints = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class UnitSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    tracking_id = serializers.CharField()
    status = serializers.CharField()
    location = serializers.CharField()
    delivery_time = serializers.DateTimeField(allow_null=True)
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


def posted(result: Posted, message: str) -> dict[str, Any]:
    """A stored checkpoint, as documented."""
    return {"success": True, "message": message, "data": _posted(result)}


def _posted(result: Posted) -> dict[str, Any]:
    item = result.item
    return {
        "tracking_id": item.tracking_id,
        "checkpoint_id": result.checkpoint_id,
        "status": item.status.upper(),
        "location": item.location,
        "description": item.description,
        "timestamp": item.moment.at,
        "unit_created": result.unit_created,
    }


class RefusedItemSerializer(serializers.Serializer):
    error = serializers.CharField()
    message = serializers.CharField()
    details = serializers.DictField()


class BatchResultSerializer(serializers.Serializer):
    index = serializers.IntegerField(help_text="The item's place in the request, from 0.")
    result = serializers.ChoiceField(choices=["stored", "repeated", "refused"])
    data = CheckpointDataSerializer(required=False)
    error = RefusedItemSerializer(required=False)


class BatchSerializer(serializers.Serializer):
    success = serializers.BooleanField(help_text="Nothing was refused.")
    stored = serializers.IntegerField()
    repeated = serializers.IntegerField()
    refused = serializers.IntegerField()
    results = BatchResultSerializer(many=True)


def batch(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What became of each item of a batch, in its order."""
    results = [_batch_result(index, outcome) for index, outcome in enumerate(outcomes)]
    counts = {kind: sum(result["result"] == kind for result in results) for kind in ("stored", "repeated", "refused")}
    return {"success": not counts["refused"], **counts, "results": results}


def _batch_result(index: int, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Posted):
        return {"index": index, "result": "repeated" if outcome.repeated else "stored", "data": _posted(outcome)}
    return {"index": index, "result": "refused", "error": outcome.body()}


def history(shipment: Shipment) -> dict[str, Any]:
    """A unit with its checkpoints, oldest first (the latest thousand)."""
    return {
        "success": True,
        "tracking_id": shipment.tracking_number,
        "current_status": shipment.status.upper(),
        "delivery_time": shipment.delivery_time,
        "checkpoints": [_history_item(row) for row in _ordered(shipment)],
        "total_checkpoints": shipment.checkpoint_count,
        "created_at": shipment.first_at or shipment.created_at,
        "updated_at": shipment.last_at or shipment.created_at,
    }


def history_of(rows: Sequence[Any]) -> dict[str, Any]:
    """The same of ``histories.find``'s rows."""
    unit = rows[0]
    return {
        "success": True,
        "tracking_id": unit.shipment__tracking_number,
        "current_status": unit.shipment__status.upper(),
        "delivery_time": unit.shipment__delivered_at or unit.shipment__estimated_delivery,
        "checkpoints": [_history_item(row) for row in rows],
        "total_checkpoints": unit.shipment__checkpoint_count,
        "created_at": unit.shipment__first_at,
        "updated_at": unit.shipment__last_at,
    }


def units(page: Iterable[Shipment], pagination: Mapping[str, Any], filters: Mapping[str, Any]) -> dict[str, Any]:
    """A page of units."""
    return {
        "success": True,
        "units": [_unit(row) for row in page],
        "pagination": dict(pagination),
        "filters": dict(filters),
    }


def _history_item(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "status": row.status.upper(),
        "location": row.location,
        "description": row.description,
        "timestamp": row.occurred_at,
        "details": row.details,
    }


def _unit(row: Shipment) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "tracking_id": row.tracking_number,
        "status": row.status.upper(),
        "location": row.location,
        "delivery_time": rfc3339(row.delivery_time),
        "total_checkpoints": row.checkpoint_count,
        "created_at": rfc3339(row.first_at or row.created_at),
        "updated_at": rfc3339(row.last_at or row.created_at),
        "carrier": row.carrier_name or None,
        "order_id": row.order_id or None,
    }


# One shipment


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
    manifest_url = serializers.URLField(allow_null=True, help_text=MANIFEST)
    origin = serializers.DictField()
    destination = serializers.DictField()
    packages = serializers.ListField(child=serializers.DictField())
    items = serializers.ListField(child=serializers.DictField())
    payment = PaymentSerializer()
    billing_address = serializers.DictField(allow_null=True)
    warehouse_id = serializers.UUIDField(allow_null=True)
    return_of = serializers.UUIDField(allow_null=True)
    total_price = serializers.FloatField(allow_null=True)
    currency = serializers.CharField()
    estimated_delivery = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    checkpoints = TrackEventSerializer(many=True)
    failure = serializers.DictField(allow_null=True)
    cancellation = serializers.DictField(allow_null=True)
    metadata = serializers.DictField()
    created_at = serializers.DateTimeField()


class ChangedShipmentSerializer(ShipmentSerializer):
    """What the answer to a change tells besides."""

    warnings = WarningSerializer(many=True, help_text=ODD)


def shipment_page(row: Shipment, *, label_url: str | None, manifest_url: str | None) -> dict[str, Any]:
    """Everything about one shipment, whatever its booking state."""
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
        "items": [_item(item) for item in row.request.get("items", ())],
        "payment": _payment(row.request),
        "billing_address": row.request.get("billing_address"),
        "warehouse_id": row.warehouse_id and str(row.warehouse_id),
        "return_of": row.return_of_id and str(row.return_of_id),
        "total_price": number(row.total_price),
        "currency": row.currency,
        "estimated_delivery": rfc3339(row.estimated_delivery),
        "delivered_at": rfc3339(row.delivered_at),
        "checkpoints": [_track_event(checkpoint) for checkpoint in _ordered(row)],
        "failure": failure(row)[0] if row.failure else None,
        "cancellation": _cancellation(row) if row.cancellation else None,
        "metadata": carrier_metadata(row),
        "created_at": rfc3339(row.created_at),
    }


def _item(item: dict[str, Any]) -> dict[str, Any]:
    amounts = ("unit_price", "discount", "tax")
    return item | {name: number(Decimal(item[name])) for name in amounts if name in item}


def _payment(order: dict[str, Any]) -> dict[str, Any]:
    amount = order.get("cod_amount")
    return {
        "method": order.get("payment_method", PaymentMethod.PREPAID.value),
        "cod_amount": None if amount is None else number(Decimal(amount)),
        "currency": order.get("currency", ""),
    }


def failure(row: Shipment) -> tuple[dict[str, Any], int]:
    """Why the booking failed, as it was answered at the time, and with which HTTP status."""
    body = dict(row.failure or {})
    return body, body.pop("http_status", 400)


def _package(parcel: Any) -> dict[str, Any]:
    measures = {name: number(getattr(parcel, name)) for name in ("weight_kg", "length_cm", "width_cm", "height_cm")}
    return measures | {
        "declared_value": number(parcel.declared_value),
        "currency": parcel.currency,
        "description": parcel.description,
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
    """A shipment's public events."""
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


class CancellationSerializer(serializers.Serializer):
    status = serializers.CharField()
    message = serializers.CharField()
    cancellation = CancellationDataSerializer()


def cancellation(row: Shipment, message: str) -> dict[str, Any]:
    """A cancellation, as documented."""
    return {"status": "success", "message": message, "cancellation": _cancellation(row)}


def _cancellation(row: Shipment) -> dict[str, Any]:
    stored = row.cancellation
    return {
        "tracking_number": row.tracking_number,
        "cancelled_at": stored["cancelled_at"],
        "reason": stored.get("reason", ""),
        "refund_status": stored.get("refund_status", ""),
        "refund_amount": number(stored.get("refund_amount")),
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
    """A proof of delivery, as documented."""
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


# Warehouses


class RegistrationSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    account = serializers.ChoiceField(choices=["own", "platform"])
    state = serializers.ChoiceField(choices=WarehouseRegistration.State.choices)
    carrier_warehouse_id = serializers.CharField(allow_null=True)
    failure = serializers.DictField(allow_null=True)


class WarehouseSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    address = serializers.DictField()
    return_address = serializers.DictField(allow_null=True)
    registrations = RegistrationSerializer(many=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class KeptWarehouseSerializer(WarehouseSerializer):
    """What the answer to keeping or changing a place tells besides."""

    warnings = WarningSerializer(many=True, help_text=ODD)


class WarehouseListSerializer(serializers.Serializer):
    warehouses = WarehouseSerializer(many=True)
    pagination = CursorPaginationSerializer()


def warehouse(row: Warehouse) -> dict[str, Any]:
    """A place, with what each account that the merchant can order from calls it."""
    return {
        "id": str(row.id),
        "name": row.name,
        "address": row.address,
        "return_address": row.return_address,
        "registrations": [registration(one) for one in warehouses.usable(row)],
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
    }


def kept_warehouse(row: Warehouse, *, is_muted: bool) -> dict[str, Any]:
    """The same with what looks wrong with it."""
    ends = {} if is_muted else {"address": row.address, "return_address": row.return_address}
    return warehouse(row) | {"warnings": input_warnings.of_places(ends)}


def registration(row: WarehouseRegistration) -> dict[str, Any]:
    """What one carrier's account calls a place."""
    return {
        "carrier": adapter_class(row.credential.carrier).name,
        "account": "own" if row.credential.merchant_id else "platform",
        "state": row.state,
        "carrier_warehouse_id": row.carrier_warehouse_id or None,
        "failure": row.failure,
    }


# Serviceability


class ServiceSerializer(serializers.Serializer):
    service_type = serializers.CharField()
    price = serializers.FloatField(allow_null=True)
    currency = serializers.CharField(allow_null=True)
    transit_days = serializers.IntegerField(allow_null=True)
    metadata = serializers.DictField()


class ServiceabilitySerializer(serializers.Serializer):
    carrier = serializers.CharField()
    is_serviceable = serializers.BooleanField()
    services = ServiceSerializer(many=True)
    reason = serializers.CharField(allow_null=True, help_text="Why not, in the carrier's words.")


def serviceability(carrier: str, offers: Sequence[Offer], reason: str) -> dict[str, Any]:
    """Whether a carrier goes there, and how."""
    return {
        "carrier": carrier,
        "is_serviceable": bool(offers),
        "services": [_service(offer) for offer in offers],
        "reason": reason or None,
    }


def _service(offer: Offer) -> dict[str, Any]:
    return {
        "service_type": offer.service_type,
        "price": number(offer.total_price),
        "currency": offer.currency or None,
        "transit_days": offer.transit_days,
        "metadata": plain(offer.extras),
    }


# Pickups


class PickupSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    pickup_id = serializers.UUIDField()
    confirmation_number = serializers.CharField()
    scheduled_date = serializers.DateTimeField()
    pickup_window_start = serializers.CharField()
    pickup_window_end = serializers.CharField()
    status = serializers.ChoiceField(choices=Pickup.State.choices)
    metadata = serializers.DictField()
    shipment_ids = serializers.ListField(child=serializers.UUIDField())
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    cancelled_at = serializers.DateTimeField(allow_null=True)
    cancel_reason = serializers.CharField(allow_null=True)


class PickupListSerializer(serializers.Serializer):
    pickups = PickupSerializer(many=True)
    pagination = CursorPaginationSerializer()


def pickup(row: Pickup) -> dict[str, Any]:
    """A collection, as documented."""
    return {
        "carrier": adapter_class(row.carrier).name,
        "pickup_id": str(row.id),
        "confirmation_number": row.confirmation_number,
        "scheduled_date": rfc3339(row.scheduled_date),
        "pickup_window_start": row.window_start,
        "pickup_window_end": row.window_end,
        "status": row.state,
        "metadata": row.carrier_details | {"carrier_pickup_id": row.carrier_pickup_id},
        "shipment_ids": sorted(str(shipment.id) for shipment in row.shipments.all()),
        "created_at": rfc3339(row.created_at),
        "completed_at": row.completed_at and rfc3339(row.completed_at),
        "cancelled_at": row.cancelled_at and rfc3339(row.cancelled_at),
        "cancel_reason": row.cancel_reason,
    }
