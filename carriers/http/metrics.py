"""Metrics of carrier calls, with the documented names (``pickit_api_requests_total`` and so on)."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Gauge, Histogram


@cache
def _requests(carrier: str) -> Counter:
    return Counter(f"{carrier}_api_requests_total", f"Total {carrier} API requests", ["endpoint", "status"])


@cache
def _durations(carrier: str) -> Histogram:
    return Histogram(f"{carrier}_api_request_duration_seconds", f"{carrier} API request duration", ["endpoint"])


@cache
def points_searched(carrier: str) -> Counter:
    """Return the counter ``pickit_pickup_points_searched_total`` of a carrier."""
    return Counter(f"{carrier}_pickup_points_searched_total", "Total pickup point searches")


@cache
def shipments_created(carrier: str) -> Counter:
    """Return the counter ``pickit_shipments_created_total`` of a carrier."""
    return Counter(f"{carrier}_shipments_created_total", "Total shipments created", ["service_type"])


@cache
def token_expiry(carrier: str) -> Gauge:
    """Return the gauge ``pickit_token_expiry_seconds`` of a carrier."""
    return Gauge(f"{carrier}_token_expiry_seconds", "Seconds until token expiry", multiprocess_mode="mostrecent")


_WAITS = Counter(
    "waybill_carrier_rate_wait_seconds_total",
    "Seconds that calls waited for the carrier's rate",
    ["carrier", "operation"],
)
_EXCEEDED = Counter(
    "waybill_carrier_rate_exceeded_total", "Calls not sent because of the carrier's rate", ["carrier", "operation"]
)


def observe_wait(carrier: str, operation: str, seconds: float) -> None:
    """Record how long a call waits for its turn."""
    _WAITS.labels(carrier, operation).inc(seconds)


def observe_exceeded(carrier: str, operation: str) -> None:
    """Record a call that is not sent, since its turn would come too late."""
    _EXCEEDED.labels(carrier, operation).inc()


def observe(carrier: str, operation: str, status: int | str, seconds: float) -> None:
    """Record one exchange."""
    _requests(carrier).labels(endpoint=operation, status=str(status)).inc()
    _durations(carrier).labels(endpoint=operation).observe(seconds)
