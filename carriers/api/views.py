"""Credentials, pickup points and coverage."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.http import pagination
from apikeys.http.errors import PermissionRefused, ValidationFailed
from apikeys.http.pagination import PageSerializer
from apikeys.http.rendering import rfc3339
from apikeys.models import scopes
from carriers.adapters.base import CarrierAdapter
from carriers.api import overview, rendering, serializers
from carriers.credentials import opening, rotation, selection, storage
from carriers.credentials.checks import check_health, check_login
from carriers.http import rate_limits
from carriers.models import Credential
from carriers.types import ReportRequest

CARRIER = OpenApiParameter(
    "carrier", str, OpenApiParameter.QUERY, required=True, description="The carrier's name in any case."
)


class CarrierViewSet(ApiViewSet):
    """The base of views that only pass a question on to a carrier."""

    def account(self, request: Request, carrier: str = "") -> tuple[Credential, CarrierAdapter]:
        """The merchant's account at the carrier in the path, else in the query, and the adapter that it opens."""
        name = carrier or self.checked(serializers.CarrierQuerySerializer, request.query_params)["carrier"]
        credential = selection.select_credential(self.tenant, name)
        return credential, opening.open_adapter(credential, merchant_id=self.tenant.merchant_id)


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
        row = storage.save_credential(
            tenant=self.tenant,
            mode=self.tenant.mode,
            carrier=carrier,
            environment=data["environment"],
            fields=data["credentials"],
        )
        return Response(serializers.CredentialSerializer(row).data)


class CourierCredentialViewSet(ApiViewSet):
    """The merchant's own accounts at carriers; secrets go in and never come out."""

    scopes: ClassVar = dict.fromkeys(
        ("list", "create", "update", "destroy", "test", "rotate"), scopes.CREDENTIALS_MANAGE
    )
    sensitive = frozenset({"create", "update", "destroy", "test", "rotate"})
    merchant_wide = True

    @extend_schema(
        parameters=[PageSerializer], responses={200: serializers.CredentialPageSerializer}, tags=["carriers"]
    )
    def list(self, request: Request) -> Response:
        """The newest first, with the names of the stored fields and how the last trial went."""
        asked = self.checked(PageSerializer, request.query_params)
        page, page_info = pagination.newest_first(Credential.objects.of(self.tenant).filter(is_active=True), **asked)
        shown = serializers.CredentialSerializer(page, many=True).data
        return Response({"credentials": shown, "pagination": page_info})

    def render(self, request: Request, credential_id: uuid.UUID) -> Response:
        """An account, as the request that made it is answered."""
        row = Credential.objects.of(self.tenant).get(id=credential_id)
        return Response(serializers.CredentialSerializer(row).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        request=serializers.NewCredentialSerializer,
        responses={201: serializers.CredentialSerializer},
        tags=["carriers"],
    )
    @idempotent(render)
    def create(self, request: Request) -> Response:
        """Add an account; a carrier has one in each environment, and 409 names the one that is there."""
        data = self.checked(serializers.NewCredentialSerializer, request.data)
        row = storage.add_credential(
            self.tenant, carrier=data["carrier"], environment=data["environment"], fields=data["credentials"]
        )
        return self.render(request, row.id)

    @extend_schema(
        request=serializers.CredentialChangeSerializer,
        responses={200: serializers.CredentialSerializer},
        tags=["carriers"],
    )
    def update(self, request: Request, own_credential_id: uuid.UUID) -> Response:
        """Change fields of an account; those that are not named keep their value. Its token is forgotten."""
        row = selection.get_own_credential(self.tenant, own_credential_id)
        fields = self.checked(serializers.CredentialChangeSerializer, request.data)["credentials"]
        row = storage.save_credential(
            tenant=self.tenant, mode=row.mode, carrier=row.carrier, environment=row.environment, fields=fields
        )
        return Response(serializers.CredentialSerializer(row).data)

    @extend_schema(request=None, responses={204: None}, tags=["carriers"])
    def destroy(self, request: Request, own_credential_id: uuid.UUID) -> Response:
        """Forget an account's secrets; what was booked with it can no longer be tracked or cancelled through it."""
        storage.delete_credential(selection.get_own_credential(self.tenant, own_credential_id))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={200: serializers.LastTestSerializer}, tags=["carriers"])
    def test(self, request: Request, own_credential_id: uuid.UUID) -> Response:
        """Log in at the carrier for real. 200 also where it refuses: ``ok`` tells."""
        return Response(check_login(selection.get_own_credential(self.tenant, own_credential_id)))

    @extend_schema(request=None, responses={200: serializers.CredentialSerializer}, tags=["carriers"])
    def rotate(self, request: Request, own_credential_id: uuid.UUID) -> Response:
        """Have the carrier make a new secret and use it from now on; nobody needs to see it."""
        row = rotation.rotate_secret(selection.get_own_credential(self.tenant, own_credential_id))
        return Response(serializers.CredentialSerializer(row).data)


class CarrierListViewSet(ApiViewSet):
    """The carriers that Waybill speaks to, and how they are doing."""

    scopes: ClassVar = dict.fromkeys(("list", "retrieve", "health", "rate_limit"), scopes.SHIPMENTS_READ)

    @extend_schema(responses={200: rendering.CarrierListSerializer}, tags=["carriers"])
    def list(self, request: Request) -> Response:
        """What each can, which account your requests use, and its health over the last hour."""
        return Response({"carriers": [rendering.carrier(one) for one in overview.all_carriers(self.tenant)]})

    @extend_schema(responses={200: rendering.CarrierDetailSerializer}, tags=["carriers"])
    def retrieve(self, request: Request, carrier: str) -> Response:
        """The same of one, with the fields of its account as JSON Schema."""
        return Response(rendering.carrier_detail(overview.one_carrier(self.tenant, carrier)))

    @extend_schema(
        responses={200: rendering.CredentialHealthSerializer, 503: rendering.CredentialHealthSerializer},
        tags=["carriers"],
    )
    def health(self, request: Request, carrier: str) -> Response:
        """Whether the account that your requests use works, asked of the carrier for real; 503 where a check fails."""
        checks = check_health(self.tenant, carrier)
        healthy = all(checks.values())
        code = status.HTTP_200_OK if healthy else status.HTTP_503_SERVICE_UNAVAILABLE
        return Response({"healthy": healthy, "checks": checks, "timestamp": rfc3339(timezone.now())}, status=code)

    @extend_schema(responses={200: rendering.RateLimitSerializer}, tags=["carriers"])
    def rate_limit(self, request: Request, carrier: str) -> Response:
        """What the carrier's own limits leave of the account that your requests use, by endpoint."""
        credential = selection.select_credential(self.tenant, carrier)
        return Response(rendering.rate_limit(credential, rate_limits.budgets(credential)))


class ReportViewSet(CarrierViewSet):
    """Carriers' own figures."""

    scopes: ClassVar = {"retrieve": scopes.REPORTS_READ}

    @extend_schema(
        parameters=[CARRIER, serializers.ReportSearchSerializer],
        responses={200: rendering.ReportSerializer},
        tags=["carriers"],
    )
    def retrieve(self, request: Request, carrier: str = "") -> Response:
        """A report of the carrier's over some days, as the carrier writes it."""
        credential, adapter = self.account(request, carrier)
        asked = self.checked(serializers.ReportSearchSerializer, request.query_params)
        adapter.need("reports")
        # A carrier reports on the whole account, so nobody may read it to whom not all of that belongs.
        if credential.merchant_id is None or self.tenant.store_id is not None:
            raise PermissionRefused(
                _("Only with a credential of your own and an API key that is not bound to a store.")
            )
        if asked["kind"] not in adapter.report_kinds:
            text = _("One of these is expected: %s") % ", ".join(adapter.report_kinds)
            raise ValidationFailed(details={"kind": [text]})
        wanted = ReportRequest(kind=asked["kind"], since=asked["since"], until=asked["until"])
        return Response(rendering.report(adapter.name, wanted, adapter.reports(wanted)))


class CoverageViewSet(CarrierViewSet):
    """Where a carrier delivers."""

    scopes: ClassVar = {"retrieve": scopes.SHIPMENTS_READ}

    @extend_schema(
        parameters=[CARRIER, serializers.CoverageSearchSerializer],
        responses={200: rendering.ServiceCoverageSerializer},
        tags=["coverage"],
    )
    def retrieve(self, request: Request, carrier: str = "") -> Response:
        """Whether and how the carrier serves a place."""
        _credential, adapter = self.account(request, carrier)
        place = self.checked(serializers.CoverageSearchSerializer, request.query_params)
        return Response(rendering.coverage(adapter.coverage(**place)))
