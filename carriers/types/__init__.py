"""The canonical types between shipping and the carriers' adapters: frozen dataclasses.

Money is a ``Decimal`` with an ISO 4217 code. Weights are in kilograms, lengths in centimetres, distances in kilometres;
names state the unit. Every ``datetime`` is aware. A text is empty if absent. ``extras`` has what only one carrier
reports; our API shows it as ``metadata``.
"""

from carriers.types.addresses import (
    Address,
    AddressCheck,
    AddressDoesNotFit,
    TaxId,
)
from carriers.types.bookings import (
    BookedShipment,
    Offer,
    TransitTime,
)
from carriers.types.documents import (
    Document,
    Manifest,
)
from carriers.types.orders import (
    Customs,
    DangerousGoods,
    Extras,
    Item,
    Options,
    Order,
    OrderUpdate,
    Package,
    ParcelRef,
    Payer,
    PaymentMethod,
    ShipmentRef,
    UpdatedOrder,
    Warehouse,
    parcel_reference,
)
from carriers.types.points import (
    PickupPoint,
    PointSearch,
)
from carriers.types.services import (
    BookedPickup,
    Coverage,
    PickupRef,
    PickupRequest,
    PickupWindow,
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
    Subscription,
    Track,
    WebhookReport,
    is_suspect_estimate,
    is_suspect_time,
)

__all__ = [
    "Address",
    "AddressCheck",
    "AddressDoesNotFit",
    "TaxId",
    "BookedShipment",
    "Offer",
    "TransitTime",
    "Document",
    "Manifest",
    "Customs",
    "DangerousGoods",
    "Extras",
    "Item",
    "Options",
    "Order",
    "OrderUpdate",
    "Package",
    "ParcelRef",
    "Payer",
    "PaymentMethod",
    "ShipmentRef",
    "UpdatedOrder",
    "Warehouse",
    "parcel_reference",
    "PickupPoint",
    "PointSearch",
    "BookedPickup",
    "Coverage",
    "PickupRef",
    "PickupRequest",
    "PickupWindow",
    "RegisteredWarehouse",
    "Report",
    "ReportRequest",
    "Token",
    "WarehouseRequest",
    "EARLIEST_TIME",
    "Cancellation",
    "ProofOfDelivery",
    "ReportedPickup",
    "ReportedScan",
    "Scan",
    "Status",
    "Subscription",
    "Track",
    "WebhookReport",
    "is_suspect_estimate",
    "is_suspect_time",
]
