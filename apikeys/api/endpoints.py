"""The door's endpoints: API keys, tokens of people, events, statistics of use."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access import idempotency, usage
from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet, PublicViewSet
from apikeys.api import serializers
from apikeys.audit import events
from apikeys.http import pagination
from apikeys.http.errors import PermissionRefused, ValidationFailed
from apikeys.keys import lifecycle
from apikeys.models import ApiKey, Membership, Merchant, User, scopes
from apikeys.people import accounts, tokens


class ApiKeyViewSet(ApiViewSet):
    """The merchant's keys of the caller's mode."""

    scopes: ClassVar = dict.fromkeys(
        ("list", "create", "retrieve", "update", "destroy", "regenerate"), scopes.KEYS_MANAGE
    )
    sensitive = frozenset({"create", "update", "destroy", "regenerate"})

    @extend_schema(
        parameters=[serializers.KeyListSerializer],
        responses={200: serializers.ApiKeyPageSerializer},
        tags=["API keys"],
    )
    def list(self, request: Request) -> Response:
        """All keys, the newest first, also revoked ones."""
        asked = self.checked(serializers.KeyListSerializer, request.query_params)
        rows = ApiKey.objects.of(self.tenant).select_related("merchant__plan")
        if "state" in asked:
            rows = _in_state(rows, asked.pop("state"))
        page, page_info = pagination.newest_first(rows, **asked)
        return Response({"api_keys": [key_wire(row) for row in page], "pagination": page_info})

    def render(self, request: Request, key_id: uuid.UUID) -> Response:
        """A key that was made before: what opens is not told again."""
        return self._made(lifecycle.find(self.tenant, key_id), None)

    @extend_schema(
        request=serializers.ApiKeyRequestSerializer,
        responses={201: serializers.NewApiKeySerializer},
        tags=["API keys"],
    )
    @idempotent(render)
    def create(self, request: Request) -> Response:
        """A new key in the caller's mode. The key is in this answer and never shown again."""
        data = self._checked_key(serializers.ApiKeyRequestSerializer, request.data)
        lifecycle.check_reach(request.auth, data["scopes"])
        data.setdefault("store_id", self.tenant.store_id)
        return self._made(*lifecycle.create(self.tenant, made=_bind, **data))

    @extend_schema(responses={200: serializers.ApiKeySerializer}, tags=["API keys"])
    def retrieve(self, request: Request, key_id: uuid.UUID) -> Response:
        """One key."""
        return Response(key_wire(lifecycle.find(self.tenant, key_id)))

    @extend_schema(
        request=serializers.ApiKeyChangeSerializer, responses={200: serializers.ApiKeySerializer}, tags=["API keys"]
    )
    def update(self, request: Request, key_id: uuid.UUID) -> Response:
        """Change a key; fields that are not named keep their value. It counts from the next request on."""
        row = lifecycle.find(self.tenant, key_id)
        new = self._checked_key(serializers.ApiKeyChangeSerializer, request.data)
        lifecycle.check_reach(request.auth, {*row.scopes, *new.get("scopes", ())})
        return Response(key_wire(lifecycle.change(row, new)))

    @extend_schema(
        parameters=[serializers.RevokeSerializer],
        request=None,
        responses={200: serializers.ApiKeySerializer},
        tags=["API keys"],
    )
    def destroy(self, request: Request, key_id: uuid.UUID) -> Response:
        """Revoke a key at once and for good; it stays in the list."""
        row = lifecycle.find(self.tenant, key_id)
        why = self.checked(serializers.RevokeSerializer, request.query_params)
        return Response(key_wire(lifecycle.revoke(row, why["reason"])))

    @extend_schema(
        request=serializers.RegenerateSerializer,
        responses={201: serializers.NewApiKeySerializer},
        tags=["API keys"],
    )
    @idempotent(render)
    def regenerate(self, request: Request, key_id: uuid.UUID) -> Response:
        """A new key in the place of an old one, which may go on working for a while."""
        row = lifecycle.find(self.tenant, key_id)
        lifecycle.check_reach(request.auth, row.scopes)
        asked = self.checked(serializers.RegenerateSerializer, request.data)
        overlap = timedelta(seconds=asked["overlap_seconds"])
        return self._made(*lifecycle.regenerate(row, overlap=overlap, made=_bind))

    def _checked_key(self, serializer: Any, data: Any) -> dict[str, Any]:
        plan = Merchant.objects.select_related("plan").get(id=self.tenant.merchant_id).plan
        rates = dict(zip(("per_minute", "per_hour"), plan.rates, strict=True))
        return dict(self.validated(serializer, data, tenant=self.tenant, plan_rates=rates))

    def _made(self, row: ApiKey, text: str | None) -> Response:
        response = Response(key_wire(row) | {"key": text}, status=status.HTTP_201_CREATED)
        response["Cache-Control"] = "no-store"
        return response


def _bind(row: ApiKey) -> None:
    idempotency.bind(row.id)


def _in_state(rows: QuerySet[ApiKey], state: str) -> QuerySet[ApiKey]:
    over = Q(expires_at__lte=timezone.now())
    if state == "revoked":
        return rows.filter(revoked_at__isnull=False)
    return rows.filter(over, revoked_at=None) if state == "expired" else rows.exclude(over).filter(revoked_at=None)


def key_wire(row: ApiKey) -> dict[str, Any]:
    """``ApiKeySerializer``'s shape."""
    per_minute, per_hour = row.merchant.plan.rates
    return lifecycle.facts(row) | {
        "id": row.id,
        "prefix": row.prefix,
        "mode": row.mode,
        "state": lifecycle.state(row),
        "per_minute": row.per_minute or per_minute,
        "per_hour": row.per_hour or per_hour,
        "use_count": row.use_count,
        "last_used_at": row.last_used_at,
        "created_at": row.created_at,
        "revoked_at": row.revoked_at,
        "replaces": row.replaces_id,
    }


class TokenViewSet(PublicViewSet):
    """People sign in, and stay signed in."""

    sensitive = frozenset({"create"})

    @extend_schema(
        request=serializers.TokenRequestSerializer,
        responses={200: serializers.TokenSerializer},
        tags=["sign-in"],
        auth=[],
    )
    def create(self, request: Request) -> Response:
        """An access token for 15 minutes and a refresh token, for an e-mail and a password."""
        data = self.validated(serializers.TokenRequestSerializer, request.data)
        self.count("account", account=data["email"].lower())
        user = accounts.sign_in(request._request, email=data["email"], password=data["password"], otp=data["otp"])
        return _tokens(tokens.issue(user, _membership(user, data["merchant"]), data["mode"]))

    @extend_schema(
        request=serializers.RefreshSerializer, responses={200: serializers.TokenSerializer}, tags=["sign-in"], auth=[]
    )
    def refresh(self, request: Request) -> Response:
        """A new pair; the refresh token that was sent is used up."""
        return _tokens(tokens.renew(self.validated(serializers.RefreshSerializer, request.data)["refresh"]))

    @extend_schema(request=serializers.RefreshSerializer, responses={204: None}, tags=["sign-in"], auth=[])
    def logout(self, request: Request) -> Response:
        """End a refresh token; the access token dies with its 15 minutes."""
        tokens.end(self.validated(serializers.RefreshSerializer, request.data)["refresh"])
        return Response(status=status.HTTP_204_NO_CONTENT)


def _membership(user: User, slug: str) -> Membership:
    rows = Membership.objects.select_related("merchant").filter(user=user, merchant__is_active=True)
    found = list(rows.filter(merchant__slug=slug) if slug else rows[:20])
    if not found:
        raise PermissionRefused(_("You are not a member of this merchant.") if slug else None)
    if len(found) > 1:
        known = sorted(row.merchant.slug for row in found)
        text = _("You are a member of several merchants; name one: %s") % ", ".join(known)
        raise ValidationFailed(details={"merchant": [text]})
    return found[0]


def _tokens(pair: tokens.Pair) -> Response:
    body = {
        "access": pair.access,
        "refresh": pair.refresh,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
        "merchant": pair.membership.merchant.slug,
        "role": pair.membership.role,
        "mode": pair.mode,
        "scopes": sorted(scopes.OF_ROLES[pair.membership.role]),
    }
    response = Response(body)
    response["Cache-Control"] = "no-store"
    return response


class EventViewSet(ApiViewSet):
    """What happened to the merchant's shipments, keys, credentials and members."""

    scopes: ClassVar = {"list": scopes.REPORTS_READ}
    merchant_wide = True

    @extend_schema(
        parameters=[serializers.EventListSerializer],
        responses={200: serializers.EventPageSerializer},
        tags=["events"],
    )
    def list(self, request: Request) -> Response:
        """Events, the newest first."""
        asked = self.checked(serializers.EventListSerializer, request.query_params)
        rows = events.readable_by(
            self.tenant,
            types=asked.get("type", ()),
            subject_id=asked.get("subject_id"),
            since=asked["since"].at if "since" in asked else None,
            until=asked["until"].at if "until" in asked else None,
        )
        page, page_info = pagination.newest_first(rows, limit=asked["limit"], cursor=asked.get("cursor"))
        shown = [{name: getattr(row, name) for name in _EVENT_COLUMNS} for row in page]
        return Response({"events": shown, "pagination": page_info})


_EVENT_COLUMNS = tuple(serializers.EventSerializer().fields)


class UsageViewSet(ApiViewSet):
    """How much keys and credentials are used."""

    scopes: ClassVar = {"list": scopes.REPORTS_READ}
    merchant_wide = True

    @extend_schema(
        parameters=[serializers.UsageQuerySerializer], responses={200: serializers.UsageSerializer}, tags=["usage"]
    )
    def list(self, request: Request) -> Response:
        """Requests, failures and last use by day (UTC), key and credential; days without any are left out."""
        period = self.checked(serializers.UsageQuerySerializer, request.query_params)
        return Response({"days": usage.by_day(self.tenant, **period)})
