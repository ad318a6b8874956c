"""How long it is kept what carriers have pushed."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from apikeys.db import batches
from apikeys.db.tenancy import first_id_at
from webhooks.inbound.service import WAIT_FOR_SHIPMENT
from webhooks.models import InboundWebhook, UnmatchedNumber

log = logging.getLogger(__name__)
State = InboundWebhook.State
_UNREADABLE_KEEP = timedelta(days=365)


def clean() -> None:
    """Forget bodies older than ``INBOUND_WEBHOOK_KEEP_DAYS``, and numbers that are looked out for no longer.

    What could not be read waits a year for a person, and what was not read yet for ever. Run by the worker once an
    hour.
    """
    keep = max(settings.INBOUND_WEBHOOK_KEEP, WAIT_FOR_SHIPMENT)
    read = InboundWebhook.objects.filter(state__in=(State.PROCESSED, State.UNMATCHED))
    gone = {
        "numbers": _forget(UnmatchedNumber.objects.all(), WAIT_FOR_SHIPMENT),
        "inbound_webhooks": _forget(read, keep),
        "unreadable_webhooks": _forget(InboundWebhook.objects.filter(state=State.FAILED), max(keep, _UNREADABLE_KEEP)),
    }
    log.info("carriers' webhooks cleaned", extra=gone)


def _forget(rows: QuerySet[Any], after: timedelta) -> int:
    """Delete what is older; how many."""
    return sum(batches.delete(rows.filter(id__lt=first_id_at(timezone.now() - after))))
