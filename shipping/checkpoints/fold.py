"""A shipment's status as a pure function of its checkpoints, so every order of arrival gives the same result.

Only the latest *leg* counts; a return opens a new one. In a leg, delivered, returned and cancelled are final: they win
over later scans. Otherwise the latest checkpoint decides. After RTO, delivered means back at the sender. Unknown codes,
informational ones and suspect times never decide.

Several numbered parcels are folded one by one: the shipment is final once all of them are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
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
_CARRIER, _WAYBILL = "carrier", "waybill"  # sources of checkpoints
# A carrier's scan of another status shows that it has the parcel.
_BEFORE_PICKUP = UNDECIDING | {Status.CREATED, Status.CANCELLED}
Row = TypeVar("Row", bound=Any)


@dataclass(frozen=True)
class CheckpointFacts:
    """The columns of a checkpoint that the fold reads."""

    occurred_at: datetime
    status: str
    code: str
    location: str = ""
    suspect_time: bool | None = None
    parcel: str | None = None  # its tracking number; None: the whole shipment
    source: str = _CARRIER


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
    """Order checkpoints by time, rank of the status and code; location and parcel only make the order total.

    ``rows``: model instances, or anything with their columns.
    """
    return sorted(
        rows,
        key=lambda row: (row.occurred_at, RANK[row.status], row.code, row.location, row.parcel or ""),
    )


def read_statuses(ordered: Sequence[Any]) -> list[str]:
    """Return the status of each checkpoint in its leg: after RTO of its parcel, delivered reads as returned.

    ``ordered``: checkpoints in the order of ``sort_checkpoints``.
    """
    statuses, returning = [], set()
    for row in ordered:
        if row.status == Status.RTO and not row.suspect_time:
            returning.add(row.parcel)
        is_returned = row.status == Status.DELIVERED and not returning.isdisjoint((None, row.parcel))
        statuses.append(Status.RETURNED if is_returned else row.status)
    return statuses


def has_movement(rows: Iterable[Any]) -> bool:
    """Return whether a carrier's scan shows that it has the parcel. One with a suspect time shows nothing."""
    return any(row.source == _CARRIER and row.status not in _BEFORE_PICKUP and not row.suspect_time for row in rows)


def summarize(checkpoints: Iterable[Any], parcels: Collection[str] = ()) -> Summary:
    """Fold a set of checkpoints. If there are some but none decides, the status is unknown.

    Args:
        checkpoints: ``CheckpointFacts``, or anything with their fields.
        parcels: the numbers of all parcels, if there are several. A parcel's final scans are left out until the
            shipment is final, and so are those of any other number.
    """
    stored = list(checkpoints)
    ordered = deciding = sort_checkpoints(row for row in stored if not row.suspect_time)
    # A cancellation of ours that the carrier does not know of holds only while the carrier does not have the parcel.
    if any(row.source == _WAYBILL for row in ordered) and has_movement(ordered):
        deciding = [row for row in ordered if row.source != _WAYBILL]
    ending = _end_parcels(deciding, parcels) if parcels else None
    if parcels and not ending:
        read = zip(deciding, read_statuses(deciding), strict=True)
        deciding = [row for row, status in read if not row.parcel or status not in FINAL]
    status, delivered_at = ending or _decide(deciding)
    return Summary(
        status=status or (Status.UNKNOWN if stored else ""),
        count=len(stored),
        location=next((row.location for row in reversed(deciding) if row.location), ""),
        delivered_at=delivered_at,
        first_at=ordered[0].occurred_at if ordered else None,
        last_at=ordered[-1].occurred_at if ordered else None,
        picked_up_at=next((row.occurred_at for row in ordered if row.status == Status.PICKED_UP), None),
    )


def _decide(ordered: Sequence[Any]) -> tuple[str, datetime | None]:
    """Return the status of one parcel, or an empty one if no checkpoint decides it, and the time of its delivery."""
    leg, is_returning = [], False
    for row in ordered:
        is_returning |= row.status == Status.RTO
        status = Status.RETURNED if is_returning and row.status == Status.DELIVERED else row.status
        if status not in UNDECIDING:
            leg.append((status, row.occurred_at))
    if openings := [number for number, (status, _at) in enumerate(leg) if status in OPENS_LEG]:
        leg = leg[openings[-1] :]
    final = [status for status, _at in leg if status in FINAL]
    status = (final or [status for status, _at in leg] or [""])[-1]
    delivered = [at for each, at in leg if each == Status.DELIVERED]
    return status, delivered[0] if status == Status.DELIVERED else None


def _end_parcels(ordered: Sequence[Any], parcels: Collection[str]) -> tuple[str, datetime | None] | None:
    """Return the final status of a shipment and the time of its last delivery; None while a parcel is not final.

    Each parcel has its own checkpoints and those of the whole shipment.
    """
    own: dict[str | None, list[Any]] = defaultdict(list)
    for row in ordered:
        own[row.parcel].append(row)
    ends = [_decide(sort_checkpoints([*own[None], *own[number]])) for number in parcels]
    statuses = {status for status, _at in ends}
    if not statuses <= FINAL:
        return None
    if Status.RETURNED in statuses:
        return Status.RETURNED, None
    delivered = [at for _status, at in ends if at]
    return (Status.DELIVERED, max(delivered)) if delivered else (Status.CANCELLED, None)
