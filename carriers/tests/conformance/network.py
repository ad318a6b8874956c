"""A network on which carriers are the simulated ones in this process, and which checks each exchange.

Adapters use their real base URLs and the real transport, so what is checked is what would be sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
from django.test import override_settings

from carriers.adapters.base import CarrierAdapter
from carriers.http import call_log, circuit_breaker, exchange, rate_limits
from carriers.http.call_log import Caller
from carriers.http.environments import base_urls
from carriers.http.transport import HttpTransport
from carriers.models import Credential
from carriers.sandbox.messages import Request
from carriers.sandbox.sandbox import Sandbox
from carriers.tests.conformance.operations import Exchange
from carriers.tests.conformance.suite import faults_of, find_operation, find_undocumented, hosts, make_exchange
from carriers.types import Token


class Tokens:
    """Tokens of an adapter's own log-in, one of each kind."""

    def __init__(self, fetch: Callable[[str], Token]) -> None:
        self.fetch, self.fetched = fetch, {}

    def current(self, kind: str = "main") -> str:
        if kind not in self.fetched:
            self.fetched[kind] = self.fetch(kind).value
        return self.fetched[kind]

    def renew(self, kind: str, refused: str) -> str:
        del self.fetched[kind]
        return self.current(kind)


class SandboxNetwork:
    """The simulated carriers behind the transport of one carrier's adapter.

    Attributes:
        faults: what does not conform, in order of the calls.
        covered: the document of each operation that was called.
        listed: the reason of each called operation that has none.
    """

    def __init__(
        self,
        adapter: type[CarrierAdapter],
        fields: Mapping[str, str],
        account: Mapping[str, Any],
        directory: Path,
        mode: str,
    ) -> None:
        """Make a network.

        Args:
            account: changes of the simulated carrier's accounts.
            directory: for the state of the simulated carriers.
        """
        self.credential = Credential(carrier=adapter.slug, mode=mode, fields=dict(fields))
        self.kind = adapter
        self.sandbox = Sandbox(directory)
        carrier = self.sandbox.carriers[adapter.slug]
        for name in carrier.accounts:
            carrier.configure(name, {"rate_limit": 0} | dict(account))
        self.faults: list[str] = []
        self.covered: dict[str, str] = {}
        self.listed: dict[str, str] = {}
        self.exchanges: list[Exchange] = []
        self.patches = ExitStack()

    def __enter__(self) -> SandboxNetwork:
        for patch in (
            override_settings(CARRIER_SIMULATED=False, CARRIER_BASE_URLS={}),
            mock.patch.object(exchange._session, "send", self._send),
            mock.patch.object(circuit_breaker, "request_permission", return_value=mock.Mock(is_probe=False)),
            mock.patch.object(rate_limits, "reserve_turn", return_value=0),
            mock.patch.object(call_log, "log_call"),
        ):
            self.patches.enter_context(patch)
        return self

    def __exit__(self, *_: object) -> None:
        self.patches.close()
        self.sandbox.stop()

    def open_adapter(self) -> CarrierAdapter:
        """Return the adapter of a credential that is not stored."""
        adapter = self.kind(
            fields=self.credential.fields,
            environment=self.credential.environment,
            urls=base_urls(self.kind, self.credential.environment),
            http=HttpTransport(Caller(self.credential, None, self.kind.name)),
        )
        adapter.tokens = Tokens(adapter.fetch_token) if self.kind.logs_in() else None
        return adapter

    def advance(self, number: str, *steps: str) -> None:
        """Add scans to a shipment of the simulated carrier."""
        for step in steps:
            self.sandbox.carriers[self.kind.slug].advance(number, {"to": step, "force": True})

    def _send(self, prepared: requests.PreparedRequest, **_: object) -> requests.Response:
        parts, prefix = urlsplit(prepared.url), f"/{self.kind.slug}"
        if parts.netloc not in hosts(self.kind.slug):
            self.faults.append(f"{prepared.url}: no document has this host")
        body = prepared.body or b""
        body = body.encode() if isinstance(body, str) else body
        headers = {name.lower(): value for name, value in prepared.headers.items()} | {"host": parts.netloc}
        request = Request(prepared.method, prefix + unquote(parts.path), dict(parse_qsl(parts.query)), headers, body)
        answer = self.sandbox.answer(request)
        # The simulated carrier gives addresses of its own, as one of several carriers on a host without TLS.
        own, real = f"http://{parts.netloc}{prefix}", f"https://{parts.netloc}"
        content = answer.content().replace(own.encode(), real.encode())
        response = requests.Response()
        response.status_code, response.url, response.request = answer.status, prepared.url, prepared
        response.headers.update({"Content-Type": answer.content_type})
        response.headers.update({name: value.replace(own, real) for name, value in answer.headers.items()})
        response._content, response._content_consumed = content, True
        self._check(make_exchange(prepared.method, prepared.url, headers, body, response))
        return response

    def _check(self, made: Exchange) -> None:
        self.exchanges.append(made)
        self.faults += faults_of(self.kind.slug, made)
        if operation := find_operation(self.kind.slug, made):
            self.covered[operation.name] = operation.document
        elif listed := find_undocumented(self.kind.slug, made):
            self.listed[f"{listed.method} {listed.path}"] = listed.reason
