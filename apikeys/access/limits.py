"""Waybill's own rate limits: the table ``POLICIES``, in django-ratelimit's terms (groups, keys, rates).

A window belongs to one policy, identity and rate. django-ratelimit computes its end, which differs between identities,
so that they do not all start again in the same second. All windows of a request are counted in one round trip. The
carriers' own limits are in ``carriers.http``.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django_ratelimit.core import EXPIRATION_FUDGE, _get_window, _make_cache_key, _split_rate

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.db import counters
from apikeys.db.redis_client import RedisUnavailable
from apikeys.http.callers import Caller
from apikeys.http.errors import RateLimited, Unavailable

log = logging.getLogger(__name__)
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


def _network(facts: RequestFacts) -> str:
    # An IPv6 customer has at least a /64 of addresses.
    address = ipaddress.ip_address(facts.address)
    return str(ipaddress.ip_network(f"{address}/{32 if address.version == 4 else 64}", strict=False))


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
        Policy("user", _of_caller("person:"), lambda facts: settings.USER_RATES),
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
    """Count a request against these policies and return the limit that is nearest to its end.

    Returns: None if limits are switched off or the counter store is down.
    Raises: ``Unavailable`` if the store is down and one of the policies fails closed.
    """
    if not settings.RATE_LIMITS_ENABLED:
        return None
    policies = [POLICIES[name] for name in names]
    windows = [window for policy in policies for window in _windows(policy, facts)]
    try:
        counts = counters.count([(key, lifetime) for key, lifetime, *_ in windows])
    except RedisUnavailable as error:
        if any(policy.fails_closed for policy in policies):
            raise Unavailable(retry_after_s=5) from error
        log.warning("rate limits not counted: the counter store is down")
        return None
    usages = [
        Usage(policy, limit, counted, ends)
        for (_key, _life, policy, limit, ends), counted in zip(windows, counts, strict=True)
    ]
    for usage in usages:
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


def _windows(policy: Policy, facts: RequestFacts) -> list[tuple[str, int, str, int, datetime]]:
    """Return (counter key, lifetime, policy, limit, end) for each rate that applies."""
    identity = policy.identity(facts)
    if identity is None:
        return []
    found = []
    for rate in policy.rates(facts):
        limit, period = _split_rate(rate)
        last_second = _get_window(identity, period)
        key = _make_cache_key(policy.name, last_second, rate, identity, None)
        ends = last_second + 1
        lifetime = ends - int(time.time()) + EXPIRATION_FUDGE
        found.append((key, lifetime, policy.name, limit, datetime.fromtimestamp(ends, UTC)))
    return found
