"""Parse JSON strictly: UTF-8, no NaN, no lone surrogates, no NUL (PostgreSQL cannot store it), bounded depth.

A byte-order mark before the body is ignored. A key that an object has twice is refused: parsers disagree which value
counts. Bodies may be compressed with gzip.
"""

from __future__ import annotations

import json
import re
import zlib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework.parsers import BaseParser

from apikeys.http.errors import PayloadTooLarge, UnsupportedMediaType, ValidationFailed

MAX_DEPTH = 32
_GZIP = zlib.MAX_WBITS | 16
# Every key of an object matches once; texts that contain a quote before a colon, or start with a colon, match too.
_KEY = re.compile(rb'"[ \t\r\n]*:')


class JsonParser(BaseParser):
    """Parse a JSON body. Raises ``ValidationFailed``, which names ``body`` or the path of the invalid value."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return _parse(_read(stream, parser_context).removeprefix(BOM_UTF8))


class NdjsonParser(BaseParser):
    """Parse one JSON object per line, without empty lines. An invalid line is replaced by its ``ValidationFailed``.

    https://github.com/ndjson/ndjson-spec
    """

    media_type = "application/x-ndjson"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> list[Any]:
        body = _read(stream, parser_context).removeprefix(BOM_UTF8)
        return [parse_line(line) for line in body.splitlines() if line.strip()]


def parse_line(raw: bytes) -> Any:
    """Return the value of a line, or the ``ValidationFailed`` that says why there is none."""
    try:
        return _parse(raw)
    except ValidationFailed as error:
        return error


def _read(stream: Any, parser_context: Any) -> bytes:
    """Return the body, decompressed. Raises ``UnsupportedMediaType`` for another encoding than gzip."""
    request = (parser_context or {}).get("request")
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower() if request is not None else ""
    raw = stream.read()
    if encoding in ("", "identity"):
        return raw
    if encoding not in ("gzip", "x-gzip"):
        text = _("Send the body as it is, or compressed with gzip.")
        raise UnsupportedMediaType(text, details={"Content-Encoding": [text]})
    reader = zlib.decompressobj(_GZIP)
    try:
        body = reader.decompress(raw, settings.MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise ValidationFailed(details={"body": [_("The body is not valid gzip.")]}) from error
    if len(body) > settings.MAX_BODY_BYTES:
        text = _("At most %(limit)d bytes are taken.") % {"limit": settings.MAX_BODY_BYTES}
        raise PayloadTooLarge(details={"body": [text]})
    if not reader.eof or reader.unused_data:
        raise ValidationFailed(details={"body": [_("The body is not valid gzip.")]})
    return body


def _parse(raw: bytes) -> Any:
    try:
        raw.decode()
        value = orjson.loads(raw)
    except UnicodeDecodeError as error:
        raise ValidationFailed(details={"body": [_("The body is not valid UTF-8.")]}) from error
    except orjson.JSONDecodeError as error:
        raise ValidationFailed(details={"body": [_("The body is not valid JSON: %s") % error]}) from error
    if not isinstance(value, dict | list):
        raise ValidationFailed(details={"body": [_("A JSON object is expected.")]})
    if _check(value, "", 0) != len(_KEY.findall(raw)):
        _refuse_repeated_keys(raw)
    return value


def _check(value: Any, path: str, depth: int) -> int:
    """Check a value and return its number of keys, nested ones included."""
    count = 0
    if depth > MAX_DEPTH:
        raise ValidationFailed(details={path.split(".")[0]: [_("Nested too deeply.")]})
    if isinstance(value, dict):
        for key, item in value.items():
            _check(key, path or "body", depth)
            count += 1 + _check(item, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            count += _check(item, f"{path}[{number}]", depth + 1)
    elif isinstance(value, str) and "\0" in value:
        raise ValidationFailed(details={path: [_("Null characters are not allowed.")]})
    return count


class _Object(dict):
    """A JSON object and the keys that it has more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counted = Counter(name for name, _value in pairs)
        self.repeated = [name for name, count in counted.items() if count > 1]


def _refuse_repeated_keys(raw: bytes) -> None:
    value = json.loads(raw, object_pairs_hook=_Object, parse_int=str, parse_float=str)
    if repeated := sorted(set(_find_repeated(value, ""))):
        raise ValidationFailed(details={path: [_("This key is in the object more than once.")] for path in repeated})


def _find_repeated(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Object):
        yield from (f"{path}.{name}" if path else name for name in value.repeated)
        for key, item in value.items():
            yield from _find_repeated(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _find_repeated(item, f"{path}[{number}]")
