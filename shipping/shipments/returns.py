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
from carriers.types import (
    Status,
)
from shipping.common import carrier_limits, input_warnings, lookup
from shipping.common.lookup import need_booking, open_adapter
from shipping.labels.purchase import buy, reserve
from shipping.models import Shipment, Warehouse
from shipping.warehouses import warehouses


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
    if not selection.accepts_orders(original.credential, tenant):
        text = _("The account that this shipment was booked with takes no new orders.")
        raise ValidationFailed(details={"shipment_id": [text]})
    adapter = open_adapter(original)
    adapter.need("create_return")
    carrier_limits.check(type(adapter), wanted)
    wanted = {**wanted, **carrier_limits.printable(type(adapter), wanted), **input_warnings.muted(tenant)}
    place = warehouses.arrival(tenant, original, wanted.get("warehouse_id"))
    owner = replace(tenant, store_id=original.store_id)
    return buy(reserve(owner, original.credential, _return_order(original, wanted, place), place, original))


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
