"""Parse JSON strictly: UTF-8, no NaN, no lone surrogates, no NUL (PostgreSQL cannot store it), bounded depth."""

from __future__ import annotations

from typing import Any

import orjson
from django.utils.translation import gettext as _
from rest_framework.parsers import BaseParser

from apikeys.http.errors import ValidationFailed

MAX_DEPTH = 32


class JsonParser(BaseParser):
    """Parse a JSON body. Raises ``ValidationFailed``, which names ``body`` or the path of the invalid value."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return _parse(stream.read())


class NdjsonParser(BaseParser):
    """Parse one JSON object per line, without empty lines. An invalid line is replaced by its ``ValidationFailed``.

    https://github.com/ndjson/ndjson-spec
    """

    media_type = "application/x-ndjson"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> list[Any]:
        return [_parse_line(line) for line in stream.read().split(b"\n") if line.strip()]


def _parse_line(raw: bytes) -> Any:
    try:
        return _parse(raw)
    except ValidationFailed as error:
        return error


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
    _check(value, "", 0)
    return value


def _check(value: Any, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValidationFailed(details={path.split(".")[0]: [_("Nested too deeply.")]})
    if isinstance(value, dict):
        for key, item in value.items():
            _check(key, path or "body", depth)
            _check(item, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check(item, f"{path}[{number}]", depth + 1)
    elif isinstance(value, str) and "\0" in value:
        raise ValidationFailed(details={path: [_("Null characters are not allowed.")]})
