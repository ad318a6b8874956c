"""Orders, offers and booked labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

Extras = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Address:
    """A place and who answers there. ``country`` is ISO 3166-1 alpha-2; absent parts are empty strings."""

    country: str
    postal_code: str = ""
    city: str = ""
    state: str = ""
    street: str = ""
    company: str = ""
    contact_name: str = ""
    contact_phone: str = ""
    contact_email: str = ""


@dataclass(frozen=True, kw_only=True)
class Package:
    """One parcel as announced to the carrier."""

    weight_kg: Decimal
    length_cm: Decimal | None = None
    width_cm: Decimal | None = None
    height_cm: Decimal | None = None
    declared_value: Decimal | None = None
    currency: str = ""
    description: str = ""


class PaymentMethod(StrEnum):
    """Who pays for the goods, and when."""

    PREPAID = "prepaid"
    COD = "cod"  # cash on delivery: the carrier collects ``cod_amount`` from the recipient


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of the order. Prices are for one unit, in the request's ``currency``."""

    name: str
    quantity: int = 1
    sku: str = ""
    unit_price: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    hs_code: str = ""
    origin_country: str = ""


@dataclass(frozen=True, kw_only=True)
class Warehouse:
    """A place of departure. ``carrier_id`` is what this carrier calls it; empty where it does not know it yet."""

    name: str
    address: Address
    carrier_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A price for a service. ``breakdown`` maps a charge's name to its amount; the parts sum up to ``total_price``."""

    service_type: str
    total_price: Decimal | None  # None only where a carrier tells its services without prices
    currency: str
    breakdown: Mapping[str, Decimal]
    transit_days: int | None = None
    estimated_delivery: datetime | None = None
    carrier_quote_id: str = ""
    valid_until: datetime | None = None
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ShipmentRef:
    """A booked shipment, as its carrier knows it."""

    reference: str  # ours
    tracking_number: str = ""
    carrier_shipment_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A shipment to price or to buy, or, with ``return_of``, a return from its ``origin`` to the merchant."""

    origin: Address  # sender
    destination: Address  # recipient
    packages: tuple[Package, ...]  # at least one
    reference: str = ""  # ours, unique; the carrier repeats it; empty in quotes
    order_id: str = ""  # the merchant's
    service_type: str = "standard"  # the carrier's code
    ordered_at: datetime | None = None  # when the merchant ordered
    currency: str = ""  # ISO 4217, of the items and of ``cod_amount``
    items: tuple[Item, ...] = ()  # order lines
    payment_method: PaymentMethod = PaymentMethod.PREPAID
    cod_amount: Decimal | None = None  # in ``currency``; only with cash on delivery
    pickup_point_id: str = ""  # the carrier's
    billing_address: Address | None = None  # None: the destination
    warehouse: Warehouse | None = None  # place of departure; of a return: of arrival
    label_format: str = "PDF"
    label_size: str = "4x6"
    customer_reference: str = ""  # printed on the label
    return_of: ShipmentRef | None = None  # set: this is a return
    reason: str = ""  # of the return
    metadata: Extras = field(default_factory=dict)  # the merchant's


@dataclass(frozen=True, kw_only=True)
class BookedLabel:
    """What was bought. ``content`` is the label file's bytes; ``created_at`` the carrier's time of booking.

    Empty ``content`` beside a ``carrier_label_url``: bought, and the file could not be had yet; ``label_file`` of the
    adapter fetches it later. ``cancelled`` is true where a look-up finds a label that the carrier has already voided.
    """

    reference: str
    tracking_number: str
    carrier_shipment_id: str
    content: bytes
    label_format: str
    label_size: str
    created_at: datetime
    carrier_label_url: str = ""
    carrier_manifest_url: str = ""
    manifest: bytes = b""
    estimated_delivery: datetime | None = None
    total_price: Decimal | None = None
    currency: str = ""
    pickup_code: str = ""
    cancelled: bool = False
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OrderUpdate:
    """What is to change of a booked order; None: stays."""

    tracking_number: str
    carrier_shipment_id: str = ""
    destination: Address | None = None
    packages: tuple[Package, ...] | None = None
    items: tuple[Item, ...] | None = None
    payment_method: PaymentMethod | None = None
    cod_amount: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True, kw_only=True)
class UpdatedOrder:
    """What the carrier says has changed, by the names of ``OrderUpdate``."""

    tracking_number: str
    changed: tuple[str, ...]
    extras: Extras = field(default_factory=dict)
