"""Waybill's WSGI application, which kills its own process once at a named point of a purchase (``KILL_AT``)."""

import functools
import os
import signal
from pathlib import Path

from config.wsgi import application  # noqa: F401 served by gunicorn
from shipping.services import shipments
from shipping.views import LabelViewSet

# Before the reservation, after it, after the carrier's answer, after that was stored.
POINTS = {
    "reserving": (shipments, "_reserve"),
    "asking": (shipments, "_label_request"),
    "answered": (shipments, "finish"),
    "stored": (LabelViewSet, "render"),
}


def die_once() -> None:
    flag = Path(os.environ["DATA_DIR"]) / "killed"
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def kill_before(owner: object, name: str) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapper(*args: object, **kwargs: object) -> object:
        die_once()
        return original(*args, **kwargs)

    setattr(owner, name, wrapper)


if point := os.environ.get("KILL_AT"):
    kill_before(*POINTS[point])
