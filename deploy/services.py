"""Private PostgreSQL and Redis servers for the tests, on free ports and in temporary directories.

They do not affect installed servers or other runs. Durability is switched off, because the data is temporary.
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

STARTUP_S = 30
SHUTDOWN_S = 20
ATTEMPTS = 3
PACKAGES = {
    "initdb": "postgresql",
    "postgres": "postgresql",
    "pgbench": "postgresql",
    "redis-server": "redis-server",
}
# Debian does not put the server's programs on the PATH. The newest version is used.
POSTGRES_DIRECTORIES = ("/usr/lib/postgresql", "/usr/local/opt", "/opt/homebrew/opt")
POSTGRES_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "listen_addresses": "127.0.0.1",
    "max_wal_size": "4GB",
}
PR_SET_PDEATHSIG = 1


class ServiceMissing(Exception):
    """A server program is not installed; the message names the package."""


def find_program(name: str) -> str | None:
    """Return the path of a server program, or None. ``POSTGRES_BIN`` and ``REDIS_BIN`` name its directory if set."""
    override = os.environ.get("REDIS_BIN" if name.startswith("redis") else "POSTGRES_BIN")
    if override:
        return shutil.which(name, path=override)
    return shutil.which(name) or _find_in_versions(name)


def _find_in_versions(name: str) -> str | None:
    found = [path for parent in POSTGRES_DIRECTORIES for path in Path(parent).glob(f"*/bin/{name}")]
    return str(max(found, key=_version)) if found else None


def _version(path: Path) -> float:
    digits = "".join(c for c in path.parent.parent.name if c.isdigit() or c == ".")
    try:
        return float(digits)
    except ValueError:
        return 0.0


def program(name: str) -> str:
    """Return the path of a server program. Raises ``ServiceMissing``."""
    path = find_program(name)
    if path is None:
        raise ServiceMissing(f"{name} is not installed. {install_advice(PACKAGES[name])}")
    return path


def install_advice(package: str) -> str:
    """Return how to install a package on Debian and with Homebrew."""
    brew = package.removesuffix("-server")
    return f"Install it, on Debian or Ubuntu as root: apt-get install {package}; with Homebrew: brew install {brew}"


def install_missing() -> None:
    """Install missing servers as root on Debian; do nothing elsewhere."""
    missing = sorted({package for name, package in PACKAGES.items() if find_program(name) is None})
    if not missing or os.geteuid() != 0 or not shutil.which("apt-get") or not Path("/etc/debian_version").exists():
        return
    print(f"Installing {' and '.join(missing)} for the tests ...", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing]
    with _no_service_starts(), _no_default_cluster():
        for command in (["apt-get", "-qq", "update"], install):
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def _no_service_starts(policy: Path = Path("/usr/sbin/policy-rc.d")) -> Iterator[None]:
    """Keep packages from starting services: they run policy-rc.d first, and its status 101 forbids the start.

    https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
    """
    if policy.exists():
        yield
        return
    with _temporary_file(policy, "#!/bin/sh\nexit 101\n"):
        yield


@contextlib.contextmanager
def _no_default_cluster() -> Iterator[None]:
    """Keep the package postgresql from creating a cluster named main; see createcluster.conf(5)."""
    with _temporary_file(Path("/etc/postgresql-common/createcluster.d/waybill.conf"), "create_main_cluster = false\n"):
        yield


@contextlib.contextmanager
def _temporary_file(path: Path, text: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run a private PostgreSQL and yield its URL. Raises ``ServiceMissing``, or ``RuntimeError`` if it fails."""
    initdb, server = program("initdb"), program("postgres")
    account = _unprivileged_account()
    with _directory("waybill-postgres-", account) as directory:
        data = directory / "data"
        _make_cluster(initdb, data, account)
        options = [item for name, value in POSTGRES_OPTIONS.items() for item in ("-c", f"{name}={value}")]

        def command(port: int) -> list[str]:
            return [server, "-D", str(data), "-p", str(port), "-k", str(directory), *options]

        with _server(command, _postgres_is_ready, directory, account) as port:
            yield f"postgres://postgres@127.0.0.1:{port}/postgres"


def _make_cluster(initdb: str, data: Path, account: pwd.struct_passwd | None) -> None:
    # A locale with accented letters, so that case-insensitive search works as in production.
    locale = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
    command = [
        initdb,
        "-D",
        str(data),
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        f"--locale={locale}",
        "--no-sync",
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=False, **_as_account(account), cwd=data.parent)
    if made.returncode:
        raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")


def _postgres_is_ready(port: int) -> bool:
    try:
        psycopg.connect(f"postgres://postgres@127.0.0.1:{port}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Run a private Redis without persistence and yield its URL. Raises ``ServiceMissing``, or ``RuntimeError``."""
    server = program("redis-server")
    with _directory("waybill-redis-", None) as directory:

        def command(port: int) -> list[str]:
            options = {"--port": port, "--bind": "127.0.0.1", "--dir": directory, "--save": "", "--appendonly": "no"}
            return [server, *(str(item) for pair in options.items() for item in pair)]

        with _server(command, _redis_is_ready, directory, None) as port:
            yield f"redis://127.0.0.1:{port}/0"


def _redis_is_ready(port: int) -> bool:
    try:
        # The client's own retries would take seconds while the server starts.
        with redis.Redis(port=port, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
            return client.ping()
    except redis.RedisError:
        return False


@contextlib.contextmanager
def _server(
    command: Callable[[int], list[str]],
    answers: Callable[[int], bool],
    directory: Path,
    account: pwd.struct_passwd | None,
) -> Iterator[int]:
    """Start a server on a free port and stop it at the end. Retry if another process has taken the port."""
    log = directory / "server.log"
    for _ in range(ATTEMPTS):
        port = free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                start_new_session=True,
                preexec_fn=die_with_parent,
                **_as_account(account),
            )
        try:
            if _wait_until_ready(process, answers, port):
                yield port
                return
        finally:
            stop(process)
    raise RuntimeError(f"{command(0)[0]} did not start:\n{log.read_text(errors='replace')}")


def _wait_until_ready(process: subprocess.Popen, answers: Callable[[int], bool], port: int) -> bool:
    deadline = time.monotonic() + STARTUP_S
    while process.poll() is None and time.monotonic() < deadline:
        if answers(port):
            # The answer may come from another server on a port that ours could not get.
            return process.poll() is None
        time.sleep(0.05)
    return False


def stop(process: subprocess.Popen, *, patience_s: float = SHUTDOWN_S) -> None:
    """Stop a process that leads a session: SIGINT, and SIGKILL to the rest of its session."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """Return a TCP port of the loopback address that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Return the account for PostgreSQL, which refuses to run as root: postgres or nobody; None if we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("PostgreSQL does not run as root, and there is no account postgres or nobody to run it as.")


def _as_account(account: pwd.struct_passwd | None) -> dict:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def _directory(prefix: str, owner: pwd.struct_passwd | None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        if owner is not None:
            os.chown(path, owner.pw_uid, owner.pw_gid)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def die_with_parent() -> None:
    """Let Linux send SIGINT to this process when its parent is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
