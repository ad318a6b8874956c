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
# (what is measured, path, headers); the first line of a group is what the others of it are ratios to.
GROUPS = {
    "what the door costs: one and the same view": (
        ("open to everybody", "/bench/open", {}),
        ("with a warm key", "/bench/keyed", KEY),
        ("with a warm key and its limits", "/bench/limited", KEY),
        ("a malformed key refused", "/bench/keyed", {"X-API-Key": "wb_test_" + "x" * 36}),
        ("a stranger's string refused", "/bench/keyed", {"X-API-Key": "some-string-of-a-stranger"}),
    ),
    "reads": (
        ("health: framework and one query", "/health", {}),
        ("keyed read of a history", "/api/v1/tracking/TEST123456", KEY),
        ("keyed list of units", "/api/v1/shipments?status=CREATED", KEY),
    ),
}


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
        port = free_port()
        environment = os.environ | {
            "DEBUG": "true",
            "DATA_DIR": scratch,
            "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            # Not limited by address, so that the refusals themselves are measured.
            "PUBLIC_RATES": "100000000/m",
        }
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
    """Measure each request in two rounds, print the better rate as a ratio to its group's first line."""
    with tempfile.TemporaryDirectory(prefix="waybill-bench-") as scratch, waybill(scratch) as (port, name):
        os.chmod(scratch, 0o711)
        lines = [line for group in GROUPS.values() for line in group]
        rounds = [[rate(port, path, headers) for _what, path, headers in lines] for _ in range(2)]
    best = dict(zip(lines_of(GROUPS), map(max, zip(*rounds, strict=True)), strict=True))
    print(f"{name}, {CONNECTIONS} connections, {SECONDS:.0f} s each, better of two rounds; make bench")
    for title, group in GROUPS.items():
        print(f"{title}")
        for what, _path, _headers in group:
            print(f"  {best[what] / best[group[0][0]]:5.2f}  {what}")


def lines_of(groups: dict[str, tuple]) -> list[str]:
    """The names of all that is measured, in order."""
    return [what for group in groups.values() for what, _path, _headers in group]


if __name__ == "__main__":
    main()
