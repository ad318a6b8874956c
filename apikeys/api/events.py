"""Events: serializers and endpoint."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.views import ApiViewSet
from apikeys.audit import events, feeds
from apikeys.http import pagination
from apikeys.http.fields import IntegerField, MomentField, TextField
from apikeys.http.pagination import MAX_LIMIT, PageSerializer, PaginationSerializer
from apikeys.models import Event, scopes

MAX_AUDIT_LIMIT = 1_000


class TypesField(TextField):
    """Event types, separated by commas. None or too many are refused: a feed would have other events than expected."""

    default_error_messages = {"many": _("At most 20 types are allowed.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=500,
            required=False,
            help_text="Event types, separated by commas. shipment.* matches every type with this prefix.",
            **kwargs,
        )

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        names = [name.strip() for name in text.split(",") if name.strip()]
        if not names:
            self.fail("blank")
        if len(names) > 20:
            self.fail("many")
        return names


class AfterField(TextField):
    """The cursor of a feed."""

    default_error_messages = {"unknown": _("Send next_after of the previous page, 0 or latest.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=64,
            help_text="next_after of the previous page; 0 starts at the oldest event, latest after the newest.",
            **kwargs,
        )

    def to_internal_value(self, data: Any) -> Any:
        try:
            return feeds.parse_cursor(super().to_internal_value(data))
        except feeds.UnknownCursor:
            self.fail("unknown")


class EventListSerializer(PageSerializer):
    """Filters of the list: ``?type=&subject_id=&since=&until=``. With ``?after=`` the list is a feed, oldest first."""

    type = TypesField()
    subject_id = serializers.UUIDField(required=False)
    since = MomentField(required=False)
    until = MomentField(required=False, help_text="Exclusive.")
    actor = TextField(max_length=64, required=False, help_text="key:… or person:… with an id, as in the events.")
    correlation_id = TextField(max_length=64, required=False)
    after = AfterField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "after" in attrs:
            text = _("Not together with after.")
            if errors := {name: text for name in ("cursor", "since", "until") if name in attrs}:
                raise serializers.ValidationError(errors)
        return attrs


class AuditFeedSerializer(serializers.Serializer):
    """The query of the audit feed."""

    after = AfterField(required=False)
    type = TypesField()
    limit = IntegerField(min_value=1, max_value=MAX_AUDIT_LIMIT, default=MAX_LIMIT)


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


@extend_schema_serializer(component_name="EventPagination")
class EventPaginationSerializer(PaginationSerializer):
    next_after = serializers.CharField(
        required=False, help_text="Only with after. It is there on the last page too: send it later for new events."
    )


class EventPageSerializer(serializers.Serializer):
    events = EventSerializer(many=True)
    pagination = EventPaginationSerializer()


class AuditEventSerializer(serializers.Serializer):
    """An event for a security information and event management system."""

    id = serializers.UUIDField()
    timestamp = serializers.DateTimeField()
    event_type = serializers.CharField()
    action = serializers.CharField(help_text="The last part of event_type.")
    user_id = serializers.CharField(allow_blank=True, help_text="key:…, person:… or staff:…; empty: Waybill itself.")
    ip_address = serializers.CharField(allow_null=True)
    details = serializers.DictField()
    service = serializers.CharField()
    merchant = serializers.CharField(allow_null=True, help_text="The merchant's slug; null: an event of the platform.")
    merchant_id = serializers.UUIDField(allow_null=True)
    mode = serializers.CharField(allow_blank=True)
    visibility = serializers.CharField(help_text="audit: its merchant can read it too; internal: only here.")
    subject_id = serializers.UUIDField(allow_null=True)
    correlation_id = serializers.CharField(allow_blank=True)


class FeedPaginationSerializer(serializers.Serializer):
    limit = serializers.IntegerField()
    has_more = serializers.BooleanField()
    next_after = serializers.CharField()


class AuditPageSerializer(serializers.Serializer):
    events = AuditEventSerializer(many=True)
    pagination = FeedPaginationSerializer()


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
        """List events, newest first; with ``after``, oldest first in a stable order that loses no event."""
        query = self.validate(EventListSerializer, request.query_params)
        equal = {name: query[name] for name in ("subject_id", "actor", "correlation_id") if name in query}
        types = query.get("type", ())
        if "after" in query:
            page, page_info = feeds.read_merchant_feed(
                self.tenant, query["after"], limit=query["limit"], types=types, **equal
            )
            page_info = {"next_cursor": None} | page_info
        else:
            rows = events.merchant_events(
                self.tenant,
                types=types,
                **equal,
                since=query["since"].at if "since" in query else None,
                until=query["until"].at if "until" in query else None,
            )
            page, page_info = pagination.newest_first(rows, limit=query["limit"], cursor=query.get("cursor"))
        shown = [{name: getattr(row, name) for name in _EVENT_COLUMNS} for row in page]
        return Response({"events": shown, "pagination": page_info})


class AuditFeedViewSet(ApiViewSet):
    """Audit events of all merchants and of the platform, for systems of the platform's operator."""

    scopes: ClassVar = {"list": scopes.AUDIT_EXPORT}
    merchant_wide = True

    @extend_schema(parameters=[AuditFeedSerializer], responses={200: AuditPageSerializer}, tags=["events"])
    def list(self, request: Request) -> Response:
        """Export audit events of all merchants, oldest first. Only with a key of the platform's operator.

        Send ``next_after`` of each page as ``after`` of the next request, also after the last page. A test key reads
        test events; a live key reads live events and those of the platform.
        """
        query = self.validate(AuditFeedSerializer, request.query_params)
        page, page_info = feeds.read_audit_feed(
            self.tenant.mode, query.get("after", feeds.START), limit=query["limit"], types=query.get("type", ())
        )
        return Response({"events": [_audit_event(row) for row in page], "pagination": page_info})


def _audit_event(row: Event) -> dict[str, Any]:
    return {
        "id": row.id,
        "timestamp": row.created_at,
        "event_type": row.type,
        "action": row.type.rpartition(".")[2],
        "user_id": row.actor,
        "ip_address": row.address,
        "details": row.data,
        "service": "waybill",
        "merchant": row.merchant.slug if row.merchant else None,
        "merchant_id": row.merchant_id,
        "mode": row.mode,
        "visibility": row.visibility,
        "subject_id": row.subject_id,
        "correlation_id": row.correlation_id,
    }


_EVENT_COLUMNS = tuple(EventSerializer().fields)
