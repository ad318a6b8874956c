"""Count and log the unreadable elements of carriers' answers and webhooks, which are skipped."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from prometheus_client import Counter

log = logging.getLogger(__name__)
SKIPPED = Counter(
    "carrier_unreadable_elements_total", "Unreadable elements of carriers' answers, skipped", ["carrier", "operation"]
)
_reading: ContextVar[tuple[str, str]] = ContextVar("reading", default=("", ""))


@contextmanager
def reading(carrier: str, operation: str) -> Iterator[None]:
    """Name the carrier and the operation of the answer that is read in this context."""
    token = _reading.set((carrier, operation))
    try:
        yield
    finally:
        _reading.reset(token)


def skip(path: str, problem: Exception) -> None:
    """Count an unreadable element and log its path. ``problem`` names a path too and never quotes a value."""
    carrier, operation = _reading.get()
    SKIPPED.labels(carrier=carrier, operation=operation).inc()
    facts = {"carrier": carrier, "operation": operation, "path": path[:200], "problem": str(problem)[:200]}
    log.warning("unreadable element skipped", extra=facts)
