"""``make test`` and ``make lint``: all checks run, also after one has failed; the exit status is 0 if all passed.

The tests run on SQLite, and those that depend on SQL also on PostgreSQL (see ``conftest.py``). ``TEST_ARGS`` goes to
pytest, ``TEST_WORKERS`` is the number of processes. With ``CI`` set, the run on SQLite measures coverage. A missing
service fails the run; checks that do not need it still run.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from deploy import services

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# Time for pytest to end its own processes after Ctrl-C.
PATIENCE_S = 20
POLL_S = 0.1
# Each worker process has its own databases and connections.
MAX_WORKERS = "8"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MANAGE = [sys.executable, "manage.py"]
LINTERS = {
    "ruff check": [str(BIN / "ruff"), "check", "."],
    "ruff format": [str(BIN / "ruff"), "format", "--check", "."],
    "import contracts": [str(BIN / "lint-imports")],
}
# Minimum branch coverage in percent, by path.
COVERAGE = {"*": 90, "apikeys/*": 95, "shipping/*": 95}


@dataclass
class Check:
    """A command and its additions to the environment."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Report:
    """The checks so far, with outcome and duration."""

    environment: dict[str, str]
    lines: list[str] = field(default_factory=list)
    failed: bool = False

    def run(self, name: str, command: list[str], **environment: str) -> None:
        """Run one check and record its outcome."""
        self.run_together(Check(name, command, environment))

    def run_together(self, first: Check, *others: Check) -> None:
        """Run checks at the same time and record their outcomes. The output of the others is printed at their end."""
        with contextlib.ExitStack() as stack:
            print(f"\n--- {first.name}", flush=True)
            started = time.monotonic()
            running = [(first, None, stack.enter_context(self._process(first)))]
            for check in others:
                output = stack.enter_context(tempfile.TemporaryFile())
                running.append((check, output, stack.enter_context(self._process(check, output))))
            while running:
                time.sleep(POLL_S)
                for entry in [entry for entry in running if entry[2].poll() is not None]:
                    running.remove(entry)
                    self._finish(*entry, started)

    def _finish(self, check: Check, output: IO[bytes] | None, process: subprocess.Popen, started: float) -> None:
        if output:
            output.seek(0)
            print(f"\n--- {check.name}", output.read().decode(errors="replace"), sep="\n", flush=True)
        self.add(check.name, "ok" if process.returncode == 0 else f"FAILED (status {process.returncode})", started)

    @contextlib.contextmanager
    def _process(self, check: Check, output: IO[bytes] | None = None) -> Iterator[subprocess.Popen]:
        """Start a check in its own session. If this process is stopped, the check is stopped too."""
        process = subprocess.Popen(
            check.command,
            env={**self.environment, **check.environment},
            start_new_session=True,
            preexec_fn=services.die_with_parent,
            stdout=output,
            stderr=output and subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            services.stop(process, patience_s=PATIENCE_S)

    def add(self, name: str, outcome: str, started: float | None = None) -> None:
        """Record an outcome; any other than "ok" fails the run."""
        duration = f" ({time.monotonic() - started:.0f} s)" if started else ""
        self.lines.append(f"  {name}: {outcome}{duration}")
        self.failed |= outcome != "ok"

    def close(self) -> int:
        """Print the summary and return the exit status."""
        print("\n--- summary", *self.lines, sep="\n", flush=True)
        return int(self.failed)


def clean_environment(scratch: Path) -> dict[str, str]:
    """Return the tests' environment, without database, cache and data of an installation in the same directory."""
    # Without byte code each process that the tests start would compile all modules again.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,
        "TMPDIR": str(scratch),
        "DEBUG": "true",
        "ENV_FILE": os.devnull,
        "DATA_DIR": str(scratch),
        "DATABASE_URL": f"sqlite:///{scratch}/waybill.sqlite3",
        "COVERAGE_FILE": str(scratch / "coverage"),
        "REDIS_URL": "",
        "CELERY_BROKER_URL": "",
    }


def pytest_command(*options: str) -> list[str]:
    """Return the pytest command for all processors. ``-v`` undoes the ``-q`` of the configuration.

    There is a process more than processors, because many tests wait for other processes.
    """
    processors = len(os.sched_getaffinity(0))
    workers = ["-n", os.environ.get("TEST_WORKERS") or str(processors + 1), "--maxprocesses", MAX_WORKERS]
    given = shlex.split(os.environ.get("TEST_ARGS", ""))
    return [sys.executable, "-m", "pytest", "-v", *workers, *options, *given]


def lint(report: Report) -> None:
    """Check the rules, the format and the import contracts."""
    for name, command in LINTERS.items():
        report.run(name, command)


def check_django(report: Report, scratch: Path) -> None:
    """Check that migrations are complete, and run Django's checks and those of the OpenAPI document."""
    schema = str(scratch / "openapi.yaml")
    report.run("migrations complete", [*MANAGE, "makemigrations", "--check", "--dry-run"])
    report.run("django check", [*MANAGE, "check"])
    report.run("openapi", [*MANAGE, "spectacular", "--validate", "--fail-on-warn", "--file", schema])


def run_tests(report: Report) -> None:
    """Run the tests on SQLite, and those that depend on SQL on PostgreSQL too. ``REDIS_URL_TEST`` is a private Redis.

    Both runs take place at the same time, because many tests wait for processes.
    """
    services.install_missing()
    coverage = ("--cov", "--cov-report=") if os.environ.get("CI") else ()
    checks = [Check("tests on SQLite", pytest_command(*coverage))]
    with contextlib.ExitStack() as stack:
        if redis_url := _start(report, stack, "Redis", services.redis_server()):
            report.environment["REDIS_URL_TEST"] = redis_url
        if postgres_url := _start(report, stack, "PostgreSQL", services.postgres()):
            environment = {"WAYBILL_TEST_DATABASE_ONLY": "1", "DATABASE_URL": postgres_url}
            checks.append(Check("tests on PostgreSQL", pytest_command(), environment))
        report.run_together(*checks)
    if coverage:
        check_coverage(report)


def check_coverage(report: Report) -> None:
    """Compare the measured coverage with its limits."""
    for files, least in COVERAGE.items():
        command = [str(BIN / "coverage"), "report", "--skip-covered", f"--include={files}", f"--fail-under={least}"]
        report.run(f"coverage of {files}", command)


def _start(
    report: Report, stack: contextlib.ExitStack, name: str, service: contextlib.AbstractContextManager[str]
) -> str | None:
    try:
        return stack.enter_context(service)
    except (services.ServiceMissing, RuntimeError) as error:
        print(f"\n{name} cannot be used: {error}", flush=True)
        report.add(name, f"FAILED, so its tests did not run: {error}")
        return None


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the run like Ctrl-C, so that services stop and files are removed."""
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit("\nStopped before the end.")


def _interrupt(*_: object) -> None:
    # A second Ctrl-C must not interrupt the cleanup.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Run all checks, or only the linters with the argument ``lint``."""
    os.chdir(ROOT)
    with stoppable(), tempfile.TemporaryDirectory(prefix="waybill-test-") as scratch:
        # PostgreSQL's account needs access if a test starts a server.
        os.chmod(scratch, 0o711)
        report = Report(clean_environment(Path(scratch)))
        lint(report)
        if arguments != ["lint"]:
            check_django(report, Path(scratch))
            run_tests(report)
        return report.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
