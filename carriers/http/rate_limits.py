"""Keep to carriers' rate limits: a token bucket per credential and endpoint, shared by all processes.

A bucket is stored as one number, the time at which it is full again. One atomic statement takes from it and reserves
the caller's turn, so callers neither poll nor overtake each other. The number is in Redis or, without Redis and while
it cannot be reached, in a row. A time later than turns and pauses can set it was stored before the clock was set back
and is ignored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

from django.conf import settings
from django.db import connection
from django.db.models import F, Q, QuerySet

from apikeys.db import redis_client
from apikeys.db.redis_client import RedisUnavailable
from apikeys.db.tenancy import new_id
from carriers.adapters.base import Rate
from carriers.adapters.registry import adapter_class
from carriers.models import CallBudget, Credential

_US = 1_000_000  # all times here are whole microseconds since 1970
_LONGEST_PAUSE_S = 3600
_SLACK_S = 60  # another process may have read its clock this much later
_TAKE = """
local full_at = tonumber(redis.call('GET', KEYS[1]) or '0')
if full_at > tonumber(ARGV[4]) then full_at = 0 end
if full_at > tonumber(ARGV[3]) then return {0, string.format('%.0f', full_at)} end
full_at = math.max(full_at, tonumber(ARGV[1])) + tonumber(ARGV[2])
local written = string.format('%.0f', full_at)
redis.call('SET', KEYS[1], written, 'PXAT', string.format('%.0f', full_at / 1000 + 60000))
return {1, written}
"""
_POSTPONE = """
local full_at = tonumber(redis.call('GET', KEYS[1]) or '0')
if full_at > tonumber(ARGV[2]) then full_at = 0 end
full_at = math.max(full_at, tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PXAT', string.format('%.0f', full_at / 1000 + 60000))
"""
_UPSERT = """
INSERT INTO carriers_callbudget (id, credential_id, endpoint, full_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (credential_id, endpoint) DO UPDATE SET full_at =
  CASE WHEN carriers_callbudget.full_at BETWEEN %s AND %s THEN carriers_callbudget.full_at ELSE %s END + %s
WHERE carriers_callbudget.full_at <= %s OR carriers_callbudget.full_at > %s RETURNING full_at
"""


class RateExceeded(Exception):
    """The next turn would come too late."""

    def __init__(self, endpoint: str, rate: Rate, retry_after_s: int) -> None:
        super().__init__(endpoint)
        self.endpoint, self.rate, self.retry_after_s = endpoint, rate, retry_after_s


@dataclass(frozen=True)
class EndpointRate:
    """The unused part of an endpoint's rate. ``reset``: when all of it is available again."""

    endpoint: str
    operations: tuple[str, ...]
    limit: int
    per: str
    remaining: int
    reset: datetime


def reserve_turn(credential: Credential, operation: str, *, most_s: float) -> float:
    """Reserve the next turn of an operation; return the seconds to wait for it, at most ``most_s``.

    Raises: ``RateExceeded`` if it would come later. Nothing is reserved then.
    """
    taken: list[tuple[str, Rate]] = []
    wait = 0.0
    for endpoint, rate in _rates(credential, operation):
        now = _now()
        full_at = _take(credential, endpoint, rate, now, most_s)
        if full_at is None:
            for one, its_rate in taken:
                _return_turn(credential, one, its_rate)
            seconds = (_read(credential, endpoint) - _burst(rate) - _now()) / _US
            raise RateExceeded(endpoint, rate, max(1, ceil(seconds)))
        taken.append((endpoint, rate))
        wait = max(wait, (full_at - rate.period_s * _US - now) / _US)
    return wait


def pause(credential: Credential, operation: str, seconds: float) -> None:
    """Pause an operation's endpoints for the time that the carrier asked for, at most an hour.

    Without a declared rate there is no bucket to pause.
    """
    for endpoint, rate in _rates(credential, operation):
        now = _now()
        full_at = now + _burst(rate) + int(min(seconds, _LONGEST_PAUSE_S) * _US)
        _postpone(credential, endpoint, full_at, _latest_valid(rate, now))


def read_rates(credential: Credential) -> list[EndpointRate]:
    """Return the current state of each endpoint rate of a credential."""
    now = _now()
    found = []
    for endpoint, rate in adapter_class(credential.carrier).rates.items():
        full_at = _read(credential, endpoint)
        full_at = full_at if now < full_at <= _latest_valid(rate, now) else now
        remaining = max(0, (now + rate.period_s * _US - full_at) // _cost(rate))
        reset = datetime.fromtimestamp(full_at / _US, UTC)
        found.append(EndpointRate(endpoint, rate.operations or (endpoint,), rate.limit, rate.per, remaining, reset))
    return found


def _rates(credential: Credential, operation: str) -> Iterator[tuple[str, Rate]]:
    for endpoint, rate in adapter_class(credential.carrier).rates.items():
        if endpoint == "*" or operation in (rate.operations or (endpoint,)):
            yield endpoint, rate


def _cost(rate: Rate) -> int:
    return rate.period_s * _US // rate.limit


def _burst(rate: Rate) -> int:
    """Return how far ahead of now a bucket may be full again while a turn needs no wait."""
    return rate.period_s * _US - _cost(rate)


def _latest_valid(rate: Rate, now: int) -> int:
    return now + int((rate.period_s + _LONGEST_PAUSE_S + settings.CARRIER_BUDGET_WAIT_S + _SLACK_S) * _US)


def _now() -> int:
    return time.time_ns() // 1000


def _take(credential: Credential, endpoint: str, rate: Rate, now: int, most_s: float) -> int | None:
    """Return the time at which the bucket is full again after this turn, or None if the turn would come too late."""
    cost, latest, latest_valid = _cost(rate), now + _burst(rate) + int(most_s * _US), _latest_valid(rate, now)
    with suppress(RedisUnavailable):
        done, full_at = redis_client.run_script(_TAKE, [_key(credential, endpoint)], [now, cost, latest, latest_valid])
        return int(full_at) if done else None
    ids = [new_id(), credential.id]
    if not connection.features.has_native_uuid_field:
        ids = [one.hex for one in ids]
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, [*ids, endpoint, now + cost, now, latest_valid, now, cost, latest, latest_valid])
        found = cursor.fetchone()
    return found[0] if found else None


def _postpone(credential: Credential, endpoint: str, full_at: int, latest_valid: int) -> None:
    """Postpone the time at which a bucket is full again, unless it is later already."""
    with suppress(RedisUnavailable):
        redis_client.run_script(_POSTPONE, [_key(credential, endpoint)], [full_at, latest_valid])
        return
    CallBudget.objects.get_or_create(credential_id=credential.id, endpoint=endpoint, defaults={"full_at": full_at})
    _rows(credential, endpoint).filter(Q(full_at__lt=full_at) | Q(full_at__gt=latest_valid)).update(full_at=full_at)


def _return_turn(credential: Credential, endpoint: str, rate: Rate) -> None:
    with suppress(RedisUnavailable), redis_client.connected() as client:
        client.decrby(_key(credential, endpoint), _cost(rate))
        return
    _rows(credential, endpoint).update(full_at=F("full_at") - _cost(rate))


def _read(credential: Credential, endpoint: str) -> int:
    with suppress(RedisUnavailable), redis_client.connected() as client:
        return int(client.get(_key(credential, endpoint)) or 0)
    return _rows(credential, endpoint).values_list("full_at", flat=True).first() or 0


def _rows(credential: Credential, endpoint: str) -> QuerySet[CallBudget]:
    return CallBudget.objects.filter(credential_id=credential.id, endpoint=endpoint)


def _key(credential: Credential, endpoint: str) -> str:
    return f"{settings.COUNTERS_PREFIX}carrier:{credential.id}:{endpoint}"
