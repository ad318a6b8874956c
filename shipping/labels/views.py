"""Buying labels over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.models import scopes
from shipping.labels import purchase, rendering, serializers
from shipping.models import BookingState, Shipment


def file_urls(request: Request, shipment: Shipment) -> dict[str, str | None]:
    """Where the label's file and the manifest's are served, absolute; None for what the shipment has not."""
    label = getattr(shipment, "label", None)
    return {
        "label_url": _url(request, "shipment-label", shipment) if label else None,
        "manifest_url": _url(request, "shipment-manifest", shipment) if label and label.has_manifest else None,
    }


def _url(request: Request, route: str, shipment: Shipment) -> str:
    path = reverse(route, kwargs={"name": str(shipment.id)})
    return settings.PUBLIC_URL.rstrip("/") + path if settings.PUBLIC_URL else request.build_absolute_uri(path)


class _PurchaseViewSet(ApiViewSet):
    """What is bought from a carrier: one answer, also for every repetition under the same Idempotency-Key."""

    scopes: ClassVar = {"create": scopes.SHIPMENTS_WRITE}
    shown: ClassVar[Callable[..., dict[str, Any]]]

    def render(self, request: Request, shipment_id: uuid.UUID) -> Response:
        """A bought, pending or failed shipment, as the request that made it is answered."""
        shipment = Shipment.objects.of(self.tenant).select_related("label").get(id=shipment_id)
        if shipment.booking_state == BookingState.BOOKED:
            return Response(type(self).shown(shipment, **file_urls(request, shipment)))
        if shipment.booking_state == BookingState.FAILED:
            body, code = rendering.failure(shipment)
            return Response(body, status=code)
        return Response(rendering.pending(shipment), status=status.HTTP_202_ACCEPTED)


class LabelViewSet(_PurchaseViewSet):
    """Buying labels."""

    shown = rendering.label

    @extend_schema(
        request=serializers.LabelRequestSerializer,
        responses={200: rendering.LabelSerializer, 202: rendering.PendingShipmentSerializer},
        tags=["labels"],
    )
    @idempotent(_PurchaseViewSet.render)
    def create(self, request: Request) -> Response:
        """Buy a label. 202 when the carrier took the order and did not answer.

        It is then looked up, never bought again.
        """
        order = self.validate(serializers.LabelRequestSerializer, request.data)
        return self.render(request, purchase.create(self.tenant, order).id)
