"""Renew access tokens before they expire, so that no request has to wait for a login."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Min, Q, QuerySet
from django.utils import timezone

from carriers.adapters.registry import ADAPTERS
from carriers.credentials.opening import open_adapter
from carriers.credentials.tokens import decrypt_token, usable_until
from carriers.http import metrics
from carriers.models import CredentialToken
from carriers.types.errors import CarrierError

log = logging.getLogger(__name__)
AHEAD = timedelta(minutes=2)  # longer than the worker's interval
IDLE = timedelta(hours=1)
IN_USE = timedelta(days=1)
_BATCH = 500


def refresh_tokens() -> tuple[int, list[str]]:
    """Renew the tokens in use that soon reach their margin.

    Returns: the number of renewed tokens, and a text per failure.
    """
    now = timezone.now()
    _set_expiry_metrics(now)
    due = [row for row in _expiring(now) if usable_until(row, _margin(row)) <= now + AHEAD]
    due = due[:_BATCH]
    failed = []
    for row in due:
        try:
            open_adapter(row.credential).tokens.renew(row.kind, decrypt_token(row))
        except CarrierError as error:
            failed.append(f"{row.credential}: {error} {error.carrier_message}")
            log.warning("token not renewed", extra={"credential": str(row.credential_id), "error": str(error)})
    return len(due) - len(failed), failed


def _margin(row: CredentialToken) -> timedelta:
    return ADAPTERS[row.credential.carrier].token_margin


def _expiring(now: datetime) -> QuerySet[CredentialToken]:
    """Return the tokens in use that are near their carrier's margin.

    A token that lives little longer than the margin is included early; the caller computes its exact time.
    """
    expiring = Q()
    for slug, adapter in ADAPTERS.items():
        # Without a use since its token expired, a credential logs in again at its next use.
        expiring |= Q(credential__carrier=slug, expires_at__range=(now - IDLE, now + adapter.token_margin + AHEAD))
    # A token that lives for less than AHEAD would be renewed in every run.
    return _in_use(now).filter(expiring).exclude(fetched_at__gt=now - AHEAD).select_related("credential")


def _in_use(now: datetime) -> QuerySet[CredentialToken]:
    return CredentialToken.objects.filter(credential__is_active=True, used_at__gte=now - IN_USE)


def _set_expiry_metrics(now: datetime) -> None:
    """Set the documented gauge: seconds until the first token in use of each carrier expires."""
    valid = _in_use(now).filter(expires_at__gt=now).values_list("credential__carrier")
    for carrier, first in valid.annotate(first=Min("expires_at")).order_by():
        metrics.token_expiry(carrier).set((first - now).total_seconds())
