"""Tokens renewed ahead of need, by the same function that requests use."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Min, Q, QuerySet
from django.utils import timezone

from carriers.adapters.registry import ADAPTERS
from carriers.credentials.opening import open_adapter
from carriers.credentials.tokens import readable_token, usable_until
from carriers.http import metrics
from carriers.models import Credential
from carriers.types.errors import CarrierError

log = logging.getLogger(__name__)
AHEAD = timedelta(minutes=2)  # more than the time between two runs of the worker
IDLE = timedelta(hours=1)
IN_USE = timedelta(days=1)
_BATCH = 500


def refresh_tokens() -> tuple[int, list[str]]:
    """Renew each token in use that its margin puts near its end: (fresh, texts of failures)."""
    now = timezone.now()
    _show_expiries(now)
    due = [row for row in _near_their_end(now) if usable_until(row, _margin(row.carrier)) <= now + AHEAD][:_BATCH]
    failed = []
    for credential in due:
        try:
            open_adapter(credential).tokens.renew(readable_token(credential))
        except CarrierError as error:
            failed.append(f"{credential}: {error} {error.carrier_message}")
            log.warning("token not renewed", extra={"credential": str(credential.id), "error": str(error)})
    return len(due) - len(failed), failed


def _near_their_end(now: datetime) -> QuerySet[Credential]:
    """Those that their carrier's margin may put there: what lives little longer than the margin is among them early."""
    near = Q()
    for slug in ADAPTERS:
        # An account that has been idle since its token ended logs in again when it is next used.
        near |= Q(carrier=slug, token_expires_at__range=(now - IDLE, now + _margin(slug) + AHEAD))
    return _in_use(now).filter(near).exclude(token_fetched_at__gt=now - AHEAD)  # what lives so short has no ahead


def _in_use(now: datetime) -> QuerySet[Credential]:
    return Credential.objects.filter(is_active=True, token_used_at__gte=now - IN_USE)


def _margin(slug: str) -> timedelta:
    return ADAPTERS[slug].token_margin


def _show_expiries(now: datetime) -> None:
    """The documented gauge: seconds until the first of a carrier's tokens in use ends."""
    held = _in_use(now).filter(token_expires_at__gt=now).values_list("carrier")
    for carrier, first in held.annotate(first=Min("token_expires_at")).order_by():
        metrics.token_expiry(carrier).set((first - now).total_seconds())
