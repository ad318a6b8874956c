"""Bookings without an answer: looked up at the carrier by our own reference. Nothing here ever buys.

Found → booked. Not found after a quiet period → failed; an orphan that turns up later is voided and reported. A carrier
without a look-up, and an account that was changed meanwhile, leave it to a person.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys import correlation, events
from carriers import accounts
from carriers.adapters.base import CarrierAdapter
from carriers.errors import CarrierError, CarrierTimeout, CarrierUnsupported
from carriers.types import BookedLabel
from shipping.events import ORPHAN_NOT_VOIDED, ORPHAN_VOIDED
from shipping.models import BookingState, Shipment
from shipping.services import shipments

log = logging.getLogger(__name__)

_BETWEEN_LOOKUPS = timedelta(seconds=30)
_HOLD = timedelta(seconds=90)  # longer than a look-up can take: nobody else looks meanwhile
# A failed booking is looked for again this often and this long, in case the carrier made it late.
_ORPHAN_EVERY = timedelta(hours=1)
_ORPHAN_WATCH = timedelta(hours=24)


def reconcile(*, limit: int = 50) -> dict[str, int]:
    """Look up the bookings that are due; how many ended how (``booked failed waiting review orphan error``)."""
    now = timezone.now()
    due = Shipment.objects.filter(reconcile_at__lte=now).order_by("reconcile_at").values_list("id", "reconcile_at")
    outcomes: dict[str, int] = {}
    for shipment_id, seen_at in due[:limit]:
        mine = Shipment.objects.filter(id=shipment_id, reconcile_at=seen_at)
        if not mine.update(reconcile_at=now + _HOLD):
            continue  # another worker has it
        with correlation.scope():
            outcome = _reconcile_safely(shipment_id)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return outcomes


def _reconcile_safely(shipment_id: uuid.UUID) -> str:
    """One booking that cannot be looked up must not keep the others from it."""
    try:
        return _reconcile(shipment_id)
    except Exception:
        log.exception("look-up failed unexpectedly", extra={"shipment": str(shipment_id)})
        return "error"


def _reconcile(shipment_id: uuid.UUID) -> str:
    shipment = Shipment.objects.select_related("credential").get(id=shipment_id)
    if shipment.booking_state not in (BookingState.PENDING, BookingState.FAILED):
        _look_again(shipment, None)
        return "done"
    try:
        adapter = accounts.open_adapter(shipment.credential, merchant_id=shipment.merchant_id, subject_id=shipment.id)
        found = [label for label in adapter.find_by_reference(shipment.reference) if not label.cancelled]
        return _conclude(shipment, adapter, found)
    except CarrierUnsupported:
        shipments.review(shipment.id, _("The carrier cannot be asked by reference; look into its own back-office."))
        return "review"
    except CarrierError as error:
        log.warning("look-up failed", extra={"shipment": str(shipment.id), "error": str(error)})
        return _after_failed_lookup(shipment)


def _after_failed_lookup(shipment: Shipment) -> str:
    """Asked again and again for a day; then a person has to."""
    if timezone.now() - shipment.created_at < _ORPHAN_WATCH:
        _look_again(shipment, _BETWEEN_LOOKUPS)
        return "error"
    if shipment.booking_state == BookingState.FAILED:
        _look_again(shipment, None)
        return "given_up"
    shipments.review(shipment.id, _("The carrier could not be asked about this booking for a day."))
    return "review"


def _conclude(shipment: Shipment, adapter: CarrierAdapter, found: Sequence[BookedLabel]) -> str:
    if shipment.booking_state == BookingState.FAILED:
        _void(shipment, adapter, found)
        watched = timezone.now() - shipment.created_at < _ORPHAN_WATCH and not _account_changed(shipment)
        _look_again(shipment, _ORPHAN_EVERY if watched else None)
        return "orphan" if found else "watched"
    if found:
        shipments.finish(shipment.id, found[0])
        _void(shipment, adapter, found[1:])
        return "booked"
    quiet = settings.RECONCILE_QUIET_PERIOD - (timezone.now() - shipment.created_at)
    if quiet > timedelta(0):
        _look_again(shipment, min(_BETWEEN_LOOKUPS, quiet))
        return "waiting"
    if _account_changed(shipment):
        text = _("The account was changed after this was asked for: look into the former account's back-office.")
        shipments.review(shipment.id, text)
        return "review"
    shipments.fail(shipment, _never_arrived(shipment))
    _look_again(shipment, _ORPHAN_EVERY)
    return "failed"


def _account_changed(shipment: Shipment) -> bool:
    """Whether the purchase was asked of another account, of which the present one knows nothing."""
    since = shipment.credential.account_since
    return since is not None and since > shipment.created_at


def _void(shipment: Shipment, adapter: CarrierAdapter, labels: Sequence[BookedLabel]) -> None:
    """Call labels off that nobody waited for; one that the carrier will not call off is a person's affair."""
    for label in labels:
        data = {"tracking_number": label.tracking_number, "reference": shipment.reference}
        try:
            adapter.cancel(label.tracking_number, "duplicate")
            kind = ORPHAN_VOIDED
        except CarrierError as error:
            kind, data = ORPHAN_NOT_VOIDED, data | {"carrier_code": error.carrier_code}
            log.error("a label that nobody waits for was not voided", extra=data)
            text = _("The carrier sold %s and would not call it off.") % label.tracking_number
            shipments.review(shipment.id, text)
        events.record(kind, tenant=shipment.tenant, subject_id=shipment.id, data=data)


def _look_again(shipment: Shipment, after: timedelta | None) -> None:
    settled = (BookingState.BOOKED, BookingState.NEEDS_REVIEW)
    Shipment.objects.filter(id=shipment.id).exclude(booking_state__in=settled).update(
        reconcile_at=None if after is None else timezone.now() + after, updated_at=F("updated_at")
    )


def _never_arrived(shipment: Shipment) -> CarrierTimeout:
    return CarrierTimeout(
        _("The carrier never answered and knows no label under our reference: nothing was bought. Order it again."),
        carrier=shipment.carrier_name,
        carrier_code="no_label",
    )
