"""Quotes, labels, tracking, shipments, checkpoints, pickups."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.http import FileResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.http import correlation
from apikeys.audit import events
from apikeys.http import pagination
from apikeys.models import scopes
from apikeys.http.errors import NotFound
from apikeys.http.errors import TrackingNotFound
from apikeys.http.errors import ValidationFailed
from apikeys.http.errors import WaybillError
from apikeys.access.idempotency import idempotent
from apikeys.http.pagination import PageSerializer
from apikeys.http.parsing import JsonParser
from apikeys.http.parsing import NdjsonParser
from apikeys.access.views import ApiViewSet
from shipping import serializers, wire
from shipping.models import LABEL_TYPES, MANIFEST_TYPE, BookingState, Pickup, Shipment, Warehouse, WarehouseRegistration
from shipping.checkpoints import batches
from shipping.shipments import histories
from shipping.common import lookup
from shipping.shipments import updates
from shipping.pickups import pickups
from shipping.checkpoints import posting
from shipping.quotes import quotes
from shipping.common import input_warnings
from shipping.labels import purchase
from shipping.shipments import tracking
from shipping.warehouses import warehouses
from shipping.shipments.lists import filters_of
from shipping.shipments.lists import page_of_units

NAME = OpenApiParameter(
    "name", str, OpenApiParameter.PATH, description="Our id, the tracking number or the carrier's shipment id."
)

PICKUP = OpenApiParameter(
    "pickup", str, OpenApiParameter.PATH, description="Our id, the carrier's or the confirmation number."
)

LABEL_FILE = {(200, kind): OpenApiTypes.BINARY for kind in LABEL_TYPES.values()}


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


class QuoteViewSet(ApiViewSet):
    """Prices."""

    scopes: ClassVar = {"create": scopes.SHIPMENTS_READ}

    @extend_schema(request=serializers.QuoteRequestSerializer, responses={200: wire.QuoteSerializer}, tags=["quotes"])
    @idempotent()
    def create(self, request: Request) -> Response:
        """The carrier's best offer for a route, and all of its offers."""
        route = self.checked(serializers.QuoteRequestSerializer, request.data)
        route |= quotes.muted(self.tenant)
        return Response(wire.quote(quotes.create(self.tenant, route), route))


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
            body, code = wire.failure(shipment)
            return Response(body, status=code)
        return Response(wire.pending(shipment), status=status.HTTP_202_ACCEPTED)


class LabelViewSet(_PurchaseViewSet):
    """Buying labels."""

    shown = wire.label

    @extend_schema(
        request=serializers.LabelRequestSerializer,
        responses={200: wire.LabelSerializer, 202: wire.PendingShipmentSerializer},
        tags=["labels"],
    )
    @idempotent(_PurchaseViewSet.render)
    def create(self, request: Request) -> Response:
        """Buy a label. 202 when the carrier took the order and did not answer.

        It is then looked up, never bought again.
        """
        order = self.checked(serializers.LabelRequestSerializer, request.data)
        return self.render(request, purchase.create(self.tenant, order).id)


class ReturnViewSet(_PurchaseViewSet):
    """Ways back."""

    shown = wire.way_back

    @extend_schema(
        request=serializers.ReturnRequestSerializer,
        responses={200: wire.ReturnSerializer, 202: wire.PendingShipmentSerializer},
        tags=["returns"],
    )
    @idempotent(_PurchaseViewSet.render)
    def create(self, request: Request) -> Response:
        """Buy a way back for a shipment: a shipment of its own, at the same carrier. 202 as for a label."""
        wanted = self.checked(serializers.ReturnRequestSerializer, request.data)
        return self.render(request, purchase.create_return(self.tenant, wanted).id)


class ServiceabilityViewSet(ApiViewSet):
    """Whether a carrier goes from one place to another."""

    scopes: ClassVar = {"ask": scopes.SHIPMENTS_READ}

    @extend_schema(
        request=serializers.ServiceabilityRequestSerializer,
        responses={200: wire.ServiceabilitySerializer},
        tags=["coverage"],
    )
    def ask(self, request: Request) -> Response:
        """Always 200 where the carrier answers, with ``is_serviceable``; nothing is kept."""
        asked = self.checked(serializers.ServiceabilityRequestSerializer, request.data)
        adapter, offers, reason = quotes.serviceability(self.tenant, asked)
        return Response(wire.serviceability(adapter.name, offers, reason))


class WarehouseViewSet(ApiViewSet):
    """Places of departure."""

    scopes: ClassVar = {
        **dict.fromkeys(("list", "retrieve"), scopes.SHIPMENTS_READ),
        **dict.fromkeys(("create", "update", "destroy", "register"), scopes.SHIPMENTS_WRITE),
    }

    def render(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """A place, as the request that made it is answered."""
        rows = warehouses.with_registrations(Warehouse.objects.of(self.tenant))
        return Response(self._kept(rows.get(id=warehouse_id)), status=status.HTTP_201_CREATED)

    def _kept(self, row: Warehouse) -> dict[str, Any]:
        return wire.kept_warehouse(row, is_muted=bool(quotes.muted(self.tenant)))

    def repeat(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """The same for a repetition, which tells the carriers that the first request did not come to."""
        warehouses.tell_rest(self.tenant, warehouse_id)
        return self.render(request, warehouse_id)

    @extend_schema(parameters=[PageSerializer], responses={200: wire.WarehouseListSerializer}, tags=["warehouses"])
    def list(self, request: Request) -> Response:
        """The merchant's places, the newest first."""
        asked = self.checked(PageSerializer, request.query_params)
        rows = warehouses.with_registrations(Warehouse.objects.of(self.tenant).filter(is_active=True))
        page, page_info = pagination.newest_first(rows, **asked)
        return Response({"warehouses": [wire.warehouse(row) for row in page], "pagination": page_info})

    @extend_schema(
        request=serializers.WarehouseRequestSerializer,
        responses={201: wire.KeptWarehouseSerializer},
        tags=["warehouses"],
    )
    @idempotent(repeat)
    def create(self, request: Request) -> Response:
        """Keep a place, and tell the named carriers of it."""
        place = self.checked(serializers.WarehouseRequestSerializer, request.data)
        return self.render(request, warehouses.create(self.tenant, place).id)

    @extend_schema(responses={200: wire.WarehouseSerializer}, tags=["warehouses"])
    def retrieve(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """One place."""
        return Response(wire.warehouse(warehouses.find(self.tenant, warehouse_id)))

    @extend_schema(
        request=serializers.WarehouseSerializer, responses={200: wire.KeptWarehouseSerializer}, tags=["warehouses"]
    )
    def update(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """Change a place, here and at the carriers that know it."""
        row = warehouses.find(self.tenant, warehouse_id)
        warehouses.change(row, self.checked(serializers.WarehouseSerializer, request.data))
        return Response(self._kept(row))

    @extend_schema(request=None, responses={204: None}, tags=["warehouses"])
    def destroy(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """Close a place; what departed from it stays as it is."""
        warehouses.close(self.tenant, warehouse_id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def render_registration(self, request: Request, registration_id: uuid.UUID) -> Response:
        """A registration as it stands; ``pending`` where the carrier's answer was lost: ask under a new key."""
        rows = WarehouseRegistration.objects.select_related("credential").filter(
            warehouse__in=Warehouse.objects.of(self.tenant)
        )
        return Response(wire.registration(rows.get(id=registration_id)))

    @extend_schema(
        request=serializers.RegistrationRequestSerializer,
        responses={200: wire.RegistrationSerializer},
        tags=["warehouses"],
    )
    @idempotent(render_registration)
    def register(self, request: Request, warehouse_id: uuid.UUID) -> Response:
        """Tell a carrier of a place, or say what the carrier calls it already."""
        place = warehouses.find(self.tenant, warehouse_id)
        data = self.checked(serializers.RegistrationRequestSerializer, request.data)
        known_as = data.get("carrier_warehouse_id", "")
        row = warehouses.register(self.tenant, place, carrier=data["carrier"], known_as=known_as)
        return Response(wire.registration(row))


class TrackingViewSet(ApiViewSet):
    """Where a parcel is."""

    scopes: ClassVar = {"read": scopes.TRACKING_READ, "retrieve": scopes.TRACKING_READ}

    @extend_schema(request=serializers.TrackingRequestSerializer, responses={200: wire.TRACK_ANSWER}, tags=["tracking"])
    def read(self, request: Request) -> Response:
        """Ask the carrier for a parcel that was booked through Waybill, or for up to fifty at once.

        Of ``tracking_numbers`` each is answered for itself, in ``results``: as alone, or by the error that it would
        have been refused with.
        """
        asked = self.checked(serializers.TrackingRequestSerializer, request.data)
        if "tracking_numbers" in asked:
            found = tracking.read(self.tenant, carrier=asked["carrier"], names=asked["tracking_numbers"])
            return Response(wire.tracks(found))
        shipment, stale = purchase.track(self.tenant, carrier=asked["carrier"], number=asked["tracking_number"])
        return Response(wire.track(shipment, stale=stale))

    @extend_schema(parameters=[NAME], responses={200: wire.HistorySerializer}, tags=["tracking"])
    def retrieve(self, request: Request, name: str) -> Response:
        """The stored history of a unit: the merchant's own, or a booked shipment."""
        correlation.note(request._request, tracking_id=name)
        if rows := histories.find(self.tenant, name):
            return Response(wire.history_of(rows))
        unit = lookup.find_unit(self.tenant, name)
        if unit is None:
            raise TrackingNotFound
        return Response(wire.history(unit))


class CheckpointViewSet(ApiViewSet):
    """Checkpoints of the merchant's own units."""

    scopes: ClassVar = {"create": scopes.TRACKING_WRITE, "batch": scopes.TRACKING_WRITE}

    def render(self, request: Request, checkpoint_id: uuid.UUID) -> Response:
        """A checkpoint that is stored already."""
        return Response(wire.posted(posting.stored(self.tenant, checkpoint_id), _("Checkpoint already registered")))

    @extend_schema(
        request=serializers.CheckpointRequestSerializer,
        responses={201: wire.CheckpointSerializer, 200: wire.CheckpointSerializer},
        tags=["tracking"],
    )
    @idempotent(render)
    def create(self, request: Request) -> Response:
        """Register a checkpoint; 201, or 200 with the first one's id when it is the same one again."""
        (item,) = batches.validated([request.data])
        if isinstance(item, WaybillError):
            raise item
        correlation.note(request._request, tracking_id=item.tracking_id, status=item.status.upper())
        result = posting.post(self.tenant, item)
        if result.repeated:
            correlation.note(request._request, "Checkpoint already registered")
            return Response(wire.posted(result, _("Checkpoint already registered")))
        correlation.note(request._request, "Checkpoint registered")
        return Response(wire.posted(result, _("Checkpoint registered")), status=status.HTTP_201_CREATED)

    @extend_schema(
        request={
            "application/json": serializers.CheckpointRequestSerializer(
                many=True, min_length=1, max_length=batches.MAX_ITEMS
            ),
            "application/x-ndjson": OpenApiTypes.STR,
        },
        responses={200: wire.BatchSerializer},
        tags=["tracking"],
    )
    @action(detail=False, methods=["post"], parser_classes=[JsonParser, NdjsonParser])
    @idempotent()
    def batch(self, request: Request) -> Response:
        """Register up to a thousand checkpoints: a JSON array, or one JSON object a line (NDJSON).

        Each item is stored, repeated or refused for itself; items of one unit count in their order.
        """
        return Response(wire.batch(batches.post(self.tenant, request.data)))


class ShipmentViewSet(ApiViewSet):
    """Shipments, bought and self-tracked."""

    scopes: ClassVar = {
        **dict.fromkeys(
            ("list", "retrieve", "label", "manifest", "events", "proof_of_delivery"), scopes.SHIPMENTS_READ
        ),
        **dict.fromkeys(("cancel", "partial_update"), scopes.SHIPMENTS_WRITE),
    }
    lookup_field = "name"
    lookup_value_regex = "[^/]+"

    @extend_schema(
        parameters=[serializers.ShipmentListSerializer],
        responses={200: wire.UnitListSerializer},
        tags=["shipments"],
    )
    def list(self, request: Request) -> Response:
        """Units, the newest first.

        ``next_cursor`` goes on where a page ended, at any depth, and whatever is added meanwhile. ``total`` is exact
        for all units and by status, carrier and store; by anything else it is counted up to ten thousand.
        """
        asked = self._asked(request)
        page, pagination = page_of_units(self.tenant, asked)
        return Response(wire.units(page, pagination, filters_of(asked)))

    def _asked(self, request: Request) -> dict[str, Any]:
        try:
            return self.checked(serializers.ShipmentListSerializer, request.query_params)
        except ValidationError as error:
            if set(error.detail) != {"status"}:
                raise
            # The document has a sentence of its own for this.
            raise ValidationFailed(_("Invalid status"), details=error.detail) from error

    @extend_schema(parameters=[NAME], responses={200: wire.ShipmentSerializer}, tags=["shipments"])
    def retrieve(self, request: Request, name: str) -> Response:
        """One shipment with everything known of it, also while it is pending."""
        shipment = lookup.find(self.tenant, name)
        return Response(wire.shipment_page(shipment, **file_urls(request, shipment)))

    @extend_schema(
        parameters=[NAME],
        request=serializers.ShipmentUpdateSerializer,
        responses={200: wire.ChangedShipmentSerializer},
        tags=["shipments"],
    )
    def partial_update(self, request: Request, name: str) -> Response:
        """Change a booked order at its carrier, where the carrier can; the same change may be sent again."""
        shipment = lookup.find(self.tenant, name)
        updates.update(shipment, self.checked(serializers.ShipmentUpdateSerializer, request.data))
        changed = lookup.find(self.tenant, name)
        page = wire.shipment_page(changed, **file_urls(request, changed))
        return Response(page | {"warnings": input_warnings.of_order({**changed.request, **quotes.muted(self.tenant)})})

    @extend_schema(
        parameters=[NAME],
        responses=LABEL_FILE,
        tags=["shipments"],
    )
    @action(detail=True)
    def label(self, request: Request, name: str) -> HttpResponseBase:
        """The label's file."""
        return self._download(name, "label", _("This shipment has no label file."))

    @extend_schema(
        parameters=[NAME],
        responses={(200, MANIFEST_TYPE): OpenApiTypes.BINARY},
        tags=["shipments"],
    )
    @action(detail=True)
    def manifest(self, request: Request, name: str) -> HttpResponseBase:
        """The paper that a courier signs on taking the parcel, where the carrier gives one out with the label."""
        return self._download(name, "manifest", _("This shipment has no manifest."))

    def _download(self, name: str, kind: str, missing: str) -> FileResponse:
        label = getattr(lookup.find(self.tenant, name), "label", None)
        found = label.download(kind) if label else None
        if found is None or not found.file or not found.file.storage.exists(found.file.name):
            raise NotFound(missing)
        response = FileResponse(found.file.open("rb"), content_type=found.content_type, filename=found.name)
        response["Cache-Control"] = "private, no-store"
        return response

    @extend_schema(parameters=[NAME], responses={200: wire.EventListSerializer}, tags=["shipments"])
    @action(detail=True)
    def events(self, request: Request, name: str) -> Response:
        """What happened to a shipment, the first event first (the latest two hundred)."""
        shipment = lookup.find(self.tenant, name)
        return Response(wire.events(events.public_about(self.tenant, shipment.id)))

    @extend_schema(
        parameters=[NAME],
        request=serializers.CancelRequestSerializer,
        responses={200: wire.CancellationSerializer},
        tags=["shipments"],
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, name: str, carrier: str = "") -> Response:
        """Call a shipment off; asking again gives the same cancellation."""
        data = self.checked(serializers.CancelRequestSerializer, request.data)
        row = purchase.cancel(self.tenant, name, carrier=carrier, reason=data["reason"])
        return Response(wire.cancellation(row, _("Shipment cancelled successfully")))

    @extend_schema(parameters=[NAME], request=None, responses={200: wire.ProofOfDeliverySerializer}, tags=["shipments"])
    @action(detail=True, methods=["get", "post"], url_path="proof-of-delivery")
    def proof_of_delivery(self, request: Request, name: str, carrier: str = "") -> Response:
        """Who took the parcel, when and where."""
        return Response(wire.proof_of_delivery(purchase.proof_of_delivery(self.tenant, name, carrier=carrier)))


class PickupViewSet(ApiViewSet):
    """Collections."""

    scopes: ClassVar = {
        **dict.fromkeys(("create", "cancel"), scopes.SHIPMENTS_WRITE),
        **dict.fromkeys(("list", "retrieve"), scopes.SHIPMENTS_READ),
    }

    def render(self, request: Request, pickup_id: uuid.UUID) -> Response:
        """A collection, as the request that made it is answered."""
        row = pickups.find(self.tenant, str(pickup_id))
        waiting = row.state in (Pickup.State.PENDING, Pickup.State.NEEDS_REVIEW)
        return Response(wire.pickup(row), status=status.HTTP_202_ACCEPTED if waiting else status.HTTP_200_OK)

    @extend_schema(
        request=serializers.PickupRequestSerializer,
        responses={200: wire.PickupSerializer, 202: wire.PickupSerializer},
        tags=["pickups"],
    )
    @idempotent(render)
    def create(self, request: Request) -> Response:
        """Book a collection. 202 when the carrier took the request and did not answer."""
        order = self.checked(serializers.PickupRequestSerializer, request.data)
        return self.render(request, pickups.schedule(self.tenant, order).id)

    @extend_schema(
        parameters=[serializers.PickupListSerializer], responses={200: wire.PickupListSerializer}, tags=["pickups"]
    )
    def list(self, request: Request) -> Response:
        """Collections, the newest first."""
        asked = self.checked(serializers.PickupListSerializer, request.query_params)
        rows = pickups.listed(self.tenant, asked)
        page, page_info = pagination.newest_first(rows, limit=asked["limit"], cursor=asked.get("cursor"))
        return Response({"pickups": [wire.pickup(row) for row in page], "pagination": page_info})

    @extend_schema(parameters=[PICKUP], responses={200: wire.PickupSerializer}, tags=["pickups"])
    def retrieve(self, request: Request, pickup: str) -> Response:
        """One collection."""
        return Response(wire.pickup(pickups.find(self.tenant, pickup)))

    @extend_schema(
        parameters=[PICKUP],
        request=serializers.CancelRequestSerializer,
        responses={200: wire.PickupSerializer},
        tags=["pickups"],
    )
    def cancel(self, request: Request, pickup: str) -> Response:
        """Call a collection off; asking again gives the same cancellation."""
        data = self.checked(serializers.CancelRequestSerializer, request.data)
        return Response(wire.pickup(pickups.cancel(self.tenant, pickup, reason=data["reason"])))
