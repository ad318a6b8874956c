"""The two shapes between the server and a simulated carrier."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    account: str = ""
    carrier: str = ""

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises ``ValueError``."""
        value = json.loads(self.body or b"{}")
        if not isinstance(value, dict):
            raise ValueError("an object is expected")
        return value


@dataclass
class Answer:
    """What goes out: JSON, unless ``raw`` is given."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None

    def content(self) -> bytes:
        return self.raw if self.raw is not None else json.dumps(self.body).encode()


def now() -> str:
    """RFC 3339 in UTC with microseconds."""
    return rfc3339(datetime.now(UTC))


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
