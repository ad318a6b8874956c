"""Endpoints for quotes and serviceability."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.models import scopes
from shipping import openapi_examples
from shipping.common import input_warnings
from shipping.quotes import quotes, rendering, serializers


class QuoteViewSet(ApiViewSet):
    """Prices of a route."""

    scopes: ClassVar = {"create": scopes.SHIPMENTS_READ}

    @extend_schema(
        request=serializers.QuoteRequestSerializer,
        responses={200: rendering.QuoteSerializer},
        tags=["quotes"],
    )
    @idempotent()
    def create(self, request: Request) -> Response:
        """Get a carrier's best offer for a route, and all of its offers."""
        route = self.validate(serializers.QuoteRequestSerializer, request.data)
        route |= input_warnings.read_setting(self.tenant)
        return Response(rendering.quote(quotes.request_quotes(self.tenant, route), route))


class ServiceabilityViewSet(ApiViewSet):
    """Whether a carrier serves a route."""

    scopes: ClassVar = {"check": scopes.SHIPMENTS_READ}

    @extend_schema(
        request=serializers.ServiceabilityRequestSerializer,
        responses={200: rendering.ServiceabilitySerializer},
        tags=["coverage"],
    )
    def check(self, request: Request) -> Response:
        """Check whether a carrier serves a route.

        Returns 200 with ``is_serviceable`` if the carrier answers. Nothing is stored.
        """
        route = self.validate(serializers.ServiceabilityRequestSerializer, request.data)
        adapter, offers, reason = quotes.check_serviceability(self.tenant, route)
        return Response(rendering.serviceability(type(adapter), offers, reason))


class TransitTimeViewSet(ApiViewSet):
    """How long the services of a carrier take."""

    scopes: ClassVar = {"find": scopes.SHIPMENTS_READ}

    @extend_schema(
        request=serializers.TransitTimesRequestSerializer,
        examples=openapi_examples.TRANSIT_TIMES,
        responses={200: rendering.TransitTimesSerializer},
        tags=["coverage"],
    )
    def find(self, request: Request) -> Response:
        """List how long each service of a carrier takes on a route. Nothing is stored."""
        route = self.validate(serializers.TransitTimesRequestSerializer, request.data)
        adapter, found = quotes.find_transit_times(self.tenant, route)
        return Response(rendering.transit_times(type(adapter), found))
