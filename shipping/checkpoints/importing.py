"""Import checkpoints from a file: outcomes of rows, the report of refused ones, the position after an interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from apikeys.db.tenancy import Tenant
from apikeys.http.errors import BusinessRuleViolated, ValidationFailed, WaybillError
from apikeys.http.text import number_key
from shipping.checkpoints import batches
from shipping.checkpoints.posting import Posted
from shipping.checkpoints.serializers import CheckpointRequestSerializer

FIELDS = CheckpointRequestSerializer().fields
MAX_LISTED = 20


@dataclass(frozen=True)
class Row:
    """A row of a file: its number, its content, the item to post, and the errors found while reading."""

    number: int
    given: Any
    item: Any
    errors: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Report:
    """The outcome of the rows so far. Refused ones are written to a file, and the first are printed."""

    out: TextIO
    write_line: Callable[[str], Any]
    stored: int = 0
    repeated: int = 0
    refused: int = 0
    unknown_fields: set[str] = field(default_factory=set)
    # Numbers of 16 and 17 digits, and how many of them end as if a spreadsheet had cut them after the 15th. One ends so
    # by chance, all of a file do not.
    long_numbers: int = 0
    cut_numbers: int = 0
    # The first refused row of each unit. Its later rows wait for it: an earlier checkpoint could not be added later.
    waiting: dict[str, int] = field(default_factory=dict)

    def read_waiting(self, refused: Path) -> None:
        """Read the first refused row of each unit from the report of an interrupted import."""
        with refused.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if row["error"] == ValidationFailed.code and (key := _unit_key(row["given"])):
                    self.waiting.setdefault(key, row["row"])

    def count(self, row: Row, outcome: Any) -> None:
        """Count an outcome, and write a refused row with the reason."""
        if not isinstance(outcome, WaybillError):
            is_repeated = isinstance(outcome, Posted) and outcome.repeated
            self.repeated += is_repeated
            self.stored += not is_repeated
            return
        self.refused += 1
        self.out.write(json.dumps({"row": row.number, "given": row.given} | outcome.body(), ensure_ascii=False) + "\n")
        if self.refused <= MAX_LISTED:
            for name, reasons in (outcome.details or {"row": [str(outcome)]}).items():
                value = row.given.get(name) if isinstance(row.given, dict) else None
                shown = f" {str(value)[:100]!r}" if value else ""
                self.write_line(f"row {row.number}, {name}{shown}: {' '.join(map(str, reasons))}")


@dataclass(frozen=True)
class Progress:
    """The number of rows that an interrupted import has handled, with the file's state and the options of the import.

    For a changed file or with other options the import starts from the beginning, as existing checkpoints are skipped.
    """

    file: Path
    options: Sequence[str]

    def resume(self, refused: Path) -> int:
        """Return the number of rows to skip, and remove from the report what was written after them.

        A killed import may have written a part of a line there, and its last rows are handled again.
        """
        try:
            stored = json.loads(self._path().read_text(encoding="utf-8"))
            if stored["of"] != self._of() or refused.stat().st_size < stored["refused_bytes"]:
                return 0
            os.truncate(refused, stored["refused_bytes"])
            return stored["rows"]
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return 0

    def write(self, rows: int, refused: Path) -> None:
        """Store the number of rows and the size of the report."""
        stored = {"rows": rows, "refused_bytes": refused.stat().st_size, "of": self._of()}
        self._path().write_text(json.dumps(stored), encoding="utf-8")

    def delete(self) -> None:
        """Forget the position."""
        self._path().unlink(missing_ok=True)

    def _path(self) -> Path:
        return Path(f"{self.file}.progress")

    def _of(self) -> list[Any]:
        state = self.file.stat()
        return [state.st_size, state.st_mtime_ns, *self.options]


def store(tenant: Tenant | None, rows: Sequence[Row], report: Report) -> None:
    """Store the rows, or only validate them if there is no tenant."""
    results = [
        _hold_back(row, result, report)
        for row, result in zip(rows, batches.validate([row.item for row in rows]), strict=True)
    ]
    for row, outcome in zip(rows, batches.store(tenant, results) if tenant else results, strict=True):
        report.count(row, outcome)
    report.out.flush()


def _hold_back(row: Row, result: Any, report: Report) -> Any:
    """Return a row's result, or the error that refuses it because of an earlier row of the same unit."""
    if isinstance(row.item, dict) and not row.item.keys() <= FIELDS.keys():
        report.unknown_fields |= set(list(row.item.keys() - FIELDS.keys())[:MAX_LISTED])
    if row.errors:
        others = {} if "row" in row.errors else getattr(result, "details", {})
        result = ValidationFailed(details=others | row.errors)
    if isinstance(result, WaybillError):
        if key := _unit_key(row.given):
            report.waiting.setdefault(key, row.number)
        return result
    number = result.tracking_id
    if number.isdecimal() and len(number) in (16, 17):
        report.long_numbers += 1
        report.cut_numbers += not number[15:].strip("0")
    if first := report.waiting.get(number_key(number)):
        text = f"Row {first} of the same unit was refused; this one can be stored only after it."
        return BusinessRuleViolated(text, details={"tracking_id": [text]})
    return result


def _unit_key(given: Any) -> str:
    number = given.get("tracking_id") if isinstance(given, dict) else None
    return number_key(number) if isinstance(number, str) else ""
