"""The worker process."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from prometheus_client import start_http_server

from apikeys.access.health import counted_registry
from config.worker.tasks import run


class Command(BaseCommand):
    help = "Run the worker tasks until SIGTERM or Ctrl-C. Any number of workers may run."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        if settings.WORKER_METRICS_PORT:
            start_http_server(settings.WORKER_METRICS_PORT, registry=counted_registry())
        run(stop)
