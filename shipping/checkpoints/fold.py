"""A shipment's status as a pure function of its checkpoints: every order of arrival ends equal.

The latest *leg* counts (only a return opens a new one). Within it delivered, returned and cancelled absorb what else
was scanned; otherwise the latest checkpoint decides. Unknown codes never count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from carriers.types import Status

# How far along a status is: decides between scans of one instant.
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
OPENS_A_LEG = {Status.RTO, Status.RETURNED}
ABSORBING = {Status.DELIVERED, Status.RETURNED, Status.CANCELLED}
# Nothing is expected to happen after these.
FINAL = ABSORBING


@dataclass(frozen=True)
class Point:
    """What of a checkpoint decides."""

    occurred_at: datetime
    status: str
    code: str
    location: str = ""

    @property
    def order(self) -> tuple[datetime, int, str, str]:
        """Time first, then how far along, then the code; the place only to have one order."""
        return (self.occurred_at, RANK[Status(self.status)], self.code, self.location)


@dataclass(frozen=True)
class Summary:
    """What a shipment's row says of its checkpoints."""

    status: str
    count: int
    location: str
    delivered_at: datetime | None
    first_at: datetime | None
    last_at: datetime | None
    picked_up_at: datetime | None


def timeline(points: Iterable[Point]) -> list[Point]:
    """Oldest first, in the one order that does not depend on arrival."""
    return sorted(points, key=lambda point: point.order)


def summarize(points: Iterable[Point]) -> Summary:
    """Fold a set of checkpoints."""
    ordered = timeline(points)
    leg = _latest_leg([point for point in ordered if point.status != Status.UNKNOWN])
    final = [point for point in leg if point.status in ABSORBING]
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


def _latest_leg(ordered: Sequence[Point]) -> Sequence[Point]:
    opened = [number for number, point in enumerate(ordered) if point.status in OPENS_A_LEG]
    return ordered[opened[-1] :] if opened else ordered
