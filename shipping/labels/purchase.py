"""Buy labels: reserve a pending shipment in its own commit, call the carrier, store the outcome."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.access import idempotency
from apikeys.audit import events
from apikeys.db.tenancy import Tenant
from apikeys.http.errors import Conflict, WaybillError
from carriers.credentials import opening, selection
from carriers.models import Credential
from carriers.types import Order, Package, parcel_reference
from carriers.types.errors import CarrierError, CarrierWarehouseNotFound, OutcomeUnknown
from shipping.common import carrier_limits, input_warnings
from shipping.common.conversion import to_order, to_request
from shipping.common.lookup import open_adapter
from shipping.labels import documents, periods
from shipping.labels.booking import fail_booking, is_for_shipment, store_booking
from shipping.models import BookingState, Parcel, Shipment, Warehouse
from shipping.models.event_types import SHIPMENT_PENDING
from shipping.points import points, suggestions
from shipping.warehouses import registrations, warehouses

_MAX_ATTEMPTS = 20  # when other requests reserve shipments of the same order at the same time


def buy_label(tenant: Tenant, request: Mapping[str, Any]) -> Shipment:
    """Buy a label for the validated data of a ``LabelRequestSerializer``.

    Returns: the booked shipment, or a pending one if the carrier did not answer.
    Raises: ``Conflict`` if the order has a shipment already; the carrier's refusal as a ``CarrierError``, after which
    the shipment is ``failed``.
    """
    credential = selection.select_credential(tenant, request["carrier"])
    adapter = opening.open_adapter(credential, merchant_id=tenant.merchant_id)
    order = carrier_limits.check_purchase(adapter, to_order(request, type(adapter)))
    order = points.with_whole_point(credential, order)
    warehouse = warehouses.select_departure(tenant, credential, request.get("warehouse_id"))
    _check_waybill_number(tenant, request.get("waybill_number"))
    order = prepare(order, credential, warehouse)
    request = {**request, **input_warnings.read_setting(tenant)}
    return buy(reserve(tenant, credential, order, request, warehouse=warehouse), order)


def prepare(order: Order, credential: Credential, warehouse: Warehouse | None) -> Order:
    """Return the order as it is bought: under a reference of ours, ordered now, with its warehouse.

    The reference has 25 characters in upper case: short enough for a label, and not guessable.
    """
    return replace(
        order,
        reference="WB" + secrets.token_hex(12).upper()[:23],
        ordered_at=timezone.now(),
        warehouse=registrations.to_carrier_warehouse(warehouse, credential) if warehouse else None,
    )


def reserve(
    tenant: Tenant,
    credential: Credential,
    order: Order,
    request: Mapping[str, Any],
    *,
    warehouse: Warehouse | None = None,
    return_of: Shipment | None = None,
) -> Shipment:
    """Commit a pending shipment under the order's reference, bound to the request's Idempotency-Key."""
    for _attempt in range(_MAX_ATTEMPTS):
        try:
            with transaction.atomic():
                if return_of:
                    _check_no_return(return_of, request)
                selection.lock_unchanged(credential)
                shipment = _build_shipment(tenant, credential, order, request)
                shipment.sequence = _next_sequence(tenant, order, request)
                shipment.warehouse, shipment.return_of = warehouse, return_of
                shipment.save(force_insert=True)
                store_parcels(shipment, order)
                documents.store_attachments(shipment, order)
                idempotency.bind(shipment.id)
                return shipment
        except IntegrityError as error:
            first = _find_outbound(_select_by_order(tenant, order))
            if first and not request.get("additional"):
                raise _order_conflict(first) from error
    raise Conflict(_("Too many shipments of this order are being created at once; try again."))


def buy(shipment: Shipment, order: Order) -> Shipment:
    """Buy a reserved order at its carrier."""
    adapter = open_adapter(shipment)
    purchase = adapter.create_return if order.return_of else adapter.create_label
    try:
        booked = purchase(order)
        if booked.cancelled or not is_for_shipment(shipment, booked):
            raise OutcomeUnknown(carrier=adapter.name, carrier_code="not_this_purchase")
    except OutcomeUnknown as error:
        return _keep_pending(shipment, error)
    except WaybillError as error:
        suggestions.add_nearest_point(adapter, error, order.pickup_point)
        if isinstance(error, CarrierWarehouseNotFound):
            registrations.record_unknown_warehouse(shipment.warehouse, shipment.credential, error)
        fail_booking(shipment, error)
        raise
    return store_booking(shipment.id, booked)


def store_parcels(shipment: Shipment, order: Order) -> None:
    """Store the parcels of an order. Those that are stored already keep what the carrier gave them."""
    Parcel.objects.bulk_create(
        (
            Parcel(
                shipment=shipment,
                number=number,
                reference=parcel_reference(shipment.reference, number),
                **vars(package),
            )
            for number, package in enumerate(order.packages, 1)
        ),
        update_conflicts=True,
        unique_fields=["shipment", "number"],
        update_fields=[field.name for field in fields(Package)],
    )


def _build_shipment(tenant: Tenant, credential: Credential, order: Order, request: Mapping[str, Any]) -> Shipment:
    stored = to_request(order, request)
    return Shipment(
        merchant_id=tenant.merchant_id,
        mode=tenant.mode,
        store_id=tenant.store_id,
        carrier=credential.carrier,
        credential=credential,
        booking_state=BookingState.PENDING,
        reference=order.reference,
        order_id=order.order_id,
        waybill_number=request.get("waybill_number"),
        customer_reference=order.customer_reference,
        pickup_point_id=order.pickup_point.id if order.pickup_point else "",
        service_type=order.service_type or "",
        origin=stored["origin"],
        destination=stored["destination"],
        recipient=order.destination.contact_name or order.destination.company,
        request=stored,
        ship_at=order.ship_at,
        created_at=order.ordered_at,
        reconcile_at=timezone.now() + periods.until_first(credential.carrier, settings.RECONCILE_FIRST_LOOKUP),
    )


def _check_no_return(original: Shipment, request: Mapping[str, Any]) -> None:
    """Refuse a second return of a shipment, unless the merchant asks for it. Concurrent requests wait for the lock."""
    Shipment.objects.select_for_update().get(id=original.id)
    first = original.returns.filter(frees_order=False).order_by("id").first()
    if first and not request["more_returns"]:
        text = _("This shipment has a return already. Send additional: true to buy another one for it.")
        raise Conflict(text, details={"shipment_id": [text], "return_id": [str(first.id)]})


def _check_waybill_number(tenant: Tenant, number: str | None) -> None:
    rows = Shipment.objects.of(tenant.all_stores()).filter(waybill_number=number, frees_order=False)
    if number and rows.exists():
        text = _("Another shipment has this number.")
        raise Conflict(text, details={"waybill_number": [text]})


def _select_by_order(tenant: Tenant, order: Order) -> list[Shipment]:
    rows = Shipment.objects.of(tenant).filter(
        store_id=tenant.store_id, order_id__any_case=order.order_id, frees_order=False
    )
    columns = ("order_id", "sequence", "return_of", "booking_state", "tracking_number")
    # Compared exactly here: with both conditions, SQLite does not use the index.
    return [row for row in rows.only(*columns).order_by("sequence") if row.order_id == order.order_id]


def _find_outbound(shipments: Sequence[Shipment]) -> Shipment | None:
    """Return the first shipment that is not a return."""
    return next((row for row in shipments if row.return_of_id is None), None)


def _next_sequence(tenant: Tenant, order: Order, request: Mapping[str, Any]) -> int:
    """Return the next number of an order's shipments.

    Number 1 is only for the order's first shipment, so that the unique constraint stops the second of two requests.
    """
    existing = _select_by_order(tenant, order)
    last = max((row.sequence for row in existing), default=0)
    if order.return_of:
        return max(last, 1) + 1
    if request.get("additional"):
        return last + 1
    if first := _find_outbound(existing):
        raise _order_conflict(first)
    return last + 1 if any(row.sequence == 1 for row in existing) else 1


def _order_conflict(first: Shipment) -> Conflict:
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


def _keep_pending(shipment: Shipment, error: CarrierError) -> Shipment:
    """Have reconciliation look up the reference soon, and store the carrier's words, which may explain the outcome."""
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if row.booking_state == BookingState.PENDING:
            row.reconcile_at = max(timezone.now(), row.created_at + periods.until_first(row.carrier, timedelta(0)))
            if error.has_carriers_words:
                words = {"carrier_code": error.carrier_code, "carrier_message": error.carrier_message}
                row.pending_reason = words
            row.save(update_fields=["reconcile_at", "pending_reason", "updated_at"])
            data = {"carrier_code": error.carrier_code}
            events.record(SHIPMENT_PENDING, tenant=row.tenant, subject_id=row.id, data=data)
    return row
