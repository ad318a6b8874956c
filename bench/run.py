"""``make bench``: compare Waybill with the database's and the framework's own limits, as ratios of one run.

On a shared machine seconds mean little. Starts its own PostgreSQL, Redis and gunicorn (two processes), loads units
and checkpoints, sends with eight connections. Limit A is the database alone (pgbench, prepared statements, the same
rows); limit B is a bare Django function view that runs the same SQL by the ORM (``bench/urls.py``).
``BENCH_SECONDS``, ``BENCH_UNITS`` and ``BENCH_ROUNDS`` change the size.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.hanging import hanging_carrier
from deploy.services import free_port, postgres, program, redis_server, stop

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
CONNECTIONS = 8
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
UNITS = int(os.environ.get("BENCH_UNITS", "100000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
SCANS = 5
BATCH = 500
KEY = {"X-API-Key": "test-api-key"}
JSON = {"Content-Type": "application/json"}
COMMAND = "make bench"

_ticks = itertools.count()
_random = Random(1)


@dataclass(frozen=True)
class Request:
    """One request to send; ``rows`` is the number of rows that it writes or reads."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None = None
    rows: int = 1


def get(path: str, headers: dict[str, str] = KEY) -> Callable[[], Request]:
    """Return a function that returns the same GET request each time."""
    return lambda: Request("GET", path, headers)


def unit() -> str:
    """Return the tracking id of a random unit."""
    return f"BENCH-{_random.randint(1, UNITS):08}"


def scan() -> dict[str, str]:
    """Return the next checkpoint of a random unit."""
    at = datetime(2024, 1, 16, tzinfo=UTC) + timedelta(milliseconds=next(_ticks))
    return {
        "tracking_id": unit(),
        "status": "IN_TRANSIT",
        "location": "Centro de Distribución",
        "description": "En tránsito",
        "timestamp": at.isoformat(),
    }


def post(path: str) -> Callable[[], Request]:
    """Return a function that returns a request with the next checkpoint."""
    return lambda: Request("POST", path, KEY | JSON, json.dumps(scan()).encode())


def post_batch() -> Request:
    """Return a request with a batch of checkpoints."""
    body = json.dumps([scan() for _ in range(BATCH)]).encode()
    return Request("POST", "/api/v1/checkpoints/batch", KEY | JSON, body, rows=BATCH)


NUMBER = (
    "?origin_country_id=MY&destination_country_id=ID&weight=1.234&created_at=2018-11-20T19:29:32%2B08:00"
    "&customer_id=de619854-b59b-425e-9db4-943979e1bd49&customer_name=RedBox&customer_slug=redbox-logistics"
)


RETRY_S = 1.0
ADDRESS = {"street": "456 Warehouse Ave", "city": "Brooklyn", "state": "NY", "postal_code": "11201", "country": "US"}
PERSON = {"contact_name": "Jane Smith", "contact_phone": "+1234567890", "contact_email": "jane.smith@example.com"}
QUOTE = {
    "carrier": "Pickit",
    "origin": ADDRESS | PERSON,
    "destination": ADDRESS | PERSON,
    "packages": [{"weight_kg": 2.5, "length_cm": 30, "width_cm": 20, "height_cm": 15}],
}


@dataclass(frozen=True)
class Line:
    """A measurement, the line that it is compared with, and the ratio that it should reach."""

    name: str
    request: Callable[[], Request] | None = None
    pgbench: str = ""
    against: str = ""
    goal: float | None = None
    beside_hanging_calls: bool = False


LINES = (
    Line("one view, without a key", get("/bench/open", {})),
    Line("  with a warm key", get("/bench/keyed"), against="one view, without a key"),
    Line("  with a warm key and its limits", get("/bench/limited"), against="one view, without a key"),
    Line(
        "  a malformed key refused",
        get("/bench/keyed", {"X-API-Key": "wb_test_" + "x" * 36}),
        against="one view, without a key",
    ),
    Line(
        "  an unknown key refused",
        get("/bench/keyed", {"X-API-Key": "some-unknown-string-as-key"}),
        against="one view, without a key",
    ),
    Line("history, limit A", pgbench="read.pgbench"),
    Line("history, limit B", lambda: Request("GET", f"/bench/history/{unit()}", {}), against="history, limit A"),
    Line(
        "history: GET /tracking/{id}",
        lambda: Request("GET", f"/api/v1/tracking/{unit()}", KEY),
        against="history, limit B",
        goal=0.75,
    ),
    Line(
        "  the same while a carrier hangs",
        lambda: Request("GET", f"/api/v1/tracking/{unit()}", KEY),
        against="history: GET /tracking/{id}",
        goal=0.8,
        beside_hanging_calls=True,
    ),
    Line("checkpoint, limit A", pgbench="write.pgbench"),
    Line("checkpoint, limit B", post("/bench/checkpoint"), against="checkpoint, limit A"),
    Line("checkpoint: POST /checkpoints", post("/api/v1/checkpoints"), against="checkpoint, limit B", goal=0.8),
    Line("rows by POST /checkpoints/batch", post_batch, against="checkpoint, limit A", goal=1.5),
    Line("tracking number, limit A", pgbench="number.pgbench"),
    Line("tracking number, limit B", get(f"/bench/number{NUMBER}", {}), against="tracking number, limit A"),
    Line(
        "tracking number: GET /next-tracking-number",
        get(f"/next-tracking-number{NUMBER}", {}),
        against="tracking number, limit B",
        goal=0.7,
    ),
)


def over_http(port: int, make: Callable[[], Request]) -> float:
    """Return rows per second over all connections. An error response ends the run."""
    end, counts, problems = time.monotonic() + SECONDS, [0] * CONNECTIONS, []

    def send(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < end and not problems:
            request = make()
            connection.request(request.method, request.path, body=request.body, headers=request.headers)
            response = connection.getresponse()
            body = response.read()
            if response.status >= 500 or (response.status == 429):
                problems.append(f"{request.path}: {response.status} {body[:300]!r}")
            counts[number] += request.rows
        connection.close()

    _together(send)
    if problems:
        raise SystemExit(problems[0])
    return sum(counts) / SECONDS


@contextlib.contextmanager
def hanging_calls(port: int) -> Iterator[None]:
    """Run as many other clients that request quotes of a carrier that never answers, every second."""
    done, problems = threading.Event(), []

    def request_quotes() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("POST", "/api/v1/quotes", body=json.dumps(QUOTE), headers=KEY | JSON)
                answer = connection.getresponse()
                answer.read()
                connection.close()
                if answer.status not in (503, 504):
                    problems.append(f"a quote of the hanging carrier: {answer.status}")
            done.wait(RETRY_S)

    threads = [threading.Thread(target=request_quotes) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    time.sleep(RETRY_S)
    yield
    done.set()
    for thread in threads:
        thread.join()
    if problems:
        raise SystemExit(problems[0])


def _together(send: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=send, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_pgbench(url: str, script: str, merchant: str) -> float:
    """Return transactions per second."""
    command = [program("pgbench"), "-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "2", "-T", f"{SECONDS:.0f}"]
    command += ["-D", f"units={UNITS}", "-D", f"merchant={merchant}", "-f", str(BENCH / script), url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("tps ="))


def prepare(url: str, environment: dict[str, str]) -> str:
    """Create tables, units and the demo merchant with an unlimited plan, and return the merchant's id."""
    for command in (["migrate", "-v0"], ["seed_demo"]):
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True, stdout=-3)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE apikeys_plan SET per_minute = 100000000, per_hour = 2000000000")
        for statement in (BENCH / "data.sql").read_text().format(units=UNITS, scans=SCANS).split(";\n"):
            connection.execute(statement)
        (merchant,) = connection.execute("SELECT id FROM apikeys_merchant WHERE slug = 'demo'").fetchone()
    return str(merchant)


@contextlib.contextmanager
def waybill(scratch: str) -> Iterator[tuple[int, str, str]]:
    """Run an installation; yields its port, database URL and merchant id."""
    with contextlib.ExitStack() as stack:
        port, url = free_port(), stack.enter_context(postgres())
        environment = os.environ | {
            "DEBUG": "true",
            "DATA_DIR": scratch,
            "DATABASE_URL": url,
            "REDIS_URL": stack.enter_context(redis_server()),
            "PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "WEB_CONCURRENCY": "2",
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            # No limit by address, so that requests without a key can be measured.
            "PUBLIC_RATES": "100000000/m",
            "PICKIT_SANDBOX_URL": stack.enter_context(hanging_carrier()),
            "CARRIER_TIMEOUT_S": "2",
        }
        merchant = prepare(url, environment)
        log = stack.enter_context((Path(scratch) / "web.log").open("wb"))
        server = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.py", "config.wsgi"]
        process = subprocess.Popen(server, cwd=ROOT, env=environment, start_new_session=True, stderr=log)
        stack.callback(stop, process, patience_s=10)
        _wait(port)
        yield port, url, merchant


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            connection.getresponse().read()
            return
        time.sleep(0.1)
    raise SystemExit("Waybill did not start")


def measure() -> dict[str, float]:
    """Return the best round of each line."""
    best = dict.fromkeys((line.name for line in LINES), 0.0)
    with tempfile.TemporaryDirectory(prefix="waybill-bench-") as scratch, waybill(scratch) as (port, url, merchant):
        os.chmod(scratch, 0o711)
        for _round in range(ROUNDS):
            for line in LINES:
                best[line.name] = max(best[line.name], _once(line, port, url, merchant))
    return best


def _once(line: Line, port: int, url: str, merchant: str) -> float:
    if line.pgbench:
        return by_pgbench(url, line.pgbench, merchant)
    with hanging_calls(port) if line.beside_hanging_calls else contextlib.nullcontext():
        return over_http(port, line.request)


def main() -> None:
    """Measure, and print each line as a ratio to its limit."""
    best = measure()
    print(
        f"PostgreSQL, Redis, gunicorn 2 processes, {CONNECTIONS} connections, {UNITS:,} units with {SCANS} checkpoints;"
    )
    print(f"{SECONDS:.0f} s each, the better of {ROUNDS} rounds; command: {COMMAND}")
    print(f"{'':50} ratio   goal  to")
    for line in LINES:
        ratio = f"{best[line.name] / best[line.against]:6.2f}" if line.against else "  1.00"
        goal = f"≥ {line.goal:.2f}" if line.goal else ""
        print(f"{line.name:48} {ratio}  {goal:>6}  {line.against}")


if __name__ == "__main__":
    main()
