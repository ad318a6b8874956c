"""Downloads of stored files, and the URLs of our own API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import BinaryIO

from django.conf import settings
from django.http import FileResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request

_OTHER = "application/octet-stream"
# The media types of the formats that carriers make.
CONTENT_TYPES = {
    "PDF": "application/pdf",
    "PNG": "image/png",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "ZPL": "application/zpl",
    "EPL": _OTHER,
    "HTML": "text/html; charset=utf-8",
}
RESPONSES = {(200, kind.partition(";")[0]): OpenApiTypes.BINARY for kind in CONTENT_TYPES.values()}
# Formats that a browser may show under our host's name; others, which may contain scripts, are saved only.
_SHOWN = ("PDF", "PNG", "GIF")


def file_response(file: BinaryIO, file_format: str, name: str) -> FileResponse:
    """Return a file for download. Its ``name``, which may have a carrier's number, loses characters unfit for names."""
    safe = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)[:100] or "file"
    response = FileResponse(
        file,
        as_attachment=file_format not in _SHOWN,
        filename=f"{safe}.{re.sub('[^a-z0-9]', '', file_format.lower()) or 'bin'}",
        content_type=CONTENT_TYPES.get(file_format, _OTHER),
    )
    response["Cache-Control"] = "private, no-store"
    response["Content-Security-Policy"] = "sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def absolute_url(request: Request, route: str, parameters: Mapping[str, object]) -> str:
    """Return the absolute URL of a route."""
    path = reverse(route, kwargs={name: str(value) for name, value in parameters.items()})
    return settings.PUBLIC_URL.rstrip("/") + path if settings.PUBLIC_URL else request.build_absolute_uri(path)
