"""``make bench``: what the door costs, as ratios measured in one run (the machine is shared; seconds tell nothing).

Starts its own PostgreSQL (SQLite where there is none) and gunicorn with two processes, sends with eight connections.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from deploy.services import ServiceMissing, free_port, postgres, redis_server, stop

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 8
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
KEY = {"X-API-Key": "test-api-key"}
# (what is measured, path, headers)
READS = (
    ("health: framework and one query", "/health", {}),
    ("keyed read of a history", "/api/v1/tracking/TEST123456", KEY),
    ("keyed list of units", "/api/v1/shipments?status=CREATED", KEY),
    ("malformed key refused", "/api/v1/shipments", {"X-API-Key": "wb_test_" + "x" * 36}),
)


def rate(port: int, path: str, headers: dict[str, str]) -> float:
    """Answers a second, over all connections."""
    end, counts = time.monotonic() + SECONDS, [0] * CONNECTIONS

    def send(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.monotonic() < end:
            connection.request("GET", path, headers=headers)
            connection.getresponse().read()
            counts[number] += 1
        connection.close()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


@contextlib.contextmanager
def waybill(scratch: str) -> Iterator[tuple[int, str]]:
    """A running installation: its port, and the name of its database."""
    with contextlib.ExitStack() as stack:
        port, environment = free_port(), os.environ | {"DEBUG": "true", "DATA_DIR": scratch, "LOG_LEVEL": "WARNING"}
        try:
            environment |= {"DATABASE_URL": stack.enter_context(postgres())}
            environment |= {"REDIS_URL": stack.enter_context(redis_server())}
            name = "PostgreSQL and Redis"
        except ServiceMissing:
            name = "SQLite"
        environment |= {
            "PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "WEB_CONCURRENCY": "2" if name != "SQLite" else "1",
        }
        for command in (["migrate", "-v0"], ["seed_demo"]):
            subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True, stdout=-3)
        server = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.py", "config.wsgi"]
        process = subprocess.Popen(server, cwd=ROOT, env=environment, start_new_session=True, stderr=-3)
        stack.callback(stop, process, patience_s=10)
        _wait(port)
        yield port, name


def _wait(port: int) -> None:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            connection.getresponse().read()
            return
        time.sleep(0.1)
    raise SystemExit("Waybill did not start")


def main() -> None:
    """Measure each read twice, print the better rate as a ratio to the first line's."""
    with tempfile.TemporaryDirectory(prefix="waybill-bench-") as scratch, waybill(scratch) as (port, name):
        os.chmod(scratch, 0o711)
        rates = [max(rate(port, path, headers) for _ in range(2)) for _what, path, headers in READS]
    print(f"{name}, {CONNECTIONS} connections, {SECONDS:.0f} s each; ratio to the first line")
    for (what, _path, _headers), found in zip(READS, rates, strict=True):
        print(f"  {found / rates[0]:5.2f}  {what}")


if __name__ == "__main__":
    main()
