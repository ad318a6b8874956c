"""Carriers' webhooks in: verify → keep → parse → hand on.

What was verified is kept before anything reads it, so neither a bug nor a crash loses it; what names a shipment that we
do not know yet waits for it.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apikeys.db import leases
from apikeys.http import correlation
from apikeys.http.errors import NotAuthenticated, Unavailable
from carriers.credentials import opening, selection
from carriers.models import Credential
from carriers.types import ReportedScan
from carriers.types.errors import CredentialUnreadable
from shipping.checkpoints import carrier_reports
from shipping.common import lookup
from shipping.models import BookingState, Pickup, Shipment
from shipping.pickups import pickups
from webhooks.models import InboundWebhook, UnmatchedNumber
from webhooks.models.metrics import RECEIVED

log = logging.getLogger(__name__)
State = InboundWebhook.State

# A row that is still unread after this was left by a killed process.
_ABANDONED = timedelta(seconds=30)
LEASES = leases.Leases(InboundWebhook, lasts=lambda: timedelta(seconds=60))
# A row whose processing fails so often is listed for a person instead.
_MOST_TIMES = 20
# So long is a number that nobody knows looked out for.
WAIT_FOR_SHIPMENT = timedelta(days=7)
# A shipment is reserved before its carrier can tell of it; so far our own clocks may differ.
_AHEAD = timedelta(minutes=1)


def receive(carrier: str, credential_id: uuid.UUID | None, *, headers: Mapping[str, str], body: bytes) -> None:
    """Take a carrier's webhook.

    Raises ``NotFound`` (no such carrier or credential), ``NotAuthenticated``, and ``Unavailable`` where the secret that
    could prove it, or proves it too, cannot be read, so that the carrier repeats it; anything verified is kept.
    """
    proved, is_unreadable = _verified(
        carrier, selection.find_webhook_credentials(carrier, credential_id), headers, body
    )
    # Kept for each before any is read.
    rows = [_keep(credential, body) for credential in proved]
    ended = {row.id: _processed_now(row) for row in rows}
    unmatched = [row for row in rows if ended[row.id] == State.UNMATCHED]
    if unmatched and State.PROCESSED in ended.values():  # it was this account's, so no other waits for its shipment
        idle = [row.id for row in unmatched if not lookup.is_buying(row.credential_id, timezone.now())]
        UnmatchedNumber.objects.filter(inbound__in=idle).delete()
        InboundWebhook.objects.filter(id__in=idle).update(state=State.PROCESSED)
    elif unmatched and is_unreadable:  # it may be that account's
        raise Unavailable


def _processed_now(row: InboundWebhook) -> str:
    if row.state != State.RECEIVED:
        return row.state
    try:
        return process(row.id)
    except Exception:  # kept, so the worker takes it up again; the carrier need not repeat it
        log.exception("webhook kept but not processed", extra={"inbound": str(row.id)})
        return row.state


def process(inbound_id: uuid.UUID) -> str:
    """Read a kept webhook and apply what it says; the state it ends in.

    May be run again at any time: nothing is applied twice.
    """
    row = InboundWebhook.objects.select_related("credential").get(id=inbound_id)
    try:
        news = opening.open_without_credential(row.carrier).parse_webhook(bytes(row.body))
    except Exception as error:  # whatever the carrier sent, it is kept and listed, never refused
        log.warning("webhook not readable", extra={"inbound": str(row.id), "error": str(error)})
        reason = f"{type(error).__name__}: {error}".replace("\0", "")[:2000]
        return _settle(row, State.FAILED, error=reason)
    vans = [one.carrier_pickup_id for one in news.pickups if not pickups.store_report(row.credential_id, one)]
    unknown = [(number, True) for number in vans] + [(number, False) for number in _apply(row, news.scans)]
    return _settle(row, State.UNMATCHED if unknown else State.PROCESSED, event_type=news.event_type, unknown=unknown)


def sweep(*, limit: int = 100) -> int:
    """Take up what a killed process left unread, and what waited for a shipment or pickup that exists now.

    How many rows came further; what waits for other purchases to be settled, which may have its number, does not.
    """
    abandoned = InboundWebhook.objects.filter(state=State.RECEIVED, received_at__lt=timezone.now() - _ABANDONED)
    ids = []
    for lease in LEASES.claim(abandoned.order_by("id"), limit=limit):
        if lease.fence > _MOST_TIMES:
            lease.update(state=State.FAILED, error="processing failed each time")
        else:
            ids.append(lease.pk)
    ids += list(dict.fromkeys(_matched(limit)))
    return sum(map(_process_safely, ids))


def _process_safely(inbound_id: uuid.UUID) -> bool:
    """One webhook that cannot be processed must not keep the others from it."""
    try:
        with correlation.scope():
            return process(inbound_id) != State.UNMATCHED
    except Exception:
        log.exception("webhook kept but not processed", extra={"inbound": str(inbound_id)})
        # One that waited for its shipment is tried again among those whose tries are counted.
        InboundWebhook.objects.filter(id=inbound_id, state=State.UNMATCHED).update(state=State.RECEIVED)
        return False


def _verified(
    carrier: str, candidates: Iterable[Credential], headers: Mapping[str, str], body: bytes
) -> tuple[list[Credential], bool]:
    """Whose secret proves it, and whether there is one that cannot be read.

    Several where the platform's accounts of both modes have one secret. Raises as ``receive`` where none proves it.
    """
    proved, is_unreadable = [], False
    for credential in candidates:
        try:
            opening.open_adapter(credential).verify_webhook(headers=headers, body=body, now=timezone.now())
            proved.append(credential)
        except NotAuthenticated:
            continue
        except CredentialUnreadable:
            is_unreadable = True
    if not proved:
        RECEIVED.labels(carrier=carrier.lower(), outcome="refused").inc()
        raise Unavailable if is_unreadable else NotAuthenticated
    RECEIVED.labels(carrier=proved[0].carrier, outcome="verified").inc()
    return proved, is_unreadable


def _keep(credential: Credential, body: bytes) -> InboundWebhook:
    """Store the body once; a carrier's repetition finds the first row."""
    digest = hashlib.sha256(body).hexdigest()
    try:
        with transaction.atomic():
            return InboundWebhook.objects.create(
                carrier=credential.carrier,
                credential=credential,
                digest=digest,
                body=body,
                correlation_id=correlation.current(),
            )
    except IntegrityError:
        return InboundWebhook.objects.get(credential=credential, digest=digest)


def _apply(row: InboundWebhook, scans: Iterable[ReportedScan]) -> list[str]:
    """Hand scans to the shipments booked with the credential by then; the numbers that have none."""
    by_number: dict[str, list[ReportedScan]] = defaultdict(list)
    for scan in scans:
        by_number[scan.tracking_number].append(scan)
    ids = lookup.holders(row.credential_id, by_number, at=row.received_at + _AHEAD)
    for number, shipment_id in ids.items():
        reported = by_number[number]
        told = [(item.estimated_delivery, item.scan.occurred_at) for item in reported if item.estimated_delivery]
        carrier_reports.store_scans(shipment_id, [item.scan for item in reported], estimates=told)
    return [number for number in by_number if number not in ids]


def _settle(
    row: InboundWebhook, state: str, *, event_type: str = "", unknown: Iterable[tuple[str, bool]] = (), error: str = ""
) -> str:
    """``unknown``: each number that nothing here has, and whether it is a pickup's."""
    with transaction.atomic():
        row.numbers.all().delete()
        UnmatchedNumber.objects.bulk_create(
            UnmatchedNumber(
                inbound=row, credential_id=row.credential_id, tracking_number=number[:64], is_pickup=is_pickup
            )
            for number, is_pickup in unknown
        )
        row.state, row.event_type, row.error = state, event_type[:64], error
        row.processed_at, row.lease_until = timezone.now(), None
        row.save(update_fields=["state", "event_type", "error", "processed_at", "lease_until"])
    return state


def _matched(limit: int) -> list[uuid.UUID]:
    booked = Shipment.objects.filter(
        credential_id=OuterRef("credential_id"),
        tracking_number=OuterRef("tracking_number"),
        booking_state=BookingState.BOOKED,
        created_at__lte=OuterRef("inbound__received_at") + _AHEAD,
    )
    scheduled = Pickup.objects.filter(
        credential_id=OuterRef("credential_id"), carrier_pickup_id=OuterRef("tracking_number")
    ).exclude(carrier_pickup_id="")
    recent = UnmatchedNumber.objects.filter(inbound__received_at__gt=timezone.now() - WAIT_FOR_SHIPMENT)
    there = recent.filter(Exists(booked) & Q(is_pickup=False) | Exists(scheduled) & Q(is_pickup=True))
    return list(there.order_by("id").values_list("inbound_id", flat=True)[:limit])
