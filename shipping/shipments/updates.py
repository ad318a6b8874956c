"""Change a booked order at its carrier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apikeys.audit import events
from apikeys.http.errors import BusinessRuleViolated, InProgress, ValidationFailed
from carriers.adapters.base import CarrierAdapter
from carriers.types import Order, OrderUpdate, PaymentMethod
from carriers.types.errors import CarrierTimeout, OutcomeUnknown
from shipping.checkpoints.fold import FINAL
from shipping.common import carrier_limits, lookup
from shipping.common.conversion import to_order, to_request
from shipping.common.event_data import shipment_facts
from shipping.common.order_fields import check_details
from shipping.labels import documents
from shipping.labels.purchase import store_parcels
from shipping.models import Shipment
from shipping.models.event_types import SHIPMENT_UPDATED

_RETRY_AFTER_S = 2
_SIDES = ("length_cm", "width_cm", "height_cm")
_RECIPIENT = ("contact_name", "contact_phone", "contact_email")


def update(shipment: Shipment, changes: Mapping[str, Any]) -> Shipment:
    """Change an order at its carrier, then store the change. The same changes may be sent again.

    Raises ``Conflict`` (not booked), ``BusinessRuleViolated`` (final status), ``InProgress`` (another change runs),
    ``ValidationFailed`` naming each change that contradicts the rest of the order, ``CarrierTimeout`` if it is unknown
    whether the carrier took the change, and the carrier's refusal, ``CarrierUnsupported`` included.
    """
    lookup.require_booking(shipment)
    if shipment.status in FINAL:
        raise BusinessRuleViolated(_("The shipment is %s already.") % shipment.status)
    adapter = lookup.open_adapter(shipment)
    adapter.need("update_order")
    with _lease_changes(shipment):
        row = _change(shipment, adapter, changes)
    documents.refetch(row)
    return row


@contextmanager
def _lease_changes(shipment: Shipment) -> Iterator[None]:
    """Allow one change at a time. Otherwise the last change at the carrier may not be the last one stored."""
    lease = documents.CHANGES.acquire(Shipment.objects.filter(id=shipment.id))
    if lease is None:
        raise InProgress(_("Another request is changing this shipment."), retry_after_s=_RETRY_AFTER_S)
    try:
        shipment.refresh_from_db()
        yield
    finally:
        lease.release()


def _change(shipment: Shipment, adapter: CarrierAdapter, changes: Mapping[str, Any]) -> Shipment:
    changes = dict(changes)
    if "destination" in changes:  # the recipient's contact data stays if it is not given, as it does at the carrier
        stored = {name: shipment.destination[name] for name in _RECIPIENT if shipment.destination.get(name)}
        changes["destination"] = {**stored, **changes["destination"]}
    if "packages" in changes:
        changes["packages"] = _merge_packages(shipment.request["packages"], changes["packages"])
    values = {**shipment.request, **changes}
    check_details(values, values["packages"])
    order = to_order(values)
    carrier_limits.check(type(adapter), order, fields=changes)
    _check_payment(shipment, order, changes)
    request = OrderUpdate(
        tracking_number=shipment.tracking_number,
        carrier_shipment_id=shipment.carrier_shipment_id,
        currency=order.currency,
        **{name: getattr(order, name) for name in changes},
    )
    try:
        adapter.update_order(request)
    except OutcomeUnknown as error:  # unlike a purchase, it may be repeated: it states the result
        with transaction.atomic():
            documents.discard_files(shipment)
        raise CarrierTimeout(
            carrier=error.carrier, carrier_code=error.carrier_code, carrier_message=error.carrier_message
        ) from error
    return _store(shipment, order, changes)


def _merge_packages(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the new parcels. Fields that are not given stay, as they do at the carrier, if the number is the same.

    Raises ``ValidationFailed`` if the number changes and sides are missing.
    """
    if len(before) == len(after):
        return [{**old, **new} for old, new in zip(before, after, strict=True)]
    missing = {
        f"packages[{number}].{side}": [_("The number of parcels changes: state the sides of each.")]
        for number, package in enumerate(after)
        for side in _SIDES
        if side not in package and any(side in old for old in before)
    }
    if missing:
        raise ValidationFailed(details=missing)
    return after


def _check_payment(shipment: Shipment, order: Order, changes: Mapping[str, Any]) -> None:
    if shipment.return_of_id and (changes.get("payment_method") == PaymentMethod.COD or "cod_amount" in changes):
        field = "cod_amount" if "cod_amount" in changes else "payment_method"
        raise ValidationFailed(details={field: [_("A return is prepaid: it cannot be cash on delivery.")]})
    is_cod = order.payment_method == PaymentMethod.COD
    if is_cod and not order.cod_amount:
        raise ValidationFailed(details={"cod_amount": [_("Cash on delivery needs the amount to collect.")]})
    if not is_cod and "cod_amount" in changes:
        raise ValidationFailed(details={"cod_amount": [_("Only cash on delivery has an amount to collect.")]})


def _store(shipment: Shipment, order: Order, changes: Mapping[str, Any]) -> Shipment:
    if order.payment_method == PaymentMethod.PREPAID:
        order = replace(order, cod_amount=None)
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        documents.discard_files(row)
        row.request = to_request(order, {**row.request, **changes})
        if "destination" in changes:
            row.destination = row.request["destination"]
            row.recipient = order.destination.contact_name or order.destination.company
        row.save(update_fields=["request", "destination", "recipient", "updated_at"])
        if "packages" in changes:
            row.parcels.filter(number__gt=len(order.packages)).delete()
            store_parcels(row, order)
        data = shipment_facts(row) | {"changed": sorted(changes)}
        events.record(SHIPMENT_UPDATED, tenant=row.tenant, subject_id=row.id, data=data)
    return row
