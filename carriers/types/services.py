"""Pickups, coverage, warehouses, reports and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from carriers.types.addresses import Address
from carriers.types.orders import Extras, ShipmentRef, Warehouse


@dataclass(frozen=True, kw_only=True)
class PickupRequest:
    """A pickup to book."""

    reference: str  # Waybill's, unique
    pickup_date: datetime  # offset kept; its date is the local day
    window_start: str  # HH:MM, local
    window_end: str  # HH:MM, local
    address: Address
    packages_count: int
    total_weight_kg: Decimal | None = None
    special_instructions: str = ""
    tracking_numbers: tuple[str, ...] = ()
    shipments: tuple[ShipmentRef, ...] = ()  # to collect
    parcel_location: str = ""  # where the parcels are, such as "reception"


@dataclass(frozen=True, kw_only=True)
class BookedPickup:
    """A booked pickup."""

    carrier_pickup_id: str
    confirmation_number: str
    scheduled_date: datetime  # offset kept; its date is the local day
    window_start: str
    window_end: str
    status: str = "scheduled"
    total_price: Decimal | None = None  # in ``currency``
    currency: str = ""
    carrier_state: Extras = field(default_factory=dict)  # given back in ``PickupRef``, never shown
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PickupRef:
    """A booked pickup, for operations after its booking."""

    carrier_pickup_id: str
    request: PickupRequest  # as booked
    confirmation_number: str = ""
    carrier_state: Extras = field(default_factory=dict)  # what the adapter stored


@dataclass(frozen=True, kw_only=True)
class PickupWindow:
    """A time at which the carrier can pick up."""

    day: date  # local
    start: str = ""  # HH:MM, local
    end: str = ""  # HH:MM, local
    book_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Whether and how a carrier serves a location."""

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
    """A warehouse to register at a carrier or, if it has a ``carrier_id``, to change there."""

    warehouse: Warehouse
    return_address: Address | None = None  # None: the warehouse itself


@dataclass(frozen=True, kw_only=True)
class RegisteredWarehouse:
    """A warehouse as the carrier has registered it."""

    carrier_id: str
    name: str
    active: bool = True
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """A report to fetch."""

    kind: str  # one of the adapter's ``report_kinds``
    since: date
    until: date  # included


@dataclass(frozen=True, kw_only=True)
class Report:
    """A carrier's report: its rows, unchanged."""

    kind: str
    rows: tuple[Mapping[str, Any], ...]
    totals: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Token:
    """An access token and the time of its expiry."""

    value: str
    expires_at: datetime
