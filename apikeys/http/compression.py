"""Answers in JSON of more than a kilobyte, compressed for clients that take gzip."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

WORTH_IT = 1024
# Most of the gain for a third of the time of gzip's default.
_LEVEL = 4


class JsonGzipMiddleware:
    """Compresses JSON alone, and never for a request with cookies.

    What a browser sends cookies for can be asked for by a stranger's page, which may then guess a secret in the answer
    from its compressed length (BREACH). A caller of the API shows its key itself.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.streaming or len(response.content) <= WORTH_IT or not _is_plain_json(response):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        if not request.META.get("HTTP_COOKIE") and takes_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
            _compress(response)
        return response


def takes_gzip(accepted: str) -> bool:
    """Whether an ``Accept-Encoding`` names gzip (or ``*``) with a weight above zero; nothing named is a no."""
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


def _is_plain_json(response: HttpResponse) -> bool:
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    return kind.endswith("json") and "Content-Encoding" not in response.headers


def _compress(response: HttpResponse) -> None:
    response.content = gzip.compress(response.content, compresslevel=_LEVEL, mtime=0)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(response.content))
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):  # other bytes under a strong tag would be a lie
        response.headers["ETag"] = f"W/{tag}"
