"""Suggest another pickup point if the chosen one cannot be used."""

from __future__ import annotations

import logging

from apikeys.http.errors import WaybillError
from carriers.adapters.base import CarrierAdapter
from carriers.types import PickupPoint, PointSearch
from carriers.types.errors import CarrierError
from shipping.points.points import FIELD

log = logging.getLogger(__name__)
_RADIUS_KM, _MAX_POINTS = 10, 5


def add_nearest_point(adapter: CarrierAdapter, error: WaybillError, point: PickupPoint | None) -> None:
    """Add the nearest usable point to a refusal of the chosen one, as ``details["nearest_pickup_point"]``.

    Only a refusal costs these calls, and their failure does not replace the refusal.
    """
    other = find_nearest_point(adapter, point) if point and FIELD in error.details else None
    if other:
        error.details["nearest_pickup_point"] = [other.id, other.name]


def find_nearest_point(adapter: CarrierAdapter, point: PickupPoint) -> PickupPoint | None:
    """Return the usable point nearest to an unusable one; None if the carrier knows none, or not this one."""
    if not {"pickup_point", "pickup_points"} <= set(adapter.capabilities()):
        return None
    try:
        chosen = adapter.pickup_point(point.id, point.address.country)
        near = adapter.pickup_points(
            PointSearch(
                country=chosen.address.country or point.address.country,
                address=chosen.address,
                latitude=chosen.latitude,
                longitude=chosen.longitude,
                radius_km=_RADIUS_KM,
                limit=_MAX_POINTS,
            )
        )
    except CarrierError as problem:
        log.info("no other pickup point found", extra={"carrier": adapter.slug, "error": str(problem)})
        return None
    return next((other for other in near if other.id != point.id and other.active), None)
