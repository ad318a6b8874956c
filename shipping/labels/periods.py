"""When a purchase without an answer is looked up: by its adapter's ``Lookup``, else by the settings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from carriers.adapters.base import Lookup
from carriers.adapters.registry import adapter_class
from shipping.models import Shipment

_EVERY = timedelta(seconds=30)
_WATCH = timedelta(hours=24)
_AFTER_FAILURE = timedelta(hours=1)
_MAX_AFTER_ERROR = timedelta(minutes=10)


def of(shipment: Shipment) -> Lookup:
    """Return the periods of a shipment's carrier. ``RECONCILE_QUIET_PERIOD_S`` can shorten the quiet period of all."""
    lookup = adapter_class(shipment.carrier).lookup or Lookup(quiet=timedelta.max, every=_EVERY, watch=_WATCH)
    return replace(lookup, quiet=min(lookup.quiet, settings.RECONCILE_QUIET_PERIOD))


def until_first(carrier: str, usual: timedelta) -> timedelta:
    """Return how long after its reservation a purchase is looked up first.

    A carrier that is asked less often than its quiet period lasts is asked only at the end of this period: a lookup
    before would most probably find nothing, and some carriers block callers for that.
    """
    lookup = adapter_class(carrier).lookup
    if lookup and lookup.every >= lookup.quiet:
        return min(lookup.quiet, settings.RECONCILE_QUIET_PERIOD)
    return usual


def after_error(shipment: Shipment) -> timedelta:
    """Return when to repeat a lookup that failed."""
    return min(of(shipment).every, _MAX_AFTER_ERROR)


def after_failure(shipment: Shipment) -> timedelta:
    """Return when to look up a failed booking again, in case the carrier sold it late; last at the end of ``watch``."""
    lookup = adapter_class(shipment.carrier).lookup
    if lookup is None:
        return _AFTER_FAILURE
    left = lookup.watch - (timezone.now() - shipment.created_at)
    return max(min(max(lookup.every, _AFTER_FAILURE), left), timedelta(0))
