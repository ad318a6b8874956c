"""Counting in windows, exactly, for all processes that share ``REDIS_URL``; without it for this one process.

All windows of a request are counted in one round trip: a script on Redis, one lock in memory.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from functools import lru_cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

log = logging.getLogger(__name__)

_COUNT_ALL = """
local counts = {}
for i, key in ipairs(KEYS) do
  counts[i] = redis.call('INCR', key)
  if counts[i] == 1 then redis.call('EXPIRE', key, ARGV[i]) end
end
return counts
"""
# After a failure nobody asks for so long: requests must not queue up before a store that hangs.
_REST_S = 1.0
_PURGE_EVERY = 10_000


class StoreDown(Exception):
    """The shared store cannot be reached."""


def count(windows: Sequence[tuple[str, int]]) -> list[int]:
    """Add one to each (key, lifetime in seconds); the new counts. Raises ``StoreDown``."""
    if not windows:
        return []
    return _count_in_redis(windows) if settings.REDIS_URL else _memory.count(windows)


def reachable() -> bool:
    """Whether the shared store answers, and soon."""
    try:
        return bool(_client(settings.REDIS_URL).ping())
    except redis.RedisError:
        return False


def forget() -> None:
    """Start from zero in this process (for tests)."""
    _memory.clear()
    _rest.until = 0.0


class _Memory:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}
        self._since_purge = 0

    def count(self, windows: Sequence[tuple[str, int]]) -> list[int]:
        now = time.monotonic()
        with self._lock:
            self._purge(now)
            return [self._add(key, seconds, now) for key, seconds in windows]

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()

    def _add(self, key: str, seconds: int, now: float) -> int:
        found, ends = self._counts.get(key, (0, 0.0))
        if ends <= now:
            found, ends = 0, now + seconds
        self._counts[key] = (found + 1, ends)
        return found + 1

    def _purge(self, now: float) -> None:
        self._since_purge += 1
        if self._since_purge >= _PURGE_EVERY:
            self._since_purge = 0
            self._counts = {key: kept for key, kept in self._counts.items() if kept[1] > now}


class _Rest:
    until = 0.0


_memory, _rest = _Memory(), _Rest()


def _count_in_redis(windows: Sequence[tuple[str, int]]) -> list[int]:
    if time.monotonic() < _rest.until:
        raise StoreDown
    keys = [f"{settings.COUNTERS_PREFIX}{key}" for key, _seconds in windows]
    try:
        return _script(settings.REDIS_URL)(keys=keys, args=[seconds for _key, seconds in windows])
    except redis.RedisError as error:
        _rest.until = time.monotonic() + _REST_S
        log.warning("counters: the store cannot be reached", extra={"reason": type(error).__name__})
        raise StoreDown from error


@lru_cache(maxsize=8)
def _script(url: str) -> Script:
    return _client(url).register_script(_COUNT_ALL)


@lru_cache(maxsize=8)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0), health_check_interval=30
    )
