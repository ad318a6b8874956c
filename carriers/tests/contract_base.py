"""Samples of a carrier, and its adapter on a replaying transport, for ``CarrierContract``."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from carriers.adapters.base import CarrierAdapter
from carriers.adapters.operations import CHECK, LOGIN, OPERATIONS, is_read
from carriers.http.answers import Answer
from carriers.http.environments import base_urls
from carriers.tests.replay import Replay, Tokens
from carriers.types import Scan, Status
from carriers.types.errors import (
    CarrierError,
    CarrierUnavailable,
    OutcomeUnknown,
)

PAYLOADS = 10_000 if os.environ.get("WAYBILL_TEST_FULL") == "1" else 1_000
# Operations that return booked labels.
WITH_LABELS = ("create_label", "create_return", "find_by_reference")
# Arguments for calls of operations that an adapter does not have.
ARGUMENTS = {
    "quote": (None,),
    "create_label": (None,),
    "find_by_reference": (None,),
    "cancel": (None, ""),
    "track": ([],),
    "proof_of_delivery": (None,),
    "schedule_pickup": (None,),
    "cancel_pickup": (None, ""),
    "pickup_points": (None,),
    "pickup_point": ("x", ""),
    "register_warehouse": (None,),
    "create_return": (None,),
    "update_order": (None,),
    "reports": (None,),
    "parse_webhook": (b"",),
    "transit_times": (None,),
    "check_address": (None,),
    "documents": (None, ()),
    "upload_document": (None, None),
    "find_pickups": (None,),
    "pickup_windows": (None,),
    "close_day": (None, ()),
    "subscribe": ((), "https://x.example/", "secret"),
    "activate": (None, "secret"),
    "unsubscribe": (None,),
}
KEYWORDS = {
    "coverage": {"postal_code": "", "city": "", "country": ""},
    "verify_webhook": {"headers": {}, "body": b"", "now": datetime.now(UTC)},
}


def unreadable(operation: str) -> type[CarrierError]:
    """Return the error of an operation whose response cannot be read."""
    return CarrierUnavailable if is_read(operation) else OutcomeUnknown


class ContractBase:
    """The class variables of a carrier's tests, with a sample call of each operation."""

    adapter: ClassVar[type[CarrierAdapter]]
    fields: ClassVar[Mapping[str, str]]
    # Each operation that sends a request -> (a call of it, the body of a successful response).
    calls: ClassVar[Mapping[str, tuple[Callable[[CarrierAdapter], Any], Any]]]
    # Bodies of its webhooks.
    events: ClassVar[Sequence[Any]] = ()
    # (HTTP status, body, error class, the carrier's code, the carrier's message) of documented refusals.
    refusals: ClassVar[Sequence[tuple[int, Any, type[CarrierError], str, str]]]
    # (operation, keys of the list) of each list in its successful response of which the elements are independent.
    lists: ClassVar[Sequence[tuple[str, Sequence[str | int]]]] = ()
    # Each operation -> the paths of the fields of its successful response that it needs; "*" is any key or number.
    needed: ClassVar[Mapping[str, Collection[str]]]
    # Operations -> the error of a documented answer of success that says no, such as "not voided".
    negatives: ClassVar[Mapping[str, type[CarrierError]]] = {}
    # (operation, body) of garbage that is a valid response of this carrier, such as an empty list.
    valid_garbage: ClassVar[Collection[tuple[str, bytes]]] = ()
    # Each documented status word -> our status.
    words: ClassVar[Mapping[str, Status]]

    def scan_of(self, word: str) -> Scan:
        """Return the scan that the adapter reads from a response or webhook with this status word."""
        raise NotImplementedError

    def open(
        self, *answers: Answer | CarrierError, tokens: Any = None, environment: str = "sandbox", **fields: str
    ) -> CarrierAdapter:
        """Return the adapter on a replaying transport; ``.http.sent`` has its requests."""
        tokens = Tokens() if tokens is None and self.adapter.logs_in() else tokens
        return self.adapter(
            fields={**self.fields, **fields},
            environment=environment,
            urls=base_urls(self.adapter, environment),
            http=Replay(*answers),
            tokens=tokens,
        )

    def pytest_generate_tests(self, metafunc):
        """Make a test of every operation, refusal and status word."""
        supported = self.adapter.capabilities()
        login = [LOGIN] if self.adapter.logs_in() else []
        parameters = {
            "operation": list(self.calls),
            "requested": [*self.calls, *login],
            "listing": [(operation, list(path)) for operation, path in self.lists],
            "selling": [name for name in WITH_LABELS if name in self.calls],
            "word": list(self.words),
            "unsupported": [name for name in OPERATIONS if name not in {LOGIN, CHECK, *supported}],
        }
        for name, values in parameters.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, values)
        if "refusal" in metafunc.fixturenames:
            metafunc.parametrize("refusal", self.refusals, ids=[f"{row[0]} {row[3]}" for row in self.refusals])

    def call_of(self, operation: str) -> Callable[[CarrierAdapter], Any]:
        """Return the sample call of an operation; a login has none in ``calls``."""
        return self.calls[operation][0] if operation in self.calls else lambda adapter: adapter.fetch_token()
