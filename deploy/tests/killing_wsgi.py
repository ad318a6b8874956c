"""Waybill's WSGI application, which says what process answers and kills its own at a point of ``KILL_AT``.

It waits to be told (``System.kill_at``): the first process that comes to the point takes the file that names it, and
dies.
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
    # Of a purchase: before anything, reserved and not asked yet, asked and not answered, answered and nothing stored,
    # all stored and not committed, committed and not told.
    "before_reserving": ("shipping.labels.purchase", "reserve"),
    "before_call": ("shipping.labels.purchase", "buy"),
    "during_call": ("carriers.http.exchange:Exchange", "_send_once"),
    "after_answer": ("shipping.labels.purchase", "store_booking"),
    "before_commit": ("shipping.labels.booking", "_book"),
    "after_commit": ("shipping.labels.views:LabelViewSet", "render"),
    # Of a new API key: before it, with its row written, with the row bound but not committed, after the commit.
    "making_key": ("apikeys.keys.lifecycle", "create_key"),
    "binding_key": ("apikeys.api.keys", "_bind_idempotency_key"),
    "recording_key": ("apikeys.keys.lifecycle", "key_data"),
    "telling_key": ("apikeys.api.keys:ApiKeyViewSet", "_created_response"),
    # Of a checkpoint: before it, after the commit.
    "posting": ("shipping.checkpoints.posting", "post"),
    "telling_checkpoint": ("shipping.checkpoints.rendering", "checkpoint"),
    # Of whatever carries an Idempotency-Key: the answer is made, and not kept yet.
    "keeping": ("apikeys.access.idempotency", "_keep"),
}

# At these the work named is done, and its transaction still open.
AT_THE_END = {"before_commit"}
# At these it runs; told while it does, the process dies too.
MEANWHILE = {"during_call"}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Waybill, with the number of the process that answers as ``X-Worker``."""

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        return start_response(status, [*headers, ("X-Worker", str(os.getpid()))], *more)

    return waybill(environ, start)


def die_if_told(point: str) -> None:
    try:
        Path(os.environ["DATA_DIR"], f"kill-{point}").unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def _listening(point: str) -> Iterator[None]:
    over = threading.Event()

    def listen() -> None:
        while not over.wait(0.02):
            die_if_told(point)

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def kill_at(point: str, owner: object, name: str) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapper(*args: object, **kwargs: object) -> object:
        if point in MEANWHILE:
            with _listening(point):
                return original(*args, **kwargs)
        if point not in AT_THE_END:
            die_if_told(point)
            return original(*args, **kwargs)
        result = original(*args, **kwargs)
        die_if_told(point)
        return result

    setattr(owner, name, wrapper)


for _point in filter(None, os.environ.get("KILL_AT", "").split(",")):
    _owner, _name = POINTS[_point]
    kill_at(_point, resolve_name(_owner), _name)
