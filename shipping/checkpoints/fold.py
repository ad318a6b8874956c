"""A shipment's status as a pure function of its checkpoints, so every order of arrival gives the same result.

Only the latest *leg* counts; a return opens a new one. In a leg, delivered, returned and cancelled are final: they win
over later scans. Otherwise the latest checkpoint decides. After RTO, delivered means back at the sender. Unknown codes,
information and suspect times never decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
            Status.INFO,
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
UNDECIDING = {Status.UNKNOWN, Status.INFO}
Row = TypeVar("Row", bound=Any)


@dataclass(frozen=True)
class CheckpointFacts:
    """The columns of a checkpoint that the fold reads."""

    occurred_at: datetime
    status: str
    code: str
    location: str = ""
    suspect_time: bool | None = None


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


def read_statuses(ordered: Sequence[Any]) -> list[str]:
    """Return the status of each checkpoint in its leg: after RTO, delivered reads as returned.

    ``ordered``: checkpoints in the order of ``sort_checkpoints``.
    """
    statuses, is_returning = [], False
    for row in ordered:
        is_returning |= row.status == Status.RTO and not row.suspect_time
        statuses.append(Status.RETURNED if is_returning and row.status == Status.DELIVERED else row.status)
    return statuses


def summarize(checkpoints: Iterable[CheckpointFacts]) -> Summary:
    """Fold a set of checkpoints. If there are some but none decides, the status is unknown."""
    stored = list(checkpoints)
    ordered = sort_checkpoints(row for row in stored if not row.suspect_time)
    timed = zip(read_statuses(ordered), (row.occurred_at for row in ordered), strict=True)
    leg = [(status, at) for status, at in timed if status not in UNDECIDING]
    if openings := [number for number, (status, _at) in enumerate(leg) if status in OPENS_LEG]:
        leg = leg[openings[-1] :]
    final = [status for status, _at in leg if status in FINAL]
    undecided = Status.UNKNOWN if stored else ""
    status = (final or [status for status, _at in leg] or [undecided])[-1]
    delivered = [at for each, at in leg if each == Status.DELIVERED]
    return Summary(
        status=status,
        count=len(stored),
        location=next((row.location for row in reversed(ordered) if row.location), ""),
        delivered_at=delivered[0] if status == Status.DELIVERED else None,
        first_at=ordered[0].occurred_at if ordered else None,
        last_at=ordered[-1].occurred_at if ordered else None,
        picked_up_at=next((row.occurred_at for row in ordered if row.status == Status.PICKED_UP), None),
    )
