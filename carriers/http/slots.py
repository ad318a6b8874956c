"""How much of a process carriers may occupy: fewer requests than it has threads, whatever hangs.

A request occupies a slot while a carrier is asked for it, and while it waits for another request's log-in. Of
those that find none some wait a moment, for the end of a burst; the others are refused at once, or they would be what
holds up everything else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

_slots = threading.BoundedSemaphore(settings.CARRIER_CONCURRENCY)
# The log-in that is waited for needs a slot too.
_waiting = threading.BoundedSemaphore(max(1, settings.CARRIER_CONCURRENCY - 1))
_patient = threading.BoundedSemaphore(max(1, settings.CARRIER_CONCURRENCY * 2 // 5))
_PATIENCE_S = 1.0


class Full(Exception):
    """Too many are occupied, and none came free in a moment."""


@contextmanager
def calling() -> Iterator[None]:
    """A slot for one call with its repeats. Raises ``Full``."""
    with _taken(_slots):
        yield


@contextmanager
def waiting() -> Iterator[None]:
    """A slot for one that waits for another's log-in. Raises ``Full``."""
    with _taken(_waiting), _taken(_slots):
        yield


@contextmanager
def _taken(slots: threading.BoundedSemaphore) -> Iterator[None]:
    if not (slots.acquire(blocking=False) or _patiently(slots)):
        raise Full
    try:
        yield
    finally:
        slots.release()


def _patiently(slots: threading.BoundedSemaphore) -> bool:
    if not _patient.acquire(blocking=False):
        return False
    try:
        return slots.acquire(timeout=_PATIENCE_S)
    finally:
        _patient.release()
