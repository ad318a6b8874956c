"""Another pickup point, where the chosen one cannot be used."""

from __future__ import annotations

import logging

from apikeys.http.errors import WaybillError
from carriers.adapters.base import CarrierAdapter
from carriers.types import PickupPoint
from carriers.types.errors import CarrierError

log = logging.getLogger(__name__)
FIELD = "metadata.pickup_point_id"
_RADIUS_KM, _LOOKED_AT = 10, 5


def suggest(adapter: CarrierAdapter, error: WaybillError, point_id: str) -> None:
    """Add the nearest usable point to a refusal of the chosen one, as ``details["nearest_pickup_point"]``.

    Asked only then, so that an order that is in order costs no call more; what goes wrong here changes nothing.
    """
    other = nearest(adapter, point_id) if FIELD in error.details else None
    if other:
        error.details["nearest_pickup_point"] = [other.id, other.name]


def nearest(adapter: CarrierAdapter, point_id: str) -> PickupPoint | None:
    """The nearest usable point to one that is not; None where the carrier knows none, or not this one."""
    if not {"pickup_point", "pickup_points"} <= set(adapter.capabilities()):
        return None
    try:
        chosen = adapter.pickup_point(point_id)
        near = adapter.pickup_points(
            latitude=chosen.latitude, longitude=chosen.longitude, radius_km=_RADIUS_KM, limit=_LOOKED_AT
        )
    except CarrierError as problem:
        log.info("no other pickup point found", extra={"carrier": adapter.slug, "error": str(problem)})
        return None
    return next((point for point in near if point.id != point_id and point.active), None)
