"""Events: serializers and endpoint."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.views import ApiViewSet
from apikeys.audit import events
from apikeys.http import pagination
from apikeys.http.fields import MomentField, TextField
from apikeys.http.pagination import PageSerializer, PaginationSerializer
from apikeys.models import scopes


class EventListSerializer(PageSerializer):
    """``?type=&subject_id=&since=&until=``"""

    type = TextField(max_length=500, required=False, help_text="Types, several with commas; shipment.* takes a family.")
    subject_id = serializers.UUIDField(required=False)
    since = MomentField(required=False)
    until = MomentField(required=False, help_text="Not included.")

    def validate_type(self, value: str) -> list[str]:
        return [name.strip() for name in value.split(",") if name.strip()][:20]


class EventSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    type = serializers.CharField()
    visibility = serializers.ChoiceField(choices=["public", "audit"])
    subject_id = serializers.UUIDField(allow_null=True)
    data = serializers.DictField()
    actor = serializers.CharField(allow_blank=True)
    address = serializers.CharField(allow_null=True)
    correlation_id = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()


class EventPageSerializer(serializers.Serializer):
    events = EventSerializer(many=True)
    pagination = PaginationSerializer()


class EventViewSet(ApiViewSet):
    """What happened to the merchant's shipments, keys, credentials and members."""

    scopes: ClassVar = {"list": scopes.REPORTS_READ}
    merchant_wide = True

    @extend_schema(
        parameters=[EventListSerializer],
        responses={200: EventPageSerializer},
        tags=["events"],
    )
    def list(self, request: Request) -> Response:
        """Events, the newest first."""
        asked = self.validate(EventListSerializer, request.query_params)
        rows = events.merchant_events(
            self.tenant,
            types=asked.get("type", ()),
            subject_id=asked.get("subject_id"),
            since=asked["since"].at if "since" in asked else None,
            until=asked["until"].at if "until" in asked else None,
        )
        page, page_info = pagination.newest_first(rows, limit=asked["limit"], cursor=asked.get("cursor"))
        shown = [{name: getattr(row, name) for name in _EVENT_COLUMNS} for row in page]
        return Response({"events": shown, "pagination": page_info})


_EVENT_COLUMNS = tuple(EventSerializer().fields)
