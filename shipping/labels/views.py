"""Endpoints to buy labels."""

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
    """Return the absolute URLs of the label's and the manifest's file; None for a missing one."""
    kinds = {document.kind for document in shipment.documents.all()}
    return {
        f"{kind}_url": _url(request, f"shipment-{kind}", shipment) if kind in kinds else None
        for kind in ("label", "manifest")
    }


def _url(request: Request, route: str, shipment: Shipment) -> str:
    path = reverse(route, kwargs={"name": str(shipment.id)})
    return settings.PUBLIC_URL.rstrip("/") + path if settings.PUBLIC_URL else request.build_absolute_uri(path)


class PurchaseViewSet(ApiViewSet):
    """Base of label and return purchases. A repeated request renders the shipment's current state."""

    scopes: ClassVar = {"create": scopes.SHIPMENTS_WRITE}
    render_booked: ClassVar[Callable[..., dict[str, Any]]]

    def render(self, request: Request, shipment_id: uuid.UUID) -> Response:
        """Render a booked, pending or failed shipment as the response to its purchase."""
        shipment = Shipment.objects.of(self.tenant).prefetch_related("documents").get(id=shipment_id)
        if shipment.booking_state == BookingState.BOOKED:
            return Response(type(self).render_booked(shipment, **file_urls(request, shipment)))
        if shipment.booking_state == BookingState.FAILED:
            body, code = rendering.failure(shipment)
            return Response(body, status=code)
        return Response(rendering.pending(shipment), status=status.HTTP_202_ACCEPTED)


class LabelViewSet(PurchaseViewSet):
    """Label purchases."""

    render_booked = rendering.label

    @extend_schema(
        request=serializers.LabelRequestSerializer,
        responses={200: rendering.LabelSerializer, 202: rendering.PendingShipmentSerializer},
        tags=["labels"],
    )
    @idempotent(PurchaseViewSet.render)
    def create(self, request: Request) -> Response:
        """Buy a label. Returns 202 if the carrier did not answer; the label is then looked up, never bought again."""
        order = self.validate(serializers.LabelRequestSerializer, request.data)
        return self.render(request, purchase.buy_label(self.tenant, order).id)
