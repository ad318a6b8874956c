"""Test doubles for adapters: a transport that replays responses, a source of tokens, and a network that fails."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any
from unittest import mock

import requests

from carriers.adapters.apis import Json
from carriers.adapters.base import CarrierAdapter
from carriers.http import call_log, circuit_breaker, exchange, rate_limits
from carriers.http.answers import Answer
from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport
from carriers.models import Credential
from carriers.types.errors import CarrierError

FILE = b"%PDF-1.4 a file\n%%EOF"


def answer(body: Any, status: int = 200) -> Answer:
    """Return a carrier's response: bytes as they are, anything else as JSON."""
    return Answer(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


class Replay:
    """A transport that replays responses and errors, the last one repeatedly, and records what was sent."""

    def __init__(self, *answers: Answer | CarrierError) -> None:
        self.answers, self.sent, self.fetched = list(answers), [], []

    def send(self, operation, method, url, *, headers=None, params=None, body=None, accept="application/json"):
        self.sent.append(
            {
                "operation": operation,
                "method": method,
                "url": url,
                "headers": dict(headers or {}),
                "params": params,
                "json": body.value if isinstance(body, Json) else None,
                "body": body,
                "accept": accept,
            }
        )
        return self._next()

    def fetch(self, operation, url, *, headers=None):
        """Replay a response if only files are fetched; after another request, return ``FILE``."""
        self.fetched.append({"operation": operation, "url": url})
        if any(sent["method"] != "FETCH" for sent in self.sent):
            return Answer(200, {}, FILE)
        self.sent.append({"operation": operation, "method": "FETCH", "url": url, "headers": dict(headers or {})})
        return self._next()

    def several(self, calls):
        """Run the calls in order, so that each gets the response meant for it."""
        return [self._result_or_error(call) for call in calls]

    def _result_or_error(self, call):
        try:
            return call()
        except CarrierError as error:
            return error

    def _next(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, CarrierError):
            raise answer
        return answer


class Tokens:
    """A source of numbered tokens."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.kinds: list[str] = []

    def current(self, kind: str = "main") -> str:
        return "token-1"

    def renew(self, kind: str, refused: str) -> str:
        self.refused.append(refused)
        self.kinds.append(kind)
        return f"token-{len(self.refused) + 1}"


class FailingNetwork:
    """A network on which every request fails with one error, for the real transport without a database."""

    def __init__(self, error: requests.RequestException) -> None:
        self.error, self.attempts, self.patches = error, 0, ExitStack()

    def __enter__(self) -> FailingNetwork:
        permission = mock.Mock(is_probe=False)
        for patch in (
            mock.patch.object(exchange._session, "send", self._fail),
            mock.patch.object(circuit_breaker, "request_permission", return_value=permission),
            mock.patch.object(rate_limits, "reserve_turn", return_value=0),
            mock.patch.object(call_log, "log_call"),
        ):
            self.patches.enter_context(patch)
        return self

    def __exit__(self, *_: object) -> None:
        self.patches.close()

    def _fail(self, *_: object, **__: object) -> None:
        self.attempts += 1
        raise self.error

    def transport(self, adapter: type[CarrierAdapter], fields: Mapping[str, str]) -> HttpTransport:
        """Return the transport of a sandbox credential that is not stored."""
        credential = Credential(carrier=adapter.slug, mode="test", fields=dict(fields))
        return HttpTransport(Caller(credential, None, adapter.name))
