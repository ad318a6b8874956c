"""Changing a booked order at its carrier."""

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
from carriers.credentials import opening
from carriers.types import Order, OrderUpdate, PaymentMethod
from carriers.types.errors import CarrierTimeout, OutcomeUnknown
from shipping.checkpoints.fold import FINAL
from shipping.common import carrier_limits, lookup
from shipping.common.conversion import to_order, to_request
from shipping.common.event_data import shipment_facts
from shipping.labels import documents
from shipping.models import Parcel, Shipment
from shipping.models.event_types import SHIPMENT_UPDATED

_RETRY_AFTER_S = 2
_SIDES = ("length_cm", "width_cm", "height_cm")
_RECIPIENT = ("contact_name", "contact_phone", "contact_email")


def update(shipment: Shipment, changes: Mapping[str, Any]) -> Shipment:
    """Ask the carrier first, then store what it took; the same changes may be sent again.

    Raises ``Conflict`` (not booked), ``BusinessRuleViolated`` (final), ``InProgress`` (another change of it runs),
    ``ValidationFailed`` naming what does not go with the rest of the order, ``CarrierTimeout`` where it is not known
    whether the carrier took it, and the carrier's refusal, ``CarrierUnsupported`` among them.
    """
    lookup.require_booking(shipment)
    if shipment.status in FINAL:
        raise BusinessRuleViolated(_("The shipment is %s already.") % shipment.status)
    adapter = opening.open_adapter(shipment.credential, merchant_id=shipment.merchant_id, subject_id=shipment.id)
    adapter.need("update_order")
    with _alone(shipment):
        row = _changed(shipment, adapter, changes)
    documents.refetch(row)
    return row


@contextmanager
def _alone(shipment: Shipment) -> Iterator[None]:
    """One change at a time, or the last one at the carrier is not the last one here."""
    lease = documents.CHANGES.acquire(Shipment.objects.filter(id=shipment.id))
    if lease is None:
        raise InProgress(_("Another request is changing this shipment."), retry_after_s=_RETRY_AFTER_S)
    try:
        shipment.refresh_from_db()
        yield
    finally:
        lease.release()


def _changed(shipment: Shipment, adapter: CarrierAdapter, changes: Mapping[str, Any]) -> Shipment:
    changes = {**changes, **_readdressed(shipment, changes), **_remeasured(shipment, changes)}
    order = to_order({**shipment.request, **changes})
    carrier_limits.check(type(adapter), order, fields=changes)
    _check_payment(shipment, order, changes)
    try:
        adapter.update_order(_canonical(shipment, order, changes))
    except OutcomeUnknown as error:  # unlike a purchase it may be repeated: it says what shall be
        with transaction.atomic():
            documents.discard_files(shipment)
        raise CarrierTimeout(
            carrier=error.carrier, carrier_code=error.carrier_code, carrier_message=error.carrier_message
        ) from error
    return _store(shipment, order, changes)


def _readdressed(shipment: Shipment, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The new destination; what is not said of the recipient stays, as it does at the carrier."""
    if "destination" not in changes:
        return {}
    kept = {name: shipment.destination[name] for name in _RECIPIENT if shipment.destination.get(name)}
    return {"destination": {**kept, **changes["destination"]}}


def _remeasured(shipment: Shipment, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The new parcels; what is not said of one stays, as it does at the carrier, where there are as many as before."""
    if "packages" not in changes:
        return {}
    before, after = shipment.request["packages"], changes["packages"]
    if len(before) == len(after):
        return {"packages": [{**old, **new} for old, new in zip(before, after, strict=True)]}
    unsaid = {
        f"packages[{number}].{side}": [_("The number of parcels changes: say the sides of each.")]
        for number, package in enumerate(after)
        for side in _SIDES
        if side not in package and any(side in old for old in before)
    }
    if unsaid:
        raise ValidationFailed(details=unsaid)
    return {}


def _check_payment(shipment: Shipment, order: Order, changes: Mapping[str, Any]) -> None:
    if shipment.return_of_id and (changes.get("payment_method") == PaymentMethod.COD or "cod_amount" in changes):
        field = "cod_amount" if "cod_amount" in changes else "payment_method"
        raise ValidationFailed(details={field: [_("A return is prepaid: nobody collects cash for it.")]})
    is_cod = order.payment_method == PaymentMethod.COD
    if is_cod and not order.cod_amount:
        raise ValidationFailed(details={"cod_amount": [_("Cash on delivery needs the amount to collect.")]})
    if not is_cod and "cod_amount" in changes:
        raise ValidationFailed(details={"cod_amount": [_("There is nothing to collect without cod.")]})


def _canonical(shipment: Shipment, order: Order, changes: Mapping[str, Any]) -> OrderUpdate:
    changed = {name: getattr(order, name) for name in changes}
    return OrderUpdate(
        tracking_number=shipment.tracking_number,
        carrier_shipment_id=shipment.carrier_shipment_id,
        currency=order.currency,
        **changed,
    )


def _store(shipment: Shipment, order: Order, changes: Mapping[str, Any]) -> Shipment:
    if order.payment_method == PaymentMethod.PREPAID:
        order = replace(order, cod_amount=None)
    with transaction.atomic():
        row = Shipment.objects.select_for_update().get(id=shipment.id)
        documents.discard_files(row)
        row.request = to_request(order, row.request)
        if "destination" in changes:
            row.destination = row.request["destination"]
            row.recipient = order.destination.contact_name or order.destination.company
        row.save(update_fields=["request", "destination", "recipient", "updated_at"])
        if "packages" in changes:
            row.parcels.all().delete()
            parcels = enumerate(order.packages, start=1)
            Parcel.objects.bulk_create(
                Parcel(shipment=row, number=number, **vars(package)) for number, package in parcels
            )
        data = shipment_facts(row) | {"changed": sorted(changes)}
        events.record(SHIPMENT_UPDATED, tenant=row.tenant, subject_id=row.id, data=data)
    return row
