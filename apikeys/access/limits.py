"""Waybill's own rate limits, all in one table. A window belongs to one policy, one identity and one rate.

Requests of a caller (key or person) are counted in one round trip for all windows. Requests without one (sign-in,
public pages and endpoints) are counted by django-ratelimit, in the same counters. The limits of carriers are counted
where carriers are called (``carriers.http.rate_limits``).
"""

from __future__ import annotations

import ipaddress
import logging
import math
import re
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from django.conf import settings
from django_ratelimit.core import get_usage
from prometheus_client import Counter

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.db import counters
from apikeys.db.redis_client import RedisUnavailable
from apikeys.db.tenancy import Caller
from apikeys.http.errors import RateLimited, Unavailable

log = logging.getLogger(__name__)
_RATE = re.compile(r"(\d+)/(\d*)([smhd])?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_EXCEEDED = Counter("waybill_rate_limit_exceeded_total", "Requests over a rate limit of Waybill", ["policy"])
_NOT_COUNTED = Counter("waybill_rate_limit_not_counted_total", "Requests without a count, since Redis was unavailable")
_MARGIN_S = 5  # a counter outlives its window, since clocks of processes differ
# Recorded once per window and caller.
EXCEEDED = EventType("rate_limit.exceeded", audit=True)


@dataclass(frozen=True)
class RequestFacts:
    """Data of a request that policies use. ``account`` is the account of a sign-in attempt."""

    address: str
    caller: Caller | None = None
    account: str = ""


@dataclass(frozen=True)
class Policy:
    """A rate limit.

    identity: returns what is counted, or None if the policy does not apply to the request.
    rates: returns rates in django-ratelimit's notation (``10/15m``).
    """

    name: str
    identity: Callable[[RequestFacts], str | None]
    rates: Callable[[RequestFacts], Sequence[str]]
    # Whether requests are refused while the counter store is down.
    fails_closed: bool = False


def network_of(text: str) -> str:
    """Return the network that counts as one source: an IPv6 customer has at least a /64 of addresses."""
    address = ipaddress.ip_address(text)
    return str(ipaddress.ip_network(f"{address}/{32 if address.version == 4 else 64}", strict=False))


def _network(facts: RequestFacts) -> str:
    return network_of(facts.address)


def _of_caller(kind: str) -> Callable[[RequestFacts], str | None]:
    return lambda facts: facts.caller.name if facts.caller and facts.caller.name.startswith(kind) else None


def _store(facts: RequestFacts) -> str | None:
    return str(facts.caller.tenant.store_id) if facts.caller and facts.caller.store_rate else None


def _merchant(facts: RequestFacts) -> str | None:
    if not facts.caller or not facts.caller.merchant_rate:
        return None
    return f"{facts.caller.tenant.merchant_id}:{facts.caller.tenant.mode}"


POLICIES = {
    policy.name: policy
    for policy in (
        # Requests to public endpoints, and requests without a valid key.
        Policy("public", _network, lambda facts: settings.PUBLIC_RATES),
        # The person's own rate, else the installation's.
        Policy(
            "user",
            _of_caller("person:"),
            lambda facts: [f"{facts.caller.user_rate}/m"] if facts.caller.user_rate else settings.USER_RATES,
        ),
        # The key's own rates, else those of the merchant's plan.
        Policy(
            "api_key",
            _of_caller("key:"),
            lambda facts: [f"{facts.caller.key_rates[0]}/m", f"{facts.caller.key_rates[1]}/h"],
        ),
        Policy("store", _store, lambda facts: [f"{facts.caller.store_rate}/m"]),
        Policy("merchant", _merchant, lambda facts: [f"{facts.caller.merchant_rate}/m"]),
        # Changes of keys, credentials and members, connection tests, sign-in.
        Policy(
            "sensitive",
            lambda facts: facts.caller.name if facts.caller else _network(facts),
            lambda facts: settings.SENSITIVE_RATES,
            fails_closed=True,
        ),
        # Attempts to sign in to one account, from any number of addresses.
        Policy("account", lambda facts: facts.account or None, lambda facts: settings.ACCOUNT_RATES, fails_closed=True),
    )
}
OF_CALLERS = ("api_key", "user", "store", "merchant")


@dataclass(frozen=True)
class Usage:
    """The state of one rate limit for a caller."""

    policy: str
    limit: int
    count: int
    reset_at: datetime

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.count)

    @property
    def exceeded(self) -> bool:
        return self.count > self.limit

    def headers(self) -> dict[str, str]:
        """Return the documented response headers."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": self.reset_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }


def count(facts: RequestFacts, names: Sequence[str]) -> Usage | None:
    """Count a request against these policies and return the limit that is closest to being reached.

    Returns: None if limits are switched off or the counter store is down.
    Raises: ``Unavailable`` if the store is down and one of the policies fails closed.
    """
    if not settings.RATE_LIMITS_ENABLED:
        return None
    policies = [POLICIES[name] for name in names]
    rates = [
        (policy.name, identity, rate)
        for policy in policies
        if (identity := policy.identity(facts)) is not None
        for rate in policy.rates(facts)
    ]
    try:
        usages = _count_together(rates) if facts.caller else [_count_alone(*one) for one in rates]
    except RedisUnavailable as error:
        _NOT_COUNTED.inc()
        if any(policy.fails_closed for policy in policies):
            raise Unavailable(retry_after_s=5) from error
        log.warning("rate limits not counted: Redis is unavailable")
        return None
    for usage in usages:
        if usage.exceeded:
            _EXCEEDED.labels(usage.policy).inc()
        # Counts are exact, so exactly one request of all processes is the first over the limit.
        if usage.count == usage.limit + 1:
            data = {"limit": usage.policy, "allowed": usage.limit, "reset": usage.reset_at.isoformat()}
            events.record(EXCEEDED, tenant=facts.caller.tenant if facts.caller else None, data=data)
    return min(usages, key=lambda usage: (not usage.exceeded, usage.remaining), default=None)


def refuse_if_exceeded(usage: Usage | None) -> None:
    """Raise ``RateLimited``, with the seconds until the window ends, if the limit is exceeded."""
    if usage is not None and usage.exceeded:
        wait = max(1, math.ceil(usage.reset_at.timestamp() - time.time()))
        raise RateLimited(details={"limit": [usage.policy]}, retry_after_s=wait)


def window_end(identity: str, period: int) -> int:
    """Return the first second after the current window. An offset per identity spreads the windows' ends."""
    now = int(time.time())
    return now + (zlib.crc32(identity.encode()) - now) % period + 1


def _count_together(rates: Sequence[tuple[str, str, str]]) -> list[Usage]:
    """Count a caller's request under each (policy, identity, rate) in one round trip."""
    now = int(time.time())
    usages, windows = [], []
    for policy, identity, rate in rates:
        limit, period = parse_rate(rate)
        ends = window_end(identity, period)
        windows.append((f"{policy}:{limit}/{period}:{identity}:{ends}", ends - now + _MARGIN_S))
        usages.append(Usage(policy, limit, 0, datetime.fromtimestamp(ends, UTC)))
    return [replace(usage, count=number) for usage, number in zip(usages, counters.count(windows), strict=True)]


def _count_alone(policy: str, identity: str, rate: str) -> Usage:
    """Count a request without a caller under one rate, by django-ratelimit."""
    # The request is only for key functions that read it.
    used = get_usage(None, group=policy, key=lambda *_: identity, rate=rate, increment=True)
    ends = int(time.time()) + used["time_left"] + 1
    return Usage(policy, used["limit"], used["count"], datetime.fromtimestamp(ends, UTC))


@lru_cache(maxsize=1024)
def parse_rate(rate: str) -> tuple[int, int]:
    """Return the number of requests and the seconds of a rate such as ``10/15m``.

    Like django-ratelimit, it ignores the rest of a text such as ``10/15min``.
    """
    limit, multiple, unit = _RATE.match(rate).groups()
    return int(limit), int(multiple or 1) * _SECONDS[unit or "s"]
