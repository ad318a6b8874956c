"""How the carriers are doing: what each can, which account a merchant uses there, and the last hour of its calls."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Avg, Count, Q, Subquery
from django.utils import timezone

from apikeys.db import leases
from apikeys.db.tenancy import Tenant, first_id_at
from apikeys.models import Merchant
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import ADAPTERS, adapter_class
from carriers.models import Breaker, CarrierCall, Credential, breaker_rest

_SPAN = timedelta(hours=1)
_FAILING = 0.2  # share of calls
Outcome = CarrierCall.Outcome
_ANSWERED = (Outcome.OK, Outcome.REFUSED)


@dataclass(frozen=True)
class Health:
    """``status``: ``down`` with a breaker open, ``failing`` with many failures, ``unknown`` without a call."""

    status: str
    open_breakers: list[str]
    last_success_at: datetime | None
    calls: int
    error_rate: float | None
    latency_ms: int | None


@dataclass(frozen=True)
class Overview:
    """A carrier as one merchant uses it.

    ``credential``: ``own``, ``platform`` or ``none``. ``refused_at``: since when the carrier has refused its login.
    """

    adapter: type[CarrierAdapter]
    credential: str
    refused_at: datetime | None
    health: Health


def all_carriers(tenant: Tenant) -> list[Overview]:
    """Every carrier, in four queries."""
    return _overviews(tenant, ADAPTERS.values())


def one_carrier(tenant: Tenant, carrier: str) -> Overview:
    """One of them."""
    return _overviews(tenant, [adapter_class(carrier)])[0]


def _overviews(tenant: Tenant, adapters: Iterable[type[CarrierAdapter]]) -> list[Overview]:
    adapters = list(adapters)
    used, calls, worked = _used(tenant), _calls(tenant), _last_successes(tenant, [one.slug for one in adapters])
    opened = _open_breakers([row.id for row in used.values()])
    return [_overview(one, used.get(one.slug), opened, calls.get(one.slug), worked[one.slug]) for one in adapters]


def _overview(
    adapter: type[CarrierAdapter],
    row: Credential | None,
    opened: Mapping[uuid.UUID, list[str]],
    figures: dict | None,
    worked_at: datetime | None,
) -> Overview:
    if row is None:
        return Overview(adapter, "none", None, _health([], figures, worked_at))
    credential = "own" if row.merchant_id else "platform"
    return Overview(adapter, credential, row.refused_at, _health(opened.get(row.id, []), figures, worked_at))


def _used(tenant: Tenant) -> dict[str, Credential]:
    """The account that the merchant's requests use at each carrier, as ``accounts.find`` finds it."""
    ours = Q(merchant_id=tenant.merchant_id) | Q(merchant__isnull=True, is_open=True)
    own = Credential.objects.filter(merchant_id=tenant.merchant_id, mode=tenant.mode)
    switched_off = own.filter(is_active=False, fields__isnull=False)  # a deleted one has no fields
    rows = Credential.objects.filter(ours, mode=tenant.mode, is_active=True)
    rows = rows.exclude(carrier__in=switched_off.values("carrier"))
    # The platform's first, so that an own account is written over it.
    ordered = sorted(rows.only("carrier", "merchant_id", "refused_at"), key=lambda row: bool(row.merchant_id))
    return {row.carrier: row for row in ordered}


def _open_breakers(credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """The operations that are not asked now; one whose rest is over is asked at the next request."""
    resting = leases.still_lasting("retry_at", breaker_rest())
    rows = Breaker.objects.filter(resting, credential__in=credential_ids, opened_at__isnull=False)
    found: dict[uuid.UUID, list[str]] = {}
    for credential_id, operation in rows.values_list("credential_id", "operation").order_by("operation"):
        found.setdefault(credential_id, []).append(operation)
    return found


def _calls(tenant: Tenant) -> dict[str, dict[str, object]]:
    since = first_id_at(timezone.now() - _SPAN)
    rows = CarrierCall.objects.of(tenant).filter(id__gte=since).order_by().values("carrier")
    answered = Q(outcome__in=_ANSWERED)
    figures = rows.annotate(
        calls=Count("id"),
        answered=Count("id", filter=answered),
        latency_ms=Avg("duration_ms", filter=answered),
    )
    return {row["carrier"]: row for row in figures}


def _last_successes(tenant: Tenant, slugs: Collection[str]) -> dict[str, datetime | None]:
    """When a call of each carrier worked last, however long ago."""
    worked = CarrierCall.objects.of(tenant).filter(outcome=Outcome.OK).order_by("-id").values("created_at")
    latest = {f"of_{slug}": Subquery(worked.filter(carrier=slug)[:1]) for slug in slugs}
    found = Merchant.objects.filter(id=tenant.merchant_id).values(**latest).get()
    return {slug: found[f"of_{slug}"] for slug in slugs}


def _health(opened: list[str], figures: dict | None, worked_at: datetime | None) -> Health:
    if figures is None:
        return Health("down" if opened else "unknown", opened, worked_at, 0, None, None)
    rate = round(1 - figures["answered"] / figures["calls"], 4)
    status = "down" if opened else "failing" if rate > _FAILING else "up"
    latency = figures["latency_ms"]
    return Health(
        status,
        opened,
        worked_at,
        figures["calls"],
        rate,
        None if latency is None else round(latency),
    )
