"""How often an account may call its carrier: a token bucket per credential and endpoint, shared by all processes.

A bucket is one number, the moment at which it is full again. Taking from it is one atomic statement which at the same
time reserves the caller's turn, so nobody polls and nobody overtakes. It lives in Redis where there is one, else (and
while Redis is away) in a row. A moment further away than taking and holding can put it was written before the clock was
set back, and counts for nothing.
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

_US = 1_000_000  # all moments here are whole microseconds since 1970
_LONGEST_REST_S = 3600
_SLACK_S = 60  # so much later another process may have looked at its clock
_TAKE = """
local full_at = tonumber(redis.call('GET', KEYS[1]) or '0')
if full_at > tonumber(ARGV[4]) then full_at = 0 end
if full_at > tonumber(ARGV[3]) then return {0, string.format('%.0f', full_at)} end
full_at = math.max(full_at, tonumber(ARGV[1])) + tonumber(ARGV[2])
local written = string.format('%.0f', full_at)
redis.call('SET', KEYS[1], written, 'PXAT', string.format('%.0f', full_at / 1000 + 60000))
return {1, written}
"""
_EMPTY = """
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


class Refused(Exception):
    """The endpoint's turn would come too late."""

    def __init__(self, endpoint: str, rate: Rate, retry_after_s: int) -> None:
        super().__init__(endpoint)
        self.endpoint, self.rate, self.retry_after_s = endpoint, rate, retry_after_s


@dataclass(frozen=True)
class Budget:
    """What is left of one endpoint's rate, and when all of it is there again."""

    endpoint: str
    operations: tuple[str, ...]
    limit: int
    per: str
    remaining: int
    reset: datetime


def take(credential: Credential, operation: str, *, most_s: float) -> float:
    """Reserve the next turn of an operation; how many seconds to wait for it, at most ``most_s``.

    Raises ``Refused`` when the turn would come later; then nothing is taken.
    """
    taken: list[tuple[str, Rate]] = []
    wait = 0.0
    for endpoint, rate in _rates(credential, operation):
        now = _now()
        full_at = _take(credential, endpoint, rate, now, most_s)
        if full_at is None:
            for one, its_rate in taken:
                _give_back(credential, one, its_rate)
            raise Refused(endpoint, rate, _retry_after(credential, endpoint, rate))
        taken.append((endpoint, rate))
        wait = max(wait, (full_at - rate.period_s * _US - now) / _US)
    return wait


def hold(credential: Credential, operation: str, seconds: float) -> None:
    """The carrier itself asked for a rest: the operation's endpoints give no turn before it is over (at most an hour).

    Where a carrier declares no rate there is no bucket to hold back.
    """
    for endpoint, rate in _rates(credential, operation):
        now = _now()
        full_at = now + _room(rate) + int(min(seconds, _LONGEST_REST_S) * _US)
        _empty(credential, endpoint, full_at, _farthest(rate, now))


def budgets(credential: Credential) -> list[Budget]:
    """The account's budget at each endpoint that its carrier limits, as they are now."""
    now = _now()
    found = []
    for endpoint, rate in adapter_class(credential.carrier).rates.items():
        full_at = _peek(credential, endpoint)
        full_at = full_at if now < full_at <= _farthest(rate, now) else now
        remaining = max(0, (now + rate.period_s * _US - full_at) // _cost(rate))
        reset = datetime.fromtimestamp(full_at / _US, UTC)
        found.append(Budget(endpoint, rate.operations or (endpoint,), rate.limit, rate.per, remaining, reset))
    return found


def _rates(credential: Credential, operation: str) -> Iterator[tuple[str, Rate]]:
    for endpoint, rate in adapter_class(credential.carrier).rates.items():
        if endpoint == "*" or operation in (rate.operations or (endpoint,)):
            yield endpoint, rate


def _cost(rate: Rate) -> int:
    return rate.period_s * _US // rate.limit


def _room(rate: Rate) -> int:
    return rate.period_s * _US - _cost(rate)


def _farthest(rate: Rate, now: int) -> int:
    return now + int((rate.period_s + _LONGEST_REST_S + settings.CARRIER_BUDGET_WAIT_S + _SLACK_S) * _US)


def _now() -> int:
    return time.time_ns() // 1000


def _retry_after(credential: Credential, endpoint: str, rate: Rate) -> int:
    return max(1, ceil((_peek(credential, endpoint) - _room(rate) - _now()) / _US))


# The two stores.


def _take(credential: Credential, endpoint: str, rate: Rate, now: int, most_s: float) -> int | None:
    latest, farthest = now + _room(rate) + int(most_s * _US), _farthest(rate, now)
    with suppress(RedisUnavailable):
        keys, args = [_key(credential, endpoint)], [now, _cost(rate), latest, farthest]
        done, full_at = redis_client.run_script(_TAKE, keys, args)
        return int(full_at) if done else None
    return _take_in_row(credential, endpoint, _cost(rate), now, latest, farthest)


def _take_in_row(credential: Credential, endpoint: str, cost: int, now: int, latest: int, farthest: int) -> int | None:
    ids = [new_id(), credential.id]
    if not connection.features.has_native_uuid_field:
        ids = [one.hex for one in ids]
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, [*ids, endpoint, now + cost, now, farthest, now, cost, latest, farthest])
        found = cursor.fetchone()
    return found[0] if found else None


def _empty(credential: Credential, endpoint: str, full_at: int, farthest: int) -> None:
    """The bucket is full again at this moment and not before."""
    with suppress(RedisUnavailable):
        redis_client.run_script(_EMPTY, [_key(credential, endpoint)], [full_at, farthest])
        return
    CallBudget.objects.get_or_create(credential_id=credential.id, endpoint=endpoint, defaults={"full_at": full_at})
    _rows(credential, endpoint).filter(Q(full_at__lt=full_at) | Q(full_at__gt=farthest)).update(full_at=full_at)


def _give_back(credential: Credential, endpoint: str, rate: Rate) -> None:
    with suppress(RedisUnavailable), redis_client.connected() as client:
        client.decrby(_key(credential, endpoint), _cost(rate))
        return
    _rows(credential, endpoint).update(full_at=F("full_at") - _cost(rate))


def _peek(credential: Credential, endpoint: str) -> int:
    with suppress(RedisUnavailable), redis_client.connected() as client:
        return int(client.get(_key(credential, endpoint)) or 0)
    return _rows(credential, endpoint).values_list("full_at", flat=True).first() or 0


def _rows(credential: Credential, endpoint: str) -> QuerySet[CallBudget]:
    return CallBudget.objects.filter(credential_id=credential.id, endpoint=endpoint)


def _key(credential: Credential, endpoint: str) -> str:
    return f"{settings.COUNTERS_PREFIX}carrier:{credential.id}:{endpoint}"
