"""How long it is remembered what was said to carriers."""

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


def old_calls(before: datetime) -> QuerySet[CarrierCall]:
    """Calls from before a moment."""
    return CarrierCall.objects.filter(id__lt=first_id_at(before))


def forget_calls(before: datetime) -> Iterator[int]:
    """Delete ``old_calls`` batch by batch; yields the number of each."""
    return batches.delete(old_calls(before))


def clean() -> None:
    """Forget what is older than ``CARRIER_CALL_KEEP_DAYS``; run by the worker once an hour."""
    gone = sum(forget_calls(timezone.now() - settings.CARRIER_CALL_KEEP))
    log.info("call log cleaned", extra={"carrier_calls": gone})
