"""Health check and Prometheus metrics."""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from apikeys.access.views import OptionsMixin
from apikeys.db import redis_client
from apikeys.http import actors
from apikeys.http.errors import MethodNotAllowed, PermissionRefused
from apikeys.http.rendering import error_response, rfc3339

log = logging.getLogger(__name__)
HEALTHY, DEGRADED, UNHEALTHY, NOT_CONFIGURED = "healthy", "degraded", "unhealthy", "not_configured"


class HealthSerializer(serializers.Serializer):
    status = serializers.ChoiceField(choices=[HEALTHY, DEGRADED, UNHEALTHY])
    timestamp = serializers.DateTimeField()
    services = serializers.DictField(child=serializers.CharField())


class HealthViewSet(OptionsMixin, ViewSet):
    """Health check for load balancers. It needs no API key."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(responses={200: HealthSerializer, 503: HealthSerializer}, tags=["health"], auth=[])
    def retrieve(self, request: Request) -> Response:
        """Return the state of each service: 200 while the database answers, else 503."""
        services = {"database": _check_database(), "redis": _check_redis(), "celery": NOT_CONFIGURED}
        # Nothing works without the database. Without Redis, only rate limits and caches are affected.
        status = DEGRADED if UNHEALTHY in services.values() else HEALTHY
        if services["database"] == UNHEALTHY:
            status = UNHEALTHY
        body = {"status": status, "timestamp": rfc3339(timezone.now()), "services": services}
        response = Response(body, status=503 if status == UNHEALTHY else 200)
        response["Cache-Control"] = "no-store"
        return response


class _State:
    """A collector for Prometheus over functions that read the state of the installation."""

    def __init__(self, sources: Sequence[Callable[[], Iterable[Metric]]]) -> None:
        self.sources = sources

    def collect(self) -> Iterator[Metric]:
        for source in self.sources:
            try:
                yield from list(source())
            except DatabaseError:  # what the processes have counted is shown all the same
                log.exception("metrics: the database cannot be read")


@csrf_exempt
def metrics(request: HttpRequest, sources: Sequence[Callable[[], Iterable[Metric]]] = ()) -> HttpResponse:
    """Return the metrics in Prometheus' text format, to METRICS_ADDRESSES or with METRICS_TOKEN as bearer token.

    They are what this process has counted, or all processes with this PROMETHEUS_MULTIPROC_DIR, and what the sources
    read from the database.
    """
    if request.method not in ("GET", "HEAD"):
        response = error_response(MethodNotAllowed())
        response["Allow"] = "GET, HEAD"
        return response
    token = settings.METRICS_TOKEN.encode()
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    has_token = token and hmac.compare_digest(sent, token)
    # The private address of an unknown proxy would open the metrics to all its clients.
    has_address = not actors.is_client_hidden(request) and actors.is_within(
        actors.client_address(request), settings.METRICS_ADDRESSES
    )
    if not has_token and not has_address:
        return error_response(PermissionRefused())
    state = CollectorRegistry()
    state.register(_State(sources))
    body = generate_latest(counted_registry()) + generate_latest(state)
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


def counted_registry() -> CollectorRegistry:
    """Return what this process has counted, or all processes with this PROMETHEUS_MULTIPROC_DIR."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


def _check_database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        log.exception("health check: the database cannot be reached")
        return UNHEALTHY
    return HEALTHY


def _check_redis() -> str:
    if not settings.REDIS_URL:
        return NOT_CONFIGURED
    if redis_client.answers():
        return HEALTHY
    log.error("health check: Redis cannot be reached")
    return UNHEALTHY
