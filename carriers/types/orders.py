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
    """A postal address and its contact."""

    country: str  # ISO 3166-1 alpha-2
    postal_code: str = ""  # as written in the country
    city: str = ""
    state: str = ""  # code or name
    street: str = ""  # with the house number; may have several lines
    company: str = ""
    contact_name: str = ""
    contact_phone: str = ""
    contact_email: str = ""


@dataclass(frozen=True, kw_only=True)
class Package:
    """One parcel, as announced to the carrier."""

    weight_kg: Decimal
    length_cm: Decimal | None = None
    width_cm: Decimal | None = None
    height_cm: Decimal | None = None
    declared_value: Decimal | None = None  # in ``currency``
    currency: str = ""
    description: str = ""  # contents


class PaymentMethod(StrEnum):
    """How the goods are paid for."""

    PREPAID = "prepaid"
    COD = "cod"  # the carrier collects ``cod_amount`` from the recipient


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of an order. Amounts are in the order's ``currency``."""

    name: str
    quantity: int = 1
    sku: str = ""
    unit_price: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)  # of the line
    tax: Decimal = Decimal(0)
    hs_code: str = ""
    origin_country: str = ""  # ISO 3166-1 alpha-2


@dataclass(frozen=True, kw_only=True)
class Warehouse:
    """A warehouse that parcels depart from."""

    name: str
    address: Address
    carrier_id: str = ""  # the carrier's id of it; empty before its registration


@dataclass(frozen=True, kw_only=True)
class Offer:
    """The price of a service."""

    service_type: str
    total_price: Decimal | None  # None: the carrier lists services without prices
    currency: str
    breakdown: Mapping[str, Decimal]  # charge -> amount; they add up to ``total_price``
    transit_days: int | None = None
    estimated_delivery: datetime | None = None
    carrier_quote_id: str = ""
    valid_until: datetime | None = None
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ShipmentRef:
    """A booked shipment, as its carrier knows it."""

    reference: str  # Waybill's
    tracking_number: str = ""
    carrier_shipment_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A shipment to price or to buy, or, with ``return_of``, a return from its ``origin`` to the merchant."""

    origin: Address  # sender
    destination: Address  # recipient
    packages: tuple[Package, ...]  # at least one
    reference: str = ""  # Waybill's, unique; the carrier repeats it; empty in quotes
    order_id: str = ""  # the merchant's order number
    service_type: str = "standard"  # the carrier's code
    ordered_at: datetime | None = None  # when the merchant ordered
    currency: str = ""  # ISO 4217, of the items and of ``cod_amount``
    items: tuple[Item, ...] = ()  # order lines
    payment_method: PaymentMethod = PaymentMethod.PREPAID
    cod_amount: Decimal | None = None  # in ``currency``; only with cash on delivery
    pickup_point_id: str = ""  # the carrier's id of the point
    billing_address: Address | None = None  # None: the destination
    warehouse: Warehouse | None = None  # the origin; of a return, the destination
    label_format: str = "PDF"
    label_size: str = "4x6"
    customer_reference: str = ""  # printed on the label
    return_of: ShipmentRef | None = None  # set: this is a return
    reason: str = ""  # of the return
    metadata: Extras = field(default_factory=dict)  # the merchant's own data


@dataclass(frozen=True, kw_only=True)
class BookedLabel:
    """A bought label."""

    reference: str  # Waybill's, as the carrier repeats it
    tracking_number: str
    carrier_shipment_id: str
    content: bytes  # the label file; empty beside a URL: not available yet, fetched later by ``label_file``
    label_format: str
    label_size: str
    created_at: datetime  # the carrier's time of booking
    carrier_label_url: str = ""
    carrier_manifest_url: str = ""
    manifest: bytes = b""
    estimated_delivery: datetime | None = None
    total_price: Decimal | None = None
    currency: str = ""
    pickup_code: str = ""  # for the recipient
    cancelled: bool = False  # a lookup found a label that is already voided
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OrderUpdate:
    """The new values of a booked order; None: unchanged."""

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
    """The carrier's confirmation of a changed order."""

    tracking_number: str
    changed: tuple[str, ...]  # the carrier's names of the changed fields
    extras: Extras = field(default_factory=dict)
