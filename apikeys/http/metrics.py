"""Metrics of HTTP requests, by route and status."""

from __future__ import annotations

from functools import lru_cache

from django.http import HttpRequest
from prometheus_client import Counter, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_REQUESTS = Counter("waybill_http_requests_total", "HTTP requests by route and status", ["method", "route", "status"])
_DURATIONS = Histogram(
    "waybill_http_request_duration_seconds", "Duration of HTTP requests by route", ["route"], buckets=_BUCKETS
)
# Clients choose the method; other words would create a series each.
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def observe(request: HttpRequest, status: int, seconds: float) -> None:
    """Count a request. A path without a route, and a static file, count as ``unmatched``."""
    match = request.resolver_match
    method = request.method if request.method in _METHODS else "other"
    requests, durations = _series(method, match.route if match else "unmatched", status)
    requests.inc()
    durations.observe(seconds)


@lru_cache(maxsize=4096)
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Return the series, which prometheus_client would look up under a lock."""
    return _REQUESTS.labels(method, route, str(status)), _DURATIONS.labels(route)
