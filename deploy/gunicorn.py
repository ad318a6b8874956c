"""Gunicorn's settings. They use threads, because a request spends most of its time waiting for carriers.

More than one process (``WEB_CONCURRENCY``) needs ``REDIS_URL``, so that rate limits are counted once.
"""

import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from apikeys.http.logs import JsonFormatter
from config import startup
from config.environment import env

METRICS_PREFIX = "waybill-metrics-"


class SilentWorker(ThreadWorker):
    """Log malformed requests without their content, which may contain keys and passwords."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        super().handle_error(None, client, addr, wordless(exc) if isinstance(exc, ParseException) else exc)


class SilentLogger(Logger):
    """Log in JSON like Waybill, and without gunicorn's debug lines: they contain paths and parts of requests."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter())

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Drop the line; Waybill logs each request itself."""


def wordless(error: BaseException) -> BaseException:
    """Return an error of the same class whose text is only its name."""
    kind = type(error)
    silent = type(kind.__name__, (kind,), {"__str__": lambda _self: kind.__name__})
    return silent.__new__(silent)


bind = f"{env.str('BIND_HOST', default='0.0.0.0')}:{env.int('PORT', default=8000, minimum=1, maximum=65535)}"
worker_class = SilentWorker
logger_class = SilentLogger
workers = env.int("WEB_CONCURRENCY", "WORKERS", default=1, minimum=1, maximum=1000)
worker_connections = env.int("WORKER_CONNECTIONS", default=1000, minimum=1)
keepalive = env.int("KEEPALIVE", default=5)
# Above CARRIER_CONCURRENCY, so that hanging carriers leave threads for reads, health and webhooks.
threads = env.int("WEB_THREADS", default=16, minimum=1, maximum=10_000)
# Above REQUEST_DEADLINE_S: a request ends by itself before gunicorn kills its worker.
timeout = 90
graceful_timeout = 30
# Gunicorn's maximum, so that Waybill itself answers requests with long queries.
limit_request_line = 8190
# Waybill logs each request itself.
accesslog = None
# If the disk of the heartbeat file stalls, gunicorn kills healthy workers.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
# Its default path is the same for all of a user's installations.
control_socket_disable = True


def use_metrics_directory() -> Path | None:
    """Choose a new directory in which several processes count, so that /metrics shows the sums of all.

    Returns: the directory; None for a single process, or if PROMETHEUS_MULTIPROC_DIR names one. Settings create it.
    """
    if workers == 1 or env.str("PROMETHEUS_MULTIPROC_DIR"):
        return None
    name = f"{METRICS_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    directory = Path(worker_tmp_dir or tempfile.gettempdir(), name)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    return directory


def delete_left_over(parent: Path) -> None:
    """Delete the directories of killed masters, which /dev/shm would keep in memory."""
    for directory in parent.glob(f"{METRICS_PREFIX}*"):
        try:
            os.kill(int(directory.name.removeprefix(METRICS_PREFIX).partition("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(directory, ignore_errors=True)
        except (ValueError, OSError):  # not ours, or a process of another user
            continue


def on_starting(server: Any) -> None:
    """Show the warnings about the configuration, once for all processes."""
    if metrics_directory:
        delete_left_over(metrics_directory.parent)
    startup.warn_once(server.log.warning)
    if env.int("CARRIER_CONCURRENCY", default=10) >= threads:
        server.log.warning("CARRIER_CONCURRENCY is not below WEB_THREADS: hanging carriers can block all requests.")


def child_exit(server: Any, worker: Any) -> None:
    """Remove the gauges of an ended process. Its counters stay: what it counted has happened."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    """Delete the directory of the metrics, unless PROMETHEUS_MULTIPROC_DIR names it."""
    if metrics_directory:
        shutil.rmtree(metrics_directory, ignore_errors=True)


metrics_directory = use_metrics_directory()
# The library chooses at its import whether to count in files.
from prometheus_client import multiprocess  # noqa: E402
