"""Bare views that Waybill's endpoints are compared with.

The same view behind nothing, behind a key, and behind a key and its limits; and, as the framework's own limit, bare
Django function views that run the same SQL by the ORM: no key, no limits, no validation, no log of their own.
"""

import json
import uuid
from datetime import datetime
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.views import ApiViewSet, PublicViewSet
from apikeys.models import Event, Merchant, scopes
from config.urls import urlpatterns as of_waybill
from shipping.models import Checkpoint, Shipment
from shipping.shipments import histories
from tracking.models import IssuedNumber


class Open(PublicViewSet):
    policies = ()

    def retrieve(self, request: Request) -> Response:
        return Response({"status": "ok"})


class Limited(ApiViewSet):
    scopes: ClassVar = {"retrieve": scopes.TRACKING_READ}

    def retrieve(self, request: Request) -> Response:
        return Response({"status": "ok"})


class Keyed(Limited):
    def count(self, *policies: str, **facts: Any) -> None:
        """Count nothing."""


_merchant: list[uuid.UUID] = []


def merchant_id() -> uuid.UUID:
    if not _merchant:
        _merchant.append(Merchant.objects.get(slug="demo").id)
    return _merchant[0]


def history(request: HttpRequest, name: str) -> HttpResponse:
    rows = list(histories.select_checkpoints(merchant_id(), "test", name).values(*histories.COLUMNS))
    return JsonResponse({"checkpoints": rows})


@csrf_exempt
def checkpoint(request: HttpRequest) -> HttpResponse:
    given = json.loads(request.body)
    at = datetime.fromisoformat(given["timestamp"])
    ours = {"merchant_id": merchant_id(), "mode": "test"}
    with transaction.atomic():
        unit = Shipment.objects.select_for_update().filter(**ours, tracking_number=given["tracking_id"]).first()
        if unit is None:
            unit = Shipment(**ours, tracking_number=given["tracking_id"], reference=f"WB{uuid.uuid4().hex}")
        unit.status, unit.location, unit.last_at = given["status"].lower(), given["location"], at
        unit.first_at = unit.first_at or at
        unit.checkpoint_count += 1
        unit.save(force_insert=unit._state.adding)
        row = Checkpoint.objects.create(
            **ours,
            shipment=unit,
            source="merchant",
            status=unit.status,
            code=unit.status,
            location=given["location"],
            description=given["description"],
            occurred_at=at,
            occurred_text=given["timestamp"],
        )
        about = ours | {"visibility": "public", "subject_id": unit.id, "data": {"status": unit.status} | given}
        Event.objects.create(type="shipment.checkpoint", **about)
    return JsonResponse({"success": True, "data": {"checkpoint_id": str(row.id)} | given}, status=201)


def number(request: HttpRequest) -> HttpResponse:
    row = IssuedNumber.objects.create(
        number=uuid.uuid4().hex[:16].upper(),
        fingerprint=uuid.uuid4().hex,
        secret_version="1",
        correlation_id=str(uuid.uuid4()),
        customer_id=uuid.UUID(request.GET["customer_id"]),
    )
    return JsonResponse({"tracking_number": row.number, "created_at": row.created_at})


urlpatterns = [
    *of_waybill,
    path("bench/open", Open.as_view({"get": "retrieve"})),
    path("bench/keyed", Keyed.as_view({"get": "retrieve"})),
    path("bench/limited", Limited.as_view({"get": "retrieve"})),
    path("bench/history/<str:name>", history),
    path("bench/checkpoint", checkpoint),
    path("bench/number", number),
]
handler400 = "apikeys.http.handler.bad_request"
handler403 = "apikeys.http.handler.forbidden"
handler404 = "apikeys.http.handler.not_found"
handler500 = "apikeys.http.handler.server_error"
