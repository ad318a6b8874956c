"""Latency and availability of carriers, from the latest rows of the call log: a merchant's own calls, or all calls."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.db.models import IntegerField, QuerySet, Value
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from apikeys.db.tenancy import Mode, Tenant, first_id_at
from carriers.adapters.registry import ADAPTERS
from carriers.models import CarrierCall

Outcome = CarrierCall.Outcome
# A refusal shows that the carrier works.
ANSWERED = (Outcome.OK, Outcome.REFUSED)
LATENCY_PERIOD, AVAILABILITY_PERIOD = timedelta(days=1), timedelta(days=30)
# The latest calls that are read per carrier.
MAX_LATENCIES, MAX_CALLS = 1_000, 100_000
_CACHED_S = 60


@dataclass(frozen=True)
class Figures:
    """The 95th percentile of the answered calls' times, and the share of calls that were answered. None: no calls."""

    latency_p95_ms: int | None = None
    availability: float | None = None


def of_tenant(tenant: Tenant, slugs: Collection[str]) -> Mapping[str, Figures]:
    """Return the figures of a merchant's calls by carrier, at most a minute old."""
    key = f"carrier-figures:{tenant.merchant_id}:{tenant.mode}"
    rows = CarrierCall.objects.of(tenant)
    return cache.get_or_set(
        key, lambda: dict(zip(slugs, _compute([rows.filter(carrier=one) for one in slugs]), strict=True)), _CACHED_S
    )


def of_all() -> Mapping[tuple[str, str], Figures]:
    """Return the figures of all calls by carrier and mode, at most a minute old."""
    keys = [(slug, mode.value) for slug in ADAPTERS for mode in Mode]
    calls = CarrierCall.objects.all()
    return cache.get_or_set(
        "carrier-figures",
        lambda: dict(zip(keys, _compute([calls.filter(carrier=slug, mode=mode) for slug, mode in keys]), strict=True)),
        _CACHED_S,
    )


def figure_metrics() -> Iterator[Metric]:
    """Yield the figures of all calls, without those of carriers that were not called."""
    labels = ["carrier", "mode"]
    latency = GaugeMetricFamily(
        "waybill_carrier_latency_p95_seconds",
        "95th percentile of the answered calls of a day (the latest 1,000).",
        labels=labels,
    )
    availability = GaugeMetricFamily(
        "waybill_carrier_availability_ratio",
        "Share of the calls of 30 days (the latest 100,000) that the carrier answered, other than with 5xx.",
        labels=labels,
    )
    for key, one in of_all().items():
        if one.latency_p95_ms is not None:
            latency.add_metric(key, one.latency_p95_ms / 1000)
        if one.availability is not None:
            availability.add_metric(key, one.availability)
    yield from (latency, availability)


def _compute(groups: Sequence[QuerySet[CarrierCall]]) -> list[Figures]:
    """Return the figures of each group of calls, with two queries for all."""
    now = timezone.now()
    answered = [
        group.filter(id__gte=first_id_at(now - LATENCY_PERIOD), outcome__in=ANSWERED)
        .order_by("-id")
        .annotate(place=Value(place, IntegerField()))
        .values_list("place", "duration_ms")[:MAX_LATENCIES]
        for place, group in enumerate(groups)
    ]
    outcomes = [
        group.filter(id__gte=first_id_at(now - AVAILABILITY_PERIOD))
        .order_by("-id")
        .annotate(place=Value(place, IntegerField()))
        .values_list("place", "outcome")[:MAX_CALLS]
        for place, group in enumerate(groups)
    ]
    latencies: list[list[int]] = [[] for _ in groups]
    for place, duration in _select("SELECT place, duration_ms", answered):
        latencies[place].append(duration)
    shares: list[float | None] = [None] * len(groups)
    words = ", ".join(f"'{one}'" for one in ANSWERED)
    counted = f"SELECT place, COUNT(*), SUM(CASE WHEN outcome IN ({words}) THEN 1 ELSE 0 END)"
    for place, calls, good in _select(counted, outcomes, "GROUP BY place"):
        shares[place] = round(good / calls, 5)
    return [Figures(_percentile(times), share) for times, share in zip(latencies, shares, strict=True)]


def _select(columns: str, parts: Sequence[QuerySet[Any]], end: str = "") -> list[Any]:
    """Select from each part. A slice of a query may be part of a union only as a table of its own."""
    statements, values = [], []
    for number, part in enumerate(parts):
        sql, parameters = part.query.get_compiler(connection=connection).as_sql()
        statements.append(f"{columns} FROM ({sql}) AS part{number} {end}")
        values += parameters
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(statements), values)
        return cursor.fetchall()


def _percentile(times: list[int]) -> int | None:
    """Return the shortest time within which 95 % of the calls were answered."""
    return sorted(times)[math.ceil(len(times) * 0.95) - 1] if times else None
