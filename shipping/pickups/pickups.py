"""Pickups (collections) at carriers: reserve a row in its own commit, then call the carrier, as for a label."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from datetime import timezone as timezone_class
from typing import Any
from zoneinfo import ZoneInfo

from babel.core import get_global
from django.db import IntegrityError, transaction
from django.db.models import F, Prefetch, QuerySet
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.access import idempotency
from apikeys.audit import events
from apikeys.db.tenancy import Mode, Tenant
from apikeys.http.errors import CannotCancel, Conflict, NotFound, ValidationFailed, WaybillError
from apikeys.http.rendering import rfc3339
from apikeys.http.text import number_key
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import adapter_class
from carriers.credentials import opening, selection
from carriers.models import Credential
from carriers.types import BookedPickup, ReportedPickup, Status, is_suspect_time
from carriers.types.errors import CarrierError, OutcomeUnknown
from shipping.common import lookup, refs
from shipping.common.conversion import to_builtins
from shipping.common.event_data import pickup_facts
from shipping.common.input_warnings import Warning_
from shipping.models import BookingState, Pickup, Shipment
from shipping.models.event_types import PICKUP_CANCELLED, PICKUP_COMPLETED, PICKUP_NEEDS_REVIEW, PICKUP_SCHEDULED
from shipping.shipments.lists import build_range_filters

log = logging.getLogger(__name__)
_INTERRUPTED_AFTER = timedelta(minutes=10)
_OPEN = (Pickup.State.PENDING, Pickup.State.SCHEDULED, Pickup.State.NEEDS_REVIEW)
# Where each day ends last, for countries without known zones.
_LAST_ZONE = timezone_class(timedelta(hours=-12))


def schedule(tenant: Tenant, order: Mapping[str, Any]) -> tuple[Pickup, list[Warning_]]:
    """Schedule a pickup for a validated ``PickupRequestSerializer``.

    Returns: the pickup, ``scheduled``, or ``needs_review`` if the carrier did not answer and the pickup is not found
    there: a second booking could send two drivers. With a test key also warnings about what a live key is refused
    for: a date in the past, and shipments that are in an open pickup already.
    Raises: ``ValidationFailed`` naming the date, or each shipment that is unknown or of another credential;
    ``Conflict`` naming the open pickup; the carrier's refusal.
    """
    warnings = list(_check_date(tenant, order))
    kind, names = adapter_class(order["carrier"]), order["shipment_ids"]
    found = lookup.find_shipments(tenant, names, carrier=kind.slug)
    # The carrier reports a pickup to the credential that booked it, so that of the shipments comes first. It may be the
    # platform's, if the merchant's own was switched off since: what is booked must be collected.
    booked = [found[name] for name in names if name in found and found[name].booking_state == BookingState.BOOKED]
    usable = (row.credential for row in booked if selection.accepts_orders(row.credential, tenant))
    credential = next(usable, None) or selection.select_credential(tenant, order["carrier"])
    opening.open_adapter(credential).need("schedule_pickup")
    shipments = check_shipments(credential, names, found)
    pickup, repeated = _reserve(tenant, credential, order, shipments)
    warnings += repeated
    adapter = opening.open_adapter(credential, merchant_id=tenant.merchant_id, subject_id=pickup.id)
    try:
        confirmed = adapter.schedule_pickup(refs.pickup_request(pickup, shipments))
    except OutcomeUnknown as error:
        confirmed = _find_booked(adapter, pickup, shipments)
        if confirmed is None:
            return _end_request(pickup.id, Pickup.State.NEEDS_REVIEW, error), warnings
    except WaybillError as error:
        mark_failed(pickup, error)
        raise
    try:
        return _store_confirmation(pickup.id, confirmed, order["pickup_date"].local), warnings
    except IntegrityError:
        error = OutcomeUnknown(
            carrier=adapter.name,
            carrier_message=_("The carrier gave the id of another pickup: %s") % confirmed.carrier_pickup_id,
        )
        return _end_request(pickup.id, Pickup.State.NEEDS_REVIEW, error), warnings


def get_pickup(tenant: Tenant, name: str) -> Pickup:
    """Return a pickup by our id, the carrier's or the confirmation number. Raises ``NotFound``."""
    rows = prefetch_shipments(Pickup.objects.of(tenant))
    row = rows.filter(id=uuid.UUID(name)).first() if lookup.is_id(name) else None
    for column in ("carrier_pickup_id", "confirmation_number"):
        row = row or _select_named(rows, column, name).first()
    if row is None:
        raise NotFound
    return row


def filter_pickups(tenant: Tenant, filters: Mapping[str, Any]) -> QuerySet[Pickup]:
    """Select the merchant's pickups by ``status carrier scheduled_from scheduled_to``.

    Raises ``ValidationFailed`` for an unknown carrier.
    """
    rows = prefetch_shipments(Pickup.objects.of(tenant))
    if "status" in filters:
        rows = rows.filter(state=filters["status"])
    if "carrier" in filters:
        rows = rows.filter(carrier=adapter_class(filters["carrier"]).slug)
    since, until = filters.get("scheduled_from"), filters.get("scheduled_to")
    days = {"gte": since, "lte": until}
    rows = rows.filter(**{f"scheduled_day__{end}": one.day for end, one in days.items() if one and one.is_day})
    times = (None if one and one.is_day else one for one in (since, until))
    return rows.filter(*build_range_filters("scheduled_date", *times))


def prefetch_shipments(rows: QuerySet[Pickup]) -> QuerySet[Pickup]:
    """Load the ids of the pickups' shipments with one more query."""
    return rows.prefetch_related(Prefetch("shipments", Shipment.objects.only("id")))


def cancel(tenant: Tenant, name: str, *, reason: str) -> Pickup:
    """Cancel a pickup at its carrier. A repeated call returns the same cancellation.

    Raises ``NotFound``, ``CannotCancel`` (completed or failed), ``Conflict`` (not confirmed by the carrier) and the
    carrier's refusal.
    """
    pickup = get_pickup(tenant, name)
    if pickup.state == Pickup.State.CANCELLED:
        return pickup
    if pickup.state in (Pickup.State.COMPLETED, Pickup.State.FAILED):
        raise CannotCancel(_("The pickup is %s already.") % pickup.state)
    if pickup.state != Pickup.State.SCHEDULED:
        raise Conflict(_("The carrier has not confirmed this pickup yet."))
    adapter = opening.open_adapter(pickup.credential, merchant_id=tenant.merchant_id, subject_id=pickup.id)
    adapter.need("cancel_pickup")
    _store_cancellation(pickup.id, adapter.cancel_pickup(refs.pickup_ref(pickup), reason), reason)
    row = get_pickup(tenant, str(pickup.id))
    if row.state == Pickup.State.COMPLETED:  # reported while the carrier was called
        raise CannotCancel(_("The pickup is %s already.") % row.state)
    return row


def store_report(credential_id: uuid.UUID, report: ReportedPickup) -> bool:
    """Store a carrier's webhook about a pickup. Returns False if the credential has no such pickup."""
    with transaction.atomic():
        rows = Pickup.objects.select_for_update().filter(credential_id=credential_id)
        row = _select_named(rows, "carrier_pickup_id", report.carrier_pickup_id).first()
        if row is None:
            return False
        if is_suspect_time(report.occurred_at, booked_at=row.created_at, received_at=timezone.now()):
            report = replace(report, occurred_at=timezone.now())
        _store_details(row, report)
        if report.status == Pickup.State.COMPLETED and row.state != Pickup.State.COMPLETED:
            row.state, row.completed_at = Pickup.State.COMPLETED, report.occurred_at
            row.save(update_fields=["state", "completed_at"])
            events.record(PICKUP_COMPLETED, tenant=row.tenant, subject_id=row.id, data=pickup_facts(row))
        return True


def review_interrupted(*, limit: int = 100) -> int:
    """Move pickups whose request ended before the carrier's answer was stored to review. Returns their number."""
    interrupted = Pickup.objects.filter(state=Pickup.State.PENDING, created_at__lt=timezone.now() - _INTERRUPTED_AFTER)
    rows = list(interrupted.order_by("created_at")[:limit])
    for row in rows:
        if _confirm_interrupted(row):
            continue
        text = _("The request ended before the carrier's answer was stored.")
        error = OutcomeUnknown(carrier=adapter_class(row.carrier).name, carrier_message=text)
        _end_request(row.id, Pickup.State.NEEDS_REVIEW, error)
    return len(rows)


def _confirm_interrupted(row: Pickup) -> bool:
    """Store the carrier's pickup of an interrupted request. Returns whether it was found."""
    try:
        adapter = opening.open_adapter(row.credential, merchant_id=row.merchant_id, subject_id=row.id)
        if confirmed := _find_booked(adapter, row, list(row.shipments.order_by("id"))):
            _store_confirmation(row.id, confirmed, refs.pickup_request(row, []).pickup_date)
        return confirmed is not None
    except (CarrierError, IntegrityError) as error:
        log.warning("interrupted pickup not confirmed", extra={"pickup": str(row.id), "error": str(error)})
        return False


def _find_booked(adapter: CarrierAdapter, pickup: Pickup, shipments: Sequence[Shipment]) -> BookedPickup | None:
    """Return the pickup that the carrier booked without an answer; None if it is not certain which one that is."""
    if "find_pickups" not in adapter.capabilities():
        return None
    try:
        found = adapter.find_pickups(refs.pickup_request(pickup, shipments))
    except CarrierError as error:
        log.warning("pickup not looked up", extra={"pickup": str(pickup.id), "error": str(error)})
        return None
    rows = Pickup.objects.filter(credential=pickup.credential)
    known = set(rows.values_list("carrier_pickup_id", flat=True)) if found else set()
    new = [one for one in found if one.carrier_pickup_id not in known]
    return new[0] if len(new) == 1 else None


def mark_failed(pickup: Pickup, error: WaybillError) -> None:
    """Store that the carrier did not book a pickup."""
    _end_request(pickup.id, Pickup.State.FAILED, error)


def _select_named(rows: QuerySet[Pickup], column: str, name: str) -> QuerySet[Pickup]:
    """Select the pickups with a name in any case and with or without blanks, the same spelling first.

    The merchants of a shared credential may have pickups whose ids differ in case only.
    """
    cleaned = lookup.clean_name(name)
    named = rows.filter(**{f"{column}__any_case_in": {cleaned, number_key(name)} - {""}})
    return named.order_by(Exact(F(column), cleaned).desc(), "-id")


def check_shipments(credential: Credential, names: Sequence[str], found: Mapping[str, Shipment]) -> list[Shipment]:
    """Return the shipments to collect, each once; ``names`` may name one several times."""
    holders = lookup.resolve_numbers(credential.id, [row.tracking_number for row in found.values()])
    reasons = {number: _refusal_reason(name, found.get(name), credential, holders) for number, name in enumerate(names)}
    problems = {f"shipment_ids[{number}]": [reason] for number, reason in reasons.items() if reason}
    if problems:
        raise ValidationFailed(details=problems)
    return list({found[name].id: found[name] for name in names}.values())


def _refusal_reason(
    name: str, shipment: Shipment | None, credential: Credential, holders: Mapping[str, uuid.UUID]
) -> str:
    """Return why a shipment cannot be collected; empty if it can."""
    if shipment is None and not lookup.is_id(name) and not adapter_class(credential.carrier).is_number(name):
        return _("Invalid tracking number format")
    if shipment is None:
        return _("No shipment of this carrier has this id or tracking number.")
    if shipment.booking_state != BookingState.BOOKED:
        return _("This shipment is not booked.")
    if shipment.credential_id != credential.id:  # the carrier's report of the pickup would not reach it
        return _(
            "This shipment was booked with another credential. A pickup collects only shipments of its own credential."
        )
    if holders.get(shipment.tracking_number) != shipment.id:
        return _("The carrier has given this tracking number to another parcel since.")
    return _("This shipment is cancelled.") if shipment.status == Status.CANCELLED else ""


def _check_date(tenant: Tenant, order: Mapping[str, Any]) -> Iterator[Warning_]:
    """Check that the pickup's day has not ended where the parcels are.

    A country may have several zones: the one where the day is earliest counts.
    """
    country = order["address"]["country"]
    zones = [ZoneInfo(name) for name, territory in get_global("zone_territories").items() if territory == country]
    today = min(timezone.now().astimezone(zone).date() for zone in zones or [_LAST_ZONE])
    if order["pickup_date"].day < today:
        text = _("This day is in the past.")
        if tenant.mode == Mode.LIVE:
            raise ValidationFailed(details={"pickup_date": [text]})
        yield {"field": "pickup_date", "code": "date_in_past", "message": text}


def _check_open_pickups(tenant: Tenant, order: Mapping[str, Any], shipments: Sequence[Shipment]) -> Iterator[Warning_]:
    """Check that no other pickup is going to collect the shipments. The caller has locked them."""
    recent = timezone.now() - timedelta(days=1)
    open_rows = Pickup.objects.filter(shipments__in=shipments, state__in=_OPEN, scheduled_date__gte=recent)
    first = open_rows.order_by("id").first()
    if first is None or order["additional"]:
        return
    text = _("A shipment is in an open pickup already. Send additional: true to book another one.")
    if tenant.mode == Mode.LIVE:
        raise Conflict(text, details={"shipment_ids": [text], "pickup_id": [str(first.id)]})
    yield {"field": "shipment_ids", "code": "already_in_pickup", "message": f"{text} ({first.id})"}


def _reserve(
    tenant: Tenant, credential: Credential, order: Mapping[str, Any], shipments: Sequence[Shipment]
) -> tuple[Pickup, list[Warning_]]:
    with transaction.atomic():
        ids = [row.id for row in shipments]
        list(Shipment.objects.select_for_update().filter(id__in=ids).order_by("id").values_list("id"))
        warnings = list(_check_open_pickups(tenant, order, shipments))
        pickup = Pickup.objects.create(
            merchant_id=tenant.merchant_id,
            mode=tenant.mode,
            store_id=tenant.store_id,
            carrier=credential.carrier,
            credential=credential,
            scheduled_date=order["pickup_date"].at,
            scheduled_day=order["pickup_date"].day,
            window_start=order["pickup_window_start"],
            window_end=order["pickup_window_end"],
            address=to_builtins(order["address"]),
            packages_count=order["packages_count"],
            total_weight_kg=order.get("total_weight_kg"),
            request=to_builtins(order),
        )
        pickup.shipments.set(shipments)
        idempotency.bind(pickup.id)
    return pickup, warnings


def _local_day(confirmed: datetime, requested: datetime) -> date:
    """Return the calendar day of a confirmed pickup, which the carrier may report in UTC."""
    is_bare_date = confirmed.time() == time.min
    if confirmed == requested or (not is_bare_date and not confirmed.utcoffset()):
        return confirmed.astimezone(requested.tzinfo).date()
    return confirmed.date()


def _store_confirmation(pickup_id: uuid.UUID, confirmed: BookedPickup, requested: datetime) -> Pickup:
    with transaction.atomic():
        row = Pickup.objects.select_for_update().get(id=pickup_id)
        row.state, row.pending_reason = Pickup.State.SCHEDULED, None
        row.carrier_pickup_id, row.confirmation_number = confirmed.carrier_pickup_id, confirmed.confirmation_number
        row.scheduled_date = confirmed.scheduled_date
        row.scheduled_day = _local_day(confirmed.scheduled_date, requested)
        row.window_start, row.window_end = confirmed.window_start[:5], confirmed.window_end[:5]
        row.carrier_details = to_builtins(confirmed.extras)
        row.carrier_state = to_builtins(confirmed.carrier_state) or None
        row.save()
        events.record(PICKUP_SCHEDULED, tenant=row.tenant, subject_id=row.id, data=pickup_facts(row))
    return row


def _store_cancellation(pickup_id: uuid.UUID, at: datetime, reason: str) -> None:
    with transaction.atomic():
        row = Pickup.objects.select_for_update().get(id=pickup_id)
        if row.state != Pickup.State.SCHEDULED:  # a pickup that the carrier completed stays completed
            return
        row.state, row.cancelled_at, row.cancel_reason = Pickup.State.CANCELLED, at, reason
        row.save(update_fields=["state", "cancelled_at", "cancel_reason"])
        events.record(PICKUP_CANCELLED, tenant=row.tenant, subject_id=row.id, data=pickup_facts(row))


def _store_details(row: Pickup, report: ReportedPickup) -> None:
    """Keep the details of the latest report of each status; reports may arrive in any order."""
    stored = row.carrier_details.get("events", {})
    earlier = stored.get(report.status)
    if earlier and datetime.fromisoformat(earlier["occurred_at"]) > report.occurred_at:
        return
    event = to_builtins(report.details) | {"occurred_at": rfc3339(report.occurred_at)}
    row.carrier_details = row.carrier_details | {"events": stored | {report.status: event}}
    row.save(update_fields=["carrier_details"])


def _end_request(pickup_id: uuid.UUID, state: str, error: WaybillError) -> Pickup:
    """Store that the carrier's confirmation is missing: ``failed`` or ``needs_review``, with the reason."""
    with transaction.atomic():
        row = Pickup.objects.select_for_update().get(id=pickup_id)
        if row.state not in (Pickup.State.PENDING, Pickup.State.NEEDS_REVIEW):
            return row
        row.state, row.failure = state, error.body()
        if isinstance(error, CarrierError) and error.has_carriers_words:
            row.pending_reason = {"carrier_code": error.carrier_code, "carrier_message": error.carrier_message}
        row.save(update_fields=["state", "failure", "pending_reason"])
        if state == Pickup.State.NEEDS_REVIEW:
            events.record(PICKUP_NEEDS_REVIEW, tenant=row.tenant, subject_id=row.id, data={"error": error.code})
    return row
