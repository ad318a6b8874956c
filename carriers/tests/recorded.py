"""Recorded requests, responses and webhooks of the carriers, for the tests of adapters and simulators.

A record is a file ``{"request": {"method", "path", "query", "body"}, "status", "response"}``, with ``"assumed": true``
if no document shows all of it. A webhook is a file ``event_*``: its body, or ``{"assumed", "body"}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent / "fixtures"
PAGES = Path(__file__).parents[2] / "docs" / "carriers"
_HEAD = "| operation | request | known from |"
_PREFIXES = r"/v2|/custom/api/v1"  # Pickit has it in its base URL, Velocity in its paths


@dataclass(frozen=True)
class Operation:
    """A row of the table on a carrier's page. Without a path it has no records: a file or a webhook."""

    name: str
    source: str
    method: str = ""
    path: str = ""
    query: frozenset[str] = frozenset()

    def is_of(self, request: Mapping[str, Any]) -> bool:
        """Return whether a request is of this operation, or of one that differs only by its query."""
        path = re.sub(rf"^({_PREFIXES})", "", request["path"])
        fits = self.path and self.method == request["method"] and re.fullmatch(self.path, path)
        return bool(fits) and self.query <= set(request.get("query") or ())


def examples(carrier: str) -> dict[str, dict[str, Any]]:
    """Return the records except webhooks, by name."""
    return {name: one for name, one in _files(carrier).items() if not name.startswith("event_")}


def events(carrier: str) -> dict[str, Any]:
    """Return the bodies of the carrier's webhooks, by name."""
    files = {name: one for name, one in _files(carrier).items() if name.startswith("event_")}
    return {name: one.get("body", one) for name, one in files.items()}


def assumed(carrier: str) -> set[str]:
    """Return the names of the files with an assumed part."""
    return {name for name, one in _files(carrier).items() if one.get("assumed")}


def operations(carrier: str) -> list[Operation]:
    """Return the table of the carrier's page; if two rows match a request, the one with more query fields is first."""
    table = (PAGES / f"{carrier}.md").read_text().partition(_HEAD)[2].partition("\n\n")[0]
    rows = [_operation(*row.strip("| ").split(" | ")) for row in table.splitlines()[2:]]
    return sorted(rows, key=lambda one: -len(one.query))


def _operation(name: str, request: str, source: str) -> Operation:
    found = re.fullmatch(rf"`(GET|POST) (?:{_PREFIXES})?(/[^?`]*)\??([^`]*)`", request)
    if not found:
        return Operation(name, source)
    names = frozenset(part.partition("=")[0] for part in found[3].split("&") if part)
    return Operation(name, source, found[1], re.sub(r"\{\w+\}", "[^/]+", found[2]), names)


def _files(carrier: str) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((FIXTURES / carrier).glob("*.json"))}
