"""Orders, their parcels, items, customs data and options, and references to booked shipments.

``Order`` and ``ShipmentRef`` refer to each other: a return names the shipment that it returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from carriers.types.addresses import Address, TaxId
from carriers.types.documents import Document
from carriers.types.points import PickupPoint

Extras = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Package:
    """One parcel, as announced to the carrier. Parcel n is ``packages[n - 1]``."""

    weight_kg: Decimal  # gross
    length_cm: Decimal | None = None
    width_cm: Decimal | None = None
    height_cm: Decimal | None = None
    declared_value: Decimal | None = None  # in ``currency``
    currency: str = ""
    description: str = ""  # contents
    packaging: str = ""  # the carrier's code; empty: the merchant's own box


class PaymentMethod(StrEnum):
    """How the goods are paid for."""

    PREPAID = "prepaid"
    COD = "cod"  # the carrier collects ``cod_amount`` from the recipient


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of an order. Amounts are in the order's ``currency``."""

    name: str
    quantity: int = 1
    sku: str = ""  # the merchant's number
    gtin: str = ""  # 8 to 14 digits
    description: str = ""  # for customs
    unit_price: Decimal = Decimal(0)
    unit_value: Decimal | None = None  # for customs, of one unit; None: ``unit_price``
    discount: Decimal = Decimal(0)  # of the line
    tax: Decimal = Decimal(0)
    weight_kg: Decimal | None = None  # net, of one unit
    hs_code: str = ""  # 6 to 12 digits
    origin_country: str = ""  # ISO 3166-1 alpha-2
    parcel: int = 0  # number of the parcel that has it, from 1; 0: not stated


@dataclass(frozen=True, kw_only=True)
class Payer:
    """The party that pays, with its account number at the carrier unless it is the sender."""

    who: str = "sender"  # sender recipient third_party
    account_number: str = ""
    postal_code: str = ""  # of the account
    country: str = ""  # of the account, alpha-2


@dataclass(frozen=True, kw_only=True)
class Customs:
    """A customs declaration. Amounts are in the order's ``currency``; its items are the order's."""

    contents: str = "merchandise"  # merchandise gift sample documents return repair other
    export_reason: str = ""  # required with ``other``
    incoterm: str = "DAP"  # DAP DDP DDU EXW FCA CPT CIP DPU ...
    duties: Payer | None = None  # pays duties and taxes; None: the sender with DDP, else the recipient
    tax_ids: tuple[TaxId, ...] = ()  # of all parties
    importer: Address | None = None  # None: the destination
    invoice_number: str = ""
    invoice_date: date | None = None
    freight: Decimal | None = None  # on the invoice
    insurance: Decimal | None = None  # on the invoice
    mrn: str = ""  # movement reference number, up to 18 characters
    signer: str = ""  # name


@dataclass(frozen=True, kw_only=True)
class DangerousGoods:
    """Dangerous goods in one parcel."""

    un_number: str  # 4 digits
    hazard_class: str  # class or division, such as "6.1"
    packing_group: str = ""  # I II III; empty: none
    quantity: Decimal  # in ``unit``
    unit: str = "kg"  # kg (net) or l
    parcel: int = 1  # from 1


@dataclass(frozen=True, kw_only=True)
class Options:
    """Requested services. An adapter's ``served_options`` names those that its carrier serves."""

    signature: str = ""  # any recipient adult; empty: none
    min_age: int | None = None  # years
    insured_value: Decimal | None = None  # in the order's ``currency``
    saturday: bool = False  # delivery on a Saturday
    dangerous_goods: tuple[DangerousGoods, ...] = ()  # all of them
    notify: bool = False  # the carrier notifies the recipient
    payer: Payer = Payer()  # pays the transport
    carrier: Extras = field(default_factory=dict)  # checked with the adapter's ``options_schema``


@dataclass(frozen=True, kw_only=True)
class Warehouse:
    """A warehouse that parcels depart from."""

    name: str
    address: Address
    carrier_id: str = ""  # the carrier's id of it; empty before its registration


@dataclass(frozen=True, kw_only=True)
class ParcelRef:
    """A parcel of a booked shipment."""

    number: int  # from 1
    tracking_number: str = ""  # the carrier's
    reference: str = ""  # ``parcel_reference(ours, number)``, as the carrier has it


def parcel_reference(reference: str, number: int) -> str:
    """Return our reference of one parcel, for carriers that need one for each."""
    return f"{reference}-{number}"


@dataclass(frozen=True, kw_only=True)
class ShipmentRef:
    """A shipment as its carrier knows it, for operations after the purchase."""

    reference: str  # Waybill's
    order: Order  # as purchased
    booked_at: datetime  # while pending: of the reservation
    ship_at: datetime  # offset kept
    tracking_number: str = ""  # the leading number; empty while pending
    carrier_shipment_id: str = ""
    parcels: tuple[ParcelRef, ...] = ()  # by number
    carrier_state: Extras = field(default_factory=dict)  # what the adapter stored


@dataclass(frozen=True, kw_only=True)
class Order:
    """A shipment to price or to buy, or, with ``return_of``, a return from its ``origin`` to the merchant."""

    origin: Address  # sender
    destination: Address  # recipient
    packages: tuple[Package, ...]  # at least one
    reference: str = ""  # Waybill's, unique, 25 characters; the carrier repeats it; empty in quotes
    order_id: str = ""  # the merchant's order number
    service_type: str | None = None  # the carrier's code; None: any, in quotes only
    ship_at: datetime | None = None  # offset kept, its date is the local day; None: now
    ordered_at: datetime | None = None  # when the merchant ordered
    currency: str = ""  # ISO 4217, of the items, of ``customs``, ``options`` and ``cod_amount``
    items: tuple[Item, ...] = ()  # order lines
    customs: Customs | None = None  # None: no declaration
    options: Options = Options()
    payment_method: PaymentMethod = PaymentMethod.PREPAID
    cod_amount: Decimal | None = None  # only with cash on delivery
    pickup_point: PickupPoint | None = None  # with its address if the adapter ``needs_point_address``
    billing_address: Address | None = None  # None: the destination
    return_address: Address | None = None  # where undeliverable parcels go; None: the origin
    warehouse: Warehouse | None = None  # the origin; of a return, the destination
    label_format: str = "PDF"  # PDF PNG GIF ZPL EPL
    label_size: str = "4x6"  # inches, or A4 A5 A6
    wanted_documents: tuple[str, ...] = ()  # ``Document.kind``, besides the label
    attachments: tuple[Document, ...] = ()  # the merchant's own files
    customer_reference: str = ""  # printed on the label
    return_of: ShipmentRef | None = None  # set: this is a return
    reason: str = ""  # of the return
    metadata: Extras = field(default_factory=dict)  # the merchant's own data


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
