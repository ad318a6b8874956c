"""A world full of pickup points, the same at every start: the documented one, and one in each cell of a grid."""

from __future__ import annotations

import hashlib
import math
from typing import Any

CELL = 0.02  # degrees
_MOST_CELLS = 60  # in each direction of a search
HOURS = {
    "monday": "06:00-22:00",
    "tuesday": "06:00-22:00",
    "wednesday": "06:00-22:00",
    "thursday": "06:00-22:00",
    "friday": "06:00-24:00",
    "saturday": "08:00-22:00",
    "sunday": "08:00-20:00",
}
DOCUMENTED = {
    "id": "PP-12345",
    "name": "Downtown Locker Station",
    "code": "DLS-001",
    "type": "LOCKER",
    "status": "active",
    "address": {
        "street": "123 Main St",
        "city": "New York",
        "state": "NY",
        "postal_code": "10001",
        "country": "US",
    },
    "location": {"lat": 40.7128, "lng": -74.0060},
    "opening_hours": HOURS,
    "services": ["PACKAGE_PICKUP", "PACKAGE_DROP", "RETURNS"],
    "capacity": {"small": 15, "medium": 8, "large": 4},
    "accessibility": {"wheelchair": True, "parking": True, "public_transport": True},
    "images": [
        "https://cdn.pickit.net/images/pp-12345-front.jpg",
        "https://cdn.pickit.net/images/pp-12345-lockers.jpg",
    ],
    "instructions": "Enter through main entrance, lockers are on the left",
}
_DETAILS = ("accessibility", "images", "instructions")


def near(lat: float, lng: float, radius_km: float, limit: int) -> list[dict[str, Any]]:
    """Points within the radius, nearest first, without details and with their distance."""
    found = [DOCUMENTED, *(_in_cell(row, column) for row, column in _cells(lat, lng, radius_km))]
    measured = [(distance_km(lat, lng, **point["location"]), point) for point in found]
    inside = sorted(((far, point) for far, point in measured if far <= radius_km), key=lambda pair: pair[0])
    return [
        {key: value for key, value in point.items() if key not in _DETAILS} | {"distance": round(far, 2)}
        for far, point in inside[:limit]
    ]


def by_id(name: str) -> dict[str, Any] | None:
    """One point with everything; ``PP-<row>-<column>`` of the grid, or the documented one."""
    if name == DOCUMENTED["id"]:
        return DOCUMENTED
    parts = name.split("-")
    if len(parts) != 3 or parts[0] != "PP" or not all(part.isascii() and part.isdigit() for part in parts[1:]):
        return None
    row, column = int(parts[1]), int(parts[2])
    inside = row < 180 / CELL and column < 360 / CELL and len(name) < 20
    return _in_cell(row, column) if inside else None


def distance_km(one_lat: float, one_lng: float, lat: float, lng: float) -> float:
    """Along the great circle."""
    a, b = math.radians(one_lat), math.radians(lat)
    half = math.sin((b - a) / 2) ** 2
    half += math.cos(a) * math.cos(b) * math.sin(math.radians(lng - one_lng) / 2) ** 2
    return 2 * 6371 * math.asin(min(1.0, math.sqrt(half)))


def _cells(lat: float, lng: float, radius_km: float) -> list[tuple[int, int]]:
    row, column = int((lat + 90) / CELL), int((lng + 180) / CELL)
    rows = min(_MOST_CELLS, math.ceil(radius_km / 111 / CELL))
    columns = min(_MOST_CELLS, math.ceil(radius_km / max(1.0, 111 * math.cos(math.radians(lat))) / CELL))
    across = int(360 / CELL)
    return [
        (r, c % across)
        for r in range(max(0, row - rows), min(int(180 / CELL) - 1, row + rows) + 1)
        for c in range(column - columns, column + columns + 1)
    ]


def _in_cell(row: int, column: int) -> dict[str, Any]:
    chance = hashlib.sha256(f"{row}:{column}".encode()).digest()
    kind = ("LOCKER", "STORE", "KIOSK")[chance[0] % 3]
    number = chance[1] * 4 + 1
    return {
        "id": f"PP-{row}-{column}",
        "name": f"Pickit {kind.title()} {number}",
        "code": f"{kind[0]}{row % 1000:03}-{column % 1000:03}",
        "type": kind,
        "status": "inactive" if chance[2] < 8 else "active",
        "address": {
            "street": f"{number} Market St",
            "city": "Simville",
            "state": "SM",
            "postal_code": f"{10000 + (row * 7 + column) % 89999}",
            "country": "US",
        },
        "location": {
            "lat": round(row * CELL - 90 + chance[3] / 256 * CELL, 6),
            "lng": round(column * CELL - 180 + chance[4] / 256 * CELL, 6),
        },
        "opening_hours": HOURS,
        "services": ["PACKAGE_PICKUP", "PACKAGE_DROP"],
        "capacity": {"small": chance[5] % 20, "medium": chance[6] % 10, "large": chance[7] % 5},
        "accessibility": {"wheelchair": chance[8] > 60, "parking": chance[9] > 128, "public_transport": True},
        "images": [],
        "instructions": "Ask at the counter" if kind == "STORE" else "",
    }
