"""Compress JSON responses of more than a kilobyte for clients that accept gzip."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

MIN_BYTES = 1024
# Most of the gain of gzip's default level, in a third of its time.
_LEVEL = 4


class JsonGzipMiddleware:
    """Compress only JSON, and never for a request with cookies.

    Another site's page can make a browser send requests with our cookies, and could then guess a secret in the response
    from its compressed length (BREACH). API clients send their key instead of cookies.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.streaming or len(response.content) <= MIN_BYTES or "Content-Encoding" in response.headers:
            return response
        if not response.headers.get("Content-Type", "").partition(";")[0].endswith("json"):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        if not request.META.get("HTTP_COOKIE") and accepts_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
            _compress(response)
        return response


def accepts_gzip(accepted: str) -> bool:
    """Return whether an ``Accept-Encoding`` header has gzip (or ``*``) with a weight above zero."""
    weights = {}
    for part in accepted.lower().split(","):
        name, _semicolon, parameter = part.partition(";")
        weights[name.strip()] = _weight(parameter)
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(parameter: str) -> float:
    name, _equals, value = parameter.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _compress(response: HttpResponse) -> None:
    response.content = gzip.compress(response.content, compresslevel=_LEVEL, mtime=0)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(response.content))
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):  # a strong tag would promise the uncompressed bytes
        response.headers["ETag"] = f"W/{tag}"
