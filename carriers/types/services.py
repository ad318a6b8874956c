"""Pickups, pickup points, coverage, warehouses, reports and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from carriers.types.orders import Address, Extras, Warehouse


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
