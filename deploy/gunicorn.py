"""Gunicorn for Waybill: threads, because a request waits for carriers far more than it computes.

More than one process (``WEB_CONCURRENCY``) needs ``REDIS_URL``, so that rate limits are counted once.
"""

import os
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from apikeys.http.logs import JsonFormatter


class SilentWorker(ThreadWorker):
    """Tells what is wrong with bytes that are no HTTP without repeating them: keys and passwords stand in there."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        super().handle_error(None, client, addr, wordless(exc) if isinstance(exc, ParseException) else exc)


class SilentLogger(Logger):
    """In JSON like Waybill's own lines, and without debug lines.

    Those repeat paths and what had come of a request that broke off.
    """

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter())

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Waybill writes a line a request itself."""


def wordless(error: BaseException) -> BaseException:
    """An error of the same class that says nothing but its name."""
    kind = type(error)
    silent = type(kind.__name__, (kind,), {"__str__": lambda _self: kind.__name__})
    return silent.__new__(silent)


bind = f"{os.environ.get('BIND_HOST', '0.0.0.0')}:{os.environ.get('PORT', '8000')}"
worker_class = SilentWorker
logger_class = SilentLogger
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
# Above CARRIER_CONCURRENCY, so that carriers that hang leave threads for reads, health and webhooks.
threads = int(os.environ.get("WEB_THREADS", "16"))
# Above REQUEST_DEADLINE_S: a request answers for itself before gunicorn gives its worker up.
timeout = 90
graceful_timeout = 30
# The most that gunicorn takes, so that long searches reach Waybill and its own refusals.
limit_request_line = 8190
keepalive = 5
# Waybill writes one line per request itself.
accesslog = None
# A heartbeat file on a disk that stalls makes gunicorn take a healthy worker for dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
# One well-known path for all of a user's gunicorns: two installations would meet there.
control_socket_disable = True
