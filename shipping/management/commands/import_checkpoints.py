"""``manage.py import_checkpoints``: import checkpoints from a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from apikeys.db.tenancy import Mode, Tenant
from apikeys.http.errors import ValidationFailed, WaybillError
from apikeys.management.commands.create_api_key import get_merchant
from shipping.checkpoints import batches

COLUMNS = ("tracking_id", "status", "location", "description", "timestamp")
_BATCH_SIZE = batches.MAX_ITEMS


class Command(BaseCommand):
    help = f"""Import checkpoints from a CSV file (first line: {",".join(COLUMNS)}) or an NDJSON file,
    in the file's order. Refused rows are written to FILE.refused.ndjson with the reason; the other rows are imported.
    After an interruption the same command continues from the position in FILE.progress. Checkpoints that exist already
    are skipped."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--merchant", required=True, help="The merchant's slug.")
        parser.add_argument("--mode", choices=Mode.values, default=Mode.LIVE)

    def handle(self, *args: Any, file: Path, merchant: str, mode: str, **options: Any) -> None:
        tenant = Tenant(get_merchant(merchant).id, mode)
        progress, refused = Path(f"{file}.progress"), Path(f"{file}.refused.ndjson")
        done = _read_progress(progress)
        counts = {"stored": 0, "repeated": 0, "refused": 0}
        try:
            with file.open(newline="", encoding="utf-8") as source, refused.open("a" if done else "w") as out:
                rows = _read_rows(source, is_csv=file.suffix.lower() == ".csv")
                with tqdm(initial=done, unit="rows", file=self.stderr) as bar:
                    rest = islice(rows, done, None)
                    while chunk := list(islice(rest, _BATCH_SIZE)):
                        _store(tenant, chunk, done, out, counts)
                        done += len(chunk)
                        progress.write_text(str(done))
                        bar.update(len(chunk))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        progress.unlink(missing_ok=True)
        if not counts["refused"] and not refused.stat().st_size:
            refused.unlink()
        self.stdout.write(
            f"{counts['stored']} stored, {counts['repeated']} existing, {counts['refused']} refused"
            + (f"; see {refused}" if refused.exists() else "")
        )


def _read_progress(progress: Path) -> int:
    try:
        return int(progress.read_text())
    except FileNotFoundError:
        return 0
    except ValueError as error:
        raise CommandError(f"{progress} contains no number; delete it to start from the beginning.") from error


def _read_rows(source: TextIO, *, is_csv: bool) -> Iterator[Any]:
    if not is_csv:
        yield from (_parse_line(line) for line in source if line.strip())
        return
    table = csv.DictReader(source)
    missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
    if missing:
        raise CommandError(f"The first line must name the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}.")
    yield from ({name: row[name] or "" for name in COLUMNS} for row in table)


def _parse_line(line: str) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return ValidationFailed(details={"body": [f"{error}: {line[:200].strip()}"]})


def _store(tenant: Tenant, chunk: list[Any], before: int, out: TextIO, counts: dict[str, int]) -> None:
    for offset, (row, outcome) in enumerate(zip(chunk, batches.post(tenant, chunk), strict=True)):
        if isinstance(outcome, WaybillError):
            counts["refused"] += 1
            given = None if isinstance(row, WaybillError) else row
            reason = {key: value for key, value in outcome.body().items() if key != "correlation_id"}
            out.write(json.dumps({"row": before + offset + 1, "given": given} | reason, ensure_ascii=False) + "\n")
        else:
            counts["repeated" if outcome.repeated else "stored"] += 1
    out.flush()
