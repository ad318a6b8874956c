"""The worker process."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from config.worker.tasks import run


class Command(BaseCommand):
    help = "Run the worker tasks until SIGTERM or Ctrl-C. Any number of workers may run."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        run(stop)
