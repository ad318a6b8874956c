"""Faults of carriers, and how an operation ends after each: the table of ``docs/reliability.md``.

``carriers/tests/test_faults.py`` tests each line against the simulators.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from carriers.adapters.operations import LOGIN, is_read
from carriers.types.errors import (
    CarrierAuthentication,
    CarrierError,
    CarrierRateLimited,
    CarrierTimeout,
    CarrierUnavailable,
    OutcomeUnknown,
)


@dataclass(frozen=True)
class Result:
    """The error that the caller gets, or None, and the number of calls (with CARRIER_MAX_RETRIES=3)."""

    error: type[CarrierError] | None
    calls: int


@dataclass(frozen=True)
class Fault:
    """A fault, and its result by kind of operation. Without ``login``, a login ends as a read."""

    name: str
    text: str
    read: Result
    write: Result
    login: Result | None = field(default=None)

    def result_of(self, operation: str, *, has_token: bool = True) -> Result:
        """Return the result for an operation. Without a token, requests carry a key and end as a login does."""
        if self.login and (operation == LOGIN or not has_token):
            return self.login
        return self.read if is_read(operation) else self.write


_REPEATED, _ONCE = Result(CarrierUnavailable, 4), Result(CarrierUnavailable, 1)
_UNKNOWN = Result(OutcomeUnknown, 1)
_LIMITED = Result(CarrierRateLimited, 4)
_WORKS = Result(None, 2)
_BAD_LOGIN = Result(CarrierAuthentication, 1)

FAULTS = (
    Fault("refused", "connection refused", _REPEATED, _REPEATED),
    Fault("reset", "connection reset, request not processed", _REPEATED, _UNKNOWN),
    Fault("reset_after", "connection reset, request processed", _REPEATED, _UNKNOWN),
    Fault("cut", "connection lost within the answer", _REPEATED, _UNKNOWN),
    Fault("hang", "no answer in time, request not processed", Result(CarrierTimeout, 1), _UNKNOWN),
    Fault("hang_after", "no answer in time, request processed", Result(CarrierTimeout, 1), _UNKNOWN),
    Fault("401_once", "401, then a new token is accepted", _WORKS, _WORKS, _BAD_LOGIN),
    Fault(
        "401_always",
        "401, also with a new token",
        Result(CarrierAuthentication, 2),
        Result(CarrierAuthentication, 2),
        _BAD_LOGIN,
    ),
    Fault("429_once", "429 with `Retry-After: 1`, then an answer", _WORKS, _WORKS),
    Fault(
        "429_long",
        "429 with `Retry-After` over five seconds",
        Result(CarrierRateLimited, 1),
        Result(CarrierRateLimited, 1),
    ),
    Fault("429_without_retry_after", "429 without `Retry-After`", _LIMITED, _LIMITED),
    Fault("500", "500", _REPEATED, _UNKNOWN),
    Fault("502", "502", _REPEATED, _UNKNOWN),
    Fault("503", "503", _REPEATED, _UNKNOWN),
    Fault("html", "200 with a web page", _ONCE, _UNKNOWN),
    Fault("truncated", "200 with half of the JSON", _ONCE, _UNKNOWN),
    Fault("mistyped", "200 with JSON of the wrong types", _ONCE, _UNKNOWN),
    Fault("huge", "200 with 50 MB", _ONCE, _UNKNOWN),
)
