"""Collections at the merchant's door: reserved in a commit of their own, then asked of the carrier, like a label."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.access import idempotency
from apikeys.audit import events
from apikeys.db.tenancy import Tenant
from apikeys.http.errors import CannotCancel, Conflict, NotFound, ValidationFailed, WaybillError
from apikeys.http.rendering import rfc3339
from carriers.adapters.registry import adapter_class
from carriers.credentials import opening, selection
from carriers.models import Credential
from carriers.types import BookedPickup, PickupRequest, ReportedPickup, Status
from carriers.types.errors import OutcomeUnknown
from shipping.common import lookup
from shipping.common.conversion import to_address, to_builtins
from shipping.models import BookingState, Pickup, Shipment
from shipping.models.event_types import PICKUP_CANCELLED, PICKUP_COMPLETED, PICKUP_NEEDS_REVIEW, PICKUP_SCHEDULED
from shipping.shipments.lists import within

_LOST_AFTER = timedelta(minutes=10)


def schedule(tenant: Tenant, order: Mapping[str, Any]) -> Pickup:
    """Book a collection for a validated order (``PickupRequestSerializer``).

    Gives it scheduled, or in ``needs_review`` when the carrier did not answer: no look-up could tell, and booking again
    could send two vans. Booked with the account of the shipments (also the platform's, where the merchant's own has
    been switched off since: what is booked is to be collected), else with the one that orders use. Raises
    ``ValidationFailed`` naming a shipment that is unknown or of another account, and the carrier's refusal.
    """
    kind, names = adapter_class(order["carrier"]), order["shipment_ids"]
    found = lookup.find_many(tenant, names, carrier=kind.slug)
    credential = _account(tenant, [found[name] for name in names if name in found])
    credential = credential or selection.select_credential(tenant, order["carrier"])
    opening.open_adapter(credential).need("schedule_pickup")
    shipments = _shipments(credential, names, found)
    pickup = _reserve(tenant, credential, order, shipments)
    adapter = opening.open_adapter(credential, merchant_id=tenant.merchant_id, subject_id=pickup.id)
    try:
        booked = adapter.schedule_pickup(_request(pickup, order, shipments))
    except OutcomeUnknown as error:
        return _settle(pickup.id, Pickup.State.NEEDS_REVIEW, error)
    except WaybillError as error:
        _settle(pickup.id, Pickup.State.FAILED, error)
        raise
    try:
        return _store(pickup.id, booked)
    except IntegrityError:
        error = OutcomeUnknown(
            carrier=adapter.name,
            carrier_message=_("The carrier gave the id of another pickup: %s") % booked.carrier_pickup_id,
        )
        return _settle(pickup.id, Pickup.State.NEEDS_REVIEW, error)


def find(tenant: Tenant, name: str) -> Pickup:
    """By our id, the carrier's or the confirmation number. Raises ``NotFound``."""
    rows = with_shipments(Pickup.objects.of(tenant))
    row = rows.filter(id=uuid.UUID(name)).first() if lookup.is_id(name) else None
    row = row or rows.filter(Q(carrier_pickup_id=name) | Q(confirmation_number=name)).first()
    if row is None:
        raise NotFound
    return row


def listed(tenant: Tenant, asked: Mapping[str, Any]) -> QuerySet[Pickup]:
    """The merchant's collections by ``status carrier scheduled_from scheduled_to``.

    Raises ``ValidationFailed`` for an unknown carrier.
    """
    rows = with_shipments(Pickup.objects.of(tenant))
    if "status" in asked:
        rows = rows.filter(state=asked["status"])
    if "carrier" in asked:
        rows = rows.filter(carrier=adapter_class(asked["carrier"]).slug)
    return rows.filter(*within("scheduled_date", asked.get("scheduled_from"), asked.get("scheduled_to")))


def with_shipments(rows: QuerySet[Pickup]) -> QuerySet[Pickup]:
    """The same rows with the ids of what they collect, in one query more however many they are."""
    return rows.prefetch_related(Prefetch("shipments", Shipment.objects.only("id")))


def cancel(tenant: Tenant, name: str, *, reason: str) -> Pickup:
    """Call a collection off at its carrier; asking again gives the same cancellation.

    Raises ``NotFound``, ``CannotCancel`` for one that is over, ``Conflict`` for one that the carrier has not confirmed,
    and the carrier's refusal.
    """
    pickup = find(tenant, name)
    if pickup.state == Pickup.State.CANCELLED:
        return pickup
    if pickup.state in (Pickup.State.COMPLETED, Pickup.State.FAILED):
        raise CannotCancel(_("The pickup is %s already.") % pickup.state)
    if pickup.state != Pickup.State.SCHEDULED:
        raise Conflict(_("The carrier has not confirmed this pickup yet."))
    adapter = opening.open_adapter(pickup.credential, merchant_id=tenant.merchant_id, subject_id=pickup.id)
    adapter.need("cancel_pickup")
    _store_cancellation(pickup.id, adapter.cancel_pickup(pickup.carrier_pickup_id, reason), reason)
    row = find(tenant, str(pickup.id))
    if row.state == Pickup.State.COMPLETED:  # the van came meanwhile
        raise CannotCancel(_("The pickup is %s already.") % row.state)
    return row


def report(credential_id: uuid.UUID, news: ReportedPickup) -> bool:
    """What a carrier's webhook says of a collection; False when it is none of this credential's."""
    with transaction.atomic():
        row = (
            Pickup.objects.select_for_update()
            .filter(credential_id=credential_id, carrier_pickup_id=news.carrier_pickup_id)
            .first()
        )
        if row is None:
            return False
        _keep_details(row, news)
        if news.status == Pickup.State.COMPLETED and row.state != Pickup.State.COMPLETED:
            row.state, row.completed_at = Pickup.State.COMPLETED, news.occurred_at
            row.save(update_fields=["state", "completed_at"])
            events.record(PICKUP_COMPLETED, tenant=row.tenant, subject_id=row.id, data=facts(row))
        return True


def _keep_details(row: Pickup, news: ReportedPickup) -> None:
    """What the carrier tells beside the state: the latest event of each kind, in whatever order they come."""
    told = row.carrier_details.get("events", {})
    before = told.get(news.status)
    if before and datetime.fromisoformat(before["occurred_at"]) > news.occurred_at:
        return
    event = to_builtins(news.details) | {"occurred_at": rfc3339(news.occurred_at)}
    row.carrier_details = row.carrier_details | {"events": told | {news.status: event}}
    row.save(update_fields=["carrier_details"])


def review_lost(*, limit: int = 100) -> int:
    """Collections whose request died before the carrier's answer was stored go to a person; how many."""
    lost = Pickup.objects.filter(state=Pickup.State.PENDING, created_at__lt=timezone.now() - _LOST_AFTER)
    rows = list(lost.order_by("created_at")[:limit])
    for row in rows:
        text = _("The request ended before the carrier's answer was stored.")
        error = OutcomeUnknown(carrier=adapter_class(row.carrier).name, carrier_message=text)
        _settle(row.id, Pickup.State.NEEDS_REVIEW, error)
    return len(rows)


def fail(pickup: Pickup, error: WaybillError) -> None:
    """A pickup that nobody could explain was not booked."""
    _settle(pickup.id, Pickup.State.FAILED, error)


def facts(pickup: Pickup) -> dict[str, object]:
    """What an event says of a pickup."""
    return {
        "pickup_id": str(pickup.id),
        "carrier": adapter_class(pickup.carrier).name,
        "confirmation_number": pickup.confirmation_number,
        "status": pickup.state,
        "scheduled_date": rfc3339(pickup.scheduled_date),
        "shipment_ids": [str(value) for value in pickup.shipments.values_list("id", flat=True)],
    }


def _account(tenant: Tenant, shipments: Iterable[Shipment]) -> Credential | None:
    """Of the shipments, where it still takes orders; the carrier tells of a pickup to the account that booked it."""
    booked = (row.credential for row in shipments if row.booking_state == BookingState.BOOKED)
    return next((account for account in booked if selection.accepts_orders(account, tenant)), None)


def _shipments(credential: Credential, names: Sequence[str], found: Mapping[str, Shipment]) -> list[Shipment]:
    """What is to be collected, each once, however often and by whichever name it is listed."""
    holders = lookup.holders(credential.id, [row.tracking_number for row in found.values()])
    reasons = {number: _uncollectable(found.get(name), credential, holders) for number, name in enumerate(names)}
    problems = {f"shipment_ids[{number}]": [reason] for number, reason in reasons.items() if reason}
    if problems:
        raise ValidationFailed(details=problems)
    return list({found[name].id: found[name] for name in names}.values())


def _uncollectable(shipment: Shipment | None, credential: Credential, holders: Mapping[str, uuid.UUID]) -> str:
    if shipment is None:
        return _("No shipment of this carrier has this id or tracking number.")
    if shipment.booking_state != BookingState.BOOKED:
        return _("This shipment is not booked.")
    if shipment.credential_id != credential.id:  # the carrier's news of the pickup would not reach it
        return _("Booked with another account than this pickup, which collects only what its own account booked.")
    if holders.get(shipment.tracking_number) != shipment.id:
        return _("The carrier has given this tracking number to another parcel since.")
    return _("This shipment is cancelled.") if shipment.status == Status.CANCELLED else ""


def _reserve(tenant: Tenant, credential: Credential, order: Mapping[str, Any], shipments: Sequence[Shipment]) -> Pickup:
    with transaction.atomic():
        pickup = Pickup.objects.create(
            merchant_id=tenant.merchant_id,
            mode=tenant.mode,
            store_id=tenant.store_id,
            carrier=credential.carrier,
            credential=credential,
            scheduled_date=order["pickup_date"].at,
            window_start=order["pickup_window_start"],
            window_end=order["pickup_window_end"],
            address=to_builtins(order["address"]),
            packages_count=order["packages_count"],
            total_weight_kg=order.get("total_weight_kg"),
            request=to_builtins(order),
        )
        pickup.shipments.set(shipments)
        idempotency.bind(pickup.id)
    return pickup


def _request(pickup: Pickup, order: Mapping[str, Any], shipments: Sequence[Shipment]) -> PickupRequest:
    contact = {name: order.get(name, "") for name in ("contact_name", "contact_phone", "contact_email")}
    weight = order.get("total_weight_kg")
    return PickupRequest(
        reference=str(pickup.id),
        pickup_date=pickup.scheduled_date,
        window_start=pickup.window_start,
        window_end=pickup.window_end,
        address=to_address(order["address"] | {name: text for name, text in contact.items() if text}),
        packages_count=pickup.packages_count,
        total_weight_kg=None if weight is None else Decimal(weight),
        special_instructions=order.get("special_instructions", ""),
        tracking_numbers=tuple(shipment.tracking_number for shipment in shipments),
    )


def _store(pickup_id: uuid.UUID, booked: BookedPickup) -> Pickup:
    with transaction.atomic():
        row = Pickup.objects.select_for_update().get(id=pickup_id)
        row.state = Pickup.State.SCHEDULED
        row.carrier_pickup_id, row.confirmation_number = booked.carrier_pickup_id, booked.confirmation_number
        row.scheduled_date = booked.scheduled_date
        row.window_start, row.window_end = booked.window_start[:5], booked.window_end[:5]
        row.carrier_details = to_builtins(booked.extras)
        row.save()
        events.record(PICKUP_SCHEDULED, tenant=row.tenant, subject_id=row.id, data=facts(row))
    return row


def _store_cancellation(pickup_id: uuid.UUID, at: datetime, reason: str) -> None:
    """A van that came all the same stays a fact."""
    with transaction.atomic():
        row = Pickup.objects.select_for_update().get(id=pickup_id)
        if row.state != Pickup.State.SCHEDULED:
            return
        row.state, row.cancelled_at, row.cancel_reason = Pickup.State.CANCELLED, at, reason
        row.save(update_fields=["state", "cancelled_at", "cancel_reason"])
        events.record(PICKUP_CANCELLED, tenant=row.tenant, subject_id=row.id, data=facts(row))


def _settle(pickup_id: uuid.UUID, state: str, error: WaybillError) -> Pickup:
    with transaction.atomic():
        row = Pickup.objects.select_for_update().get(id=pickup_id)
        if row.state not in (Pickup.State.PENDING, Pickup.State.NEEDS_REVIEW):
            return row
        row.state, row.failure = state, error.body()
        row.save(update_fields=["state", "failure"])
        if state == Pickup.State.NEEDS_REVIEW:
            events.record(PICKUP_NEEDS_REVIEW, tenant=row.tenant, subject_id=row.id, data={"error": error.code})
    return row
