"""What can go wrong between us and a carrier, and what becomes of it: the table of ``docs/reliability.md``.

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
class Ending:
    """After so many calls (with CARRIER_MAX_RETRIES=3) this error, or none."""

    error: type[CarrierError] | None
    calls: int


@dataclass(frozen=True)
class Fault:
    """One way to fail, and how each kind of operation ends; a login ends as a read unless it says otherwise."""

    name: str
    text: str
    read: Ending
    write: Ending
    login: Ending | None = field(default=None)

    def ending(self, operation: str) -> Ending:
        """Of an operation by name; ``token`` is the login."""
        if operation == LOGIN:
            return self.login or self.read
        return self.read if is_read(operation) else self.write


_REPEATED, _ONCE = Ending(CarrierUnavailable, 4), Ending(CarrierUnavailable, 1)
_UNKNOWN = Ending(OutcomeUnknown, 1)
_LIMITED = Ending(CarrierRateLimited, 4)
_WORKS = Ending(None, 2)
_BAD_LOGIN = Ending(CarrierAuthentication, 1)

FAULTS = (
    Fault("refused", "connection refused", _REPEATED, _REPEATED),
    Fault("reset", "connection reset before the carrier accepts", _REPEATED, _UNKNOWN),
    Fault("reset_after", "connection reset after the carrier has accepted", _REPEATED, _UNKNOWN),
    Fault("cut", "connection lost in the middle of the answer", _REPEATED, _UNKNOWN),
    Fault("hang", "no answer in time, not accepted", Ending(CarrierTimeout, 1), _UNKNOWN),
    Fault("hang_after", "no answer in time, accepted", Ending(CarrierTimeout, 1), _UNKNOWN),
    Fault("401_once", "401, and a new token is taken", _WORKS, _WORKS, _BAD_LOGIN),
    Fault(
        "401_always",
        "401 with a new token too",
        Ending(CarrierAuthentication, 2),
        Ending(CarrierAuthentication, 2),
        _BAD_LOGIN,
    ),
    Fault("429_once", "429 with Retry-After of a second, then an answer", _WORKS, _WORKS),
    Fault(
        "429_long",
        "429 with Retry-After beyond five seconds",
        Ending(CarrierRateLimited, 1),
        Ending(CarrierRateLimited, 1),
    ),
    Fault("429_untold", "429 without Retry-After", _LIMITED, _LIMITED),
    Fault("500", "500", _REPEATED, _UNKNOWN),
    Fault("502", "502", _REPEATED, _UNKNOWN),
    Fault("503", "503", _REPEATED, _UNKNOWN),
    Fault("html", "200 with a web page", _ONCE, _UNKNOWN),
    Fault("truncated", "200 with half of the JSON", _ONCE, _UNKNOWN),
    Fault("mistyped", "200 with JSON of the wrong types", _ONCE, _UNKNOWN),
    Fault("huge", "200 with 50 MB", _ONCE, _UNKNOWN),
)
