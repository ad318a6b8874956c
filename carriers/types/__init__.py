"""The canonical types between shipping and the carriers' adapters: frozen dataclasses.

Money is a ``Decimal`` with an ISO 4217 code. Weights are in kilograms, lengths in centimetres, distances in kilometres;
names state the unit. Every ``datetime`` is aware. A text is empty if absent. ``extras`` has what only one carrier
reports; our API shows it as ``metadata``.
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
    EARLIEST_TIME,
    Cancellation,
    ProofOfDelivery,
    ReportedPickup,
    ReportedScan,
    Scan,
    Status,
    Track,
    WebhookReport,
    is_suspect_estimate,
    is_suspect_time,
)

__all__ = [
    "EARLIEST_TIME",
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
    "is_suspect_estimate",
    "is_suspect_time",
]
