"""Checks of the requests and answers of the simulators' tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from carriers.sandbox.faults import HEADER
from carriers.tests.conformance import published
from carriers.tests.conformance.suite import event_faults, faults_of, make_exchange


class Checks:
    """Checks each exchange of a session with a simulated carrier.

    A request that is refused need not conform, but its answer has to.
    """

    def __init__(self, carrier: str, session: requests.Session) -> None:
        self.carrier, self.is_on = carrier, True
        if published.is_available():
            session.hooks["response"].append(self.check)

    @contextmanager
    def off(self) -> Iterator[None]:
        """Exchange something that no document has: what the carrier takes all the same, or may send one day."""
        self.is_on = False
        yield
        self.is_on = True

    def check(self, response: requests.Response, *args: Any, **kwargs: Any) -> None:
        """Raise ``AssertionError`` with all faults."""
        sent, prefix = response.request, f"/{self.carrier}"
        # An injected fault replaces the carrier's answer, and another prefix is of another host.
        if not self.is_on or HEADER in response.headers or not sent.path_url.startswith(f"{prefix}/"):
            return
        body = sent.body or b""
        exchange = make_exchange(
            sent.method, sent.url, sent.headers, body.encode() if isinstance(body, str) else body, response, prefix
        )
        if faults := faults_of(self.carrier, exchange, with_request=response.status_code < 300):
            raise AssertionError("\n".join(faults))

    def check_events(self, events: Iterable[Any]) -> None:
        """Raise ``AssertionError`` if the body of a webhook does not conform."""
        for event in events if published.is_available() else ():
            assert event_faults(self.carrier, event) == []
