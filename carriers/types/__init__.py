"""The canonical words between shipping and every carrier: frozen dataclasses, units in the names.

Adapters take and give these and nothing else. Money is ``Decimal`` beside an ISO 4217 code, weights are kilograms,
lengths centimetres, distances kilometres; every ``datetime`` is aware. ``extras`` carries what only this carrier says;
it reaches the wire as ``metadata``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

Extras = Mapping[str, Any]


class Status(StrEnum):
    """Where a shipment stands, for the merchant. Stored and written in lower case."""

    CREATED = "created"  # label bought or announced, nothing handed over
    PICKED_UP = "picked_up"  # the carrier has it
    IN_TRANSIT = "in_transit"  # moving between the carrier's places
    AT_PICKUP_POINT = "at_pickup_point"  # waiting for the recipient at a locker or store
    OUT_FOR_DELIVERY = "out_for_delivery"  # on the last vehicle
    DELIVERED = "delivered"  # handed to the recipient (final)
    EXCEPTION = "exception"  # something went wrong; the text says what (a failed attempt, for one)
    RETURNED = "returned"  # back at the sender (final)
    CANCELLED = "cancelled"  # called off before delivery (final)
    NDR = "ndr"  # non-delivery report: the carrier waits for instructions
    RTO = "rto"  # return to origin: on the way back
    LOST = "lost"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"  # a carrier code that no table knows yet


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
class QuoteRequest:
    """A route to be priced. ``cod_amount`` is in ``currency`` and only said with cash on delivery."""

    origin: Address
    destination: Address
    packages: tuple[Package, ...]
    service_type: str = "standard"
    pickup_point_id: str = ""
    payment_method: PaymentMethod = PaymentMethod.PREPAID
    cod_amount: Decimal | None = None
    currency: str = ""
    extras: Extras = field(default_factory=dict)


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
class LabelRequest:
    """A purchase. ``reference`` is ours and unique; the carrier gives it back on look-up.

    ``ordered_at`` is when the merchant asked; ``currency`` is that of the items and of ``cod_amount``.
    """

    reference: str
    order_id: str
    origin: Address
    destination: Address
    packages: tuple[Package, ...]
    service_type: str = "standard"
    label_format: str = "PDF"
    label_size: str = "4x6"
    pickup_point_id: str = ""
    customer_reference: str = ""
    ordered_at: datetime | None = None
    items: tuple[Item, ...] = ()
    payment_method: PaymentMethod = PaymentMethod.PREPAID
    cod_amount: Decimal | None = None
    currency: str = ""
    billing_address: Address | None = None  # None: the destination
    warehouse: Warehouse | None = None
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReturnRequest(LabelRequest):
    """A way back, from the recipient (``origin``) to a place of the merchant's (``destination``)."""

    returned_tracking_number: str  # of the shipment that comes back
    reason: str = ""


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
class Scan:
    """One thing the carrier says happened to a parcel.

    Identity is (shipment, ``code``, ``occurred_at``). ``occurred_text`` is the carrier's own time text; ``tz_assumed``
    tells that it had no offset. ``details`` keeps locker, hold until, pickup code, attempts, reason, driver, progress
    and the like.
    """

    code: str
    status: Status
    occurred_at: datetime
    occurred_text: str
    tz_assumed: bool = False
    description: str = ""
    location: str = ""
    details: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Track:
    """A parcel's history at the carrier, oldest scan first."""

    tracking_number: str
    scans: tuple[Scan, ...]
    estimated_delivery: datetime | None = None
    current_location: str = ""
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    """``cancelled_at`` is None where the carrier does not say when."""

    tracking_number: str
    cancelled_at: datetime | None
    reason: str = ""
    refund_status: str = ""
    refund_amount: Decimal | None = None
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ProofOfDelivery:
    """Images are data URLs, as the carrier sends them; empty where there is none."""

    tracking_number: str
    delivered_at: datetime | None
    signed_by: str = ""
    signature_image: str = ""
    delivery_photo: str = ""
    location: str = ""
    pickup_code_used: str | None = None
    delivery_type: str = ""
    latitude: float | None = None
    longitude: float | None = None
    notes: str = ""
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PickupRequest:
    """A collection. The window's ends are local wall-clock times, ``HH:MM``."""

    reference: str
    pickup_date: datetime
    window_start: str
    window_end: str
    address: Address
    packages_count: int
    total_weight_kg: Decimal | None = None
    special_instructions: str = ""
    tracking_numbers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BookedPickup:
    carrier_pickup_id: str
    confirmation_number: str
    scheduled_date: datetime
    window_start: str
    window_end: str
    status: str = "scheduled"
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PickupPoint:
    """A place to collect from.

    ``distance_km`` only in a search; ``kind`` is LOCKER, STORE or KIOSK; hours are ``HH:MM-HH:MM`` by day.
    """

    id: str
    name: str
    kind: str
    address: Address
    latitude: float
    longitude: float
    code: str = ""
    active: bool = True
    distance_km: float | None = None
    opening_hours: Mapping[str, str] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    capacity: Mapping[str, int] = field(default_factory=dict)
    accessibility: Mapping[str, bool] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    instructions: str = ""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    postal_code: str
    city: str
    country: str
    service_available: bool
    service_types: tuple[str, ...] = ()
    estimated_transit_days: Mapping[str, int] = field(default_factory=dict)
    nearby_pickup_points: int = 0
    coverage_quality: str = ""
    restrictions: tuple[str, ...] = ()
    surcharges: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WarehouseRequest:
    """A place to be made known to the carrier, or (with its ``carrier_id``) changed there."""

    warehouse: Warehouse
    return_address: Address | None = None  # None: the warehouse itself


@dataclass(frozen=True, kw_only=True)
class RegisteredWarehouse:
    carrier_id: str
    name: str
    active: bool = True
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


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """``kind`` is one of the adapter's ``report_kinds``; both days are included."""

    kind: str
    since: date
    until: date


@dataclass(frozen=True, kw_only=True)
class Report:
    """The carrier's own figures, as it writes them: one mapping a row."""

    kind: str
    rows: tuple[Mapping[str, Any], ...]
    totals: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Token:
    """An access token and when the carrier stops taking it."""

    value: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class ReportedScan:
    """A scan out of a webhook, with the number that it is about."""

    tracking_number: str
    scan: Scan
    estimated_delivery: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ReportedPickup:
    """News about a collection; ``status`` is ``scheduled`` or ``completed``."""

    carrier_pickup_id: str
    status: str
    occurred_at: datetime
    details: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WebhookNews:
    """All that one webhook body says. Empty tuples: understood, nothing of interest."""

    event_type: str
    scans: tuple[ReportedScan, ...] = ()
    pickups: tuple[ReportedPickup, ...] = ()
