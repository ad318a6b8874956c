"""Distances on the Earth."""

from __future__ import annotations

import math


def distance_km(one_lat: float, one_lng: float, lat: float, lng: float) -> float:
    """Return the great-circle distance."""
    a, b = math.radians(one_lat), math.radians(lat)
    half = math.sin((b - a) / 2) ** 2
    half += math.cos(a) * math.cos(b) * math.sin(math.radians(lng - one_lng) / 2) ** 2
    return 2 * 6371 * math.asin(min(1.0, math.sqrt(half)))
