"""Subscriptions at carriers: created for booked shipments, renewed until they are final, then ended.

A subscription only makes reports faster: a shipment without one, or with a lost one, is polled.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from apikeys.db.crypto import Undecryptable
from apikeys.db.leases import Lease, Leases
from apikeys.http import correlation
from apikeys.models import Event
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import adapter_class
from carriers.credentials import opening
from carriers.types import Subscription
from carriers.types.errors import CarrierError
from shipping.checkpoints.fold import FINAL
from shipping.models import Shipment
from shipping.models.event_types import SHIPMENT_BOOKED
from webhooks.models import CarrierSubscription

log = logging.getLogger(__name__)
State = CarrierSubscription.State
# Longer than the calls of one round can take.
LEASES = Leases(CarrierSubscription, lasts=lambda: timedelta(minutes=10))
_RENEW_BEFORE = timedelta(days=1)
_RETRY_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 15, 60, 6 * 60, 24 * 60))
_MAX_NUMBERS_AT_ONCE = 200


def create_for_bookings(published: Iterable[Event]) -> None:
    """Create the subscriptions of booked shipments. The caller's transaction deletes the events' outbox rows."""
    booked = [event.subject_id for event in published if event.type == SHIPMENT_BOOKED.name]
    if not booked or not settings.CARRIER_CALLBACK_URL:
        return
    shipments = Shipment.objects.filter(id__in=booked).select_related("credential").prefetch_related("parcels")
    wanted = []
    for shipment in shipments:
        adapter = adapter_class(shipment.carrier)
        if "subscribe" not in adapter.capabilities():
            continue
        if not adapter.numbers_per_subscription:
            wanted.append(CarrierSubscription(credential=shipment.credential))
            continue
        numbers = {parcel.tracking_number for parcel in shipment.parcels.all()} - {""} or {shipment.tracking_number}
        wanted += [
            CarrierSubscription(credential=shipment.credential, shipment=shipment, number=number)
            for number in sorted(numbers)
        ]
    CarrierSubscription.objects.bulk_create(wanted, ignore_conflicts=True)


def store_handshake(credential_id: uuid.UUID, carrier_id: str, secret: str) -> None:
    """Store the secret that a carrier has sent to activate a subscription. The worker activates it.

    Raises: ``LookupError`` if a worker is subscribing: the subscription's id may not be stored yet.
    """
    own = CarrierSubscription.objects.filter(credential_id=credential_id)
    if not own.filter(carrier_id=carrier_id).exists() and own.filter(LEASES.running()).exists():
        raise LookupError("the subscription is not stored yet")
    for row in own.filter(carrier_id=carrier_id, state=State.WANTED):
        row.secret, row.state, row.due_at = secret, State.TO_ACTIVATE, timezone.now()
        row.save(update_fields=["secret", "state", "due_at"])


def run_due(*, limit: int = _MAX_NUMBERS_AT_ONCE) -> int:
    """Subscribe, activate, renew and end what is due. Returns: the number of rows. A worker task."""
    due = CarrierSubscription.objects.filter(due_at__lte=timezone.now()).order_by("due_at")
    leases = {lease.pk: lease for lease in LEASES.claim(due, limit=limit)}
    rows = CarrierSubscription.objects.filter(id__in=leases).select_related("credential", "shipment")
    by_credential = defaultdict(list)
    for row in rows:
        by_credential[row.credential_id].append(row)
    for group in by_credential.values():
        with correlation.scope():
            try:
                _act(group, leases)
            except Exception:  # one credential must not stop the others; its rows are due again after their lease
                log.exception("subscriptions failed", extra={"credential": str(group[0].credential_id)})
    return len(leases)


def _act(rows: list[CarrierSubscription], leases: dict[uuid.UUID, Lease]) -> None:
    credential = rows[0].credential
    try:
        adapter = opening.open_adapter(credential)
    except CarrierError as error:
        for row in rows:
            _store_failure(row, leases[row.id], error)
        return
    to_subscribe = []
    for row in rows:
        if row.state == State.TO_ACTIVATE:
            _activate(adapter, row, leases[row.id])
        elif row.shipment and _is_over(row.shipment):
            _end(adapter, row, leases[row.id])
        else:
            to_subscribe.append(row)
    size = adapter.numbers_per_subscription or 1
    for start in range(0, len(to_subscribe), size):
        _subscribe(adapter, to_subscribe[start : start + size], leases)


def _is_over(shipment: Shipment) -> bool:
    return shipment.status in FINAL or timezone.now() - shipment.created_at > settings.POLL_GIVE_UP


def _subscribe(adapter: CarrierAdapter, rows: list[CarrierSubscription], leases: dict[uuid.UUID, Lease]) -> None:
    credential = rows[0].credential
    try:
        confirmed = adapter.subscribe(
            [row.number for row in rows if row.number], credential.webhook_url, adapter.fields.get("webhook_token", "")
        )
    except CarrierError as error:
        for row in rows:
            _store_failure(row, leases[row.id], error)
        return
    by_number = {number: one for one in confirmed for number in one.numbers or ("",)}
    for row in rows:
        _store_confirmation(row, leases[row.id], by_number.get(row.number))


def _store_confirmation(row: CarrierSubscription, lease: Lease, confirmed: Subscription | None) -> None:
    if confirmed is None:  # such as a number of the carrier's test environment
        lease.release(state=State.FAILED, error="The carrier did not confirm this number.", due_at=None)
        return
    # A carrier with a handshake activates the subscription later.
    is_active = "activate" not in adapter_class(row.credential.carrier).capabilities()
    lease.release(
        carrier_id=confirmed.carrier_id[:100],
        state=State.ACTIVE if is_active else State.WANTED,
        expires_at=confirmed.expires_at,
        due_at=_renew_at(confirmed.expires_at),
        failures=0,
        error="",
    )


def _renew_at(expires_at: datetime | None) -> datetime | None:
    """Return when to renew: a day before the expiry, or at half of a shorter life."""
    if expires_at is None:
        return None
    now = timezone.now()
    return max(expires_at - _RENEW_BEFORE, now + (expires_at - now) / 2)


def _activate(adapter: CarrierAdapter, row: CarrierSubscription, lease: Lease) -> None:
    numbers = (row.number,) if row.number else ()
    try:
        subscription = Subscription(carrier_id=row.carrier_id, numbers=numbers, expires_at=row.expires_at)
        adapter.activate(subscription, row.secret or "")
    except (CarrierError, Undecryptable) as error:
        _store_failure(row, lease, error)
        return
    lease.release(state=State.ACTIVE, due_at=_renew_at(row.expires_at), failures=0, error="")


def _end(adapter: CarrierAdapter, row: CarrierSubscription, lease: Lease) -> None:
    """End a subscription at the carrier, unless other shipments share it or it has expired."""
    same = CarrierSubscription.objects.filter(credential_id=row.credential_id, carrier_id=row.carrier_id)
    is_shared = same.exclude(id=row.id).exclude(state__in=[State.ENDED, State.FAILED]).exists()
    is_running = row.carrier_id and (row.expires_at is None or row.expires_at > timezone.now())
    if is_running and not is_shared and "unsubscribe" in adapter.capabilities():
        try:
            adapter.unsubscribe(Subscription(carrier_id=row.carrier_id, numbers=(row.number,) if row.number else ()))
        except CarrierError as error:
            _store_failure(row, lease, error)
            return
    lease.release(state=State.ENDED, due_at=None, error="")


def _store_failure(row: CarrierSubscription, lease: Lease, error: Exception) -> None:
    text = f"{error} {getattr(error, 'carrier_message', '')}".strip()[:300]
    log.warning("subscription failed", extra={"subscription": str(row.id), "error": text})
    # That of a whole credential is never given up: no later booking would create another one.
    if row.shipment_id and row.failures >= len(_RETRY_AFTER):
        lease.release(state=State.FAILED, error=text, due_at=None)
        return
    failures = min(row.failures + 1, len(_RETRY_AFTER))
    lease.release(failures=failures, error=text, due_at=timezone.now() + _RETRY_AFTER[failures - 1])
