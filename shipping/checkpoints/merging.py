"""Reports of one scan by several sources, shown as one checkpoint.

A source (booking, webhook or poll) reports a scan once. What another source reports of the same scan is stored beside
it (``CheckpointReport``), never in it. What is shown depends only on the set of reports, not on their order of arrival.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import F, Func, JSONField

from apikeys.db.search import fold
from carriers.types import Status
from shipping.checkpoints.fold import read_statuses, sort_checkpoints
from shipping.models import Checkpoint, CheckpointReport

_MAX_KEY = 100
# Each field is shown from the first of these that has it. Checkpoints of version 1 have no source.
_SOURCES = (*Checkpoint.ReportedBy, "")
_JSON = {
    "postgresql": "jsonb_agg(jsonb_build_array({columns}, r.details))",
    "sqlite": "json_group_array(json_array({columns}, json(r.details)))",
}


class OtherReports(Func):
    """The reports of a carrier's scan by other sources: a JSON list with the fields of ``Report``, or null.

    A subquery, so that a history stays one statement. It is not run for checkpoints that merchants post.
    """

    output_field = JSONField(null=True)

    def __init__(self) -> None:
        super().__init__(F("source"), F("id"))

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, list[Any]]:
        source, checkpoint = (compiler.compile(part)[0] for part in self.source_expressions)
        columns = "r.reported_by, r.location_key, r.location, r.description"
        rows = _JSON[connection.vendor].format(columns=columns)
        found = f"SELECT {rows} FROM shipping_checkpointreport r WHERE r.checkpoint_id = {checkpoint}"  # noqa: S608 our own names
        return f"CASE WHEN {source} = 'carrier' THEN ({found}) END", []


@dataclass(frozen=True)
class Report:
    """What one source reports of a scan."""

    reported_by: str
    location_key: str
    location: str
    description: str
    details: Mapping[str, Any]


@dataclass(frozen=True)
class ShownCheckpoint:
    """A carrier's scan with what all sources report."""

    source: ClassVar[str] = Checkpoint.Source.CARRIER

    id: uuid.UUID
    status: str
    code: str
    parcel: str | None
    location: str
    description: str
    details: Mapping[str, Any]
    occurred_at: datetime
    suspect_time: bool | None


# Of a checkpoint, the columns that this module reads.
COLUMNS = (
    *("id", "status", "code", "location", "description", "details", "occurred_at", "suspect_time"),
    *("parcel", "reported_by", "location_key", "other_reports"),
)


def make_location_key(location: str) -> str:
    """Return a location for comparison: letters and digits without accents and case, single spaces."""
    return " ".join("".join(one if one.isalnum() else " " for one in fold(location)).split())[:_MAX_KEY].rstrip()


def own_report(row: Any) -> Report:
    """Return the report that a checkpoint was stored with."""
    key = make_location_key(row.location) if row.location_key is None else row.location_key
    return Report(row.reported_by or "", key, row.location, row.description, row.details)


def all_reports(row: Any) -> list[Report]:
    """Return the reports of a checkpoint, its own first."""
    return [own_report(row), *(Report(*values) for values in row.other_reports or ())]


def add_report(row: Any, report: CheckpointReport) -> Any:
    """Return a row with one report more."""
    values = (report.reported_by, report.location_key, report.location, report.description, report.details)
    return row._replace(other_reports=[*(row.other_reports or ()), values])


def arrange(rows: Sequence[Any]) -> list[Any]:
    """Return checkpoints as they are shown: merged, in order, each with the status that it has in its leg.

    ``rows``: model instances or rows with ``COLUMNS``.
    """
    ordered = sort_checkpoints(merge(rows))
    if all(row.status != Status.RTO for row in ordered):  # as nearly all
        return ordered
    shown = zip(ordered, read_statuses(ordered), strict=True)
    return [row if row.status == status else replace(_show(row), status=status) for row, status in shown]


def merge(rows: Sequence[Any]) -> Sequence[Any]:
    """Return checkpoints with the fields of all their reports. Those with only one report are returned as they are."""
    if not any(row.other_reports for row in rows):
        return rows
    scans: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in rows:
        scans[(row.parcel, row.code, row.occurred_at)].append(row)
    merged: list[Any] = []
    for same in scans.values():
        merged += _merge_scans(same) if any(row.other_reports for row in same) else same
    return merged


def _merge_scans(rows: list[Any]) -> Iterable[ShownCheckpoint]:
    """Merge the checkpoints of one code and instant, mostly one.

    Which report belongs to which of several depends on the order of arrival, so they are matched again here.
    """
    matched = _match([report for row in rows for report in all_reports(row)])
    rest = sorted(rows, key=lambda row: row.id)
    owners: dict[int, Any] = {}
    for number, reports in enumerate(matched):
        if owner := next((row for row in rest if own_report(row) in reports.values()), None):
            owners[number] = owner
            rest.remove(owner)
    for number, reports in enumerate(matched):
        owner = owners.get(number) or rest.pop(0)
        details: dict[str, Any] = {}
        for report in reversed(reports.values()):
            # An empty value is one that the source does not have.
            details |= {
                key: value
                for key, value in report.details.items()
                if key not in details or value not in (None, "", [], {})
            }
        yield replace(
            _show(owner),
            location=next((report.location for report in reports.values() if report.location), ""),
            description=next((report.description for report in reports.values() if report.description), ""),
            details=details,
        )


def _match(reports: Sequence[Report]) -> list[dict[str, Report]]:
    """Return one dictionary of reports by source per scan: those of one location together, then the others in order."""
    matched: list[dict[str, Report]] = []
    for source in _SOURCES:
        rest = []
        for report in sorted((one for one in reports if one.reported_by == source), key=lambda one: one.location_key):
            same = (
                others
                for others in matched
                if source not in others and any(one.location_key == report.location_key for one in others.values())
            )
            if (others := next(same, None)) is None:
                rest.append(report)
            else:
                others[source] = report
        free = [others for others in matched if source not in others]
        for number, report in enumerate(rest):
            if number < len(free):
                free[number][source] = report
            else:
                matched.append({source: report})
    return matched


def _show(row: Any) -> ShownCheckpoint:
    return ShownCheckpoint(
        row.id,
        row.status,
        row.code,
        row.parcel,
        row.location,
        row.description,
        row.details,
        row.occurred_at,
        row.suspect_time,
    )
