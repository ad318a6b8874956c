"""Which request: a correlation id taken from ``X-Correlation-ID`` or made, returned, logged.

Sent to carriers and put on webhooks.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse
from django.utils import translation

from apikeys.http import actors

log = logging.getLogger(__name__)
HEADER = "X-Correlation-ID"
_LONG = re.compile(r"[^/]{24,}")
_VALID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_current: ContextVar[str] = ContextVar("correlation_id", default="")


def current() -> str:
    """The id of the request or piece of work that is running; empty outside of one."""
    return _current.get()


@contextmanager
def scope(correlation_id: str = "") -> Iterator[str]:
    """Run a piece of work under this id, or under a new one."""
    chosen = correlation_id or str(uuid.uuid4())
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)


def note(request: HttpRequest, message: str = "", **facts: object) -> None:
    """Say in the request's line what it did (``message``) and what about, as ``tracking_id`` and ``status``."""
    noted = request.__dict__.setdefault("noted", {})
    noted.update(facts, message=message) if message else noted.update(facts)


class CorrelationMiddleware:
    """Outermost: everything that happens in a request is under its id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        chosen = given if _VALID.fullmatch(given) else ""
        with scope(chosen) as correlation_id, actors.at(actors.client_address(request)):
            translation.deactivate()  # the language of this thread's last request
            started = time.monotonic()
            response = self.get_response(request)
            response[HEADER] = correlation_id
            _log(request, response, time.monotonic() - started)
            return response


def _log(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """One line a request; the path without its query, which may hold personal data."""
    tenant = getattr(request, "tenant", None)
    extra = {
        "method": request.method,
        "path": _path(request),
        "http_status": response.status_code,
        "duration_ms": round(seconds * 1000),
        "user_id": actors.current().name or None,
        "merchant_id": str(tenant.merchant_id) if tenant else None,
    }
    extra.update(getattr(request, "noted", ()))
    log.info(extra.pop("message", "request"), extra=extra)


def _path(request: HttpRequest) -> str:
    """Without the token that opens something, where the path holds one. One that leads nowhere may hold anything."""
    if request.resolver_match is None:
        return _LONG.sub("…", request.path)
    token = request.resolver_match.kwargs.get("token")
    return request.path.replace(token, "…") if token else request.path


class CorrelationFilter(logging.Filter):
    """Puts the id on every log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.correlation_id = current()
        return True
