"""Pickup points, remembered for an hour: in the cache, and in the database for other processes and after a restart.

An older answer is still given for a day, at once, and marked for the worker, which asks the carrier anew; so a carrier
that is slow or away still has pickup points. A point that the carrier then no longer knows is forgotten. Only what a
carrier answered is remembered, per account. A purchase never relies on it: whether the chosen point takes the parcel is
the carrier's word.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from apikeys.db.leases import Schedule
from apikeys.http import correlation
from apikeys.http.errors import WaybillError
from carriers.adapters.base import CarrierAdapter
from carriers.credentials import opening
from carriers.models import Credential, PointAnswer
from carriers.types import Address, PickupPoint
from carriers.types.errors import CarrierError, CarrierNotFound

log = logging.getLogger(__name__)
MOST_KEPT = 2_000  # answers of an account in the database; beyond that the oldest go
_PLACES = 4  # decimals of a degree, some eleven metres: addresses in one house ask the same question
# Longer than a call can take.
LEASES = Schedule(PointAnswer, lasts=lambda: timedelta(minutes=2), until="refresh_at")
_AFTER_FAILURE = timedelta(minutes=5)


@dataclass(frozen=True)
class Known:
    """Points, nearest first, and when the carrier told of them."""

    points: list[PickupPoint]
    as_of: datetime


def near(credential: Credential, adapter: CarrierAdapter, search: Mapping[str, Any]) -> Known:
    """Active points around a place: ``latitude longitude radius_km limit``. Raises what the adapter raises."""
    rounded = {name: round(search[name], _PLACES) for name in ("latitude", "longitude")}
    return _remembered(credential, adapter, "pickup_points", {**search, **rounded})


def one(credential: Credential, adapter: CarrierAdapter, point_id: str) -> Known:
    """One point with everything known of it. Raises what the adapter raises."""
    return _remembered(credential, adapter, "pickup_point", {"point_id": point_id})


def refresh(*, limit: int = 50) -> int:
    """Ask again what somebody was answered from memory though it was old; how many answers are new. For the worker."""
    renewed = 0
    for lease in LEASES.acquire_each(PointAnswer.objects.order_by("refresh_at"), limit=limit):
        with correlation.scope():
            renewed += _renewed(PointAnswer.objects.select_related("credential").get(id=lease.pk))
    return renewed


def forget_old() -> int:
    """Delete what is too old to be given; how many answers."""
    return PointAnswer.objects.filter(fetched_at__lt=timezone.now() - settings.PICKUP_POINTS_KEEP).delete()[0]


def _remembered(credential: Credential, adapter: CarrierAdapter, operation: str, question: dict[str, Any]) -> Known:
    key = _key(credential, operation, question)
    if held := _held(key):
        return held
    row = PointAnswer.objects.filter(credential=credential, key=key).first()
    if row and row.fetched_at > timezone.now() - settings.PICKUP_POINTS_KEEP:
        if not _put_in_front(row):
            PointAnswer.objects.filter(id=row.id, refresh_at=None).update(refresh_at=timezone.now())
        return _known(row.answer, row.fetched_at)
    return _asked(credential, adapter, operation, question)


def _asked(credential: Credential, adapter: CarrierAdapter, operation: str, question: dict[str, Any]) -> Known:
    found = getattr(adapter, operation)(**question)
    points = [asdict(point) for point in (found if operation == "pickup_points" else [found])]
    row = PointAnswer(
        credential=credential,
        key=_key(credential, operation, question),
        operation=operation,
        question=question,
        answer=json.loads(json.dumps(points)),
        fetched_at=timezone.now(),
    )
    _put_in_front(row)
    PointAnswer.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["credential", "key"],
        update_fields=["answer", "fetched_at", "refresh_at"],
    )
    _make_room(credential)
    return _known(row.answer, row.fetched_at)


def _make_room(credential: Credential) -> None:
    """Nobody's questions fill the table."""
    theirs = PointAnswer.objects.filter(credential=credential).order_by("-fetched_at")
    if oldest := theirs.values_list("fetched_at", flat=True)[MOST_KEPT : MOST_KEPT + 1].first():
        PointAnswer.objects.filter(credential=credential, fetched_at__lte=oldest).delete()


def _renewed(row: PointAnswer) -> bool:
    if row.key != _key(row.credential, row.operation, row.question):  # the account has been changed: nobody finds it
        row.delete()
        return False
    try:
        _asked(row.credential, opening.open_adapter(row.credential), row.operation, row.question)
    except CarrierNotFound:
        row.delete()
        cache.delete(_cached(row.key))
        return False
    except WaybillError as error:
        log.warning("pickup points not renewed", extra={"carrier": row.credential.carrier, "error": str(error)})
        again = timezone.now() + _AFTER_FAILURE if isinstance(error, CarrierError) and error.retryable else None
        PointAnswer.objects.filter(id=row.id).update(refresh_at=again)
        return False
    return True


def _put_in_front(row: PointAnswer) -> bool:
    """Into the cache for as long as it is fresh; False where it no longer is."""
    left = (row.fetched_at + settings.PICKUP_POINTS_FRESH - timezone.now()).total_seconds()
    if left > 0:
        # Compressed: a long list of points is some thirty kilobytes, nine tenths of it said again and again.
        told = json.dumps([row.answer, row.fetched_at.isoformat()]).encode()
        cache.set(_cached(row.key), zlib.compress(told, 1), left)
    return left > 0


def _held(key: str) -> Known | None:
    held = cache.get(_cached(key))
    if held is None:
        return None
    answer, as_of = json.loads(zlib.decompress(held))
    return _known(answer, datetime.fromisoformat(as_of))


def _key(credential: Credential, operation: str, question: Mapping[str, Any]) -> str:
    """An account that is changed knows nothing of what it was answered before."""
    asked = [str(credential.id), credential.updated_at.isoformat(), operation, question]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _cached(key: str) -> str:
    return f"pickup-points:{key}"


def _known(answer: list[dict[str, Any]], as_of: datetime) -> Known:
    return Known([_point(point) for point in answer], as_of)


def _point(stored: Mapping[str, Any]) -> PickupPoint:
    lists = {name: tuple(stored[name]) for name in ("services", "images")}
    return PickupPoint(**{**stored, "address": Address(**stored["address"]), **lists})
