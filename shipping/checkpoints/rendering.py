"""Responses to posted checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers

from shipping.checkpoints.exceptions import read_details
from shipping.checkpoints.posting import Outcome, Posted

SUSPECT_TIME_HELP = "The carrier's time cannot be right, so the checkpoint decides no status."


class CheckpointDataSerializer(serializers.Serializer):
    tracking_id = serializers.CharField()
    checkpoint_id = serializers.UUIDField()
    status = serializers.CharField()
    location = serializers.CharField()
    description = serializers.CharField()
    timestamp = serializers.DateTimeField()
    unit_created = serializers.BooleanField()
    estimated_delivery = serializers.CharField(required=False, help_text="As it was given, if it was.")


class CheckpointSerializer(serializers.Serializer):
    success = serializers.BooleanField()
    message = serializers.CharField()
    data = CheckpointDataSerializer()


class RefusedItemSerializer(serializers.Serializer):
    error = serializers.CharField()
    message = serializers.CharField()
    details = serializers.DictField()


class BatchResultSerializer(serializers.Serializer):
    index = serializers.IntegerField(help_text="The item's position in the request, from 0.")
    result = serializers.ChoiceField(choices=["stored", "repeated", "refused"])
    data = CheckpointDataSerializer(required=False)
    error = RefusedItemSerializer(required=False)


class BatchSerializer(serializers.Serializer):
    success = serializers.BooleanField(help_text="True if no item was refused.")
    stored = serializers.IntegerField()
    repeated = serializers.IntegerField()
    refused = serializers.IntegerField()
    results = BatchResultSerializer(many=True)


class ScanFieldsSerializer(serializers.Serializer):
    """The fields that all responses with checkpoints have."""

    suspect_time = serializers.BooleanField(help_text=SUSPECT_TIME_HELP)
    parcel = serializers.CharField(
        allow_null=True, help_text="Tracking number of the parcel, if the shipment has several; null: all of them."
    )
    reason = serializers.CharField(
        allow_null=True,
        help_text="Of an exception or ndr: address_issue, customs, damaged, not_home, refused and others.",
    )
    action_required_by = serializers.CharField(
        allow_null=True, help_text="Of an exception or ndr: who must act, sender, recipient or carrier; null: nobody."
    )


class HistoryItemSerializer(ScanFieldsSerializer):
    id = serializers.UUIDField()
    status = serializers.CharField()
    location = serializers.CharField()
    description = serializers.CharField()
    timestamp = serializers.DateTimeField()
    details = serializers.DictField()


def checkpoint(result: Posted, message: str) -> dict[str, Any]:
    """Render the documented response for one stored checkpoint."""
    return {"success": True, "message": message, "data": _checkpoint_data(result)}


def batch(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Render the outcome of each item of a batch, in order."""
    results = [_batch_result(index, outcome) for index, outcome in enumerate(outcomes)]
    counts = {kind: sum(result["result"] == kind for result in results) for kind in ("stored", "repeated", "refused")}
    return {"success": not counts["refused"], **counts, "results": results}


def history_item(row: Any) -> dict[str, Any]:
    """Render one checkpoint of a unit's history, as ``merging.arrange`` returns it."""
    return {
        "id": row.id,
        "status": row.status.upper(),
        "location": row.location,
        "description": row.description,
        "timestamp": row.occurred_at,
        "suspect_time": bool(row.suspect_time),
        "parcel": row.parcel,
        **read_details(row.details),
    }


def _batch_result(index: int, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Posted):
        result = "repeated" if outcome.repeated else "stored"
        return {"index": index, "result": result, "data": _checkpoint_data(outcome)}
    return {"index": index, "result": "refused", "error": outcome.body()}


def _checkpoint_data(result: Posted) -> dict[str, Any]:
    item = result.item
    data = {
        "tracking_id": item.tracking_id,
        "checkpoint_id": result.checkpoint_id,
        "status": item.status.upper(),
        "location": item.location,
        "description": item.description,
        "timestamp": item.moment.at,
        "unit_created": result.unit_created,
    }
    return data | ({"estimated_delivery": item.shown_estimate} if item.estimated_delivery else {})
