"""Buy returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from apikeys.db.tenancy import Tenant
from apikeys.http.errors import BusinessRuleViolated, ValidationFailed
from carriers.adapters.registry import adapter_class
from carriers.credentials import selection
from carriers.types import Order, Status
from shipping.common import carrier_limits, input_warnings, lookup, refs
from shipping.common.conversion import to_order
from shipping.common.order_fields import check_details
from shipping.labels.purchase import buy, prepare, reserve
from shipping.models import Shipment, Warehouse
from shipping.warehouses import warehouses


def buy_return(tenant: Tenant, data: Mapping[str, Any]) -> Shipment:
    """Buy a return for a validated ``ReturnRequestSerializer``: a new shipment with the original's credential.

    Fields that are not given are taken from the original shipment.
    Raises: ``ShipmentNotFound``, ``Conflict`` (the original is not booked), ``BusinessRuleViolated`` (it is cancelled),
    ``ValidationFailed`` (its credential accepts no orders any more), ``CarrierUnsupported``, and as ``buy_label`` does.
    """
    original = lookup.get_shipment(tenant, data["shipment_id"])
    lookup.require_booking(original)
    if original.status == Status.CANCELLED:
        raise BusinessRuleViolated(_("The shipment is %s already.") % original.status)
    if not selection.accepts_orders(original.credential, tenant):
        text = _("The credential that this shipment was booked with accepts no new orders.")
        raise ValidationFailed(details={"shipment_id": [text]})
    adapter = lookup.open_adapter(original)
    adapter.need("create_return")
    warehouse = warehouses.select_return_destination(tenant, original, data.get("warehouse_id"))
    sent = _defaults(original, warehouse) | data
    if "packages" in data and "items" not in data:  # they are packed otherwise now
        sent["items"] = [{name: value for name, value in item.items() if name != "parcel"} for item in sent["items"]]
    check_details(sent, sent["packages"])
    order = carrier_limits.check_purchase(adapter, _build_order(original, sent), fields=data)
    order = prepare(order, original.credential, warehouse)
    request = {
        **{name: sent[name] for name in ("origin", "destination", "packages", "items")},
        "carrier": original.carrier,
        "additional": True,
        "more_returns": data["additional"],
        "mute_warnings": data["mute_warnings"] or original.request.get("mute_warnings", False),
        **input_warnings.read_setting(tenant),
    }
    owner = replace(tenant, store_id=original.store_id)
    reserved = reserve(owner, original.credential, order, request, warehouse=warehouse, return_of=original)
    return buy(reserved, order)


def _defaults(original: Shipment, warehouse: Warehouse | None) -> dict[str, Any]:
    bought = original.request
    return {
        "origin": original.destination,
        "destination": (warehouse.return_address or warehouse.address) if warehouse else original.origin,
        "packages": bought["packages"],
        "items": bought.get("items", []),
        "currency": bought.get("currency", ""),
    }


def _build_order(original: Shipment, values: Mapping[str, Any]) -> Order:
    order = to_order(values, adapter_class(original.carrier))
    return replace(order, order_id=original.order_id, return_of=refs.shipment_ref(original))
