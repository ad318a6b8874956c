"""Pickup points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from carriers.types.addresses import Address


@dataclass(frozen=True, kw_only=True)
class PickupPoint:
    """A locker or shop where the recipient collects a parcel. In an order it may have its id and country only."""

    id: str
    name: str = ""
    kind: str = ""  # LOCKER STORE KIOSK
    address: Address
    latitude: float = 0
    longitude: float = 0
    code: str = ""
    active: bool = True
    distance_km: float | None = None  # in searches only
    opening_hours: Mapping[str, str] = field(default_factory=dict)  # day -> HH:MM-HH:MM
    services: tuple[str, ...] = ()
    capacity: Mapping[str, int] = field(default_factory=dict)
    accessibility: Mapping[str, bool] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    instructions: str = ""
    carrier_state: Mapping[str, Any] = field(default_factory=dict)  # what the label needs, never shown


@dataclass(frozen=True, kw_only=True)
class PointSearch:
    """A search for pickup points near coordinates or, without them, near an address."""

    country: str  # alpha-2
    address: Address | None = None
    latitude: float | None = None  # degrees, WGS 84
    longitude: float | None = None  # degrees, WGS 84
    radius_km: float = 10
    limit: int = 10  # points
