"""The status endpoint of the workers."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.views import ApiViewSet
from apikeys.models import scopes
from config.worker import heartbeat


@extend_schema_serializer(component_name="Lane")  # a documented name
class TaskSerializer(serializers.Serializer):
    name = serializers.CharField()
    queue = serializers.ChoiceField(choices=list(heartbeat.QUEUES))
    runs = serializers.IntegerField()
    failures = serializers.IntegerField()
    last_run_at = serializers.DateTimeField(allow_null=True)


class WorkerSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    started_at = serializers.DateTimeField()
    last_heartbeat_at = serializers.DateTimeField()
    lanes = TaskSerializer(many=True, help_text="The worker's tasks.")


class QueueSerializer(serializers.Serializer):
    queued = serializers.IntegerField(help_text="Due rows without a lease.")
    active = serializers.IntegerField(help_text="Rows that a worker has leased.")


class WorkStatusSerializer(serializers.Serializer):
    active_workers = serializers.IntegerField(help_text="Worker processes with a recent heartbeat.")
    registered_tasks = serializers.ListField(child=serializers.CharField(), help_text="Names of the workers' tasks.")
    active_tasks = serializers.IntegerField()
    queued_tasks = serializers.IntegerField()
    executor = serializers.ChoiceField(
        choices=["embedded"], help_text="Waybill's own workers. The queues are database rows."
    )
    broker = serializers.ChoiceField(
        choices=["not_configured", "not_used"],
        help_text="not_used: configured, but no work goes through it.",
    )
    queues = serializers.DictField(child=QueueSerializer())
    workers = WorkerSerializer(many=True)


class WorkStatusViewSet(ApiViewSet):
    """The state of the background work of the whole installation."""

    scopes: ClassVar = {"retrieve": scopes.REPORTS_READ}

    @extend_schema(responses={200: WorkStatusSerializer}, tags=["health"])
    def retrieve(self, request: Request) -> Response:
        """Return the running workers and the amount of waiting work."""
        response = Response(heartbeat.status())
        response["Cache-Control"] = "no-store"
        return response
