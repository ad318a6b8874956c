"""Overview of the carriers: the credential that a merchant uses, and the health of its calls in the last hour."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, Q, Subquery
from django.utils import timezone

from apikeys.db import leases
from apikeys.db.tenancy import Tenant, first_id_at
from apikeys.models import Merchant
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import ADAPTERS, adapter_class
from carriers.api import figures
from carriers.api.figures import ANSWERED, Figures
from carriers.models import Breaker, CarrierCall, Credential, breaker_pause

_PERIOD = timedelta(hours=1)
_FAILING = 0.2  # share of the calls
Outcome = CarrierCall.Outcome


@dataclass(frozen=True)
class Health:
    """``status``: ``down`` if a circuit breaker is open, ``failing`` above 20 % errors, ``unknown`` without calls."""

    status: str
    open_breakers: list[str]
    last_success_at: datetime | None
    calls: int
    error_rate: float | None
    latency_ms: int | None
    latency_p95_ms: int | None
    availability: float | None


@dataclass(frozen=True)
class Overview:
    """A carrier as one merchant uses it.

    ``credential``: ``own``, ``platform`` or ``none``. ``refused_at``: since when the carrier has refused its login.
    """

    adapter: type[CarrierAdapter]
    credential: str
    refused_at: datetime | None
    health: Health


def describe_all(tenant: Tenant) -> list[Overview]:
    """Return an overview of every carrier, with four queries, and two more each minute."""
    return _describe(tenant, ADAPTERS.values())


def describe_one(tenant: Tenant, carrier: str) -> Overview:
    """Return the overview of one carrier."""
    return _describe(tenant, [adapter_class(carrier)])[0]


def _describe(tenant: Tenant, adapters: Iterable[type[CarrierAdapter]]) -> list[Overview]:
    adapters = list(adapters)
    credentials, last_hour = _used_credentials(tenant), _call_figures(tenant)
    last_successes = _last_successes(tenant, [one.slug for one in adapters])
    latest = figures.of_tenant(tenant, list(ADAPTERS))
    breakers = _open_breakers([row.id for row in credentials.values()])
    overviews = []
    for adapter in adapters:
        row = credentials.get(adapter.slug)
        opened = breakers.get(row.id, []) if row else []
        health = _health(
            opened, last_hour.get(adapter.slug), last_successes[adapter.slug], latest.get(adapter.slug, Figures())
        )
        owner = "none" if row is None else "own" if row.merchant_id else "platform"
        overviews.append(Overview(adapter, owner, row.refused_at if row else None, health))
    return overviews


def _used_credentials(tenant: Tenant) -> dict[str, Credential]:
    """Return the credential of each carrier that ``selection.select_credential`` would select."""
    usable = Q(merchant_id=tenant.merchant_id) | Q(merchant__isnull=True, is_open=True)
    own = Credential.objects.filter(merchant_id=tenant.merchant_id, mode=tenant.mode)
    switched_off = own.filter(is_active=False, fields__isnull=False)  # a deleted one has no fields
    rows = Credential.objects.filter(usable, mode=tenant.mode, is_active=True)
    rows = rows.exclude(carrier__in=switched_off.values("carrier"))
    # The merchant's own last, so that it replaces the platform's in the dictionary.
    ordered = sorted(rows.only("carrier", "merchant_id", "refused_at"), key=lambda row: bool(row.merchant_id))
    return {row.carrier: row for row in ordered}


def _open_breakers(credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """Return the operations whose circuit breaker is open, by credential. Half-open ones are not included."""
    resting = leases.still_lasting("retry_at", breaker_pause())
    rows = Breaker.objects.filter(resting, credential__in=credential_ids, opened_at__isnull=False)
    found: dict[uuid.UUID, list[str]] = {}
    for credential_id, operation in rows.values_list("credential_id", "operation").order_by("operation"):
        found.setdefault(credential_id, []).append(operation)
    return found


def _call_figures(tenant: Tenant) -> dict[str, dict[str, Any]]:
    since = first_id_at(timezone.now() - _PERIOD)
    rows = CarrierCall.objects.of(tenant).filter(id__gte=since).order_by().values("carrier")
    answered = Q(outcome__in=ANSWERED)
    found = rows.annotate(
        calls=Count("id"),
        answered=Count("id", filter=answered),
        latency_ms=Avg("duration_ms", filter=answered),
    )
    return {row["carrier"]: row for row in found}


def _last_successes(tenant: Tenant, slugs: Collection[str]) -> dict[str, datetime | None]:
    """Return the time of each carrier's last successful call, however long ago."""
    succeeded = CarrierCall.objects.of(tenant).filter(outcome=Outcome.OK).order_by("-id").values("created_at")
    latest = {f"of_{slug}": Subquery(succeeded.filter(carrier=slug)[:1]) for slug in slugs}
    found = Merchant.objects.filter(id=tenant.merchant_id).values(**latest).get()
    return {slug: found[f"of_{slug}"] for slug in slugs}


def _health(
    opened: list[str], last_hour: dict[str, Any] | None, last_success_at: datetime | None, latest: Figures
) -> Health:
    if last_hour is None:
        status = "down" if opened else "unknown"
        return Health(status, opened, last_success_at, 0, None, None, **asdict(latest))
    error_rate = round(1 - last_hour["answered"] / last_hour["calls"], 4)
    status = "down" if opened else "failing" if error_rate > _FAILING else "up"
    latency = last_hour["latency_ms"]
    return Health(
        status,
        opened,
        last_success_at,
        last_hour["calls"],
        error_rate,
        None if latency is None else round(latency),
        **asdict(latest),
    )
