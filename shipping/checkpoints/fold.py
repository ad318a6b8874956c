"""A shipment's status as a pure function of its checkpoints, so every order of arrival gives the same result.

Only the latest *leg* counts; a return opens a new one. In a leg, delivered, returned and cancelled are final: they win
over later scans. Otherwise the latest checkpoint decides. Unknown codes never decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from carriers.types import Status

# The progress of a status; it decides between checkpoints of the same instant.
RANK = {
    status: rank
    for rank, status in enumerate(
        [
            Status.UNKNOWN,
            Status.CREATED,
            Status.PICKED_UP,
            Status.IN_TRANSIT,
            Status.OUT_FOR_DELIVERY,
            Status.EXCEPTION,
            Status.NDR,
            Status.DAMAGED,
            Status.LOST,
            Status.AT_PICKUP_POINT,
            Status.RTO,
            Status.CANCELLED,
            Status.DELIVERED,
            Status.RETURNED,
        ]
    )
}
OPENS_LEG = {Status.RTO, Status.RETURNED}
FINAL = {Status.DELIVERED, Status.RETURNED, Status.CANCELLED}
Row = TypeVar("Row", bound=Any)


@dataclass(frozen=True)
class CheckpointFacts:
    """The columns of a checkpoint that the fold reads."""

    occurred_at: datetime
    status: str
    code: str
    location: str = ""


@dataclass(frozen=True)
class Summary:
    """The columns of a shipment that its checkpoints decide."""

    status: str
    count: int
    location: str
    delivered_at: datetime | None
    first_at: datetime | None
    last_at: datetime | None
    picked_up_at: datetime | None


def sort_checkpoints(rows: Iterable[Row]) -> list[Row]:
    """Order checkpoints by time, rank of the status and code; the location only makes the order total.

    ``rows``: model instances, or anything with their columns.
    """
    return sorted(rows, key=lambda row: (row.occurred_at, RANK[Status(row.status)], row.code, row.location))


def summarize(checkpoints: Iterable[CheckpointFacts]) -> Summary:
    """Fold a set of checkpoints."""
    ordered = sort_checkpoints(checkpoints)
    leg = [point for point in ordered if point.status != Status.UNKNOWN]
    if openings := [number for number, point in enumerate(leg) if point.status in OPENS_LEG]:
        leg = leg[openings[-1] :]
    final = [point for point in leg if point.status in FINAL]
    decisive = (final or leg)[-1:] or ordered[-1:]
    status = decisive[0].status if decisive else ""
    delivered = [point.occurred_at for point in leg if point.status == Status.DELIVERED]
    return Summary(
        status=status,
        count=len(ordered),
        location=next((point.location for point in reversed(ordered) if point.location), ""),
        delivered_at=delivered[0] if status == Status.DELIVERED else None,
        first_at=ordered[0].occurred_at if ordered else None,
        last_at=ordered[-1].occurred_at if ordered else None,
        picked_up_at=next((point.occurred_at for point in ordered if point.status == Status.PICKED_UP), None),
    )
