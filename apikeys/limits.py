"""How often: the limits of an API key by its merchant's plan, counted by django-ratelimit in the shared cache."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django_ratelimit.core import get_usage
from rest_framework.request import Request

from apikeys.errors import RateLimited
from apikeys.models import ApiKey, Plan

# plan: (per minute, per hour)
PLAN_RATES = {
    Plan.FREE: ("100/m", "1000/h"),
    Plan.STARTER: ("300/m", "10000/h"),
    Plan.PRO: ("1000/m", "50000/h"),
    Plan.ENTERPRISE: ("5000/m", "250000/h"),
}


@dataclass(frozen=True)
class Usage:
    """Where the caller stands in the limit that is nearest to its end."""

    limit: int
    remaining: int
    reset_at: datetime
    exceeded: bool

    def headers(self) -> dict[str, str]:
        """The documented headers."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": self.reset_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }


def count(request: Request, key: ApiKey) -> Usage | None:
    """Count this request against the key's limits; the strictest answer, or None while limits are switched off."""
    if not settings.RATE_LIMITS_ENABLED:
        return None
    usages = [_count(request, key, rate) for rate in PLAN_RATES[Plan(key.merchant.plan)]]
    known = [usage for usage in usages if usage is not None]
    return min(known, key=lambda usage: (not usage.exceeded, usage.remaining), default=None)


def refuse_if_exceeded(usage: Usage | None) -> None:
    """Raises ``RateLimited``, with the seconds until the window ends."""
    if usage is not None and usage.exceeded:
        wait = max(1, math.ceil((usage.reset_at - timezone.now()).total_seconds()))
        raise RateLimited(details={"limit": ["api_key"]}, retry_after_s=wait)


def _count(request: Request, key: ApiKey, rate: str) -> Usage | None:
    found = get_usage(
        request._request, group=f"api_key:{rate}", key=lambda group, request: str(key.id), rate=rate, increment=True
    )
    if found is None:
        return None
    return Usage(
        limit=found["limit"],
        remaining=max(0, found["limit"] - found["count"]),
        reset_at=timezone.now() + timedelta(seconds=max(0, found["time_left"])),
        exceeded=found["should_limit"],
    )
