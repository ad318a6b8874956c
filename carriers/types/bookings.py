"""Offers and booked shipments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from carriers.types.documents import Document
from carriers.types.orders import Extras, ParcelRef
from carriers.types.services import BookedPickup


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
    service_name: str = ""
    price_kind: str = "negotiated"  # negotiated list
    co2e_kg: Decimal | None = None  # kg CO2 equivalent, as reported
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TransitTime:
    """How long a service takes."""

    service_type: str  # the carrier's code
    days: int | None = None  # working days
    delivers_at: datetime | None = None
    book_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class BookedShipment:
    """A bought shipment."""

    reference: str  # Waybill's, as the carrier repeats it
    tracking_number: str  # the leading number
    created_at: datetime  # the carrier's time of booking
    parcels: tuple[ParcelRef, ...] = ()  # by number
    documents: tuple[Document, ...] = ()  # may lack in a lookup
    carrier_shipment_id: str = ""
    service_type: str = ""  # the carrier's code
    total_price: Decimal | None = None  # in ``currency``
    currency: str = ""
    estimated_delivery: datetime | None = None
    pickup: BookedPickup | None = None  # booked with the label
    pickup_code: str = ""  # for the recipient
    cancelled: bool = False  # a lookup found a shipment that is already cancelled
    extras: Extras = field(default_factory=dict)  # shown as metadata
    carrier_state: Extras = field(default_factory=dict)  # given back in refs, never shown
