"""Webhooks from carriers: verified, stored, parsed and applied.

A verified webhook is stored before it is parsed, so that neither a bug nor a crash loses it. One that names an unknown
shipment waits for that shipment.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from prometheus_client import Counter

from apikeys.db import leases
from apikeys.http import correlation
from apikeys.http.errors import NotAuthenticated, Unavailable
from apikeys.http.text import number_key
from carriers.adapters.registry import ADAPTERS, adapter_class
from carriers.adapters.webhooks import WebhookProof
from carriers.credentials import opening, selection
from carriers.models import Credential
from carriers.types import ReportedScan, WebhookReport
from carriers.types.errors import CredentialUnreadable
from shipping.checkpoints import carrier_reports, polling
from shipping.checkpoints.fold import FINAL
from shipping.common import lookup
from shipping.labels import orphans
from shipping.models import BookingState, Pickup, Shipment
from shipping.pickups import pickups
from webhooks import subscriptions
from webhooks.models import InboundWebhook, UnmatchedNumber

log = logging.getLogger(__name__)
State = InboundWebhook.State
RECEIVED = Counter("carrier_webhooks_received_total", "Carrier webhooks by outcome", ["carrier", "outcome"])
LEASES = leases.Leases(InboundWebhook, lasts=lambda: timedelta(seconds=60))

# A row that is not parsed after this time belongs to a process that was killed.
_ABANDONED = timedelta(seconds=30)
# A row that has failed this often is listed for staff and not processed again.
_MAX_FAILURES = 20
# A webhook with more numbers is listed for staff and not applied: each unknown number becomes a row that waits.
_MAX_NUMBERS = 5_000
# How long an unknown number waits for its shipment.
WAIT_FOR_SHIPMENT = timedelta(days=7)
# A token proves less than a signature: the carrier must confirm a final status. One call serves many events.
_CONFIRM_AFTER = timedelta(seconds=30)
# A shipment is reserved before its carrier can report it. The clocks of our processes may differ by this much.
_CLOCK_SKEW = timedelta(minutes=1)


def reply_to_validation(carrier: str, *, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes] | None:
    """Return status and body of the reply to a carrier's validation call; None: an ordinary webhook, or no carrier."""
    adapter = ADAPTERS.get(carrier.lower())
    return opening.open_without_credential(adapter.slug).webhook_reply(headers, body) if adapter else None


def receive(
    carrier: str, credential_id: uuid.UUID | None, *, headers: Mapping[str, str], body: bytes, key: str = ""
) -> None:
    """Verify, store, parse and apply a carrier's webhook.

    The platform's credentials of both modes may have the same secret. Then the webhook is stored for each of them,
    because either may have booked the shipment.

    Args:
        key: The secret part of the URL, for a carrier whose webhooks carry no proof.

    Raises:
        NotFound: There is no such carrier or credential.
        NotAuthenticated: No credential verifies the webhook.
        Unavailable: A secret that may verify it cannot be decrypted, and no other credential has its shipment. The
            carrier repeats the webhook.
    """
    verified, some_unreadable = verify(carrier, credential_id, headers=headers, body=body, key=key)
    rows = [store(credential, body) for credential in verified]
    for row in rows:
        if row.state != State.RECEIVED:
            continue
        try:
            report = parse(row)
            if report is not None:
                apply(row, report)
        except Exception:  # the worker processes the stored row, so the carrier need not repeat the webhook
            log.exception("webhook stored but not processed", extra={"inbound": str(row.id)})
    unmatched = [row for row in rows if row.state == State.UNMATCHED]
    if unmatched and any(row.state == State.PROCESSED for row in rows):
        # The shipment belongs to another credential, unless this one has purchases without a number yet.
        idle = [row.id for row in unmatched if not lookup.has_unsettled_purchase(row.credential_id, timezone.now())]
        UnmatchedNumber.objects.filter(inbound__in=idle).delete()
        InboundWebhook.objects.filter(id__in=idle).update(state=State.PROCESSED)
    elif unmatched and some_unreadable:  # the shipment may belong to the credential that cannot be decrypted
        raise Unavailable


def process(inbound_id: uuid.UUID) -> str:
    """Parse and apply a stored webhook; return its new state. Processing it again applies nothing twice."""
    row = InboundWebhook.objects.get(id=inbound_id)
    report = parse(row)
    if report is not None:
        apply(row, report)
    return row.state


def process_pending(*, limit: int = 100) -> int:
    """Process webhooks that a killed process left, and those with a shipment or pickup that exists now.

    Returns: the number of processed webhooks, without those that still wait: a pending purchase may have their number.
    """
    abandoned = InboundWebhook.objects.filter(state=State.RECEIVED, received_at__lt=timezone.now() - _ABANDONED)
    ids = []
    for lease in LEASES.claim(abandoned.order_by("id"), limit=limit):
        if lease.fence > _MAX_FAILURES:
            lease.update(state=State.FAILED, error="processing failed each time")
        else:
            ids.append(lease.pk)
    ids += list(dict.fromkeys(_find_matched(limit)))
    processed = 0
    for inbound_id in ids:
        try:
            with correlation.scope():
                processed += process(inbound_id) != State.UNMATCHED
        except Exception:  # one webhook that cannot be processed must not stop the others
            log.exception("webhook stored but not processed", extra={"inbound": str(inbound_id)})
            # From now on its failures are counted.
            InboundWebhook.objects.filter(id=inbound_id, state=State.UNMATCHED).update(state=State.RECEIVED)
    return processed


def verify(
    carrier: str, credential_id: uuid.UUID | None, *, headers: Mapping[str, str], body: bytes, key: str
) -> tuple[list[Credential], bool]:
    """Return the credentials that verify a webhook, and whether there is one that cannot be decrypted.

    Raises: as ``receive``.
    """
    verified, some_unreadable = [], False
    for credential in selection.find_webhook_credentials(carrier, credential_id):
        try:
            adapter = opening.open_adapter(credential)
            if adapter.webhook_proof == WebhookProof.NONE:
                if not constant_time_compare(key, credential.webhook_key):
                    raise NotAuthenticated
            else:
                adapter.verify_webhook(headers=headers, body=body, now=timezone.now())
            verified.append(credential)
        except NotAuthenticated:
            continue
        except CredentialUnreadable:
            some_unreadable = True
    if not verified:
        RECEIVED.labels(carrier=adapter_class(carrier).slug, outcome="refused").inc()
        raise Unavailable if some_unreadable else NotAuthenticated
    RECEIVED.labels(carrier=verified[0].carrier, outcome="verified").inc()
    return verified, some_unreadable


def store(credential: Credential, body: bytes) -> InboundWebhook:
    """Store a body once. For a repeated body, return the first row."""
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


def parse(row: InboundWebhook) -> WebhookReport | None:
    """Return the report in a webhook, or None if it cannot be read. It is then listed with the error."""
    try:
        report = opening.open_without_credential(row.carrier).parse_webhook(bytes(row.body))
        if len({*report.reread, *(scan.tracking_number for scan in report.scans)}) + len(report.pickups) > _MAX_NUMBERS:
            raise ValueError(f"it names more than {_MAX_NUMBERS} shipments and pickups")
        return report
    except Exception as error:  # carriers stop after refusals, so any body is accepted and listed
        log.warning("webhook not readable", extra={"inbound": str(row.id), "error": str(error)})
        _set_state(row, State.FAILED, error=f"{type(error).__name__}: {error}".replace("\0", "")[:2000])
        return None


def apply(row: InboundWebhook, report: WebhookReport) -> None:
    """Apply a report to the shipments and pickups that were booked with the credential; set the row's state.

    The less the webhook proves, the less it may do (``WebhookProof``): its shipments are tracked again instead.
    """
    proof = adapter_class(row.carrier).webhook_proof
    reread = set(report.reread)
    if proof == WebhookProof.NONE:
        reread |= {scan.tracking_number for scan in report.scans}
        report = replace(report, scans=(), pickups=())
    elif report.handshake:
        subscriptions.store_handshake(row.credential_id, *report.handshake)
    unknown = [
        (pickup.carrier_pickup_id, True)
        for pickup in report.pickups
        if not pickups.store_report(row.credential_id, pickup)
    ]
    by_number: dict[str, list[ReportedScan]] = defaultdict(list)
    for scan in report.scans:
        by_number[scan.tracking_number].append(scan)
    numbers = by_number.keys() | reread
    shipment_ids = lookup.resolve_numbers(row.credential_id, numbers, at=row.received_at + _CLOCK_SKEW)
    if reread:
        polling.request({shipment_ids[number] for number in reread if number in shipment_ids})
    to_confirm = set()
    for number in by_number.keys() & shipment_ids.keys():
        shipment_id, reported = shipment_ids[number], by_number[number]
        estimates = [(one.estimated_delivery, one.scan.occurred_at) for one in reported if one.estimated_delivery]
        carrier_reports.store_scans(
            shipment_id,
            [one.scan for one in reported],
            number=number,
            estimates=estimates,
            received_at=row.received_at,
        )
        if proof == WebhookProof.TOKEN and any(one.scan.status in FINAL for one in reported):
            to_confirm.add(shipment_id)
    if to_confirm:
        polling.request(to_confirm, after=_CONFIRM_AFTER)
    unmatched = {number: found for number, found in by_number.items() if number not in shipment_ids}
    if unmatched:
        orphans.report_scans(
            row.credential_id, {name: [one.scan for one in found] for name, found in unmatched.items()}
        )
    unknown += [(number, False) for number in numbers - shipment_ids.keys()]
    state = State.UNMATCHED if unknown else State.PROCESSED
    _set_state(row, state, event_type=report.event_type, unknown=unknown)


def _set_state(
    row: InboundWebhook, state: str, *, event_type: str = "", unknown: Iterable[tuple[str, bool]] = (), error: str = ""
) -> None:
    """Store the result of processing.

    Args:
        unknown: each number without a shipment or pickup, and whether it is a pickup's.
    """
    values = {"state": state, "event_type": event_type[:64], "error": error}
    values |= {"processed_at": timezone.now(), "lease_until": None}
    with transaction.atomic():
        row.numbers.all().delete()
        UnmatchedNumber.objects.bulk_create(
            UnmatchedNumber(
                inbound=row,
                credential_id=row.credential_id,
                tracking_number=number_key(number)[:64],
                is_pickup=is_pickup,
            )
            for number, is_pickup in unknown
        )
        InboundWebhook.objects.filter(id=row.id).update(**values)
    row.state = state


def _find_matched(limit: int) -> list[uuid.UUID]:
    """Return the ids of waiting webhooks that name a booked shipment or a scheduled pickup."""
    booked = Shipment.objects.filter(
        credential_id=OuterRef("credential_id"),
        tracking_number__any_case=OuterRef("tracking_number"),
        booking_state=BookingState.BOOKED,
        created_at__lte=OuterRef("inbound__received_at") + _CLOCK_SKEW,
    )
    parcels = lookup.numbered_parcels().filter(
        tracking_number__any_case=OuterRef("tracking_number"),
        shipment__credential_id=OuterRef("credential_id"),
        shipment__booking_state=BookingState.BOOKED,
        shipment__created_at__lte=OuterRef("inbound__received_at") + _CLOCK_SKEW,
    )
    scheduled = Pickup.objects.filter(
        credential_id=OuterRef("credential_id"), carrier_pickup_id__any_case=OuterRef("tracking_number")
    )
    recent = UnmatchedNumber.objects.filter(inbound__received_at__gt=timezone.now() - WAIT_FOR_SHIPMENT)
    matched = recent.exclude(tracking_number="").filter(
        (Exists(booked) | Exists(parcels)) & Q(is_pickup=False) | Exists(scheduled) & Q(is_pickup=True)
    )
    return list(matched.order_by("id").values_list("inbound_id", flat=True)[:limit])
