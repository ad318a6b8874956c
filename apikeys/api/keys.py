"""API keys: serializers and endpoints."""

from __future__ import annotations

import ipaddress
import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access import idempotency
from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.db.tenancy import Mode
from apikeys.http import pagination
from apikeys.http.fields import IntegerField, MomentField, TextField
from apikeys.http.pagination import PageSerializer, PaginationSerializer
from apikeys.keys import lifecycle
from apikeys.models import ApiKey, Merchant, Store, scopes

MAX_OVERLAP_S = 7 * 24 * 3600


class NetworkField(TextField):
    """An IP address or network (``203.0.113.7``, ``203.0.113.0/24``, ``2001:db8::/32``)."""

    default_error_messages = {"network": _("An IP address or network is expected, like 203.0.113.0/24.")}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return str(ipaddress.ip_network(text, strict=False))
        except ValueError:
            self.fail("network")


class FutureField(MomentField):
    """A time in the future."""

    default_error_messages = {"past": _("This time is in the past. To end a key now, revoke it.")}

    def to_internal_value(self, data: Any) -> datetime:
        moment = super().to_internal_value(data).at
        if moment <= timezone.now():
            self.fail("past")
        return moment


class ApiKeyChangeSerializer(serializers.Serializer):
    """Changes to an API key. Fields that are not sent keep their value."""

    name = TextField(max_length=100, required=False)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=scopes.OF_KEYS), min_length=1, max_length=20, required=False
    )
    store_id = serializers.UUIDField(allow_null=True, required=False, help_text="Bind the key to one store.")
    allowed_ips = serializers.ListField(
        child=NetworkField(max_length=50), max_length=100, required=False, help_text="Empty: from any address."
    )
    per_minute = IntegerField(min_value=1, max_value=1_000_000, allow_null=True, required=False)
    per_hour = IntegerField(min_value=1, max_value=100_000_000, allow_null=True, required=False)
    expires_at = FutureField(allow_null=True, required=False)

    def validate_scopes(self, value: list[str]) -> list[str]:
        return sorted(set(value))

    def validate_store_id(self, value: Any) -> Any:
        tenant = self.context["tenant"]
        mine = Store.objects.filter(merchant_id=tenant.merchant_id, id=value, is_active=True)
        if value and not mine.exists():
            raise serializers.ValidationError(_("No such store."))
        if tenant.store_id and value != tenant.store_id:
            raise serializers.ValidationError(_("Your own key is bound to a store; its keys are bound to the same."))
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse rates above the plan's. Only operations staff can set those."""
        rates = self.context["plan_rates"]
        errors = {
            name: _("Your plan allows %(limit)d.") % {"limit": allowed}
            for name, allowed in rates.items()
            if (attrs.get(name) or 0) > allowed
        }
        if errors:
            raise serializers.ValidationError(errors)
        return attrs


class ApiKeyRequestSerializer(ApiKeyChangeSerializer):
    """A new API key."""

    name = TextField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=scopes.OF_KEYS),
        min_length=1,
        max_length=20,
        default=list(scopes.DEFAULT),
        help_text="Default: all scopes except managing keys, credentials and webhooks.",
    )


class RegenerateSerializer(serializers.Serializer):
    """A request to replace a key. The old key stays valid for ``overlap_seconds``."""

    overlap_seconds = IntegerField(min_value=0, max_value=MAX_OVERLAP_S, default=0)


class RevokeSerializer(serializers.Serializer):
    """The reason for a revocation. Later use of a leaked key raises an alarm."""

    reason = serializers.ChoiceField(choices=ApiKey.Revocation.choices, default=ApiKey.Revocation.REVOKED)


class KeyListSerializer(PageSerializer):
    """Filter of the list by ``?state=``."""

    state = serializers.ChoiceField(choices=["active", "expired", "revoked"], required=False)


class ApiKeySerializer(serializers.Serializer):
    """An API key, without the key itself."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="The first characters, to recognise the key.")
    mode = serializers.ChoiceField(choices=Mode.choices)
    state = serializers.ChoiceField(choices=["active", "expired", "revoked", "leaked"])
    scopes = serializers.ListField(child=serializers.CharField())
    store_id = serializers.UUIDField(allow_null=True)
    allowed_ips = serializers.ListField(child=serializers.CharField())
    per_minute = serializers.IntegerField(help_text="The key's own limit, else the plan's.")
    per_hour = serializers.IntegerField()
    use_count = serializers.IntegerField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    replaces = serializers.UUIDField(allow_null=True, help_text="The key that this one was regenerated from.")


class NewApiKeySerializer(ApiKeySerializer):
    key = serializers.CharField(
        allow_null=True,
        help_text="Shown only in this response; null if the request is repeated with its Idempotency-Key.",
    )


class ApiKeyPageSerializer(serializers.Serializer):
    api_keys = ApiKeySerializer(many=True)
    pagination = PaginationSerializer()


class ApiKeyViewSet(ApiViewSet):
    """The merchant's API keys in the caller's mode."""

    scopes: ClassVar = dict.fromkeys(
        ("list", "create", "retrieve", "update", "destroy", "regenerate"), scopes.KEYS_MANAGE
    )
    sensitive = frozenset({"create", "update", "destroy", "regenerate"})

    @extend_schema(
        parameters=[KeyListSerializer],
        responses={200: ApiKeyPageSerializer},
        tags=["API keys"],
    )
    def list(self, request: Request) -> Response:
        """List all keys, newest first, including revoked ones."""
        query = self.validate(KeyListSerializer, request.query_params)
        rows = ApiKey.objects.of(self.tenant).select_related("merchant__plan")
        if "state" in query:
            rows = _filter_by_state(rows, query.pop("state"))
        page, page_info = pagination.newest_first(rows, **query)
        return Response({"api_keys": [render_key(row) for row in page], "pagination": page_info})

    def render(self, request: Request, key_id: uuid.UUID) -> Response:
        """Answer a repeated request with the key that the first one created, without the key itself."""
        return self._created_response(lifecycle.get_key(self.tenant, key_id), None)

    @extend_schema(
        request=ApiKeyRequestSerializer,
        responses={201: NewApiKeySerializer},
        tags=["API keys"],
    )
    @idempotent(render)
    def create(self, request: Request) -> Response:
        """Create a key in the caller's mode. The key itself is only in this response."""
        data = self._validate_key(ApiKeyRequestSerializer, request.data)
        lifecycle.check_scopes_held(request.auth, data["scopes"])
        data.setdefault("store_id", self.tenant.store_id)
        return self._created_response(*lifecycle.create_key(self.tenant, on_created=_bind_idempotency_key, **data))

    @extend_schema(responses={200: ApiKeySerializer}, tags=["API keys"])
    def retrieve(self, request: Request, key_id: uuid.UUID) -> Response:
        """Return one key."""
        return Response(render_key(lifecycle.get_key(self.tenant, key_id)))

    @extend_schema(request=ApiKeyChangeSerializer, responses={200: ApiKeySerializer}, tags=["API keys"])
    def update(self, request: Request, key_id: uuid.UUID) -> Response:
        """Change a key. Fields that are not sent keep their value. Changes apply from the next request."""
        row = lifecycle.get_key(self.tenant, key_id)
        new = self._validate_key(ApiKeyChangeSerializer, request.data)
        lifecycle.check_scopes_held(request.auth, {*row.scopes, *new.get("scopes", ())})
        return Response(render_key(lifecycle.change_key(row, new)))

    @extend_schema(
        parameters=[RevokeSerializer],
        request=None,
        responses={200: ApiKeySerializer},
        tags=["API keys"],
    )
    def destroy(self, request: Request, key_id: uuid.UUID) -> Response:
        """Revoke a key immediately and permanently. It stays in the list."""
        row = lifecycle.get_key(self.tenant, key_id)
        reason = self.validate(RevokeSerializer, request.query_params)["reason"]
        return Response(render_key(lifecycle.revoke_key(row, reason)))

    @extend_schema(
        request=RegenerateSerializer,
        responses={201: NewApiKeySerializer},
        tags=["API keys"],
    )
    @idempotent(render)
    def regenerate(self, request: Request, key_id: uuid.UUID) -> Response:
        """Replace a key by a new one. The old key can stay valid for some time."""
        row = lifecycle.get_key(self.tenant, key_id)
        lifecycle.check_scopes_held(request.auth, row.scopes)
        overlap = timedelta(seconds=self.validate(RegenerateSerializer, request.data)["overlap_seconds"])
        return self._created_response(*lifecycle.regenerate_key(row, overlap=overlap, on_created=_bind_idempotency_key))

    def _validate_key(self, serializer: Any, data: Any) -> dict[str, Any]:
        plan = Merchant.objects.select_related("plan").get(id=self.tenant.merchant_id).plan
        rates = dict(zip(("per_minute", "per_hour"), plan.rates, strict=True))
        return dict(self.validate(serializer, data, plan_rates=rates))

    def _created_response(self, row: ApiKey, key: str | None) -> Response:
        response = Response(render_key(row) | {"key": key}, status=status.HTTP_201_CREATED)
        response["Cache-Control"] = "no-store"
        return response


def _bind_idempotency_key(row: ApiKey) -> None:
    idempotency.bind(row.id)


def _filter_by_state(rows: QuerySet[ApiKey], state: str) -> QuerySet[ApiKey]:
    expired = Q(expires_at__lte=timezone.now())
    if state == "revoked":
        return rows.filter(revoked_at__isnull=False)
    rows = rows.filter(revoked_at=None)
    return rows.filter(expired) if state == "expired" else rows.exclude(expired)


def render_key(row: ApiKey) -> dict[str, Any]:
    """Return a key as ``ApiKeySerializer`` describes it."""
    per_minute, per_hour = row.merchant.plan.rates
    return lifecycle.key_data(row) | {
        "id": row.id,
        "prefix": row.prefix,
        "mode": row.mode,
        "state": lifecycle.key_state(row),
        "per_minute": row.per_minute or per_minute,
        "per_hour": row.per_hour or per_hour,
        "use_count": row.use_count,
        "last_used_at": row.last_used_at,
        "created_at": row.created_at,
        "revoked_at": row.revoked_at,
        "replaces": row.replaces_id,
    }
