"""Endpoints for shipments: lists, details, changes, cancellation and returns."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import FileResponse, HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.audit import events
from apikeys.http.errors import NotFound, ValidationFailed
from apikeys.models import scopes
from shipping import openapi_examples
from shipping.common import downloads, input_warnings, lookup
from shipping.labels import document_rendering, files
from shipping.labels import rendering as label_rendering
from shipping.labels.views import PurchaseViewSet, file_urls
from shipping.models import LABEL_TYPES, MANIFEST_TYPE
from shipping.shipments import cancellation, rendering, returns, serializers, tracking, updates
from shipping.shipments.lists import describe_filters, list_units

NAME = OpenApiParameter(
    "name",
    str,
    OpenApiParameter.PATH,
    description="Our id, the tracking number, that of a parcel, or the carrier's shipment id.",
)
DOCUMENT = OpenApiParameter("document_id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="`documents[].id`")
LABEL_FILE = {(200, kind): OpenApiTypes.BINARY for kind in LABEL_TYPES.values()}


class ReturnViewSet(PurchaseViewSet):
    """Return purchases."""

    render_booked = rendering.return_label

    @extend_schema(
        request=serializers.ReturnRequestSerializer,
        responses={200: rendering.ReturnSerializer, 202: label_rendering.PendingShipmentSerializer},
        tags=["returns"],
    )
    @idempotent(PurchaseViewSet.render)
    def create(self, request: Request) -> Response:
        """Buy a return: a new shipment with the original's carrier. Returns 202 if the carrier did not answer."""
        data = self.validate(serializers.ReturnRequestSerializer, request.data)
        return self.render(request, returns.buy_return(self.tenant, data).id)


class ShipmentViewSet(ApiViewSet):
    """Shipments, booked and self-tracked."""

    scopes: ClassVar = {
        **dict.fromkeys(("list", "retrieve", "events", "proof_of_delivery"), scopes.SHIPMENTS_READ),
        **dict.fromkeys(("label", "manifest", "documents", "document"), scopes.SHIPMENTS_READ),
        **dict.fromkeys(("cancel", "partial_update"), scopes.SHIPMENTS_WRITE),
    }
    lookup_field = "name"
    lookup_value_regex = "[^/]+"

    @extend_schema(
        parameters=[serializers.ShipmentListSerializer],
        responses={200: rendering.UnitListSerializer},
        tags=["shipments"],
    )
    def list(self, request: Request) -> Response:
        """List units, the newest first.

        ``next_cursor`` continues after a page at any depth, even if units are added in between. ``total`` is exact
        for all units and by status, carrier and store; with other filters it is counted up to ten thousand.
        """
        query = self._validate_query(request)
        page, pagination = list_units(self.tenant, query)
        return Response(rendering.units(page, pagination, describe_filters(query)))

    def _validate_query(self, request: Request) -> dict[str, Any]:
        try:
            return self.validate(serializers.ShipmentListSerializer, request.query_params)
        except ValidationError as error:
            if set(error.detail) != {"status"}:
                raise
            # The document specifies this message.
            raise ValidationFailed(_("Invalid status"), details=error.detail) from error

    @extend_schema(parameters=[NAME], responses={200: rendering.ShipmentSerializer}, tags=["shipments"])
    def retrieve(self, request: Request, name: str) -> Response:
        """Get one shipment with all its data, also while it is pending."""
        shipment = lookup.get_shipment(self.tenant, name)
        return Response(rendering.shipment(shipment, **file_urls(request, shipment)))

    @extend_schema(
        parameters=[NAME],
        request=serializers.ShipmentUpdateSerializer,
        responses={200: rendering.ChangedShipmentSerializer},
        tags=["shipments"],
    )
    def partial_update(self, request: Request, name: str) -> Response:
        """Change a booked order at its carrier. The same change may be sent again."""
        shipment = lookup.get_shipment(self.tenant, name)
        updates.update(shipment, self.validate(serializers.ShipmentUpdateSerializer, request.data))
        changed = lookup.get_shipment(self.tenant, name)
        page = rendering.shipment(changed, **file_urls(request, changed))
        warnings = input_warnings.check_request({**changed.request, **input_warnings.read_setting(self.tenant)})
        return Response(page | {"warnings": warnings})

    @extend_schema(
        parameters=[NAME],
        responses=LABEL_FILE,
        tags=["shipments"],
    )
    @action(detail=True)
    def label(self, request: Request, name: str) -> HttpResponseBase:
        """Download the label."""
        return self._download(name, "label", _("This shipment has no label file."))

    @extend_schema(
        parameters=[NAME],
        responses={(200, MANIFEST_TYPE): OpenApiTypes.BINARY},
        tags=["shipments"],
    )
    @action(detail=True)
    def manifest(self, request: Request, name: str) -> HttpResponseBase:
        """Download the manifest, which the driver signs at the pickup. Not every carrier provides one."""
        return self._download(name, "manifest", _("This shipment has no manifest."))

    def _download(self, name: str, kind: str, missing: str) -> FileResponse:
        found = files.open_kind(lookup.get_shipment(self.tenant, name), kind)
        if found is None:
            raise NotFound(missing)
        return downloads.file_response(found.file, found.format, found.name.rpartition(".")[0])

    @extend_schema(
        operation_id="api_v1_shipments_documents_list",
        parameters=[NAME],
        responses={200: document_rendering.DocumentListSerializer},
        examples=openapi_examples.DOCUMENTS,
        tags=["shipments"],
    )
    @action(detail=True)
    def documents(self, request: Request, name: str) -> Response:
        """List the files of a shipment: labels, customs documents, your attachments and others."""
        shipment = lookup.get_shipment(self.tenant, name)
        urls = file_urls(request, shipment)["document_urls"]
        return Response({"documents": document_rendering.documents(shipment, urls)})

    @extend_schema(parameters=[NAME, DOCUMENT], responses=downloads.RESPONSES, tags=["shipments"])
    @action(detail=True, url_path="documents/(?P<document_id>[^/]+)")
    def document(self, request: Request, name: str, document_id: str) -> HttpResponseBase:
        """Download a file of a shipment. A file that the carrier has not provided yet is fetched when it is ready."""
        row = files.get_document(lookup.get_shipment(self.tenant, name), document_id)
        return downloads.file_response(row.file.open("rb"), row.format, row.file_name.rpartition(".")[0])

    @extend_schema(parameters=[NAME], responses={200: rendering.EventListSerializer}, tags=["shipments"])
    @action(detail=True)
    def events(self, request: Request, name: str) -> Response:
        """List a shipment's latest two hundred events, the oldest first."""
        shipment = lookup.get_shipment(self.tenant, name)
        return Response(rendering.events(events.public_events_about(self.tenant, shipment.id)))

    @extend_schema(
        parameters=[NAME],
        request=serializers.CancelRequestSerializer,
        responses={200: rendering.CancellationSerializer},
        tags=["shipments"],
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, name: str, carrier: str = "") -> Response:
        """Cancel a shipment. A repeated call returns the same cancellation.

        A carrier that has no way to cancel a shipment is not informed (``carrier_informed``). Returns 409
        ``cannot_cancel`` if it has the parcel already.
        """
        data = self.validate(serializers.CancelRequestSerializer, request.data)
        row = cancellation.cancel(self.tenant, name, carrier=carrier, reason=data["reason"])
        return Response(rendering.cancellation(row))

    @extend_schema(
        parameters=[NAME],
        request=None,
        responses={200: rendering.ProofOfDeliverySerializer},
        tags=["shipments"],
    )
    @action(detail=True, methods=["get", "post"], url_path="proof-of-delivery")
    def proof_of_delivery(self, request: Request, name: str, carrier: str = "") -> Response:
        """Get the proof of delivery: who received the parcel, when and where."""
        return Response(rendering.proof_of_delivery(tracking.get_proof_of_delivery(self.tenant, name, carrier=carrier)))
