"""Credentials, pickup points and coverage."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys import scopes
from apikeys.errors import ValidationFailed
from apikeys.idempotency import idempotent
from apikeys.views import ApiViewSet
from carriers import accounts, metrics, serializers, wire
from carriers.adapters.base import CarrierAdapter
from carriers.types import ReportRequest

CARRIER = OpenApiParameter(
    "carrier", str, OpenApiParameter.QUERY, required=True, description="The carrier's name in any case."
)


class CarrierViewSet(ApiViewSet):
    """The base of views that only pass a question on to a carrier."""

    def adapter(self, request: Request, carrier: str = "") -> CarrierAdapter:
        """The merchant's adapter for the carrier in the path, else in the query."""
        name = carrier or self.checked(serializers.CarrierQuerySerializer, request.query_params)["carrier"]
        credential = accounts.find(self.tenant, name)
        return accounts.open_adapter(credential, merchant_id=self.tenant.merchant_id)


class CarrierCredentialViewSet(ApiViewSet):
    """The merchant's own account at a carrier."""

    scopes: ClassVar = {"save": scopes.CREDENTIALS_MANAGE}
    sensitive = frozenset({"save"})
    merchant_wide = True

    @extend_schema(
        request=serializers.CredentialRequestSerializer,
        responses={200: serializers.CredentialSerializer},
        tags=["carriers"],
    )
    @idempotent()
    def save(self, request: Request, carrier: str) -> Response:
        """Store the credentials for a carrier, or change them: fields that are not named keep their value."""
        data = self.checked(serializers.CredentialRequestSerializer, request.data)
        row = accounts.save(
            tenant=self.tenant,
            mode=self.tenant.mode,
            carrier=carrier,
            environment=data["environment"],
            fields=data["credentials"],
        )
        return Response(serializers.CredentialSerializer(row).data)


class PickupPointViewSet(CarrierViewSet):
    """Places to collect a parcel from."""

    scopes: ClassVar = dict.fromkeys(("list", "retrieve"), scopes.SHIPMENTS_READ)

    @extend_schema(
        parameters=[CARRIER, serializers.PointSearchSerializer],
        responses={200: wire.PickupPointListSerializer},
        tags=["pickup points"],
    )
    def list(self, request: Request, carrier: str = "") -> Response:
        """Active points around a place, the nearest first."""
        adapter = self.adapter(request, carrier)
        search = self.checked(serializers.PointSearchSerializer, request.query_params)
        points = adapter.pickup_points(**search)
        metrics.points_searched(adapter.slug).inc()
        return Response(wire.pickup_points(points))

    @extend_schema(parameters=[CARRIER], responses={200: wire.PickupPointDetailSerializer}, tags=["pickup points"])
    def retrieve(self, request: Request, point_id: str, carrier: str = "") -> Response:
        """One point with everything that the carrier says of it."""
        return Response(wire.pickup_point(self.adapter(request, carrier).pickup_point(point_id)))


class ReportViewSet(CarrierViewSet):
    """Carriers' own figures."""

    scopes: ClassVar = {"retrieve": scopes.REPORTS_READ}

    @extend_schema(
        parameters=[CARRIER, serializers.ReportSearchSerializer],
        responses={200: wire.ReportSerializer},
        tags=["carriers"],
    )
    def retrieve(self, request: Request, carrier: str = "") -> Response:
        """A report of the carrier's over some days, as the carrier writes it."""
        adapter = self.adapter(request, carrier)
        asked = self.checked(serializers.ReportSearchSerializer, request.query_params)
        adapter.need("reports")
        if asked["kind"] not in adapter.report_kinds:
            text = _("One of these is expected: %s") % ", ".join(adapter.report_kinds)
            raise ValidationFailed(details={"kind": [text]})
        wanted = ReportRequest(kind=asked["kind"], since=asked["since"], until=asked["until"])
        return Response(wire.report(adapter.name, wanted, adapter.reports(wanted)))


class CoverageViewSet(CarrierViewSet):
    """Where a carrier delivers."""

    scopes: ClassVar = {"retrieve": scopes.SHIPMENTS_READ}

    @extend_schema(
        parameters=[CARRIER, serializers.CoverageSearchSerializer],
        responses={200: wire.ServiceCoverageSerializer},
        tags=["coverage"],
    )
    def retrieve(self, request: Request, carrier: str = "") -> Response:
        """Whether and how the carrier serves a place."""
        adapter = self.adapter(request, carrier)
        place = self.checked(serializers.CoverageSearchSerializer, request.query_params)
        return Response(wire.coverage(adapter.coverage(**place)))
