"""Returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from apikeys.db.tenancy import Tenant
from apikeys.http.errors import (
    BusinessRuleViolated,
    ValidationFailed,
)
from carriers.credentials import selection
from carriers.types import Order, ShipmentRef, Status
from shipping.common import carrier_limits, input_warnings, lookup
from shipping.common.conversion import to_order
from shipping.common.lookup import open_adapter, require_booking
from shipping.labels.purchase import buy, prepare, reserve
from shipping.models import Shipment, Warehouse
from shipping.warehouses import warehouses


def create_return(tenant: Tenant, wanted: Mapping[str, Any]) -> Shipment:
    """Buy a way back for a validated ``ReturnRequestSerializer``: a shipment of its own, at the same carrier's account.

    What is not said is taken from the shipment that comes back. Raises ``ShipmentNotFound``, ``Conflict`` (that one is
    not booked), ``BusinessRuleViolated`` (cancelled), ``ValidationFailed`` (its account takes no orders any more),
    ``CarrierUnsupported`` and what ``create`` raises.
    """
    original = lookup.get_shipment(tenant, wanted["shipment_id"])
    require_booking(original)
    if original.status == Status.CANCELLED:
        raise BusinessRuleViolated(_("The shipment is %s already.") % original.status)
    if not selection.accepts_orders(original.credential, tenant):
        text = _("The account that this shipment was booked with takes no new orders.")
        raise ValidationFailed(details={"shipment_id": [text]})
    adapter = open_adapter(original)
    adapter.need("create_return")
    warehouse = warehouses.select_return_destination(tenant, original, wanted.get("warehouse_id"))
    order = _return_order(original, wanted, warehouse)
    carrier_limits.check(type(adapter), order, fields=wanted)
    order = prepare(carrier_limits.with_printable_label(type(adapter), order), original.credential, warehouse)
    request = {
        "carrier": original.carrier,
        "additional": True,
        "more_returns": wanted["additional"],
        "mute_warnings": wanted["mute_warnings"] or original.request.get("mute_warnings", False),
        **input_warnings.read_setting(tenant),
    }
    owner = replace(tenant, store_id=original.store_id)
    reserved = reserve(owner, original.credential, order, request, warehouse=warehouse, return_of=original)
    return buy(reserved, order)


def _return_order(original: Shipment, wanted: Mapping[str, Any], warehouse: Warehouse | None) -> Order:
    bought = original.request
    address = (warehouse.return_address or warehouse.address) if warehouse else original.origin
    defaults = {
        "origin": original.destination,
        "destination": address,
        "packages": bought["packages"],
        "items": bought.get("items", []),
        "currency": bought.get("currency", ""),
    }
    returned = ShipmentRef(
        reference=original.reference,
        tracking_number=original.tracking_number,
        carrier_shipment_id=original.carrier_shipment_id,
    )
    return replace(to_order(defaults | wanted), order_id=original.order_id, return_of=returned)
