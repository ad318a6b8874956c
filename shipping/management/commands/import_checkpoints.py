"""``manage.py import_checkpoints``: import checkpoints from a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rest_framework.serializers import DateField
from tqdm import tqdm

from apikeys.db.tenancy import Mode, Tenant
from apikeys.files import cells, tables
from apikeys.http.errors import ValidationFailed
from apikeys.http.fields import IdentifierField, MomentField
from apikeys.http.parsing import parse_line
from apikeys.management.commands.create_api_key import get_merchant
from shipping.checkpoints import batches, importing
from shipping.checkpoints.importing import FIELDS, Row

_REQUIRED = frozenset(name for name, one in FIELDS.items() if one.required)
_BATCH_SIZE = batches.MAX_ITEMS
_MIN_CUT = 3


class Command(BaseCommand):
    help = f"""Import checkpoints from a CSV file (first row: {",".join(FIELDS)}) or an NDJSON file, in their order.
    CSV files may have any separator and encoding of Excel, LibreOffice and Numbers. A refused row costs only itself
    and the later rows of its unit. It is listed and written to FILE.refused.ndjson with the reason; the exit status
    is then 1. Correct the file and import it again: existing checkpoints are skipped. After an interruption the same
    command continues from the position in FILE.progress."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--merchant", required=True, help="The merchant's slug.")
        parser.add_argument("--mode", choices=Mode.values, default=Mode.LIVE)
        parser.add_argument(
            "--dates",
            choices=cells.DATE_ORDERS,
            default="",
            help="How a CSV file writes dates that do not start with the year: day first, month first, or days since"
            " 1900. A year of two digits is after 2000.",
        )
        parser.add_argument("--zone", default="", help="Zone of times without one, like America/Bogota. Default: UTC.")
        parser.add_argument("--encoding", default="", help="Encoding of a file that is not Unicode, like windows-1252.")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Store nothing; report rows that cannot be read in FILE.dry-run.ndjson. The order of a unit's statuses"
            " is not checked.",
        )

    def handle(self, *args: Any, file: Path, merchant: str, mode: str, dry_run: bool, **options: Any) -> None:
        tenant = Tenant(get_merchant(merchant).id, mode)
        chosen = [merchant, mode, options["dates"], options["zone"], options["encoding"]]
        try:
            found = tables.inspect(file, options["encoding"])
            if not found.is_json:
                _check_order(found, options["dates"])
            with found.open() as source:
                rows = _read_ndjson(source) if found.is_json else self._read_table(source, options)
                progress = None if dry_run else importing.Progress(file, chosen)
                with tqdm(total=found.lines, unit="rows", file=self.stderr) as bar:
                    self._import(None if dry_run else tenant, file, rows, progress, bar)
        except (tables.UnreadableFile, OSError) as error:
            raise CommandError(str(error)) from error

    def _import(
        self, tenant: Tenant | None, file: Path, rows: Iterator[Row], progress: importing.Progress | None, bar: tqdm
    ) -> None:
        refused = Path(f"{file}.{'refused' if progress else 'dry-run'}.ndjson")
        done = progress.resume(refused) if progress else 0
        with refused.open("a" if done else "w", encoding="utf-8", errors="backslashreplace") as out:
            report = importing.Report(out, self.stderr.write)
            if done:
                report.read_waiting(refused)
                bar.update(done)
            rest = islice(rows, done, None)
            while chunk := list(islice(rest, _BATCH_SIZE)):
                importing.store(tenant, chunk, report)
                done += len(chunk)
                if progress:
                    progress.write(done, refused)
                bar.update(len(chunk))
        if progress:
            progress.delete()
        self._summarize(report, refused, is_dry=progress is None)

    def _read_table(self, source: TextIO, options: dict[str, Any]) -> Iterator[Row]:
        try:
            zone = ZoneInfo(options["zone"]) if options["zone"] else None
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise CommandError(f"There is no time zone {options['zone']!r}.") from error
        read_time = partial(cells.read_time, order=options["dates"], zone=zone)
        table = tables.read_table(source, {name: _reader(one, read_time) for name, one in FIELDS.items()}, _REQUIRED)
        if table.ignored:
            self.stderr.write(f"Not imported: the columns {', '.join(table.ignored)}.")
        # Empty cells of optional columns are left out.
        return (
            Row(row.number, row.cells, {key: cell for key, cell in row.cells.items() if cell or key in _REQUIRED},
                row.errors)
            for row in table.rows
        )  # fmt: skip

    def _summarize(self, report: importing.Report, refused: Path, *, is_dry: bool) -> None:
        if report.unknown_fields:
            self.stderr.write(f"Not imported: the fields {', '.join(sorted(report.unknown_fields))}.")
        if report.cut_numbers == report.long_numbers >= _MIN_CUT:
            self.stderr.write(
                f"All {report.cut_numbers} tracking ids of 16 and 17 digits end in zero. A spreadsheet may have lost"
                " the digits after the 15th: compare them with the source."
            )
        if report.refused > importing.MAX_LISTED:
            self.stderr.write(f"… and {report.refused - importing.MAX_LISTED} more")
        repeated = "" if is_dry else f" {report.repeated} existing,"
        text = f"{report.stored} {'can be stored' if is_dry else 'stored'},{repeated} {report.refused} refused"
        if refused.stat().st_size:
            raise CommandError(f"{text}; see {refused}")
        refused.unlink()
        self.stdout.write(text)


def _check_order(found: tables.File, order: str) -> None:
    """Check that the dates were not written in the other order than the declared one.

    Else those up to the twelfth would be stored as other days, and only the rest refused.
    """
    other = {"dmy": "mdy", "mdy": "dmy"}.get(order)
    if not other:
        return
    with found.open() as source:
        times = [name for name, one in FIELDS.items() if isinstance(one, MomentField | DateField)]
        orders = Counter()
        for row in tables.read_table(source, dict.fromkeys(FIELDS, str), _REQUIRED).rows:
            orders.update(cells.find_order(row.cells.get(name, "")) for name in times)
    if orders[other] and not orders[order]:
        raise tables.UnreadableFile(f"The dates are in the order {other}, not {order}. Nothing was imported.")


def _reader(one: Any, read_time: tables.Reader) -> tables.Reader:
    """Return the function that reads the cells of a field's column."""
    if isinstance(one, MomentField | DateField):
        return read_time
    return cells.read_identifier if isinstance(one, IdentifierField) else cells.read_text


def _read_ndjson(source: TextIO) -> Iterator[Row]:
    for number, line in enumerate(tables.read_lines(source), 1):
        if text := line.strip():
            item = parse_line(text.encode(errors="surrogateescape"))
            yield Row(number, text[:1000] if isinstance(item, ValidationFailed) else item, item)
