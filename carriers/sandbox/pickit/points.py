"""Pickup points: the documented one, and one in each cell of a grid over the world, the same at every start."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.geography import distance_km
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.pickit.errors import PickitRefusal
from carriers.sandbox.pickit.validation import query_number

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


def search(carrier: SimulatedCarrier, request: Request) -> Answer:
    """Answer with the points within a radius, nearest first, without details and with their distance."""
    lat, lng = query_number(request, "lat", -90, 90), query_number(request, "lng", -180, 180)
    radius_km = query_number(request, "radius", 0.1, 50, 5.0)
    limit = int(query_number(request, "limit", 1, 100, 20))
    points = [DOCUMENTED, *(_point_in_cell(row, column) for row, column in _cells_around(lat, lng, radius_km))]
    measured = [(distance_km(lat, lng, **point["location"]), point) for point in points]
    inside = sorted(
        ((distance, point) for distance, point in measured if distance <= radius_km), key=lambda pair: pair[0]
    )
    found = [
        {key: value for key, value in point.items() if key not in _DETAILS} | {"distance": round(distance, 2)}
        for distance, point in inside[:limit]
    ]
    return Answer(200, {"data": found})


def show(carrier: SimulatedCarrier, request: Request, point_id: str) -> Answer:
    """Answer with a point and its details."""
    return Answer(200, {"data": get(point_id, 404, "PICKUP_POINT_NOT_FOUND")})


def get(point_id: str, status: int, code: str) -> dict[str, Any]:
    """Return a point. Raises ``PickitRefusal`` with ``status`` and ``code``; 422 also refuses inactive points."""
    point = find(str(point_id))
    if point is None or (status == 422 and point["status"] != "active"):
        field = "pickup_point_id" if status == 422 else None
        raise PickitRefusal(status, code, f"No usable pickup point {point_id}", field)
    return point


def find(point_id: str) -> dict[str, Any] | None:
    """Return the documented point or one of the grid, ``PP-<row>-<column>``; None if there is none."""
    if point_id == DOCUMENTED["id"]:
        return DOCUMENTED
    parts = point_id.split("-")
    if len(parts) != 3 or parts[0] != "PP" or not all(part.isascii() and part.isdigit() for part in parts[1:]):
        return None
    row, column = int(parts[1]), int(parts[2])
    inside = row < 180 / CELL and column < 360 / CELL and len(point_id) < 20
    return _point_in_cell(row, column) if inside else None


def summary(point: dict[str, Any]) -> dict[str, Any]:
    """Return a point as shipments show it."""
    address = point["address"]
    line = f"{address['street']}, {address['city']}, {address['state']} {address['postal_code']}"
    return {"id": point["id"], "name": point["name"], "type": point["type"], "address": line}


def _cells_around(lat: float, lng: float, radius_km: float) -> list[tuple[int, int]]:
    row, column = int((lat + 90) / CELL), int((lng + 180) / CELL)
    rows = min(_MOST_CELLS, math.ceil(radius_km / 111 / CELL))
    columns = min(_MOST_CELLS, math.ceil(radius_km / max(1.0, 111 * math.cos(math.radians(lat))) / CELL))
    across = int(360 / CELL)
    return [
        (r, c % across)
        for r in range(max(0, row - rows), min(int(180 / CELL) - 1, row + rows) + 1)
        for c in range(column - columns, column + columns + 1)
    ]


def _point_in_cell(row: int, column: int) -> dict[str, Any]:
    digest = hashlib.sha256(f"{row}:{column}".encode()).digest()
    kind = ("LOCKER", "STORE", "KIOSK")[digest[0] % 3]
    number = digest[1] * 4 + 1
    return {
        "id": f"PP-{row}-{column}",
        "name": f"Pickit {kind.title()} {number}",
        "code": f"{kind[0]}{row % 1000:03}-{column % 1000:03}",
        "type": kind,
        "status": "inactive" if digest[2] < 8 else "active",
        "address": {
            "street": f"{number} Market St",
            "city": "Simville",
            "state": "SM",
            "postal_code": f"{10000 + (row * 7 + column) % 89999}",
            "country": "US",
        },
        "location": {
            "lat": round(row * CELL - 90 + digest[3] / 256 * CELL, 6),
            "lng": round(column * CELL - 180 + digest[4] / 256 * CELL, 6),
        },
        "opening_hours": HOURS,
        "services": ["PACKAGE_PICKUP", "PACKAGE_DROP"],
        "capacity": {"small": digest[5] % 20, "medium": digest[6] % 10, "large": digest[7] % 5},
        "accessibility": {"wheelchair": digest[8] > 60, "parking": digest[9] > 128, "public_transport": True},
        "images": [],
        "instructions": "Ask at the counter" if kind == "STORE" else "",
    }
