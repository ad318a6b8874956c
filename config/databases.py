"""Connection pools of the databases: PostgreSQL and Redis."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config.environment import Environment


def database_pool(env: Environment) -> dict[str, Any]:
    """Return the options of the connection pool of PostgreSQL.

    DATABASE_MAX_OVERFLOW adds to DATABASE_POOL_SIZE, as in SQLAlchemy. The pool closes idle connections itself.
    """
    least = env.int("DATABASE_POOL_MIN", default=0)
    most = env.int("DATABASE_POOL_SIZE", default=20, minimum=1) + env.int("DATABASE_MAX_OVERFLOW", default=0)
    if least > most:
        raise ImproperlyConfigured(
            f"DATABASE_POOL_MIN ({least}) must not exceed DATABASE_POOL_SIZE and DATABASE_MAX_OVERFLOW ({most})."
        )
    return {"min_size": least, "max_size": most, "timeout": 15}


def cache_configuration(redis_url: str, pool_size: int) -> dict[str, Any]:
    """Return the configuration of the cache: Redis, or the memory of the process."""
    if not redis_url:
        return {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": "waybill",
            "OPTIONS": {"MAX_ENTRIES": 20000},
        }
    # A thread waits for a connection; the default pool would raise an error.
    limited = {"pool_class": "redis.BlockingConnectionPool", "max_connections": pool_size, "timeout": 1}
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": redis_url,
        "OPTIONS": limited if pool_size else {},
    }
