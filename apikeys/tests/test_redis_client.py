"""Redis down: one failed attempt, then a pause in which no call waits for it."""

import pytest
import redis

from apikeys.db import counters, redis_client
from apikeys.db.redis_client import RedisUnavailable


@pytest.fixture
def attempts(settings, monkeypatch):
    """Calls that were sent to a Redis that is down."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    sent, client = [], redis_client.client(settings.REDIS_URL)
    plain = client.execute_command
    monkeypatch.setattr(client, "execute_command", lambda *args, **kwargs: sent.append(args) or plain(*args, **kwargs))
    return sent


def test_no_call_is_tried_for_a_second_after_a_failure(attempts, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("apikeys.db.redis_client.time.monotonic", lambda: now[0])
    for _ in range(3):
        with pytest.raises(RedisUnavailable):
            counters.count([("key", 60)])
    with pytest.raises(RedisUnavailable), redis_client.connected() as client:
        client.get("key")
    assert len(attempts) == 1
    now[0] += 1.1
    with pytest.raises(RedisUnavailable) as refusal:
        counters.count([("key", 60)])
    assert len(attempts) == 2
    assert isinstance(refusal.value.__cause__, redis.RedisError)


def test_health_check_asks_during_the_pause(attempts):
    with pytest.raises(RedisUnavailable):
        counters.count([("key", 60)])
    assert not redis_client.answers()
    assert len(attempts) == 2


def test_without_a_url_redis_is_unavailable(settings):
    settings.REDIS_URL = ""
    with pytest.raises(RedisUnavailable), redis_client.connected():
        raise AssertionError


def test_pool_with_a_limit_lets_threads_wait_instead_of_failing(settings):
    settings.REDIS_POOL_SIZE = 3
    pool = redis_client.client("redis://127.0.0.1:2/0").connection_pool
    assert isinstance(pool, redis.BlockingConnectionPool)
    assert (pool.max_connections, pool.connection_kwargs["socket_timeout"]) == (3, 0.5)
    settings.REDIS_POOL_SIZE = 0
    assert not isinstance(redis_client.client("redis://127.0.0.1:3/0").connection_pool, redis.BlockingConnectionPool)
