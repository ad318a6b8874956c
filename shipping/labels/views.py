"""Endpoints to buy labels."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import prefetch_related_objects
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.models import scopes
from shipping import openapi_examples
from shipping.common.downloads import absolute_url
from shipping.labels import purchase, rendering, serializers
from shipping.models import BookingState, Shipment


def file_urls(request: Request, shipment: Shipment) -> dict[str, Any]:
    """Return the absolute URLs of label and manifest, None for a missing one, and of each document by its id."""
    prefetch_related_objects([shipment], "documents", "parcels")  # rendered next
    name = {"name": shipment.id}
    rows = shipment.documents.all()
    kinds = {row.kind for row in rows}
    urls: dict[str, Any] = {
        f"{kind}_url": absolute_url(request, f"shipment-{kind}", name) if kind in kinds else None
        for kind in ("label", "manifest")
    }
    documents = {row.id: absolute_url(request, "shipment-document", {**name, "document_id": row.id}) for row in rows}
    return urls | {"document_urls": documents}


class PurchaseViewSet(ApiViewSet):
    """Base of label and return purchases. A repeated request renders the shipment's current state."""

    scopes: ClassVar = {"create": scopes.SHIPMENTS_WRITE}
    render_booked: ClassVar[Callable[..., dict[str, Any]]]

    def render(self, request: Request, shipment_id: uuid.UUID) -> Response:
        """Render a booked, pending or failed shipment as the response to its purchase."""
        shipment = Shipment.objects.of(self.tenant).get(id=shipment_id)
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
        examples=openapi_examples.LABEL,
        responses={200: rendering.LabelSerializer, 202: rendering.PendingShipmentSerializer},
        tags=["labels"],
    )
    @idempotent(PurchaseViewSet.render)
    def create(self, request: Request) -> Response:
        """Buy a label. Returns 202 if the carrier did not answer; the label is then looked up, never bought again."""
        order = self.validate(serializers.LabelRequestSerializer, request.data)
        return self.render(request, purchase.buy_label(self.tenant, order).id)
