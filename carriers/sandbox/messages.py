"""Requests to a simulated carrier, its answers and its refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl


@dataclass
class Request:
    """An HTTP request. ``path`` is relative to the carrier's prefix once ``carrier`` is set."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    account: str = ""
    carrier: str = ""

    @property
    def token(self) -> str:
        """The access token, with or without ``Bearer``."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    def json(self) -> dict[str, Any]:
        """Return the body as an object. Raises ``ValueError``."""
        value = json.loads(self.body or b"{}")
        if not isinstance(value, dict):
            raise ValueError("an object is expected")
        return value

    def form(self) -> dict[str, str]:
        """Return the fields of a form body (``application/x-www-form-urlencoded``)."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def masked_body(self) -> Any:
        """Return the body without secrets, for the record of calls."""
        try:
            value = json.loads(self.body or b"null")
        except ValueError:
            return f"<{len(self.body)} bytes>"
        if isinstance(value, dict):
            value |= {name: "***" for name in ("client_secret", "password") if name in value}
        return value


@dataclass
class Answer:
    """An HTTP response: JSON, or plain text if ``body`` is a string, unless ``raw`` is set."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None

    def content(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()

    @property
    def content_type(self) -> str:
        return "text/plain; charset=utf-8" if isinstance(self.body, str) else "application/json"


class Refusal(Exception):
    """A request that the carrier refuses, with the answer to send."""

    def __init__(self, status: int, body: dict[str, Any] | str, **headers: str) -> None:
        super().__init__(str(body))
        self.answer = Answer(status, body, headers)


def now() -> str:
    """Return the time as RFC 3339 in UTC with microseconds."""
    return rfc3339(datetime.now(UTC))


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
