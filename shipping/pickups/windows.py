"""Find the times at which a carrier can pick up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apikeys.db.tenancy import Tenant
from carriers.adapters.base import CarrierAdapter
from carriers.credentials import opening, selection
from carriers.types import PickupRequest, PickupWindow
from shipping.common import lookup, refs
from shipping.common.conversion import to_address
from shipping.pickups.pickups import check_shipments


def find_windows(tenant: Tenant, order: Mapping[str, Any]) -> tuple[CarrierAdapter, Sequence[PickupWindow]]:
    """Return the adapter, and the times for a validated ``PickupWindowsRequestSerializer``. Nothing is booked.

    Raises: ``CarrierUnsupported``; ``ValidationFailed`` naming each shipment that the carrier cannot collect.
    """
    credential = selection.select_credential(tenant, order["carrier"])
    adapter = opening.open_adapter(credential, merchant_id=tenant.merchant_id)
    adapter.need("pickup_windows")
    names = order["shipment_ids"]
    shipments = check_shipments(credential, names, lookup.find_shipments(tenant, names, carrier=adapter.slug))
    request = PickupRequest(
        reference="",
        pickup_date=order["pickup_date"].local,
        window_start="",
        window_end="",
        address=to_address(order["address"]),
        packages_count=order["packages_count"],
        total_weight_kg=order.get("total_weight_kg"),
        tracking_numbers=tuple(shipment.tracking_number for shipment in shipments),
        shipments=tuple(refs.shipment_refs(shipments)),
    )
    return adapter, adapter.pickup_windows(request)
