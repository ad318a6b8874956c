"""Tokens renewed ahead of need, by the same function that requests use."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Min
from django.utils import timezone

from carriers import metrics
from carriers.accounts import open_adapter
from carriers.errors import CarrierError
from carriers.models import Credential
from carriers.tokens import readable_token

log = logging.getLogger(__name__)
AHEAD = timedelta(minutes=2)
IDLE = timedelta(hours=1)
_BATCH = 500


def refresh_tokens() -> tuple[int, list[str]]:
    """Renew each token in use that its margin (or two minutes) puts near its end: (fresh, texts of failures)."""
    now = timezone.now()
    _show_expiries(now)
    # An account that has been idle since its token ended logs in again when it is next used.
    due = Credential.objects.filter(is_active=True, token_expires_at__range=(now - IDLE, now + AHEAD))[:_BATCH]
    failed = []
    for credential in due:
        try:
            open_adapter(credential).tokens.renew(readable_token(credential))
        except CarrierError as error:
            failed.append(f"{credential}: {error} {error.carrier_message}")
            log.warning("token not renewed", extra={"credential": str(credential.id), "error": str(error)})
    return len(due) - len(failed), failed


def _show_expiries(now: datetime) -> None:
    """The documented gauge: seconds until the first of a carrier's tokens ends."""
    held = Credential.objects.filter(is_active=True, token_expires_at__gt=now).values_list("carrier")
    for carrier, first in held.annotate(first=Min("token_expires_at")).order_by():
        metrics.token_expiry(carrier).set((first - now).total_seconds())
