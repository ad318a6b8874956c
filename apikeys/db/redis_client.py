"""The Redis client of this process, with one policy for failures.

Calls have short timeouts and are not repeated. After a failure no call is tried for a second: requests must not queue
up before a server that hangs. Such calls raise ``RedisUnavailable`` at once, and the caller decides what follows: some
limits refuse requests, others let them pass, and the rates of carriers are kept in rows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

log = logging.getLogger(__name__)
_TIMEOUT_S = 0.5
_PAUSE_S = 1.0

_paused_until: dict[str, float] = {}  # by URL, on the monotonic clock


class RedisUnavailable(Exception):
    """``REDIS_URL`` is not set, or its server cannot be reached."""


@contextmanager
def connected() -> Iterator[redis.Redis]:
    """Provide the client. Raises ``RedisUnavailable``, also when a call in the block fails."""
    url = settings.REDIS_URL
    if not url or time.monotonic() < _paused_until.get(url, 0.0):
        raise RedisUnavailable
    try:
        yield client(url)
    except redis.RedisError as error:
        _paused_until[url] = time.monotonic() + _PAUSE_S
        log.warning("Redis cannot be reached", extra={"reason": type(error).__name__})
        raise RedisUnavailable from error


def run_script(source: str, keys: Sequence[str], args: Sequence[int]) -> Any:
    """Run a Lua script in one round trip. Raises ``RedisUnavailable``."""
    with connected():
        return _script(settings.REDIS_URL, source)(keys=keys, args=args)


def answers() -> bool:
    """Return whether Redis answers now, even during a pause."""
    try:
        return bool(client(settings.REDIS_URL).ping())
    except redis.RedisError:
        return False


def end_pause() -> None:
    """Try Redis again at once (for tests)."""
    _paused_until.clear()


@lru_cache(maxsize=8)
def client(url: str) -> redis.Redis:
    """Return the client for a URL."""
    options = {
        "socket_timeout": _TIMEOUT_S,
        "socket_connect_timeout": _TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 30,
    }
    if not settings.REDIS_POOL_SIZE:
        return redis.Redis.from_url(url, **options)
    # A thread waits for a connection; the default pool would raise an error, which counts as a failure of the server.
    pool = redis.BlockingConnectionPool.from_url(
        url, max_connections=settings.REDIS_POOL_SIZE, timeout=_TIMEOUT_S, **options
    )
    return redis.Redis.from_pool(pool)


@lru_cache(maxsize=16)
def _script(url: str, source: str) -> Script:
    return client(url).register_script(source)
