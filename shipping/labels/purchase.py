"""Buying labels, and what can be asked of a bought one.

A purchase is made once: the shipment is reserved under our own reference in a commit of its own, then the carrier is
asked, then the answer is stored in one transaction. Whatever is lost in between is found again by the reference
(``shipping.labels.reconciliation``), never bought again.
"""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.audit import events
from apikeys.access import idempotency
from apikeys.http.errors import BusinessRuleViolated
from apikeys.http.errors import CannotCancel
from apikeys.http.errors import Conflict
from apikeys.http.errors import ShipmentNotFound
from apikeys.http.errors import UnsupportedOperation
from apikeys.http.errors import ValidationFailed
from apikeys.http.errors import WaybillError
from apikeys.http.rendering import rfc3339
from apikeys.db.tenancy import Tenant
from carriers.credentials import storage
from carriers.http import metrics
from carriers.adapters.registry import adapter_class
from carriers.adapters.base import CarrierAdapter
from carriers.types.errors import CarrierCannotCancel
from carriers.types.errors import CarrierError
from carriers.types.errors import CarrierTimeout
from carriers.types.errors import CarrierUnavailable
from carriers.types.errors import CarrierWarehouseNotFound
from carriers.types.errors import CredentialUnreadable
from carriers.types.errors import OutcomeUnknown
from carriers.types import (
    BookedLabel,
    Cancellation,
    LabelRequest,
    PaymentMethod,
    ProofOfDelivery,
    ReturnRequest,
    Scan,
    Status,
    Track,
)
from shipping.models.event_types import SHIPMENT_BOOKED
from shipping.models.event_types import SHIPMENT_CANCELLED
from shipping.models.event_types import SHIPMENT_FAILED
from shipping.models.event_types import SHIPMENT_NEEDS_REVIEW
from shipping.models.event_types import SHIPMENT_PENDING
from shipping.common.event_data import shipment_facts
from shipping.checkpoints.fold import FINAL
from shipping.models import BookingState, Label, Parcel, Shipment, Warehouse
from shipping.checkpoints import carrier_reports
from shipping.labels import documents
from shipping.common import lookup
from shipping.points import suggestions
from shipping.quotes import quotes
from shipping.common import carrier_limits
from shipping.warehouses import warehouses
from shipping.common.conversion import as_address
from shipping.common.conversion import as_items
from shipping.common.conversion import as_packages
from shipping.common.conversion import plain

log = logging.getLogger(__name__)


def create(tenant: Tenant, order: Mapping[str, Any]) -> Shipment:
    """Buy a label for a validated order (the fields of ``LabelRequestSerializer``).

    Gives the booked shipment, or a pending one when the carrier took the order and did not answer. Raises ``Conflict``
    when the order has a shipment already, and the carrier's refusal as a ``CarrierError``; the shipment is then
    ``failed``.
    """
    credential = storage.find(tenant, order["carrier"])
    kind = adapter_class(credential.carrier)
    carrier_limits.check(kind, order)
    order = {**order, **carrier_limits.printable(kind, order)}
    place = warehouses.departure(tenant, credential, order.get("warehouse_id"))
    _refuse_used(tenant, order.get("waybill_number"))
    return _buy(_reserve(tenant, credential, {**order, **quotes.muted(tenant)}, place))


def create_return(tenant: Tenant, wanted: Mapping[str, Any]) -> Shipment:
    """Buy a way back for a validated ``ReturnRequestSerializer``: a shipment of its own, at the same carrier's account.

    What is not said is taken from the shipment that comes back. Raises ``ShipmentNotFound``, ``Conflict`` (that one is
    not booked), ``BusinessRuleViolated`` (cancelled), ``ValidationFailed`` (its account takes no orders any more),
    ``CarrierUnsupported`` and what ``create`` raises.
    """
    original = lookup.find(tenant, wanted["shipment_id"])
    need_booking(original)
    if original.status == Status.CANCELLED:
        raise BusinessRuleViolated(_("The shipment is %s already.") % original.status)
    if not storage.takes_orders(original.credential, tenant):
        text = _("The account that this shipment was booked with takes no new orders.")
        raise ValidationFailed(details={"shipment_id": [text]})
    adapter = _adapter(original)
    adapter.need("create_return")
    carrier_limits.check(type(adapter), wanted)
    wanted = {**wanted, **carrier_limits.printable(type(adapter), wanted), **quotes.muted(tenant)}
    place = warehouses.arrival(tenant, original, wanted.get("warehouse_id"))
    owner = replace(tenant, store_id=original.store_id)
    return _buy(_reserve(owner, original.credential, _return_order(original, wanted, place), place, original))


def _buy(shipment: Shipment) -> Shipment:
    adapter = _adapter(shipment)
    ask = adapter.create_return if shipment.return_of_id else adapter.create_label
    try:
        booked = ask(_purchase(shipment))
        if booked.cancelled or not is_of(shipment, booked):
            raise OutcomeUnknown(carrier=adapter.name, carrier_code="not_this_purchase")
    except OutcomeUnknown as error:
        return _leave_pending(shipment, error)
    except WaybillError as error:
        suggestions.suggest(adapter, error, shipment.pickup_point_id)
        if isinstance(error, CarrierWarehouseNotFound):
            warehouses.not_known(shipment.warehouse, shipment.credential, error)
        fail(shipment, error)
        raise
    return finish(shipment.id, booked)


def is_of(shipment: Shipment, booked: BookedLabel) -> bool:
    """Whether the carrier speaks of this purchase; some repeat a reference in letters of another case."""
    return booked.reference.casefold() == shipment.reference.casefold()


def finish(shipment_id: uuid.UUID, booked: BookedLabel, *, reconcile_at: datetime | None = None) -> Shipment:
    """Store what the carrier sold: label file, numbers, first checkpoint, event.

    ``reconcile_at``: when to look the reference up once more all the same. Does nothing to a shipment that is booked
    already. A file that the carrier has not given out yet is fetched later
    (``shipping.labels.documents``).
    """
    label = documents.made(shipment_id, booked)
    try:
        with transaction.atomic():
            return _book(shipment_id, booked, label, reconcile_at)
    except (IntegrityError, _NumberTaken):
        log.exception("booked label collides with a stored one", extra={"shipment": str(shipment_id)})
        text = _("The carrier sold %s, a number that it has sold to another shipment.") % booked.tracking_number
        return review(shipment_id, text)


def fail(shipment: Shipment, error: WaybillError, *, reconcile_at: datetime | None = None) -> None:
    """A booking that did not happen; keeps what the merchant is told. ``reconcile_at``: when to look all the same."""
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if row.booking_state not in (BookingState.PENDING, BookingState.NEEDS_REVIEW):
            return
        row.booking_state, row.failure, row.reconcile_at = (
            BookingState.FAILED,
            error.body() | {"http_status": error.status},
            reconcile_at,
        )
        row.frees_order = True
        row.save(update_fields=["booking_state", "failure", "reconcile_at", "frees_order", "updated_at"])
        data = shipment_facts(row) | {"error": error.code}
        events.record(SHIPMENT_FAILED, tenant=row.tenant, subject_id=row.id, data=data)


def review(shipment_id: uuid.UUID, reason: str) -> Shipment:
    """Only a person can tell what became of this booking."""
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment_id)
        if row.booking_state == BookingState.BOOKED:
            return row
        row.booking_state, row.reconcile_at = BookingState.NEEDS_REVIEW, None
        row.failure = {"error": "needs_review", "message": reason}
        row.save(update_fields=["booking_state", "failure", "reconcile_at", "updated_at"])
        events.record(SHIPMENT_NEEDS_REVIEW, tenant=row.tenant, subject_id=row.id, data={"reason": reason})
    return row


def track(tenant: Tenant, *, carrier: str, number: str) -> tuple[Shipment, bool]:
    """Read a parcel's history at the carrier into ours.

    The shipment, and whether it is stale: the carrier did not answer, or not of this one, or its account is gone.

    Raises ``ShipmentNotFound`` for a number that is not this merchant's: an account shared by merchants must not show
    one's parcels to another.
    """
    slug = adapter_class(carrier).slug
    shipment = lookup.find(tenant, number, carrier=slug)
    if shipment.booking_state != BookingState.BOOKED:
        raise ShipmentNotFound
    try:
        was_told = _refreshed(shipment)
    except (CarrierUnavailable, CarrierTimeout, CredentialUnreadable):
        if not shipment.checkpoint_count:
            raise
        return shipment, True
    shipment.refresh_from_db()
    return shipment, not was_told


def store_track(shipment: Shipment, found: Track, *, asked_at: datetime) -> int:
    """What a carrier's track says, asked for at a time, and we did not know; how many scans were new."""
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if changed := row.estimate(found.estimated_delivery, told_at=asked_at):
            row.save(update_fields=changed)
        extras = {key: value for key, value in plain(found.extras).items() if value not in (None, "")}
        if found.current_location:
            extras["current_location"] = found.current_location
        if any(row.carrier_details.get(key) != value for key, value in extras.items()):
            row.carrier_details = row.carrier_details | extras
            row.save(update_fields=["carrier_details", "updated_at"])
        return carrier_reports.add_scans(row, found.scans)


def stored_safely(shipment: Shipment, found: Track, *, asked_at: datetime) -> int | None:
    """The same, of one among many: None for what cannot be stored, which must not keep the others from it."""
    try:
        return store_track(shipment, found, asked_at=asked_at)
    except Exception:
        log.exception("track not stored", extra={"shipment": str(shipment.id)})
        return None


def cancel(tenant: Tenant, name: str, *, carrier: str = "", reason: str = "") -> Shipment:
    """Call a shipment off at its carrier; asking again gives the same cancellation.

    Raises ``ShipmentNotFound``, ``CannotCancel`` (final states, a failed booking), ``Conflict`` (still pending),
    ``UnsupportedOperation`` (no carrier) and the carrier's own refusal.
    """
    shipment = lookup.find(tenant, name, carrier=carrier)
    if shipment.cancellation:
        return shipment
    need_booking(shipment)
    if shipment.status == Status.CANCELLED:  # as its carrier has told
        return _store_cancellation(shipment, _told_of(shipment, reason))
    if shipment.status in FINAL:
        raise CannotCancel(_("The shipment is %s already.") % shipment.status)
    answer = _called_off(_adapter(shipment), shipment, reason)
    return _store_cancellation(shipment, plain(answer) if answer else _told_of(shipment, reason))


def proof_of_delivery(tenant: Tenant, name: str, *, carrier: str = "") -> ProofOfDelivery:
    """The carrier's proof. Raises ``ShipmentNotFound``.

    ``UnsupportedOperation`` and ``CarrierNotFound`` before delivery.
    """
    shipment = lookup.find(tenant, name, carrier=carrier)
    need_booking(shipment)
    return _adapter(shipment).proof_of_delivery(shipment.tracking_number)


def _reserve(
    tenant: Tenant,
    credential: Any,
    order: Mapping[str, Any],
    warehouse: Warehouse | None,
    return_of: Shipment | None = None,
) -> Shipment:
    """Commit a pending shipment under a reference of our own, bound to the request's Idempotency-Key."""
    for _attempt in range(20):
        try:
            with transaction.atomic():
                if return_of:
                    _refuse_second_return(return_of, order)
                storage.hold(credential)
                sequence = _sequence(tenant, order, is_return=return_of is not None)
                shipment = _pending(tenant, credential, order, sequence=sequence)
                if warehouse or return_of:
                    shipment.warehouse, shipment.return_of = warehouse, return_of
                    shipment.save(update_fields=["warehouse", "return_of"])
                idempotency.bind(shipment.id)
                return shipment
        except IntegrityError as error:
            first = _first(_of_order(tenant, order))
            if first and not order.get("additional"):
                raise _already_bought(first) from error
    raise Conflict(_("Too many shipments of this order are being made at once; try again."))


def _pending(tenant: Tenant, credential: Any, order: Mapping[str, Any], *, sequence: int) -> Shipment:
    shipment = Shipment.objects.create(
        merchant_id=tenant.merchant_id,
        mode=tenant.mode,
        store_id=tenant.store_id,
        carrier=credential.carrier,
        credential=credential,
        booking_state=BookingState.PENDING,
        reference=_new_reference(),
        order_id=order["order_id"],
        waybill_number=order.get("waybill_number"),
        sequence=sequence,
        customer_reference=order["metadata"].get("customer_reference", ""),
        pickup_point_id=order["metadata"].get("pickup_point_id", ""),
        service_type=order["service_type"],
        origin=plain(order["origin"]),
        destination=plain(order["destination"]),
        recipient=order["destination"].get("contact_name") or order["destination"].get("company", ""),
        request=plain(order),
        reconcile_at=timezone.now() + settings.RECONCILE_FIRST_LOOKUP,
    )
    Parcel.objects.bulk_create(
        Parcel(shipment=shipment, number=number, **package) for number, package in enumerate(order["packages"], start=1)
    )
    return shipment


def _refuse_second_return(original: Shipment, order: Mapping[str, Any]) -> None:
    """The same parcel comes back once, unless the merchant says otherwise; requests that run at once wait here."""
    Shipment.objects.select_for_update().get(id=original.id)
    first = original.returns.filter(frees_order=False).order_by("id").first()
    if first and not order["more_returns"]:
        text = _("This shipment has a return already. Send additional: true to buy another one for it.")
        raise Conflict(text, details={"shipment_id": [text], "return_id": [str(first.id)]})


def _refuse_used(tenant: Tenant, number: str | None) -> None:
    rows = Shipment.objects.of(tenant.whole()).filter(waybill_number=number, frees_order=False)
    if number and rows.exists():
        text = _("Another shipment has this number.")
        raise Conflict(text, details={"waybill_number": [text]})


def _new_reference() -> str:
    """25 characters, upper case: short enough for a label, unguessable."""
    return "WB" + secrets.token_hex(12).upper()[:23]


def _of_order(tenant: Tenant, order: Mapping[str, Any]) -> list[Shipment]:
    rows = Shipment.objects.of(tenant).filter(store_id=tenant.store_id, order_id=order["order_id"], frees_order=False)
    return list(rows.only("sequence", "return_of", "booking_state", "tracking_number").order_by("sequence"))


def _first(shipments: Sequence[Shipment]) -> Shipment | None:
    """Of an order's way to the recipient; a way back does not serve the order."""
    return next((row for row in shipments if row.return_of_id is None), None)


def _sequence(tenant: Tenant, order: Mapping[str, Any], *, is_return: bool) -> int:
    """The next number; 1 is kept for the order itself, so that two requests for it at once meet there."""
    there = _of_order(tenant, order)
    last = max((row.sequence for row in there), default=0)
    if is_return:
        return max(last, 1) + 1
    if order.get("additional"):
        return last + 1
    if first := _first(there):
        raise _already_bought(first)
    return last + 1 if any(row.sequence == 1 for row in there) else 1


def _already_bought(first: Shipment) -> Conflict:
    text = _("This order has a shipment already. Send additional: true to buy another one for it.")
    return Conflict(
        text,
        details={
            "order_id": [text],
            "shipment_id": [str(first.id)],
            "booking_state": [first.booking_state],
            "tracking_number": [first.tracking_number] if first.tracking_number else [],
        },
    )


def _purchase(shipment: Shipment) -> LabelRequest:
    order, cod = shipment.request, shipment.request.get("cod_amount")
    billing = order.get("billing_address")
    common = {
        "reference": shipment.reference,
        "order_id": shipment.order_id,
        "origin": as_address(order["origin"]),
        "destination": as_address(order["destination"]),
        "packages": as_packages(order["packages"]),
        "service_type": shipment.service_type,
        "label_format": order["label_format"],
        "label_size": order["label_size"],
        "pickup_point_id": shipment.pickup_point_id,
        "customer_reference": shipment.customer_reference,
        "ordered_at": shipment.created_at,
        "items": as_items(order.get("items", ())),
        "payment_method": PaymentMethod(order.get("payment_method", PaymentMethod.PREPAID)),
        "cod_amount": None if cod is None else Decimal(cod),
        "currency": order.get("currency", ""),
        "billing_address": as_address(billing) if billing else None,
        "warehouse": warehouses.canonical(shipment.warehouse, shipment.credential) if shipment.warehouse else None,
        "extras": order["metadata"],
    }
    if shipment.return_of is None:
        return LabelRequest(**common)
    number = shipment.return_of.tracking_number
    return ReturnRequest(**common, returned_tracking_number=number, reason=order["reason"])


def _return_order(original: Shipment, wanted: Mapping[str, Any], place: Warehouse | None) -> dict[str, Any]:
    """The order of a way back, in the form of ``LabelRequestSerializer``'s."""
    theirs = original.request
    home = (place.return_address or place.address) if place else original.origin
    return {
        "carrier": original.carrier,
        "order_id": original.order_id,
        "additional": True,
        "more_returns": wanted["additional"],
        "origin": wanted.get("origin", original.destination),
        "destination": wanted.get("destination", home),
        "packages": wanted.get("packages", theirs["packages"]),
        "items": wanted.get("items", theirs.get("items", [])),
        "currency": theirs.get("currency", ""),
        "mute_warnings": wanted["mute_warnings"] or theirs.get("mute_warnings", False),
        **{name: wanted[name] for name in ("service_type", "label_format", "label_size", "metadata", "reason")},
    }


def _leave_pending(shipment: Shipment, error: CarrierError) -> Shipment:
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if row.booking_state == BookingState.PENDING:
            row.reconcile_at = timezone.now()
            row.save(update_fields=["reconcile_at", "updated_at"])
            data = {"carrier_code": error.carrier_code}
            events.record(SHIPMENT_PENDING, tenant=row.tenant, subject_id=row.id, data=data)
    return row


def _book(shipment_id: uuid.UUID, booked: BookedLabel, label: Label, reconcile_at: datetime | None) -> Shipment:
    row = Shipment.objects.select_for_update().get(id=shipment_id)
    if row.booking_state == BookingState.BOOKED:
        if reconcile_at or booked.tracking_number != row.tracking_number:  # the other label is nobody's
            Shipment.objects.filter(id=row.id).update(reconcile_at=reconcile_at or timezone.now())
        return row
    if row.booking_state == BookingState.FAILED:
        # Given up meanwhile, and the order may have been bought anew: reconciliation voids this late one.
        row.reconcile_at = timezone.now()
        row.save(update_fields=["reconcile_at", "updated_at"])
        return row
    _refuse_sold_twice(row, booked.tracking_number)
    row.booking_state, row.failure, row.reconcile_at = BookingState.BOOKED, None, reconcile_at
    row.tracking_number, row.carrier_shipment_id = booked.tracking_number, booked.carrier_shipment_id
    row.estimate(booked.estimated_delivery, told_at=booked.created_at)
    row.total_price, row.currency = booked.total_price, booked.currency
    row.poll_at = timezone.now() + settings.POLL_AFTER_SILENCE
    row.carrier_details = plain(booked.extras) | ({"pickup_code": booked.pickup_code} if booked.pickup_code else {})
    row.save()
    label.save(force_insert=True)
    carrier_reports.add_scans(row, [_first_scan(row, booked)])
    events.record(SHIPMENT_BOOKED, tenant=row.tenant, subject_id=row.id, data=shipment_facts(row))
    transaction.on_commit(lambda: metrics.shipments_created(row.carrier).labels(service_type=row.service_type).inc())
    return row


class _NumberTaken(Exception):
    """The carrier has sold another shipment's parcel under this number."""


def _refuse_sold_twice(row: Shipment, number: str) -> None:
    """Whoever held a number second would see the first one's parcel, and could call it off.

    At an account that merchants share no constraint sees to it: after months a number is given anew.
    """
    storage.locked(row.credential_id)
    booked = Shipment.objects.filter(credential_id=row.credential_id, booking_state=BookingState.BOOKED)
    if booked.filter(tracking_number=number, created_at__gte=row.created_at - lookup.ANEW_AFTER).exists():
        raise _NumberTaken(number)


def _first_scan(row: Shipment, booked: BookedLabel) -> Scan:
    """The carrier's own news of it is the same scan, so this one holds what that would tell."""
    ends = {name: _town(place) for name, place in (("origin", row.origin), ("destination", row.destination))}
    details = ends | {"service_type": row.service_type, "estimated_delivery": rfc3339(row.estimated_delivery)}
    return Scan(
        code=adapter_class(row.carrier).created_code,
        status=Status.CREATED,
        occurred_at=booked.created_at,
        occurred_text=rfc3339(booked.created_at) or "",
        description="Shipment created",
        location=", ".join(part for part in (row.origin.get("city"), row.origin.get("state")) if part),
        details={name: value for name, value in details.items() if value},
    )


def _town(place: Mapping[str, Any]) -> dict[str, str]:
    return {name: place[name] for name in ("city", "state", "country") if place.get(name)}


def _refreshed(shipment: Shipment) -> bool:
    """Store what the carrier tells of it; False where it does not tell of it. Raises ``CarrierError``."""
    if not lookup.holds_its_number(shipment):
        return False
    asked_at = timezone.now()
    found = _adapter(shipment).track([shipment.tracking_number]).get(shipment.tracking_number)
    if found:
        store_track(shipment, found, asked_at=asked_at)
    return found is not None


def _adapter(shipment: Shipment) -> CarrierAdapter:
    return storage.open_adapter(shipment.credential, merchant_id=shipment.merchant_id, subject_id=shipment.id)


def need_booking(shipment: Shipment) -> None:
    """What may be asked of the carrier about it.

    Raises ``UnsupportedOperation`` for a self-tracked unit, and ``Conflict`` for what no carrier has confirmed, or by
    whose number it knows another parcel now.
    """
    if not shipment.carrier:
        raise UnsupportedOperation(_("This unit is tracked by your own checkpoints; no carrier has booked it."))
    if shipment.booking_state in (BookingState.PENDING, BookingState.NEEDS_REVIEW):
        raise Conflict(_("The carrier has not confirmed this booking yet."))
    if shipment.booking_state == BookingState.FAILED:
        raise Conflict(_("The booking of this shipment failed."))
    if not lookup.holds_its_number(shipment):
        raise Conflict(_("The carrier has given this tracking number to another parcel since."))


def _called_off(adapter: CarrierAdapter, shipment: Shipment, reason: str) -> Cancellation | None:
    """The carrier's answer; None where its own scan, which is kept now, tells more or is all that tells of it."""
    try:
        answer = adapter.cancel(shipment.tracking_number, reason)
    except (OutcomeUnknown, CarrierCannotCancel):
        # The carrier may have cancelled without our hearing of it.
        if not _is_cancelled_there(adapter, shipment):
            raise
        return None
    if answer.cancelled_at is None:
        return None if _is_cancelled_there(adapter, shipment) else replace(answer, cancelled_at=timezone.now())
    return answer


def _is_cancelled_there(adapter: CarrierAdapter, shipment: Shipment) -> bool:
    """Reads the track, and keeps it; False where it cannot be had."""
    asked_at = timezone.now()
    try:
        found = adapter.track([shipment.tracking_number]).get(shipment.tracking_number)
    except CarrierError as error:
        log.warning("not known whether cancelled", extra={"shipment": str(shipment.id), "error": str(error)})
        return False
    if found is None or all(scan.status != Status.CANCELLED for scan in found.scans):
        return False
    store_track(shipment, found, asked_at=asked_at)
    return True


def _told_of(shipment: Shipment, reason: str) -> dict[str, Any]:
    """The cancellation that the carrier's own scan tells of."""
    scan = shipment.checkpoints.filter(status=Status.CANCELLED).order_by("-occurred_at").first()
    return {
        "tracking_number": shipment.tracking_number,
        "cancelled_at": rfc3339(scan.occurred_at),
        "reason": reason,
        "refund_status": "",
        "refund_amount": None,
    }


def _store_cancellation(shipment: Shipment, cancellation: Mapping[str, Any]) -> Shipment:
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if row.cancellation:
            return row
        row.cancellation, row.frees_order = dict(cancellation), True
        row.save(update_fields=["cancellation", "frees_order", "updated_at"])
        if not row.checkpoints.filter(status=Status.CANCELLED).exists():
            carrier_reports.add_scans(row, [_cancel_scan(row, cancellation)])
        events.record(SHIPMENT_CANCELLED, tenant=row.tenant, subject_id=row.id, data=shipment_facts(row))
    return row


def _cancel_scan(row: Shipment, cancellation: Mapping[str, Any]) -> Scan:
    text = cancellation["cancelled_at"]
    return Scan(
        code=adapter_class(row.carrier).cancelled_code,
        status=Status.CANCELLED,
        occurred_at=datetime.fromisoformat(text),
        occurred_text=text,
        description="Shipment cancelled",
        details={"reason": cancellation["reason"]} if cancellation.get("reason") else {},
    )
