"""Waybill's WSGI application for tests: names the process that answers, and kills it at a point of ``KILL_AT``.

``System.kill_at`` creates a file for a point; the first process that reaches the point deletes the file and dies.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from config.wsgi import application as waybill

POINTS = {
    # Purchase: before the reservation, before the call, during the call, after the answer, before the commit of the
    # booking, after the commit.
    "before_reserving": ("shipping.labels.purchase", "reserve"),
    "before_call": ("shipping.labels.purchase", "buy"),
    "during_call": ("carriers.http.exchange:Exchange", "_send_once"),
    "after_answer": ("shipping.labels.purchase", "store_booking"),
    "before_commit": ("shipping.labels.booking", "_book"),
    "after_commit": ("shipping.labels.views:LabelViewSet", "render"),
    # New API key: before it, with its row written, with the row bound but not committed, after the commit.
    "making_key": ("apikeys.keys.lifecycle", "create_key"),
    "binding_key": ("apikeys.api.keys", "_bind_idempotency_key"),
    "recording_key": ("apikeys.keys.lifecycle", "key_data"),
    "answering_key": ("apikeys.api.keys:ApiKeyViewSet", "_created_response"),
    # Checkpoint: before it, after the commit.
    "posting": ("shipping.checkpoints.posting", "post"),
    "answering_checkpoint": ("shipping.checkpoints.rendering", "checkpoint"),
    # Any request with an Idempotency-Key: the response exists, and is not stored yet.
    "keeping": ("apikeys.access.idempotency", "_store_response"),
}

# The process is killed after the function, with its transaction still open.
AT_THE_END = {"before_commit"}
# The process is also killed if the file appears while the function runs.
DURING = {"during_call"}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer as Waybill, with the process id as ``X-Worker``."""

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        return start_response(status, [*headers, ("X-Worker", str(os.getpid()))], *more)

    return waybill(environ, start)


def die_if_requested(point: str) -> None:
    try:
        Path(os.environ["DATA_DIR"], f"kill-{point}").unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def _listening(point: str) -> Iterator[None]:
    ended = threading.Event()

    def listen() -> None:
        while not ended.wait(0.02):
            die_if_requested(point)

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def kill_at(point: str, owner: object, name: str) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapper(*args: object, **kwargs: object) -> object:
        if point in DURING:
            with _listening(point):
                return original(*args, **kwargs)
        if point not in AT_THE_END:
            die_if_requested(point)
            return original(*args, **kwargs)
        result = original(*args, **kwargs)
        die_if_requested(point)
        return result

    setattr(owner, name, wrapper)


for _point in filter(None, os.environ.get("KILL_AT", "").split(",")):
    _owner, _name = POINTS[_point]
    kill_at(_point, resolve_name(_owner), _name)
