"""Metrics of the generator of tracking numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_DURATION = Histogram(
    "waybill_tracking_number_duration_seconds",
    "Calls that issue tracking numbers: generated, repeated (all numbers were issued before) or failed",
    ["outcome"],
    buckets=_BUCKETS,
)
_NUMBERS = Counter("waybill_tracking_numbers_total", "Tracking numbers: generated, or repeated", ["outcome"])
# Derivations that another request's number has taken. The next derivation is tried.
collisions = Counter("waybill_tracking_number_collisions_total", "Tracking numbers that were taken")
# Looked up once, because prometheus_client takes a lock for it.
_duration = {outcome: _DURATION.labels(outcome) for outcome in ("generated", "repeated", "failed")}
_number = {outcome: _NUMBERS.labels(outcome) for outcome in ("generated", "repeated")}


class Call:
    """One call: how many numbers it returns, and how many of them are new."""

    def __init__(self) -> None:
        self.count = self.generated = 0


@contextmanager
def observe_call() -> Iterator[Call]:
    """Count the call of the block, which sets the numbers."""
    started, call = time.perf_counter(), Call()
    outcome = "failed"
    try:
        yield call
        outcome = "generated" if call.generated else "repeated"
        if call.generated:
            _number["generated"].inc(call.generated)
        if call.count > call.generated:
            _number["repeated"].inc(call.count - call.generated)
    finally:
        _duration[outcome].observe(time.perf_counter() - started)
