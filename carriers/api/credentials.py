"""Credentials: serializers and endpoints."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access import usage
from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.http import pagination
from apikeys.http.fields import TextField
from apikeys.http.pagination import PageSerializer, PaginationSerializer
from apikeys.models import scopes
from carriers.adapters.registry import adapter_class
from carriers.credentials import checks, rotation, selection, storage
from carriers.credentials.fields import decrypt_fields, find_inherited
from carriers.models import Credential, Environment


class CredentialRequestSerializer(serializers.Serializer):
    """``{"environment": "sandbox", "credentials": {…}}``. The carrier's adapter defines the fields."""

    environment = serializers.ChoiceField(choices=Environment.choices)
    credentials = serializers.DictField(child=TextField(max_length=500), allow_empty=False)


class NewCredentialSerializer(CredentialRequestSerializer):
    """A new credential, with its carrier."""

    carrier = TextField(max_length=40)


class CredentialChangeSerializer(serializers.Serializer):
    """The fields to change; all others keep their value."""

    credentials = serializers.DictField(child=TextField(max_length=500), allow_empty=False)


class LastTestSerializer(serializers.Serializer):
    """Result of the credential's last test."""

    ok = serializers.BooleanField()
    error = serializers.CharField(allow_null=True)
    message = serializers.CharField(allow_null=True, help_text="The carrier's message.")
    latency_ms = serializers.IntegerField()
    at = serializers.DateTimeField()


class CredentialSerializer(serializers.ModelSerializer):
    """A stored credential without its secrets."""

    status = serializers.SerializerMethodField()
    carrier = serializers.SerializerMethodField()
    environment = serializers.ChoiceField(choices=Environment.choices)
    stored_fields = serializers.SerializerMethodField(help_text="The names of the stored fields.")
    inherited_fields = serializers.SerializerMethodField(
        help_text="The names of the fields that are empty here and taken from Waybill's own credential."
    )
    last_test = LastTestSerializer(allow_null=True)
    webhook_url = serializers.CharField(
        help_text="Address for the carrier's webhooks. Without CARRIER_CALLBACK_URL only its path."
    )
    webhook_token = serializers.SerializerMethodField(
        help_text="Secret of the carrier's webhooks, shown only in the answer to the request that made it."
    )

    class Meta:
        model = Credential
        fields = [
            "status",
            "id",
            "carrier",
            "environment",
            "mode",
            "is_active",
            "stored_fields",
            "inherited_fields",
            "webhook_url",
            "webhook_token",
            "last_test",
            "refused_at",
            "refusal",
            "created_at",
            "updated_at",
        ]

    def get_status(self, row: Credential) -> str:
        return "success"

    def get_carrier(self, row: Credential) -> str:
        return adapter_class(row.carrier).name

    def get_webhook_token(self, row: Credential) -> str | None:
        return row.issued_webhook_token or None

    def get_stored_fields(self, row: Credential) -> list[str]:
        return sorted(decrypt_fields(row) or {})

    def get_inherited_fields(self, row: Credential) -> list[str]:
        fields = decrypt_fields(row)
        return sorted(find_inherited(adapter_class(row.carrier), row, fields)[0]) if fields else []


class CredentialUsageSerializer(serializers.Serializer):
    """Calls to the carrier with a credential, for requests of the merchant."""

    requests = serializers.IntegerField()
    failures = serializers.IntegerField(help_text="Refused with 4xx, failed or not answered.")
    last_used_at = serializers.DateTimeField(allow_null=True)


class UsedCredentialSerializer(CredentialSerializer):
    """A stored credential with its use."""

    usage = serializers.SerializerMethodField(help_text="Per day: GET /api/v1/usage.")

    class Meta(CredentialSerializer.Meta):
        fields = [*CredentialSerializer.Meta.fields, "usage"]

    @extend_schema_field(CredentialUsageSerializer)
    def get_usage(self, row: Credential) -> dict[str, Any]:
        return self.context["usage"].get(row.id, {"requests": 0, "failures": 0, "last_used_at": None})


class CredentialPageSerializer(serializers.Serializer):
    """The merchant's own credentials."""

    credentials = UsedCredentialSerializer(many=True)
    pagination = PaginationSerializer()


class CarrierCredentialViewSet(ApiViewSet):
    """The merchant's own credential for the carrier in the path."""

    scopes: ClassVar = {"save": scopes.CREDENTIALS_MANAGE}
    sensitive = frozenset({"save"})
    merchant_wide = True

    def render(self, request: Request, credential_id: uuid.UUID) -> Response:
        """Return the response to the request that saved this credential, without the secret that it made."""
        return Response(CredentialSerializer(Credential.objects.of(self.tenant).get(id=credential_id)).data)

    @extend_schema(request=CredentialRequestSerializer, responses={200: CredentialSerializer}, tags=["carriers"])
    @idempotent(render)
    def save(self, request: Request, carrier: str) -> Response:
        """Store the credential for a carrier, or change it: fields that are not given keep their value."""
        data = self.validate(CredentialRequestSerializer, request.data)
        row = storage.save_credential(
            tenant=self.tenant,
            mode=self.tenant.mode,
            carrier=carrier,
            environment=data["environment"],
            fields=data["credentials"],
        )
        return Response(CredentialSerializer(row).data)


class CourierCredentialViewSet(ApiViewSet):
    """The merchant's own credentials. Secrets are write-only."""

    scopes: ClassVar = dict.fromkeys(
        ("list", "retrieve", "create", "update", "destroy", "test", "rotate"), scopes.CREDENTIALS_MANAGE
    )
    sensitive = frozenset({"create", "update", "destroy", "test", "rotate"})
    merchant_wide = True

    @extend_schema(parameters=[PageSerializer], responses={200: CredentialPageSerializer}, tags=["carriers"])
    def list(self, request: Request) -> Response:
        """List credentials, newest first, with the names of their stored fields, last test and use."""
        page_query = self.validate(PageSerializer, request.query_params)
        rows = Credential.objects.of(self.tenant).filter(is_active=True)
        page, page_info = pagination.newest_first(rows, **page_query)
        return Response({"credentials": self._with_usage(page), "pagination": page_info})

    @extend_schema(responses={200: UsedCredentialSerializer}, tags=["carriers"])
    def retrieve(self, request: Request, own_credential_id: uuid.UUID) -> Response:
        """Show one credential."""
        return Response(self._with_usage([selection.get_own_credential(self.tenant, own_credential_id)])[0])

    def _with_usage(self, rows: Sequence[Credential]) -> Any:
        context = {"usage": usage.totals(self.tenant, [row.id for row in rows])}
        return UsedCredentialSerializer(rows, many=True, context=context).data

    def render(self, request: Request, credential_id: uuid.UUID) -> Response:
        """Return the response to the request that created this credential."""
        row = Credential.objects.of(self.tenant).get(id=credential_id)
        return Response(CredentialSerializer(row).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=NewCredentialSerializer, responses={201: CredentialSerializer}, tags=["carriers"])
    @idempotent(render)
    def create(self, request: Request) -> Response:
        """Add a credential. There is one per carrier and environment: 409 names an existing one."""
        data = self.validate(NewCredentialSerializer, request.data)
        row = storage.save_credential(
            tenant=self.tenant,
            mode=self.tenant.mode,
            carrier=data["carrier"],
            environment=data["environment"],
            fields=data["credentials"],
            is_new=True,
        )
        return Response(CredentialSerializer(row).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=CredentialChangeSerializer, responses={200: CredentialSerializer}, tags=["carriers"])
    def update(self, request: Request, own_credential_id: uuid.UUID) -> Response:
        """Change fields of a credential; all others keep their value. Its access token is discarded."""
        row = selection.get_own_credential(self.tenant, own_credential_id)
        fields = self.validate(CredentialChangeSerializer, request.data)["credentials"]
        row = storage.save_credential(
            tenant=self.tenant, mode=row.mode, carrier=row.carrier, environment=row.environment, fields=fields
        )
        return Response(CredentialSerializer(row).data)

    @extend_schema(request=None, responses={204: None}, tags=["carriers"])
    def destroy(self, request: Request, own_credential_id: uuid.UUID) -> Response:
        """Delete a credential's secrets. What was booked with it can no longer be tracked or cancelled."""
        storage.delete_credential(selection.get_own_credential(self.tenant, own_credential_id))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={200: LastTestSerializer}, tags=["carriers"])
    def test(self, request: Request, own_credential_id: uuid.UUID) -> Response:
        """Log in at the carrier. The answer is 200 also if the carrier refuses: see ``ok``."""
        return Response(checks.check_login(selection.get_own_credential(self.tenant, own_credential_id)))

    @extend_schema(request=None, responses={200: CredentialSerializer}, tags=["carriers"])
    def rotate(self, request: Request, own_credential_id: uuid.UUID) -> Response:
        """Have the carrier issue a new secret, which is stored and used from now on."""
        row = rotation.rotate_secret(selection.get_own_credential(self.tenant, own_credential_id))
        return Response(CredentialSerializer(row).data)
