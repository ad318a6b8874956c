"""Buying labels."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.access import idempotency
from apikeys.audit import events
from apikeys.db.tenancy import Tenant
from apikeys.http.errors import (
    Conflict,
    WaybillError,
)
from carriers.adapters.registry import adapter_class
from carriers.credentials import selection
from carriers.types import (
    LabelRequest,
    PaymentMethod,
    ReturnRequest,
)
from carriers.types.errors import (
    CarrierError,
    CarrierWarehouseNotFound,
    OutcomeUnknown,
)
from shipping.common import carrier_limits, input_warnings
from shipping.common.conversion import as_address, as_items, as_packages, plain
from shipping.common.lookup import open_adapter
from shipping.labels.booking import fail, finish, is_of
from shipping.models import BookingState, Parcel, Shipment, Warehouse
from shipping.models.event_types import (
    SHIPMENT_PENDING,
)
from shipping.points import suggestions
from shipping.warehouses import warehouses


def create(tenant: Tenant, order: Mapping[str, Any]) -> Shipment:
    """Buy a label for a validated order (the fields of ``LabelRequestSerializer``).

    Gives the booked shipment, or a pending one when the carrier took the order and did not answer. Raises ``Conflict``
    when the order has a shipment already, and the carrier's refusal as a ``CarrierError``; the shipment is then
    ``failed``.
    """
    credential = selection.select_credential(tenant, order["carrier"])
    kind = adapter_class(credential.carrier)
    carrier_limits.check(kind, order)
    order = {**order, **carrier_limits.printable(kind, order)}
    place = warehouses.departure(tenant, credential, order.get("warehouse_id"))
    _refuse_used(tenant, order.get("waybill_number"))
    return buy(reserve(tenant, credential, {**order, **input_warnings.muted(tenant)}, place))


def buy(shipment: Shipment) -> Shipment:
    adapter = open_adapter(shipment)
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


def reserve(
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
                selection.lock_unchanged(credential)
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


def _leave_pending(shipment: Shipment, error: CarrierError) -> Shipment:
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        if row.booking_state == BookingState.PENDING:
            row.reconcile_at = timezone.now()
            row.save(update_fields=["reconcile_at", "updated_at"])
            data = {"carrier_code": error.carrier_code}
            events.record(SHIPMENT_PENDING, tenant=row.tenant, subject_id=row.id, data=data)
    return row
