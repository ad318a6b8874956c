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
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.audit import events
from apikeys.db.leases import Schedule
from apikeys.http import correlation
from apikeys.http.errors import WaybillError
from carriers.adapters.base import CarrierAdapter
from carriers.credentials import opening
from carriers.types import BookedLabel
from carriers.types.errors import (
    CarrierAuthentication,
    CarrierError,
    CarrierRateLimited,
    CarrierTimeout,
    CarrierUnavailable,
    CarrierUnsupported,
    CredentialUnreadable,
    OutcomeUnknown,
)
from shipping.common import lookup
from shipping.labels import booking
from shipping.models import BookingState, Orphan, Shipment
from shipping.models.event_types import ORPHAN_NOT_VOIDED, ORPHAN_VOIDED

log = logging.getLogger(__name__)

_BETWEEN_LOOKUPS = timedelta(seconds=30)
_LEASE = timedelta(seconds=90)  # longer than a lookup can take
# A failed booking is looked for again this often and this long, in case the carrier made it late.
_ORPHAN_EVERY = timedelta(hours=1)
_ORPHAN_WATCH = timedelta(hours=24)
# What says nothing of whether a label can be called off.
_PASSING = (CarrierUnavailable, CarrierTimeout, CarrierRateLimited, CarrierAuthentication, OutcomeUnknown)

LEASES = Schedule(Shipment, lasts=lambda: _LEASE, until="reconcile_at")


def reconcile(*, limit: int = 50) -> dict[str, int]:
    """Look up the bookings that are due; how many ended how (``booked failed waiting review orphan error``)."""
    outcomes: dict[str, int] = {}
    for lease in LEASES.acquire_each(Shipment.objects.order_by("reconcile_at"), limit=limit):
        with correlation.scope():
            outcome = _reconcile_safely(lease.pk)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return outcomes


def look_up_now(rows: QuerySet[Shipment]) -> int:
    """Have the pending bookings among these looked up at once, and those that a person was to review; how many."""
    asked = {BookingState.PENDING, BookingState.NEEDS_REVIEW}
    due = Shipment.objects.filter(pk__in=rows.values("pk"), booking_state__in=asked, frees_order=False)
    return due.update(
        booking_state=BookingState.PENDING, failure=None, reconcile_at=timezone.now(), updated_at=F("updated_at")
    )


def give_up(shipment: Shipment, error: WaybillError) -> None:
    """A booking of which a person found that nothing was bought; what turns up nevertheless is called off."""
    booking.fail(shipment, error, reconcile_at=timezone.now())


def void_now(rows: QuerySet[Orphan]) -> int:
    """Have labels that nobody waits for looked up and called off at once; how many."""
    left = rows.filter(voided_at=None)
    asked = left.count()
    settled = (BookingState.BOOKED, BookingState.FAILED)
    due = Shipment.objects.filter(pk__in=left.values("shipment"), booking_state__in=settled)
    due.update(reconcile_at=timezone.now(), updated_at=F("updated_at"))
    return asked


def _reconcile_safely(shipment_id: uuid.UUID) -> str:
    """One booking that cannot be looked up must not keep the others from it."""
    try:
        return _reconcile(shipment_id)
    except Exception:
        log.exception("look-up failed unexpectedly", extra={"shipment": str(shipment_id)})
        return _after_failed_lookup(Shipment.objects.get(id=shipment_id))


def _reconcile(shipment_id: uuid.UUID) -> str:
    shipment = Shipment.objects.select_related("credential").get(id=shipment_id)
    if shipment.booking_state == BookingState.NEEDS_REVIEW:
        return "done"
    try:
        adapter = opening.open_adapter(shipment.credential, merchant_id=shipment.merchant_id, subject_id=shipment.id)
        return _conclude(shipment, adapter, _ours(shipment, adapter.find_by_reference(shipment.reference)))
    except CarrierUnsupported:
        if shipment.booking_state == BookingState.PENDING:
            text = _("The carrier cannot be asked by reference; look into its own back-office.")
            booking.review(shipment.id, text)
            return "review"
        _leave(shipment)
        return "done"
    except CredentialUnreadable:
        if shipment.booking_state == BookingState.PENDING and _quiet(shipment) <= timedelta(0):
            text = _("Its account is gone or cannot be read: look into the account's back-office at the carrier.")
            booking.review(shipment.id, text)
            return "review"
        return _after_failed_lookup(shipment)
    except CarrierError as error:
        log.warning("look-up failed", extra={"shipment": str(shipment.id), "error": str(error)})
        return _after_failed_lookup(shipment)


def _after_failed_lookup(shipment: Shipment) -> str:
    """Asked again and again for a day; then a person has to."""
    if _is_watched(shipment):
        _look_again(shipment, _BETWEEN_LOOKUPS)
        return "error"
    if shipment.booking_state != BookingState.PENDING:
        _leave(shipment)
        return "given_up"
    booking.review(shipment.id, _("The carrier could not be asked about this booking for a day."))
    return "review"


def _conclude(shipment: Shipment, adapter: CarrierAdapter, found: Sequence[BookedLabel]) -> str:
    live = [label for label in found if not label.cancelled]
    if shipment.booking_state == BookingState.PENDING:
        if not live:
            return _not_found(shipment)
        # The request's own answer may come meanwhile, and with another one of them: what is booked then is the label.
        leftovers_due = timezone.now() + _LEASE if len(live) > 1 else None
        shipment = booking.finish(shipment.id, live[0], reconcile_at=leftovers_due)
        if shipment.booking_state == BookingState.NEEDS_REVIEW:
            return "review"
    unwanted = [label for label in found if label.tracking_number != shipment.tracking_number]
    settled = _void(shipment, adapter, unwanted)
    if shipment.booking_state == BookingState.BOOKED:
        _look_for_leftovers(shipment, None if settled else _BETWEEN_LOOKUPS)
        return "booked"
    watched = _is_watched(shipment) and not _account_changed(shipment)
    _look_again(shipment, (_ORPHAN_EVERY if settled else _BETWEEN_LOOKUPS) if watched else None)
    return "orphan" if live else "watched"


def _ours(shipment: Shipment, found: Sequence[BookedLabel]) -> list[BookedLabel]:
    """What carries our reference: the account may hold parcels of others, which are nobody's here to book or void.

    Raises ``CarrierUnavailable`` where all that it told of carries others: that is no answer to what was asked, and
    adapters should have said so (``matching``).
    """
    ours = [label for label in found if booking.is_of(shipment, label)]
    if len(ours) < len(found):
        log.error("a look-up was answered with other references", extra={"shipment": str(shipment.id)})
    if found and not ours:
        raise CarrierUnavailable(carrier=shipment.carrier_name, carrier_code="other_references")
    return ours


def _not_found(shipment: Shipment) -> str:
    if (quiet := _quiet(shipment)) > timedelta(0):
        _look_again(shipment, min(_BETWEEN_LOOKUPS, quiet))
        return "waiting"
    if _account_changed(shipment):
        text = _("The account was changed after this was asked for: look into the former account's back-office.")
        booking.review(shipment.id, text)
        return "review"
    booking.fail(shipment, _never_arrived(shipment), reconcile_at=timezone.now() + _ORPHAN_EVERY)
    return "failed"


def _quiet(shipment: Shipment) -> timedelta:
    """What is left of the time in which the carrier may still come to know of it."""
    return settings.RECONCILE_QUIET_PERIOD - (timezone.now() - shipment.created_at)


def _is_watched(shipment: Shipment) -> bool:
    return timezone.now() - shipment.created_at < _ORPHAN_WATCH


def _account_changed(shipment: Shipment) -> bool:
    """Whether the purchase was asked of another account, of which the present one knows nothing."""
    since = shipment.credential.account_since
    return since is not None and since > shipment.created_at


def _void(shipment: Shipment, adapter: CarrierAdapter, unwanted: Sequence[BookedLabel]) -> bool:
    """Call labels off that nobody waited for; False where one must be tried again.

    The row comes first, so that a killed process leaves something to be found and told of.
    """
    settled = True
    # An older booking had the number before the carrier gave it to this label.
    since = shipment.created_at - lookup.ANEW_AFTER
    holders = lookup.holders(shipment.credential_id, [label.tracking_number for label in unwanted], since=since)
    for label in unwanted:
        known = shipment.orphans.filter(tracking_number=label.tracking_number)
        if label.cancelled:
            _voided(shipment, known.first())
            continue
        orphan = known.first() or Orphan.objects.create(
            merchant_id=shipment.merchant_id,
            mode=shipment.mode,
            shipment=shipment,
            tracking_number=label.tracking_number,
        )
        if label.tracking_number in holders:
            _not_voided(shipment, orphan, "another_shipment", "Another shipment has this number.")
            continue
        try:
            adapter.cancel(label.tracking_number, "duplicate")
            _voided(shipment, orphan)
        except _PASSING as error:
            log.warning("a label that nobody waits for was not voided yet", extra=_facts(orphan, error=str(error)))
            settled = False
        except CarrierError as error:
            _not_voided(shipment, orphan, error.carrier_code, error.carrier_message)
    return settled


def _voided(shipment: Shipment, orphan: Orphan | None) -> None:
    with transaction.atomic():
        if orphan and Orphan.objects.filter(id=orphan.id, voided_at=None).update(voided_at=timezone.now()):
            events.record(ORPHAN_VOIDED, tenant=shipment.tenant, subject_id=shipment.id, data=_facts(orphan))


def _not_voided(shipment: Shipment, orphan: Orphan, code: str, message: str) -> None:
    """A person's affair; told once, though it is tried again as long as the booking is watched."""
    with transaction.atomic():
        if Orphan.objects.filter(id=orphan.id, refusal="").update(refusal=f"{code}: {message}"[:200]):
            data = _facts(orphan, carrier_code=code)
            log.error("a label that nobody waits for was not voided", extra=data)
            events.record(ORPHAN_NOT_VOIDED, tenant=shipment.tenant, subject_id=shipment.id, data=data)


def _facts(orphan: Orphan, **more: str) -> dict[str, str]:
    return {"tracking_number": orphan.tracking_number, "reference": orphan.shipment.reference, **more}


def _look_for_leftovers(shipment: Shipment, after: timedelta | None) -> None:
    """A booked shipment whose surplus labels are not all called off is asked for again, for a day."""
    due = None if after is None or not _is_watched(shipment) else timezone.now() + after
    Shipment.objects.filter(id=shipment.id).update(reconcile_at=due, updated_at=F("updated_at"))


def _leave(shipment: Shipment) -> None:
    """Nothing more can be learned of it, booked or failed."""
    settled = (BookingState.BOOKED, BookingState.FAILED)
    rows = Shipment.objects.filter(id=shipment.id, booking_state__in=settled)
    rows.update(reconcile_at=None, updated_at=F("updated_at"))


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
