"""Reconcile bookings without an answer: look up our reference at the carrier. Nothing here ever buys.

Found with its label: booked. Found without a label: voided and failed. Not found after a quiet period: failed; a
shipment that appears later (an orphan) is voided and reported. The adapter's ``Lookup`` has the periods. If the carrier
has no lookup, or the credential was changed since, operations must find the outcome; also if a shipment that nobody
uses costs money and cannot be voided.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.audit import events
from apikeys.db.leases import Schedule
from apikeys.http import correlation
from apikeys.http.errors import WaybillError
from carriers.adapters.base import CarrierAdapter
from carriers.types import BookedShipment
from carriers.types.errors import (
    CarrierAuthentication,
    CarrierError,
    CarrierRateLimited,
    CarrierRejected,
    CarrierTimeout,
    CarrierUnavailable,
    CarrierUnsupported,
    CredentialUnreadable,
    OutcomeUnknown,
)
from shipping.common import lookup, refs
from shipping.labels import booking, found_labels, periods
from shipping.labels.orphans import SCANNED
from shipping.models import BookingState, Orphan, Shipment
from shipping.models.event_types import ORPHAN_NOT_VOIDED, ORPHAN_VOIDED

log = logging.getLogger(__name__)

_LEASE = timedelta(seconds=90)  # longer than a lookup can take
# A failed lookup is repeated this long.
_ASKED_FOR = timedelta(hours=24)
# Errors that do not show whether the carrier would void a label.
_TEMPORARY = (CarrierUnavailable, CarrierTimeout, CarrierRateLimited, CarrierAuthentication, OutcomeUnknown)

LEASES = Schedule(Shipment, lasts=lambda: _LEASE, until="reconcile_at")


def reconcile(*, limit: int = 50) -> dict[str, int]:
    """Look up the bookings that are due.

    Returns: the number of bookings per outcome, such as ``booked failed waiting review orphan error``.
    """
    outcomes: dict[str, int] = {}
    for lease in LEASES.acquire_each(Shipment.objects.order_by("reconcile_at"), limit=limit):
        with correlation.scope():
            try:
                outcome = _reconcile(lease.pk)
            except Exception:  # one booking that cannot be looked up must not stop the others
                log.exception("lookup failed unexpectedly", extra={"shipment": str(lease.pk)})
                outcome = _retry_or_review(Shipment.objects.get(id=lease.pk))
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return outcomes


def request_lookup(rows: QuerySet[Shipment]) -> int:
    """Make pending bookings and those under review due for a lookup. Returns their number."""
    states = {BookingState.PENDING, BookingState.NEEDS_REVIEW}
    due = Shipment.objects.filter(pk__in=rows.values("pk"), booking_state__in=states, frees_order=False)
    return due.update(
        booking_state=BookingState.PENDING, failure=None, reconcile_at=timezone.now(), updated_at=F("updated_at")
    )


def confirm_failure(shipment: Shipment, error: WaybillError) -> None:
    """Fail a booking after operations found that nothing was bought. A label that appears later is voided."""
    booking.fail_booking(shipment, error, reconcile_at=timezone.now())


def request_voiding(rows: QuerySet[Orphan]) -> int:
    """Make the shipments of orphans due, so that their labels are voided. Returns the number of orphans."""
    left = rows.filter(voided_at=None)
    count = left.count()
    settled = (BookingState.BOOKED, BookingState.FAILED)
    due = Shipment.objects.filter(pk__in=left.values("shipment"), booking_state__in=settled)
    due.update(reconcile_at=timezone.now(), updated_at=F("updated_at"))
    Orphan.objects.filter(pk__in=left.values("pk"), refusal=SCANNED).update(refusal="")
    return count


def _reconcile(shipment_id: uuid.UUID) -> str:
    shipment = Shipment.objects.select_related("credential").get(id=shipment_id)
    is_pending = shipment.booking_state == BookingState.PENDING
    if shipment.booking_state == BookingState.NEEDS_REVIEW:
        return "done"
    try:
        adapter = lookup.open_adapter(shipment)
        found = _select_own(shipment, adapter.find_by_reference(refs.shipment_ref(shipment)))
        return _apply_lookup(shipment, adapter, found)
    except CarrierUnsupported:
        if is_pending:
            text = _("The carrier has no lookup by reference: check this booking in the carrier's own portal.")
            booking.require_review(shipment.id, text)
            return "review"
        _stop_lookups(shipment)
        return "done"
    except CredentialUnreadable:
        if is_pending and _quiet_time_left(shipment) <= timedelta(0):
            text = _("Its credential was deleted or cannot be read: check this booking in the carrier's own portal.")
            booking.require_review(shipment.id, text)
            return "review"
        return _retry_or_review(shipment)
    except CarrierError as error:
        log.warning("lookup failed", extra={"shipment": str(shipment.id), "error": str(error)})
        return _retry_or_review(shipment)


def _retry_or_review(shipment: Shipment) -> str:
    """Repeat a failed lookup for a day, then leave the booking to operations."""
    if timezone.now() - shipment.created_at < max(_ASKED_FOR, periods.of(shipment).watch):
        _look_up_again(shipment, periods.after_error(shipment))
        return "error"
    if shipment.booking_state != BookingState.PENDING:
        _stop_lookups(shipment)
        return "given_up"
    booking.require_review(shipment.id, _("The carrier could not be asked about this booking for a day."))
    return "review"


def _select_own(shipment: Shipment, found: Sequence[BookedShipment]) -> list[BookedShipment]:
    """Return the labels with our reference. The credential may have other parcels, which we must not book or void.

    Raises ``CarrierUnavailable`` if all labels have other references: that does not answer our question. Adapters
    should have noticed (``matching``).
    """
    own = [label for label in found if booking.is_for_shipment(shipment, label)]
    if len(own) < len(found):
        log.error("lookup returned labels of other references", extra={"shipment": str(shipment.id)})
    if found and not own:
        raise CarrierUnavailable(carrier=shipment.carrier_name, carrier_code="other_references")
    return own


def _apply_lookup(shipment: Shipment, adapter: CarrierAdapter, found: Sequence[BookedShipment]) -> str:
    live = [label for label in found if not label.cancelled]
    if shipment.booking_state == BookingState.PENDING:
        if not live:
            return _wait_or_fail(shipment)
        labelled = found_labels.fetch_label(shipment, adapter, live)
        if labelled is None:
            return _void_unlabelled(shipment, adapter, live)
        # The purchase may still get its answer, with another one of these labels: whichever is booked first is kept.
        surplus_due = timezone.now() + _LEASE if len(live) > 1 else None
        shipment = booking.store_booking(shipment.id, labelled, reconcile_at=surplus_due)
        if shipment.booking_state == BookingState.NEEDS_REVIEW:
            return "review"
    surplus = [label for label in found if not booking.has_number(shipment, label)]
    is_settled = _void_surplus(shipment, adapter, surplus)
    if shipment.booking_state == BookingState.BOOKED:
        # Surplus labels that are not voided yet are looked up again, for a day.
        due = None if is_settled or not _is_watched(shipment) else timezone.now() + periods.after_error(shipment)
        Shipment.objects.filter(id=shipment.id).update(reconcile_at=due, updated_at=F("updated_at"))
        return "booked"
    if live and is_settled and _costs_money(shipment, adapter):
        text = _("The carrier sold a shipment that is not used, bills it, and did not void it. Settle it there.")
        booking.require_review(shipment.id, text)
        return "review"
    is_watched = _is_watched(shipment) and not _has_changed_login(shipment)
    after = periods.after_failure(shipment) if is_settled else periods.after_error(shipment)
    _look_up_again(shipment, after if is_watched else None)
    return "orphan" if live else "watched"


def _void_unlabelled(shipment: Shipment, adapter: CarrierAdapter, found: Sequence[BookedShipment]) -> str:
    """Void what the carrier sold without a label that could be fetched, and fail the booking."""
    if not _void_surplus(shipment, adapter, found):
        _look_up_again(shipment, periods.after_error(shipment))
        return "waiting"
    if _costs_money(shipment, adapter):
        text = _("The carrier sold this shipment without a label, bills it, and did not void it. Settle it there.")
        booking.require_review(shipment.id, text)
        return "review"
    error = CarrierTimeout(
        _("The carrier sold a shipment of which it gives no label. It is not used. Order it again."),
        carrier=shipment.carrier_name,
        carrier_code="no_label",
    )
    booking.fail_booking(shipment, error, reconcile_at=timezone.now() + periods.after_failure(shipment))
    return "failed"


def _costs_money(shipment: Shipment, adapter: CarrierAdapter) -> bool:
    """Return whether an orphan of the shipment is not void and is billed."""
    return adapter.unused_costs(refs.bought_order(shipment)) and shipment.orphans.filter(voided_at=None).exists()


def _wait_or_fail(shipment: Shipment) -> str:
    """Handle a pending booking that the carrier does not know (yet)."""
    if (left := _quiet_time_left(shipment)) > timedelta(0):
        _look_up_again(shipment, min(periods.of(shipment).every, left))
        return "waiting"
    if _has_changed_login(shipment):
        text = _("The credential was changed after this purchase: check this booking with the former login.")
        booking.require_review(shipment.id, text)
        return "review"
    due = timezone.now() + periods.after_failure(shipment)
    booking.fail_booking(shipment, _not_bought(shipment), reconcile_at=due)
    return "failed"


def _not_bought(shipment: Shipment) -> CarrierError:
    """Return the error of a purchase that the carrier does not know."""
    if reason := shipment.pending_reason:
        words = reason["carrier_message"] or reason["carrier_code"]
        text = _(
            "The carrier sold nothing. It answered: %s. Resolve the cause before you order again; the same order would "
            "be refused again."
        )
        return CarrierRejected(text % words.rstrip("."), carrier=shipment.carrier_name, **reason)
    return CarrierTimeout(
        _("The carrier never answered and knows no label under our reference: nothing was bought. Order it again."),
        carrier=shipment.carrier_name,
        carrier_code="no_label",
    )


def _quiet_time_left(shipment: Shipment) -> timedelta:
    """Return the rest of the period in which the carrier may still create the label."""
    return periods.of(shipment).quiet - (timezone.now() - shipment.created_at)


def _is_watched(shipment: Shipment) -> bool:
    return timezone.now() - shipment.created_at < periods.of(shipment).watch


def _has_changed_login(shipment: Shipment) -> bool:
    """Return whether the credential's login was changed since the purchase, so that it shows other labels."""
    since = shipment.credential.account_since
    return since is not None and since > shipment.created_at


def _void_surplus(shipment: Shipment, adapter: CarrierAdapter, surplus: Sequence[BookedShipment]) -> bool:
    """Void labels that no shipment uses. Returns False if one must be tried again.

    The orphan's row comes before the call, so that it remains if the process is killed.
    """
    is_settled, can_void = True, "cancel" in adapter.capabilities()
    # A number's earlier booking than this belongs to the time before the carrier reused it.
    since = shipment.created_at - lookup.REUSED_AFTER
    numbers = [label.tracking_number for label in surplus]
    in_use = lookup.resolve_numbers(shipment.credential_id, numbers, since=since)
    for label in surplus:
        known = shipment.orphans.filter(tracking_number__any_case=label.tracking_number)
        if label.cancelled:
            _record_voided(shipment, known.first())
            continue
        orphan = known.first() or Orphan.objects.create(
            merchant_id=shipment.merchant_id,
            mode=shipment.mode,
            shipment=shipment,
            tracking_number=label.tracking_number,
            is_harmless=not can_void and not adapter.unused_costs(refs.bought_order(shipment)),
        )
        if label.tracking_number in in_use:
            _record_refused(shipment, orphan, "another_shipment", "Another shipment has this number.")
            continue
        if not can_void:
            if not orphan.is_harmless:
                _record_refused(shipment, orphan, "unsupported_operation", "The carrier has no way to void it.")
            continue
        try:
            adapter.cancel(refs.found_ref(shipment, label), "duplicate")
            _record_voided(shipment, orphan)
        except _TEMPORARY as error:
            log.warning("surplus label not voided yet", extra=_orphan_facts(orphan, error=str(error)))
            is_settled = False
        except CarrierError as error:
            _record_refused(shipment, orphan, error.carrier_code, error.carrier_message)
    return is_settled


def _record_voided(shipment: Shipment, orphan: Orphan | None) -> None:
    with transaction.atomic():
        # A label that moved after it was voided stays listed until staff request a lookup.
        rows = Orphan.objects.filter(voided_at=None).exclude(refusal=SCANNED)
        if orphan and rows.filter(id=orphan.id).update(voided_at=timezone.now()):
            events.record(ORPHAN_VOIDED, tenant=shipment.tenant, subject_id=shipment.id, data=_orphan_facts(orphan))


def _record_refused(shipment: Shipment, orphan: Orphan, code: str, message: str) -> None:
    """Record the first refusal to void a label, for operations. Voiding is repeated while the booking is watched."""
    with transaction.atomic():
        if Orphan.objects.filter(id=orphan.id, refusal="").update(refusal=f"{code}: {message}"[:200]):
            data = _orphan_facts(orphan, carrier_code=code)
            log.error("surplus label not voided", extra=data)
            events.record(ORPHAN_NOT_VOIDED, tenant=shipment.tenant, subject_id=shipment.id, data=data)


def _orphan_facts(orphan: Orphan, **more: str) -> dict[str, str]:
    return {"tracking_number": orphan.tracking_number, "reference": orphan.shipment.reference, **more}


def _stop_lookups(shipment: Shipment) -> None:
    settled = (BookingState.BOOKED, BookingState.FAILED)
    rows = Shipment.objects.filter(id=shipment.id, booking_state__in=settled)
    rows.update(reconcile_at=None, updated_at=F("updated_at"))


def _look_up_again(shipment: Shipment, after: timedelta | None) -> None:
    settled = (BookingState.BOOKED, BookingState.NEEDS_REVIEW)
    Shipment.objects.filter(id=shipment.id).exclude(booking_state__in=settled).update(
        reconcile_at=None if after is None else timezone.now() + after, updated_at=F("updated_at")
    )
