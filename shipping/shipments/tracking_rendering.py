"""Responses to tracking requests: tracks from the carrier and histories of stored checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Prefetch, QuerySet, prefetch_related_objects
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from apikeys.http.rendering import rfc3339
from carriers.types import Status
from shipping.checkpoints import merging
from shipping.checkpoints.exceptions import read_details
from shipping.checkpoints.rendering import HistoryItemSerializer, ScanFieldsSerializer, history_item
from shipping.labels.rendering import carrier_metadata
from shipping.models import Checkpoint, Shipment
from shipping.shipments.tracking import TrackResult

MAX_SHOWN_CHECKPOINTS = 1000
_LATEST = ("-occurred_at", "-id")


class TrackEventSerializer(ScanFieldsSerializer):
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
    tracking_number = serializers.CharField(help_text="As requested.")
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
    """A list with a track or an error per number."""


class TrackListSerializer(serializers.Serializer):
    results = _TrackResultsField(help_text="In the order of the request.")


# A request for one number returns its track, a request for several a list.
TRACK_ANSWER = PolymorphicProxySerializer(
    component_name="TrackAnswer",
    serializers=[TrackSerializer, TrackListSerializer],
    resource_type_field_name=None,
)


def track(shipment: Shipment, *, stale: bool) -> dict[str, Any]:
    """Render a parcel with its scans. ``metadata.stale``: the carrier did not report it just now."""
    rows = load_checkpoints(shipment)
    attempts = [row.details.get("attempts") for row in rows if isinstance(row.details.get("attempts"), int)]
    return {
        "carrier": shipment.carrier_name,
        "tracking_number": shipment.tracking_number,
        "status": shipment.status,
        "events": [track_event(row) for row in rows],
        "estimated_delivery": rfc3339(shipment.estimated_delivery),
        "current_location": shipment.carrier_details.get("current_location") or shipment.location,
        "metadata": {"delivery_attempts": max(attempts, default=0)}
        | carrier_metadata(shipment)
        | {"shipment_id": str(shipment.id), "stale": stale},
    }


def tracks(results: Sequence[TrackResult]) -> dict[str, Any]:
    """Render many parcels, each as ``track`` does, or as its error."""
    shipments = [one.outcome for one in results if isinstance(one.outcome, Shipment)]
    latest = _select_latest(Checkpoint.objects)
    prefetch_related_objects(shipments, Prefetch("checkpoints", latest, to_attr="latest_checkpoints"))
    return {
        "results": [
            track(one.outcome, stale=one.stale)
            if isinstance(one.outcome, Shipment)
            else {"tracking_number": one.name} | one.outcome.body()
            for one in results
        ]
    }


def track_event(row: Any) -> dict[str, Any]:
    """Render one scan."""
    return {
        "timestamp": rfc3339(row.occurred_at),
        "status": row.status,
        "description": row.description,
        "location": row.location,
        "suspect_time": bool(row.suspect_time),
        "parcel": row.parcel,
        **read_details(row.details),
    }


def load_checkpoints(shipment: Shipment) -> list[Any]:
    """Return a shipment's latest thousand checkpoints with all reports of each, the oldest first."""
    rows = getattr(shipment, "latest_checkpoints", None)  # prefetched by ``tracks``
    if rows is None:
        rows = _select_latest(shipment.checkpoints)
    return merging.arrange(list(rows))


def _select_latest(checkpoints: Any) -> QuerySet[Checkpoint]:
    return checkpoints.annotate(other_reports=merging.OtherReports()).order_by(*_LATEST)[:MAX_SHOWN_CHECKPOINTS]


class HistorySerializer(serializers.Serializer):
    success = serializers.BooleanField()
    tracking_id = serializers.CharField()
    current_status = serializers.CharField()
    delivery_time = serializers.DateTimeField(allow_null=True, help_text="The delivery, else the latest estimate.")
    estimated_delivery = serializers.DateTimeField(allow_null=True)
    checkpoints = HistoryItemSerializer(many=True)
    total_checkpoints = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


def history(shipment: Shipment) -> dict[str, Any]:
    """Render a unit with its latest thousand checkpoints, the oldest first."""
    return {
        "success": True,
        "tracking_id": shipment.tracking_number,
        "current_status": shipment.status.upper(),
        "delivery_time": shipment.delivery_time,
        "estimated_delivery": shipment.estimated_delivery,
        "checkpoints": [history_item(row) for row in load_checkpoints(shipment)],
        "total_checkpoints": shipment.checkpoint_count,
        "created_at": shipment.first_at or shipment.created_at,
        "updated_at": shipment.last_at or shipment.created_at,
    }


def history_from_rows(rows: Sequence[Any]) -> dict[str, Any]:
    """Render the same from the rows of ``histories.read_history``."""
    unit = rows[0]
    is_returning = unit.shipment__status in (Status.RTO, Status.RETURNED)
    return {
        "success": True,
        "tracking_id": unit.shipment__tracking_number,
        "current_status": unit.shipment__status.upper(),
        "delivery_time": None if is_returning else unit.shipment__delivered_at or unit.shipment__estimated_delivery,
        "estimated_delivery": unit.shipment__estimated_delivery,
        "checkpoints": [history_item(row) for row in merging.arrange(rows)],
        "total_checkpoints": unit.shipment__checkpoint_count,
        "created_at": unit.shipment__first_at,
        "updated_at": unit.shipment__last_at,
    }
