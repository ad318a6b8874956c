"""Alarm for bursts of unknown API keys: a program guesses keys, or uses a deleted one.

The counters end with their period, so their number is bounded by the requests of one period.
"""

from __future__ import annotations

import logging

from django.conf import settings
from prometheus_client import Counter

from apikeys.access.limits import network_of, parse_rate
from apikeys.audit import events, security
from apikeys.db import counters
from apikeys.db.redis_client import RedisUnavailable

log = logging.getLogger(__name__)
UNKNOWN = Counter("waybill_unknown_api_keys_total", "Requests with an API key that does not exist.")
BURSTS = Counter("waybill_unknown_api_key_bursts_total", "Alarms for many unknown API keys from one network or in all.")


def count(address: str) -> None:
    """Count a request with an unknown key. Raise an alarm once per period and network, and once for all networks."""
    UNKNOWN.inc()
    network = network_of(address)
    windows = [
        (source, *parse_rate(rate))
        for source, rates in ((network, settings.UNKNOWN_KEYS_ALARM), ("all", settings.UNKNOWN_KEYS_TOTAL_ALARM))
        for rate in rates
    ]
    try:
        counts = counters.count(
            [(f"unknown-keys:{source}:{most}/{period}", period) for source, most, period in windows]
        )
    except RedisUnavailable:
        log.warning("unknown API keys not counted: Redis is unavailable")
        return
    for (source, most, period), number in zip(windows, counts, strict=True):
        # Counts are exact, so exactly one request of all processes raises the alarm.
        if number == most:
            data = {"network": None if source == "all" else source, "requests": number, "seconds": period}
            BURSTS.inc()
            log.warning("many requests with unknown API keys", extra=data)
            events.record(security.UNKNOWN_KEYS, tenant=None, data=data)
