"""Correlation ids. ``X-Correlation-ID`` or a new id is returned, logged, and sent to carriers and merchants."""

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

from apikeys.http import actors, metrics

log = logging.getLogger(__name__)
HEADER = "X-Correlation-ID"
_LONG_SEGMENT = re.compile(r"[^/]{24,}")
_VALID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_current: ContextVar[str] = ContextVar("correlation_id", default="")


def current() -> str:
    """Return the id of the running request or task; empty outside of one."""
    return _current.get()


def as_uuid() -> uuid.UUID:
    """Return the current id as a UUID, for carriers that take no other form: derived from it if it is another text."""
    try:
        return uuid.UUID(current())
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, current()) if current() else uuid.uuid4()


@contextmanager
def scope(correlation_id: str = "") -> Iterator[str]:
    """Run a request or task under this id, or under a new one."""
    chosen = correlation_id or str(uuid.uuid4())
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)


def note(request: HttpRequest, message: str = "", **facts: object) -> None:
    """Set the message and add fields (such as ``tracking_id`` and ``status``) of the request's log line."""
    noted = request.__dict__.setdefault("noted", {})
    noted.update(facts, message=message) if message else noted.update(facts)


class CorrelationMiddleware:
    """Run each request under its id and write one log line for it. The outermost middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        chosen = given if _VALID.fullmatch(given) else ""
        with scope(chosen) as correlation_id, actors.from_address(actors.client_address(request)):
            translation.deactivate()  # the thread still has the language of its last request
            started = time.monotonic()
            response = self.get_response(request)
            response[HEADER] = correlation_id
            seconds = time.monotonic() - started
            metrics.observe(request, response.status_code, seconds)
            _log_request(request, response, seconds)
            return response


def _log_request(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    tenant = getattr(request, "tenant", None)
    extra = {
        "method": request.method,
        "path": _loggable_path(request),
        "http_status": response.status_code,
        "duration_ms": round(seconds * 1000),
        "user_id": actors.current().name or None,
        "merchant_id": str(tenant.merchant_id) if tenant else None,
    }
    extra.update(getattr(request, "noted", ()))
    log.info(extra.pop("message", "request"), extra=extra)


def _loggable_path(request: HttpRequest) -> str:
    """Return the path without secret tokens, and without the query, which may contain personal data."""
    if request.resolver_match is None:  # no route: any part may be a secret
        return _LONG_SEGMENT.sub("…", request.path)
    token = request.resolver_match.kwargs.get("token")
    return request.path.replace(token, "…") if token else request.path


class CorrelationFilter(logging.Filter):
    """Add the correlation id to every log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.correlation_id = current()
        return True
