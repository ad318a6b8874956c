"""Faults of simulated carriers. The control surface injects them, or an order requests one by a magic word."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from carriers.sandbox.messages import Answer, Request

KINDS = {
    "status",
    "echo",
    "timeout",
    "slow",
    "hang_after",
    "garbage",
    "close",
    "reset",
    "cut",
    "truncated",
    "mistyped",
    "huge",
}
# Magic words. An order that has one as its id or recipient fails in this way.
ORDER_FAULTS: dict[str, dict[str, Any]] = {
    "SANDBOX-TIMEOUT": {"kind": "timeout", "delay_s": 60},
    "SANDBOX-HANG-AFTER": {"kind": "hang_after", "delay_s": 60},
    "SANDBOX-SLOW": {"kind": "slow", "delay_s": 15},
    "SANDBOX-REJECT": {"kind": "status", "status": 400},
    **{f"SANDBOX-{status}": {"kind": "status", "status": status} for status in (401, 429, 500, 502, 503)},
    **{
        f"SANDBOX-{kind.upper()}": {"kind": kind}
        for kind in ("garbage", "close", "reset", "cut", "truncated", "mistyped", "huge")
    },
}
_HUGE = 50 * 1024 * 1024
HEADER = "X-Sandbox-Fault"  # of an answer that a fault has changed: the kind of the fault
# The carrier does the work before these faults, so a purchase exists although its answer is lost.
_AFTER_WORK = ("hang_after", "cut", "truncated", "mistyped")


class DropConnection(Exception):
    """Close the connection without an answer."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


def find_order_fault(texts: Iterable[object]) -> dict[str, Any] | None:
    """Return the fault of the first magic word among an order's texts, or None."""
    return next((ORDER_FAULTS[text] for text in map(str, texts) if text in ORDER_FAULTS), None)


def simulate(
    fault: dict[str, Any],
    request: Request,
    work: Callable[[], Answer],
    *,
    error_body: Callable[[int, str], dict[str, Any] | str],
    released: threading.Event,
) -> Answer:
    """Answer a request with a fault.

    Args:
        work: processes the request. It also runs if the fault says ``after``: only the answer is lost then.
        error_body: makes a failure's body from an HTTP status and a message (empty: the carrier's own text).
        released: ends all waits.

    Raises: DropConnection.
    """
    kind = fault["kind"]
    real = work() if fault.get("after") or kind in _AFTER_WORK else None
    match kind:
        case "timeout" | "hang_after":
            released.wait(fault.get("delay_s", 60))
            raise DropConnection
        case "slow":
            released.wait(fault.get("delay_s", 15))
            return work()
        case "close" | "reset":
            raise DropConnection(reset=kind == "reset")
        case "garbage":
            return Answer(200, raw=b"<html>not what you expected", headers={"Content-Type": "text/html"})
        case "cut":
            return Answer(200, raw=_half(real), headers={"Content-Length": str(len(real.content()))})
        case "truncated":
            return Answer(200, raw=_half(real))
        case "mistyped":
            return Answer(200, _mistyped(real.body))
        case "huge":
            return Answer(200, raw=b'{"padding": "' + b"x" * _HUGE + b'"}')
    status, wait = fault.get("status", 500), fault.get("retry_after", 1)
    headers = {"Retry-After": str(wait)} if status == 429 and wait is not None else {}
    message = ""
    if kind == "echo":  # an error text that repeats the whole request, secrets included
        head = "; ".join(f"{name}: {value}" for name, value in request.headers.items())
        message = f"Cannot process {request.method} {request.path} [{head}] {request.body.decode('utf-8', 'replace')}"
    return Answer(status, error_body(status, message), headers)


def _half(answer: Answer) -> bytes:
    content = answer.content()
    return content[: len(content) // 2]


def _mistyped(value: Any) -> Any:
    """Return the same keys with values of other types."""
    match value:
        case dict():
            return {key: _mistyped(item) for key, item in value.items()}
        case list():
            return {"0": "not a list"}
        case str():
            return [7]
    return {"unexpected": True}
