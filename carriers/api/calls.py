"""The merchant's call log: serializers and endpoints. Calls were masked before they were stored."""

from __future__ import annotations

import json
import uuid
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.views import ApiViewSet
from apikeys.db.tenancy import Tenant, first_id_at
from apikeys.http import pagination
from apikeys.http.errors import NotFound
from apikeys.http.fields import IdentifierField, IntegerField, MomentField, TextField
from apikeys.http.pagination import PageSerializer, PaginationSerializer
from apikeys.http.rendering import rfc3339
from apikeys.models import scopes
from carriers.adapters.registry import ADAPTERS, adapter_class
from carriers.models import CarrierCall


class CallListSerializer(PageSerializer):
    """Filters of the list; all of a request must match."""

    carrier = IdentifierField(max_length=40, required=False, help_text="A carrier by name, in any case.")
    operation = IdentifierField(max_length=32, required=False, help_text="Such as quote, create_label or track.")
    outcome = serializers.ChoiceField(choices=CarrierCall.Outcome.choices, required=False)
    status = IntegerField(min_value=100, max_value=599, required=False, help_text="The carrier's HTTP status.")
    shipment_id = serializers.UUIDField(
        required=False, help_text="The shipment or pickup that the call was for. Calls for many have none."
    )
    correlation_id = TextField(max_length=64, required=False, help_text="X-Correlation-ID of your request.")
    since = MomentField(required=False)
    until = MomentField(required=False, help_text="Exclusive.")


@extend_schema_field({"description": "The JSON of the body, masked; the text if it was cut; null if it is empty."})
class BodyField(serializers.JSONField):
    """A masked body."""


class CallSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    carrier = serializers.CharField()
    operation = serializers.CharField()
    shipment_id = serializers.UUIDField(allow_null=True)
    credential_id = serializers.UUIDField(allow_null=True)
    method = serializers.CharField()
    url = serializers.CharField()
    request = BodyField(allow_null=True)
    response = BodyField(allow_null=True)
    status = serializers.IntegerField(allow_null=True, help_text="The carrier's HTTP status; null: no answer.")
    outcome = serializers.ChoiceField(choices=CarrierCall.Outcome.choices)
    error = serializers.CharField(allow_blank=True)
    attempt = serializers.IntegerField(help_text="1 for the first; automatic repeats count up.")
    response_time_ms = serializers.IntegerField()
    correlation_id = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()


class CallPageSerializer(serializers.Serializer):
    carrier_calls = CallSerializer(many=True)
    pagination = PaginationSerializer()


class CarrierCallViewSet(ApiViewSet):
    """Calls to carriers for the merchant's requests."""

    scopes: ClassVar = dict.fromkeys(("list", "retrieve"), scopes.REPORTS_READ)
    merchant_wide = True

    @extend_schema(parameters=[CallListSerializer], responses={200: CallPageSerializer}, tags=["carriers"])
    def list(self, request: Request) -> Response:
        """List calls to carriers for your requests, newest first. Secrets, personal data and files are masked."""
        query = self.validate(CallListSerializer, request.query_params)
        rows = _filter_calls(self.tenant, query)
        page, page_info = pagination.newest_first(rows, limit=query["limit"], cursor=query.get("cursor"))
        return Response({"carrier_calls": [_call_data(row) for row in page], "pagination": page_info})

    @extend_schema(responses={200: CallSerializer}, tags=["carriers"])
    def retrieve(self, request: Request, call_id: uuid.UUID) -> Response:
        """Show one call to a carrier."""
        row = CarrierCall.objects.of(self.tenant).filter(id=call_id).first()
        if row is None:
            raise NotFound
        return Response(_call_data(row))


def _filter_calls(tenant: Tenant, query: dict[str, Any]) -> Any:
    rows = CarrierCall.objects.of(tenant)
    equal = {name: query[name] for name in ("operation", "outcome", "status", "correlation_id") if name in query}
    if "carrier" in query:
        equal["carrier"] = adapter_class(query["carrier"]).slug
    if "shipment_id" in query:
        equal["subject_id"] = query["shipment_id"]
    rows = rows.filter(**equal)
    # Ids contain their time, so each filter's index also serves order and range.
    if "since" in query:
        rows = rows.filter(id__gte=first_id_at(query["since"].at))
    if "until" in query:
        rows = rows.filter(id__lt=first_id_at(query["until"].at))
    return rows


def _call_data(row: CarrierCall) -> dict[str, Any]:
    return {
        "id": str(row.id),
        # The name, or the slug of a carrier whose adapter was removed.
        "carrier": ADAPTERS[row.carrier].name if row.carrier in ADAPTERS else row.carrier,
        "operation": row.operation,
        "shipment_id": row.subject_id and str(row.subject_id),
        "credential_id": row.credential_id and str(row.credential_id),
        "method": row.method,
        "url": row.url,
        "request": _read_body(row.request_body),
        "response": _read_body(row.response_body),
        "status": row.status,
        "outcome": row.outcome,
        "error": row.error,
        "attempt": row.attempt,
        "response_time_ms": row.duration_ms,
        "correlation_id": row.correlation_id,
        "created_at": rfc3339(row.created_at),
    }


def _read_body(text: str) -> Any:
    """Return the JSON of a stored body. One that was cut, or replaced by its size, is a text."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
