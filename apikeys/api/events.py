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
    """Filters of the list: ``?type=&subject_id=&since=&until=``."""

    type = TextField(
        max_length=500,
        required=False,
        help_text="Event types, separated by commas. shipment.* matches every type with this prefix.",
    )
    subject_id = serializers.UUIDField(required=False)
    since = MomentField(required=False)
    until = MomentField(required=False, help_text="Exclusive.")

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
    """Events of the merchant's shipments, keys, credentials and members."""

    scopes: ClassVar = {"list": scopes.REPORTS_READ}
    merchant_wide = True

    @extend_schema(
        parameters=[EventListSerializer],
        responses={200: EventPageSerializer},
        tags=["events"],
    )
    def list(self, request: Request) -> Response:
        """List events, newest first."""
        query = self.validate(EventListSerializer, request.query_params)
        rows = events.merchant_events(
            self.tenant,
            types=query.get("type", ()),
            subject_id=query.get("subject_id"),
            since=query["since"].at if "since" in query else None,
            until=query["until"].at if "until" in query else None,
        )
        page, page_info = pagination.newest_first(rows, limit=query["limit"], cursor=query.get("cursor"))
        shown = [{name: getattr(row, name) for name in _EVENT_COLUMNS} for row in page]
        return Response({"events": shown, "pagination": page_info})


_EVENT_COLUMNS = tuple(EventSerializer().fields)
