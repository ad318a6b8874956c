"""An installation for tests: web, worker and sandbox as processes on free ports, with their own database."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import requests

from config import test_database
from config.management.commands.seed_demo import OWN_CREDENTIAL
from deploy.services import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
# Accounts of the simulated carriers that tests use without a limit of requests.
ACCOUNTS = (
    "test-client-id",
    "test-client",
    "pickit-platform",
    "+910000000000",
    "velocity-platform",
    "ups-platform",
    "ups-client",
    "platform@bring.example",
    "test@bring.example",
)


class System:
    """Starts and kills the processes ``web``, ``worker`` and ``sandbox``.

    Its database has the demo merchant. With ``keep_logs`` the output of processes and commands goes to
    ``<directory>/logs/<name>.log``.
    """

    def __init__(self, *, keep_logs: bool = False, **environment: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="waybill-system-"))
        self.port, self.sandbox_port, self.receiver_port = free_port(), free_port(), free_port()
        self.logs = self.directory / "logs" if keep_logs else None
        if self.logs:
            self.logs.mkdir()
        self.database = _Database(self.directory)
        self.processes: dict[str, subprocess.Popen] = {}
        self.environment = os.environ | {
            "DEBUG": "true",
            "DATABASE_URL": self.database.url,
            "DATA_DIR": str(self.directory),
            "REDIS_URL": "",
            "PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "SANDBOX_PORT": str(self.sandbox_port),
            "RECEIVER_PORT": str(self.receiver_port),
            "LOG_LEVEL": "WARNING",
            "API_KEY_BCRYPT_ROUNDS": "4",
            "WORKER_POLL_S": "0.1",
            "CARRIER_RETRY_DELAY_S": "0.05",
            "IDEMPOTENCY_WAIT_S": "0.5",
            "IDEMPOTENCY_LEASE_S": "3",
            **environment,
        }
        self.session = requests.Session()
        self.session.trust_env = False
        receiver = f"http://127.0.0.1:{self.receiver_port}/webhooks"
        self.database.execute(f"UPDATE webhooks_webhookendpoint SET url = '{receiver}'")

    def manage(self, *command: str, stdin: str = "") -> str:
        """Run a management command, which must succeed; return its output."""
        done = self._manage(command, stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        if self.logs:
            with (self.logs / f"{command[0]}.log").open("a") as log:
                log.write(done.stdout + done.stderr)
        return done.stdout

    def manage_fails(self, *command: str) -> str:
        """Run a management command that must fail; return its output and errors."""
        done = self._manage(command)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def _manage(self, command: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            env=self.environment,
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
        )

    def start(self, *names: str) -> System:
        for name in names:
            self.processes[name] = self._process(name)
        try:
            self._wait_until_up(names)
        except BaseException:  # the caller has no object to close yet
            self.close()
            raise
        return self

    def _wait_until_up(self, names: Sequence[str]) -> None:
        if "sandbox" in names:
            self.wait_for(lambda: self._answers(f"{self.sandbox}/_sandbox/health"))
            for account in ACCOUNTS:
                self.control("PUT", f"/_sandbox/accounts/{account}", {"rate_limit": 0})
        if "web" in names:
            self.wait_for(lambda: self._answers(f"{self.web}/health"))

    def _process(self, name: str) -> subprocess.Popen:
        command: dict[str, Any] = {"args": self._command(name), "env": self.environment, "cwd": ROOT}
        if self.logs is None:
            return subprocess.Popen(**command, start_new_session=True)
        with (self.logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(**command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def _command(self, name: str) -> list[str]:
        webhooks = f"{self.web}/webhooks/pickit/events"
        return {
            "web": [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.py", "deploy.tests.killing_wsgi"],
            "worker": [sys.executable, "manage.py", "work"],
            "sandbox": [sys.executable, "-m", "carriers.sandbox", "--port", str(self.sandbox_port)]
            + ["--state", str(self.directory / "sandbox"), "--webhook", f"pickit-platform={webhooks}"]
            + ["--webhook", f"test-client-id={webhooks}/{OWN_CREDENTIAL}"]
            + ["--webhook", f"test-client={webhooks}/{OWN_CREDENTIAL}"]
            + ["--webhook", f"velocity-platform={self.web}/webhooks/velocity/events"]
            + ["--webhook", f"ups-platform={self.web}/webhooks/ups/events"],
        }[name]

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    def api(self, method: str, path: str, body: Any = None, key: str | None = None, **more: Any) -> requests.Response:
        """Call Waybill with the demo key; ``key`` is an Idempotency-Key."""
        headers = {"X-API-Key": "test-api-key"} | ({"Idempotency-Key": key} if key else {})
        return requests.request(method, self.web + path, json=body, headers=headers, timeout=60, **more)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Use the sandbox's control API."""
        response = self.session.request(method, self.sandbox + path, json=body, timeout=30)
        response.raise_for_status()
        return response.json()

    def purchases(self) -> list[dict[str, Any]]:
        return self.control("GET", "/_sandbox/calls?operation=create_label")

    def wait_for(self, look: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        """Return the first true result of ``look``."""
        give_up = time.monotonic() + patience_s
        while time.monotonic() < give_up:
            if found := look():
                return found
            time.sleep(0.05)
        raise AssertionError(f"{look} returned nothing for {patience_s} seconds")

    def kill(self, name: str) -> None:
        """Send SIGKILL to a process and its children."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def kill_at(self, point: str) -> None:
        """Kill the first web process that reaches this point, one of those in ``KILL_AT``."""
        (self.directory / f"kill-{point}").touch()

    def will_kill_at(self, point: str) -> bool:
        """Return whether no process has reached the point yet."""
        return (self.directory / f"kill-{point}").exists()

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        self.database.drop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self, url: str) -> bool:
        try:
            return self.session.get(url, timeout=5).status_code == 200
        except requests.RequestException:
            return False


class _Database:
    """A database with the demo merchant: a file, or a database on the tests' PostgreSQL server."""

    def __init__(self, directory: Path) -> None:
        self.url = test_database.create(f"system_{uuid.uuid4().hex[:12]}", directory, demo=True)

    def values(self) -> Iterator[tuple[str, Any]]:
        """Yield every value of every table, with the names of table and column."""
        with contextlib.closing(self._connection()) as connection:
            cursor = connection.cursor()
            for table in [row[0] for row in cursor.execute(self._tables).fetchall()]:
                rows = cursor.execute(f'SELECT * FROM "{table}"').fetchall()
                columns = [f"{table}.{column[0]}" for column in cursor.description]
                yield from ((name, value) for row in rows for name, value in zip(columns, row, strict=True))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with contextlib.closing(self._connection()) as connection:
            return connection.cursor().execute(query).fetchall()

    def execute(self, statement: str) -> None:
        """Change rows, for example the end of a lease, instead of waiting."""
        with contextlib.closing(self._connection()) as connection:
            connection.cursor().execute(statement)
            connection.commit()

    @property
    def _tables(self) -> str:
        if self.url.startswith("postgres"):
            return "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        return "SELECT name FROM sqlite_master WHERE type = 'table'"

    def _connection(self) -> Any:
        if self.url.startswith("postgres"):
            return psycopg.connect(self.url)
        return sqlite3.connect(self.url.removeprefix("sqlite:///"))

    def drop(self) -> None:
        test_database.drop(self.url)
