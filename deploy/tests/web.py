"""Web processes of several kinds over one installation, and requests to all of them."""

from __future__ import annotations

import contextlib
import copy
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import requests

from deploy import services
from deploy.tests.system import System

needs_redis = pytest.mark.skipif(
    services.find_program("redis-server") is None and not os.environ.get("CI"), reason="redis-server is missing"
)
WORKERS = 4
SHIPMENTS = "/api/v1/shipments"
KEYS = "/api/v1/api-keys"
# A process that serves no request yet may need this long on a busy machine.
PATIENCE_S = 120.0
# Print a key that has every scope.
MERCHANT = """
from apikeys.keys.lifecycle import create_key
from apikeys.models import Merchant
from apikeys.models.scopes import OF_KEYS
from apikeys.db.tenancy import Tenant
merchant = Merchant.objects.create(name="{slug}", slug="{slug}", plan_id="{plan}")
print(create_key(Tenant(merchant.id, "test"), name="all", scopes=OF_KEYS)[1])
"""


class Site:
    """One database and one sandbox, with web processes of several kinds."""

    def __init__(self, **environment: str) -> None:
        self.system = System(LOG_LEVEL="ERROR", **environment).start("sandbox")

    @contextlib.contextmanager
    def web(self, **environment: str) -> Iterator[System]:
        """Start web processes on a port of their own."""
        started = copy.copy(self.system)
        started.port, started.processes = services.free_port(), {}
        started.environment = self.system.environment | environment | {"PORT": str(started.port)}
        try:
            yield started.start("web")
        finally:
            started.kill("web")

    @contextlib.contextmanager
    def four_processes(self) -> Iterator[tuple[System, int]]:
        """Start four web processes that share a Redis; also yields the process id of Redis."""
        with services.redis_server() as url:
            with redis.Redis.from_url(url) as client:
                server = client.info("server")["process_id"]
            # With --preload the application is loaded once, and replaced processes serve at once.
            shared = {"REDIS_URL": url, "WEB_CONCURRENCY": str(WORKERS), "GUNICORN_CMD_ARGS": "--preload"}
            with self.web(**shared) as web:
                yield web, server

    def create_merchant(self, plan: str = "enterprise") -> tuple[str, str]:
        """Return the slug of a new merchant and a key with every scope."""
        slug = f"m-{uuid.uuid4().hex[:8]}"
        return slug, self.system.manage("shell", "-v0", "-c", MERCHANT.format(slug=slug, plan=plan)).split()[-1]


def call(web: System, method: str, path: str, key: str = "test-api-key", body: Any = None, **headers: str) -> Any:
    """Send a request over a new connection."""
    headers = {"X-API-Key": key} | {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, web.web + path, json=body, headers=headers, timeout=60)


def at_once(number: int, send: Callable[[int], Any]) -> list[Any]:
    """Return the responses to this many requests that start at the same moment."""
    start = threading.Barrier(number)

    def run(position: int) -> Any:
        start.wait(60)
        return send(position)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def every_worker(web: System, send: Callable[[int], Any], expected: int) -> None:
    """Repeat a request until each process has answered, always with ``expected``.

    Which process accepts a connection is up to the operating system.
    """
    answered = set()

    def ask() -> bool:
        responses = at_once(3 * WORKERS, send)
        assert {response.status_code for response in responses} == {expected}
        answered.update(response.headers["X-Worker"] for response in responses)
        return len(answered) == WORKERS

    web.wait_for(ask, PATIENCE_S)


def until_processes_share(web: System, attempt: Callable[[], list[Any]]) -> None:
    """Repeat an attempt, which checks its own responses, until several processes took part in one."""
    web.wait_for(lambda: len({response.headers["X-Worker"] for response in attempt()}) > 1, PATIENCE_S)


def checkpoint(**changes: Any) -> dict[str, Any]:
    """Return a checkpoint of a new unit."""
    return {
        "tracking_id": f"UNIT-{uuid.uuid4().hex[:10]}",
        "status": "CREATED",
        "location": "Bogotá",
        "description": "Paquete creado",
        "timestamp": "2024-01-15T09:00:00Z",
    } | changes
