"""Search pickup points through a cache: carriers' answers are kept in the cache and, for other processes, in a table.

An answer is fresh for an hour. An older one is returned for a day at most, and marked for the worker, which asks the
carrier again; so a slow or unavailable carrier still has pickup points. Answers are kept per credential. A purchase
never relies on them: the carrier decides whether the chosen point accepts the parcel.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.db.leases import Schedule
from apikeys.http import correlation
from apikeys.http.errors import ValidationFailed, WaybillError
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import adapter_class
from carriers.credentials import opening
from carriers.models import Credential, PointAnswer
from carriers.types import Order, PickupPoint, PointSearch
from carriers.types.errors import CarrierError, CarrierNotFound

log = logging.getLogger(__name__)
FIELD = "metadata.pickup_point_id"
MAX_KEPT = 2_000  # answers of a credential in the database; beyond that the oldest are deleted
_DECIMALS = 4  # of a degree, about eleven metres: neighbouring addresses share one answer
# Longer than a call can take.
LEASES = Schedule(PointAnswer, lasts=lambda: timedelta(minutes=2), until="refresh_at")
_AFTER_FAILURE = timedelta(minutes=5)


@dataclass(frozen=True)
class CachedPoints:
    """Points, the nearest first, and the time of the carrier's answer."""

    points: list[PickupPoint]
    as_of: datetime


def search_points(credential: Credential, adapter: CarrierAdapter, search: Mapping[str, Any]) -> CachedPoints:
    """Return active points near a location.

    Args:
        search: the fields of a ``PointSearch``; ``country`` may be missing for carriers that need none.

    Raises ``ValidationFailed`` naming each field that the carrier needs, and what the adapter raises.
    """
    _require(adapter, search, adapter.point_search_fields)
    rounded = {name: round(search[name], _DECIMALS) for name in ("latitude", "longitude") if name in search}
    return _read(credential, adapter, "pickup_points", {"country": "", **search, **rounded})


def get_point(credential: Credential, adapter: CarrierAdapter, point_id: str, country: str = "") -> CachedPoints:
    """Return one point with all its details. Raises as ``search_points`` does."""
    _require(adapter, {"country": country}, {"country"} & set(adapter.point_search_fields))
    return _read(credential, adapter, "pickup_point", {"point_id": point_id, "country": country})


def with_whole_point(credential: Credential, order: Order) -> Order:
    """Return an order with the address of its pickup point, if the carrier's labels need it.

    The address comes from the carrier and not from the cache, as a label must not have an old one. Raises what the
    adapter raises, for a point that the carrier does not know with the field of the request.
    """
    kind, point = adapter_class(credential.carrier), order.pickup_point
    if point is None or not kind.needs_point_address:
        return order
    adapter = opening.open_adapter(credential, merchant_id=credential.merchant_id)
    try:
        return replace(order, pickup_point=adapter.pickup_point(point.id, point.address.country))
    except CarrierNotFound as error:
        error.details = {FIELD: [error.carrier_message or str(error)]}
        raise


def refresh_answers(*, limit: int = 50) -> int:
    """Ask carriers again for old answers that were used. Returns the number of new answers. A worker task."""
    refreshed = 0
    for lease in LEASES.acquire_each(PointAnswer.objects.order_by("refresh_at"), limit=limit):
        with correlation.scope():
            refreshed += _refresh(PointAnswer.objects.select_related("credential").get(id=lease.pk))
    return refreshed


def delete_old_answers() -> int:
    """Delete the answers that are too old to be returned. Returns their number."""
    return PointAnswer.objects.filter(fetched_at__lt=timezone.now() - settings.PICKUP_POINTS_KEEP).delete()[0]


def _require(adapter: CarrierAdapter, search: Mapping[str, Any], fields: Collection[str]) -> None:
    if missing := [name for name in fields if search.get(name) in (None, "")]:
        text = _("%s needs this to find pickup points.") % adapter.name
        raise ValidationFailed(details={name: [text] for name in missing})


def _read(credential: Credential, adapter: CarrierAdapter, operation: str, question: dict[str, Any]) -> CachedPoints:
    key = _key(credential, operation, question)
    if cached := cache.get(_cache_key(key)):
        answer, as_of = json.loads(zlib.decompress(cached))
        return _to_points(answer, datetime.fromisoformat(as_of))
    row = PointAnswer.objects.filter(credential=credential, key=key).first()
    if row and row.fetched_at > timezone.now() - settings.PICKUP_POINTS_KEEP:
        if not _store_in_cache(row):
            PointAnswer.objects.filter(id=row.id, refresh_at=None).update(refresh_at=timezone.now())
        return _to_points(row.answer, row.fetched_at)
    return _fetch(credential, adapter, operation, question)


def _fetch(credential: Credential, adapter: CarrierAdapter, operation: str, question: dict[str, Any]) -> CachedPoints:
    """Ask the carrier and store its answer."""
    if operation == "pickup_points":
        found = list(adapter.pickup_points(msgspec.convert(question, PointSearch)))
    else:
        found = [adapter.pickup_point(question["point_id"], question["country"])]
    points = [asdict(point) for point in found]
    row = PointAnswer(
        credential=credential,
        key=_key(credential, operation, question),
        operation=operation,
        question=question,
        answer=json.loads(json.dumps(points)),
        fetched_at=timezone.now(),
    )
    _store_in_cache(row)
    PointAnswer.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["credential", "key"],
        update_fields=["answer", "fetched_at", "refresh_at"],
    )
    rows = PointAnswer.objects.filter(credential=credential)
    newest = rows.order_by("-fetched_at").values_list("fetched_at", flat=True)
    if oldest := newest[MAX_KEPT : MAX_KEPT + 1].first():
        rows.filter(fetched_at__lte=oldest).delete()
    return _to_points(row.answer, row.fetched_at)


def _refresh(row: PointAnswer) -> bool:
    is_old = row.key != _key(row.credential, row.operation, row.question) or "country" not in row.question
    if is_old:  # the credential or the form of questions changed: nothing reads this row
        row.delete()
        return False
    try:
        _fetch(row.credential, opening.open_adapter(row.credential), row.operation, row.question)
    except CarrierNotFound:
        row.delete()
        cache.delete(_cache_key(row.key))
        return False
    except WaybillError as error:
        log.warning("pickup points not refreshed", extra={"carrier": row.credential.carrier, "error": str(error)})
        again = timezone.now() + _AFTER_FAILURE if isinstance(error, CarrierError) and error.retryable else None
        PointAnswer.objects.filter(id=row.id).update(refresh_at=again)
        return False
    return True


def _store_in_cache(row: PointAnswer) -> bool:
    """Cache an answer until it is no longer fresh. Returns whether it still is."""
    left = (row.fetched_at + settings.PICKUP_POINTS_FRESH - timezone.now()).total_seconds()
    if left > 0:
        # A long list of points takes some thirty kilobytes, nine tenths of them repetition.
        content = json.dumps([row.answer, row.fetched_at.isoformat()]).encode()
        cache.set(_cache_key(row.key), zlib.compress(content, 1), left)
    return left > 0


def _key(credential: Credential, operation: str, question: Mapping[str, Any]) -> str:
    """Return a digest of credential and question. A change of the credential changes it."""
    parts = [str(credential.id), credential.updated_at.isoformat(), operation, question]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _cache_key(key: str) -> str:
    return f"pickup-points:{key}"


def _to_points(answer: list[dict[str, Any]], as_of: datetime) -> CachedPoints:
    return CachedPoints(msgspec.convert(answer, list[PickupPoint]), as_of)
