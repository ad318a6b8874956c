"""Checks of every request before it is read: body size and readable text. Also the request's deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from apikeys.http.errors import NotFound, PayloadTooLarge, ValidationFailed
from apikeys.http.rendering import error_response

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def seconds_left() -> float | None:
    """Return the seconds until the running request's deadline (``REQUEST_DEADLINE_S``); None outside of a request."""
    deadline = _deadline.get()
    return None if deadline is None else deadline - time.monotonic()


class RequestGuardMiddleware:
    """Refuse bodies over ``MAX_BODY_BYTES`` (413) and query strings that are not UTF-8 or contain NUL (400).

    Then start the request's deadline.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _content_length(request) > settings.MAX_BODY_BYTES:
            text = _("At most %(limit)d bytes are taken.") % {"limit": settings.MAX_BODY_BYTES}
            return error_response(PayloadTooLarge(details={"body": [text]}))
        if "\0" in request.path:  # PostgreSQL cannot store NUL, so nothing has this name
            return error_response(NotFound())
        if names := _unreadable_parameters(request.META.get("QUERY_STRING", "")):
            text = _("This is not valid UTF-8 text.")
            return error_response(ValidationFailed(details={name: [text] for name in names}))
        token = _deadline.set(time.monotonic() + settings.REQUEST_DEADLINE_S)
        try:
            return self.get_response(request)
        finally:
            _deadline.reset(token)


def _content_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _unreadable_parameters(query: str) -> list[str]:
    """Return the names of the parameters that are not text."""
    return [
        unquote_to_bytes(pair.partition("=")[0]).decode("utf-8", "replace")
        for pair in query.split("&")
        if not _is_text(unquote_to_bytes(pair.encode("latin-1", "replace")))
    ]


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in content
