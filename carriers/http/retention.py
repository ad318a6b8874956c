"""Delete old rows of the call log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from apikeys.db import batches
from apikeys.db.tenancy import first_id_at
from carriers.models import CarrierCall

log = logging.getLogger(__name__)


def calls_before(moment: datetime) -> QuerySet[CarrierCall]:
    """Return the calls from before a moment."""
    return CarrierCall.objects.filter(id__lt=first_id_at(moment))


def delete_calls_before(moment: datetime) -> Iterator[int]:
    """Delete ``calls_before`` in batches; yield the size of each."""
    return batches.delete(calls_before(moment))


def delete_old_calls() -> None:
    """Delete calls older than ``CARRIER_CALL_KEEP_DAYS``. The worker runs this every hour."""
    deleted = sum(delete_calls_before(timezone.now() - settings.CARRIER_CALL_KEEP))
    log.info("call log cleaned", extra={"carrier_calls": deleted})
