"""The canonical words between shipping and every carrier: frozen dataclasses, units in the names.

Adapters take and give these and nothing else. Money is ``Decimal`` beside an ISO 4217 code, weights are kilograms,
lengths centimetres, distances kilometres; every ``datetime`` is aware. ``extras`` carries what only this carrier says;
it reaches the wire as ``metadata``.
"""

from carriers.types.orders import (
    Address,
    BookedLabel,
    Extras,
    Item,
    Offer,
    Order,
    OrderUpdate,
    Package,
    PaymentMethod,
    ShipmentRef,
    UpdatedOrder,
    Warehouse,
)
from carriers.types.services import (
    BookedPickup,
    Coverage,
    PickupPoint,
    PickupRequest,
    RegisteredWarehouse,
    Report,
    ReportRequest,
    Token,
    WarehouseRequest,
)
from carriers.types.tracking import (
    Cancellation,
    ProofOfDelivery,
    ReportedPickup,
    ReportedScan,
    Scan,
    Status,
    Track,
    WebhookReport,
)

__all__ = [
    "Address",
    "BookedLabel",
    "BookedPickup",
    "Cancellation",
    "Coverage",
    "Extras",
    "Item",
    "Offer",
    "Order",
    "OrderUpdate",
    "Package",
    "PaymentMethod",
    "PickupPoint",
    "PickupRequest",
    "ProofOfDelivery",
    "RegisteredWarehouse",
    "Report",
    "ReportRequest",
    "ReportedPickup",
    "ReportedScan",
    "Scan",
    "ShipmentRef",
    "Status",
    "Token",
    "Track",
    "UpdatedOrder",
    "Warehouse",
    "WarehouseRequest",
    "WebhookReport",
]
