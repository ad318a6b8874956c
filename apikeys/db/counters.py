"""Exact counters per time window, shared by all processes with the same ``REDIS_URL``; without it, per process.

All windows of a request are counted in one round trip: by a script in Redis, under one lock in memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from apikeys.db import redis_client

_COUNT_ALL = """
local counts = {}
for i, key in ipairs(KEYS) do
  counts[i] = redis.call('INCR', key)
  if counts[i] == 1 then redis.call('EXPIRE', key, ARGV[i]) end
end
return counts
"""
_PURGE_EVERY = 10_000


def count(windows: Sequence[tuple[str, int]]) -> list[int]:
    """Add one to each (key, lifetime in seconds) and return the new counts. Raises ``RedisUnavailable``."""
    if not windows:
        return []
    if not settings.REDIS_URL:
        return _memory.count(windows)
    keys = [f"{settings.COUNTERS_PREFIX}{key}" for key, _seconds in windows]
    return redis_client.run_script(_COUNT_ALL, keys, [seconds for _key, seconds in windows])


class CountersCache(BaseCache):
    """The cache in which django-ratelimit counts: ``add``, then ``incr`` if the key was there."""

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(self, key: str, value: int, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Count, and return whether this is the first count of the key. Raises ``RedisUnavailable``."""
        (self._count,) = count([(key, int(timeout))])
        return self._count == 1

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Return the count of the ``add`` before, so that both take one round trip. Threads have their own caches."""
        return self._count


def reset() -> None:
    """Delete the counts of this process (for tests)."""
    _memory.clear()


class _Memory:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}  # by key: the count and when its window ends
        self._since_purge = 0

    def count(self, windows: Sequence[tuple[str, int]]) -> list[int]:
        now = time.monotonic()
        with self._lock:
            self._since_purge += 1
            if self._since_purge >= _PURGE_EVERY:
                self._since_purge = 0
                self._counts = {key: entry for key, entry in self._counts.items() if entry[1] > now}
            return [self._add(key, seconds, now) for key, seconds in windows]

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()

    def _add(self, key: str, seconds: int, now: float) -> int:
        number, ends = self._counts.get(key, (0, 0.0))
        if ends <= now:
            number, ends = 0, now + seconds
        self._counts[key] = (number + 1, ends)
        return number + 1


_memory = _Memory()
