"""Limit a process's concurrent carrier calls to fewer than its threads, so that hanging carriers block nothing else.

A request takes a slot for a call to a carrier, and while it waits for another request's login. If all slots are taken,
some requests wait a moment for a burst to end; the others are refused at once, because more
waiting requests would take all threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

_slots = threading.BoundedSemaphore(settings.CARRIER_CONCURRENCY)
_login_waiters = threading.BoundedSemaphore(max(1, settings.CARRIER_CONCURRENCY - 1))  # the login needs a slot too
_slot_waiters = threading.BoundedSemaphore(max(1, settings.CARRIER_CONCURRENCY * 2 // 5))
_MAX_WAIT_S = 1.0


class Full(Exception):
    """All slots are taken, and none was released within the wait."""


@contextmanager
def call_slot() -> Iterator[None]:
    """Take a slot for one call with its repeats. Raises: ``Full``."""
    with _acquire(_slots):
        yield


@contextmanager
def login_wait_slot() -> Iterator[None]:
    """Take a slot while waiting for another request's login. Raises: ``Full``."""
    with _acquire(_login_waiters), _acquire(_slots):
        yield


@contextmanager
def _acquire(slots: threading.BoundedSemaphore) -> Iterator[None]:
    if not (slots.acquire(blocking=False) or _acquire_later(slots)):
        raise Full
    try:
        yield
    finally:
        slots.release()


def _acquire_later(slots: threading.BoundedSemaphore) -> bool:
    if not _slot_waiters.acquire(blocking=False):
        return False
    try:
        return slots.acquire(timeout=_MAX_WAIT_S)
    finally:
        _slot_waiters.release()
