"""Retention of webhooks from carriers."""

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
_KEEP_UNREADABLE = timedelta(days=365)


def clean() -> None:
    """Delete webhooks older than ``INBOUND_WEBHOOK_KEEP_DAYS`` and unknown numbers that wait no longer.

    Unreadable webhooks are kept for a year, unprocessed ones without limit. The worker runs this once an hour.
    """
    keep = max(settings.INBOUND_WEBHOOK_KEEP, WAIT_FOR_SHIPMENT)
    finished = InboundWebhook.objects.filter(state__in=(State.PROCESSED, State.UNMATCHED))
    unreadable = InboundWebhook.objects.filter(state=State.FAILED)
    deleted = {
        "numbers": _delete_older(UnmatchedNumber.objects.all(), WAIT_FOR_SHIPMENT),
        "inbound_webhooks": _delete_older(finished, keep),
        "unreadable_webhooks": _delete_older(unreadable, max(keep, _KEEP_UNREADABLE)),
    }
    log.info("old carrier webhooks deleted", extra=deleted)


def _delete_older(rows: QuerySet[Any], age: timedelta) -> int:
    return sum(batches.delete(rows.filter(id__lt=first_id_at(timezone.now() - age))))
