"""Operations of a published document, and what of an exchange does not conform to one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


class Fault(NamedTuple):
    """What does not conform.

    Args:
        place: path, query, header, body, status or answer.
        path: of the value in its place, with ``[]`` for any item of a list.
        keyword: of JSON Schema; or "unknown", "missing", "empty", "media type", "unreadable".
    """

    place: str
    path: str
    keyword: str
    text: str

    def __str__(self) -> str:
        return f"{self.place} {self.path}: {self.text} ({self.keyword})"


Check = Callable[[Any], Iterable[Fault]]  # of a value; the faults have no place yet


@dataclass(frozen=True)
class Exchange:
    """An HTTP request to a carrier and its response. Names of headers are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes


@dataclass(frozen=True)
class Parameter:
    """A parameter in the query, the headers or the path."""

    place: str
    name: str
    required: bool
    check: Check
    texts: tuple[str, ...] = ()  # all values, where a path has no delimiter

    def faults(self, values: Mapping[str, str]) -> Iterator[Fault]:
        """Yield what is wrong with its value among those of its place."""
        name = self.name.lower() if self.place == "header" else self.name
        if name not in values:
            if self.required:
                yield Fault(self.place, self.name, "missing", "is required")
            return
        for fault in self.check(values[name]):
            yield fault._replace(place=self.place, path=self.name)


@dataclass(frozen=True)
class Operation:
    """A method on a path of one document.

    Args:
        requests: checks of the body by media type; empty if the request has no body.
        responses: checks of the body by status; None if the document describes no body.
    """

    document: str
    method: str
    path: str  # below the host, with {parameters}
    parameters: tuple[Parameter, ...] = ()
    requests: Mapping[str, Check] = field(default_factory=dict)
    responses: Mapping[str, Check | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def path_values(self, exchange: Exchange) -> dict[str, str] | None:
        """Return the parameters of the exchange's path, or None if it is of another operation."""
        if exchange.method != self.method:
            return None
        match = re.fullmatch(self._pattern, exchange.path)
        return match.groupdict() if match else None

    @cached_property
    def _pattern(self) -> str:
        texts = {one.name: "|".join(map(re.escape, one.texts)) for one in self.parameters if one.place == "path"}
        parts = re.split(r"\{(\w+)\}", self.path)
        return "".join(
            f"(?P<{part}>{texts.get(part) or '[^/]+'})" if place % 2 else re.escape(part)
            for place, part in enumerate(parts)
        )

    def request_faults(self, exchange: Exchange) -> Iterator[Fault]:
        places = {"path": self.path_values(exchange) or {}, "query": exchange.query, "header": exchange.headers}
        for parameter in self.parameters:
            if parameter.place in places:
                yield from parameter.faults(places[parameter.place])
        known = {parameter.name for parameter in self.parameters if parameter.place == "query"}
        for name in exchange.query:
            if name not in known:
                yield Fault("query", name, "unknown", "is not documented")
        yield from self._body_faults(exchange)

    def _body_faults(self, exchange: Exchange) -> Iterator[Fault]:
        media_type = media_type_of(exchange.headers)
        if not self.requests:
            if exchange.body:
                yield Fault("body", "", "unknown", "is not documented")
        elif media_type not in self.requests:
            yield Fault("body", "", "media type", f"{media_type!r} is not one of {sorted(self.requests)}")
        else:
            for fault in self.requests[media_type](parse(media_type, exchange.body)):
                yield fault._replace(place="body")

    def response_faults(self, exchange: Exchange) -> Iterator[Fault]:
        if str(exchange.status) not in self.responses:
            yield Fault("status", str(exchange.status), "unknown", "is not documented")
            return
        check = self.responses[str(exchange.status)]
        if check is None:
            return
        try:
            value = parse(media_type_of(exchange.answer_headers), exchange.answer)
        except ValueError:
            yield Fault("answer", "", "unreadable", "is not JSON")
            return
        for fault in check(value):
            yield fault._replace(place="answer")


def media_type_of(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip()


def parse(media_type: str, body: bytes) -> Any:
    """Return the value of a body. Raises ``ValueError`` if it is not of its type."""
    if media_type == FORM:
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    return json.loads(body)


def find(operations: Iterable[Operation], exchange: Exchange) -> Operation | None:
    """Return the operation of an exchange: of several paths that match, the one whose parameters fit best."""
    candidates = [one for one in operations if one.path_values(exchange) is not None]
    return min(candidates, key=lambda one: _misfit(one, exchange), default=None)


def _misfit(operation: Operation, exchange: Exchange) -> tuple[int, int]:
    values = operation.path_values(exchange) or {}
    wrong = [1 for one in operation.parameters if one.place == "path" and list(one.faults(values))]
    return len(wrong), len(values)
