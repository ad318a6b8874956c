"""Quotes and serviceability over HTTP."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.models import scopes
from shipping.common import input_warnings
from shipping.quotes import quotes, rendering, serializers


class QuoteViewSet(ApiViewSet):
    """Prices."""

    scopes: ClassVar = {"create": scopes.SHIPMENTS_READ}

    @extend_schema(
        request=serializers.QuoteRequestSerializer,
        responses={200: rendering.QuoteSerializer},
        tags=["quotes"],
    )
    @idempotent()
    def create(self, request: Request) -> Response:
        """The carrier's best offer for a route, and all of its offers."""
        route = self.validate(serializers.QuoteRequestSerializer, request.data)
        route |= input_warnings.muted(self.tenant)
        return Response(rendering.quote(quotes.create(self.tenant, route), route))


class ServiceabilityViewSet(ApiViewSet):
    """Whether a carrier goes from one place to another."""

    scopes: ClassVar = {"ask": scopes.SHIPMENTS_READ}

    @extend_schema(
        request=serializers.ServiceabilityRequestSerializer,
        responses={200: rendering.ServiceabilitySerializer},
        tags=["coverage"],
    )
    def ask(self, request: Request) -> Response:
        """Always 200 where the carrier answers, with ``is_serviceable``; nothing is kept."""
        asked = self.validate(serializers.ServiceabilityRequestSerializer, request.data)
        adapter, offers, reason = quotes.serviceability(self.tenant, asked)
        return Response(rendering.serviceability(adapter.name, offers, reason))
