"""Render JSON responses, also for errors outside of DRF views. There is no content negotiation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpResponse
from django.utils.functional import Promise
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer

from apikeys.http import correlation
from apikeys.http.errors import WaybillError


def _convert(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, dict):  # for example DRF's ReturnDict
        return dict(value)
    if isinstance(value, list):
        return list(value)
    raise TypeError(type(value).__name__)


def to_json(value: Any) -> bytes:
    """Return compact UTF-8 JSON: times as RFC 3339 in UTC with Z, decimals as numbers.

    Values that a carrier has sent may exceed orjson's limits: numbers over 64 bits, more than 254 levels, surrogates.
    """
    try:
        return orjson.dumps(value, default=_convert, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        return json.dumps(_to_plain(value), separators=(",", ":")).encode()


def _to_plain(value: Any) -> Any:
    """Return a value for Python's encoder, with the results of orjson's."""
    if isinstance(value, Mapping):
        return {str(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    return str(value) if isinstance(value, UUID | Promise) else value


def rfc3339(moment: datetime | None) -> str | None:
    """Format a time in UTC, like ``2024-01-15T10:30:00Z``. A fraction of zero is left out."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class JsonRenderer(BaseRenderer):
    """Render the data of API views."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "text"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else to_json(data)


class AlwaysJson(BaseContentNegotiation):
    """Answer in JSON whatever the ``Accept`` header says, so that API clients never get HTML or 406."""

    def select_parser(self, request: Any, parsers: list[Any]) -> Any:
        kind = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(self, request: Any, renderers: list[Any], format_suffix: str | None = None) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type


def error_body(error: WaybillError) -> dict[str, Any]:
    """Return an error's body (``apikeys.http.errors``) with the correlation id."""
    return error.body() | {"correlation_id": correlation.current()}


def error_response(error: WaybillError) -> HttpResponse:
    """Return an error response outside of a DRF view."""
    response = HttpResponse(to_json(error_body(error)), status=error.status, content_type="application/json")
    if error.retry_after_s is not None:
        response["Retry-After"] = str(error.retry_after_s)
    return response
