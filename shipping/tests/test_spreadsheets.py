"""Checkpoints as Excel, LibreOffice and Numbers write them are read right, or refused by row and field."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from shipping.models import Checkpoint

pytestmark = [pytest.mark.django_db, pytest.mark.once]
COLUMNS = ("tracking_id", "status", "location", "description", "timestamp")
START = datetime(2024, 1, 5, 9, 30, tzinfo=UTC)
TEXTS = (
    "Bogotá",
    "Île-de-France",
    "a, b; c\td|e",
    'say "yes"',
    "two\nlines",
    "'s-Hertogenbosch",
    '5" tube',
    "=1+1",
    "€ 5",
)
ISO, US, EUROPE = "{0:%Y-%m-%dT%H:%M:%SZ}", "{0.month}/{0.day}/{0:%Y} {0:%I:%M %p}", "{0:%d.%m.%Y %H:%M}"
# Name: separator, encoding, line end, header, time, options, text before the header.
PROGRAMS = {
    "Excel CSV UTF-8": (",", "utf-8-sig", "\r\n", str, US, {"dates": "mdy"}, ""),
    "Excel CSV, USA": (",", "cp1252", "\r\n", str.title, US, {"dates": "mdy", "encoding": "windows-1252"}, ""),
    "Excel CSV, Germany": (";", "cp1252", "\r\n", str.upper, EUROPE, {"dates": "dmy", "encoding": "cp1252"}, ""),
    "Excel CSV, Mexico": (",", "utf-8-sig", "\r\n", str, "{0:%d/%m/%y %I:%M} a.\u00a0m.", {"dates": "dmy"}, ""),
    "Excel, names its separator": (";", "utf-8-sig", "\r\n", str, "{0:%d/%m/%Y %H:%M}", {"dates": "dmy"}, "sep=;\r\n"),
    "Excel Unicode text": ("\t", "utf-16", "\r\n", str, "{0:%Y/%m/%d %H:%M}", {}, ""),
    "Excel for Mac CSV": (",", "mac_roman", "\r", str, ISO, {"encoding": "mac_roman"}, ""),
    "Excel, General format": (";", "utf-8-sig", "\r\n", str, "serial", {"dates": "serial"}, ""),
    "LibreOffice CSV": (",", "utf-8", "\n", str, ISO, {}, "\n\n"),
    "LibreOffice, tab": ("\t", "utf-16-le", "\n", str, "{0:%Y-%m-%d %H:%M:%S}", {}, ""),
    "LibreOffice, pipe": ("|", "utf-8", "\r\r\n", lambda name: f" {name.replace('_', ' ')} ", ISO, {}, ""),
    "Numbers CSV": (",", "utf-8", "\r\n", lambda name: name.replace("_", "-"), US, {"dates": "mdy"}, ""),
    "macOS, narrow blank": (",", "utf-8", "\n", str, "\u200e{0:%m/%d/%Y, %I:%M}\u202fAM", {"dates": "mdy"}, ""),
}  # fmt: skip


def write_time(at, style):
    if style == "serial":
        return str((at - datetime(1899, 12, 30, tzinfo=UTC)) / timedelta(days=1)).replace(".", ",")
    return style.format(at)


def write_file(path, number, program):
    """Write a file as a program does. Returns the expected (tracking id, location, time) of each row."""
    separator, encoding, line_end, header, style, _options, start = PROGRAMS[program]
    text = StringIO()
    quoting = csv.QUOTE_ALL if number % 3 or line_end == "\r" else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=quoting)
    writer.writerow([*map(header, COLUMNS), "Note", ""])
    expected = []
    for row, location in enumerate(TEXTS):
        code, at = f"00{number:02}{row:04}", START + timedelta(days=row * 3)
        written = (code, f'="{code}"', f"'{code}", f"{code[:4]}\u00a0{code[4:]}")[row % 4]
        shown = f"'{location}" if location.startswith("=") else location
        writer.writerow([written, "Created", shown, f"Row {row}", write_time(at, style), "x", ""])
        expected.append((code, location, at))
    content = start + text.getvalue() + (separator * 6 + line_end) * 2
    path.write_bytes((content.rstrip() if number % 2 else content).encode(encoding))
    return expected


@pytest.fixture
def run(tmp_path, merchant):
    def one(name, **options):
        """Return the exit status and the printed text."""
        out = StringIO()
        try:
            path = str(tmp_path / name)
            call_command("import_checkpoints", path, merchant="acme", mode="test", stdout=out, stderr=out, **options)
        except CommandError as error:
            return 1, f"{out.getvalue()}{error}"
        return 0, out.getvalue()

    return one


def test_files_of_spreadsheets_are_read_right(run, tmp_path):
    for number, program in enumerate(PROGRAMS):
        expected = write_file(tmp_path / "file.txt", number, program)
        status, output = run("file.txt", **PROGRAMS[program][5])
        assert (status, f"{len(TEXTS)} stored, 0 existing, 0 refused" in output) == (0, True), (program, output)
        assert "Not imported: the columns Note." in output
        rows = Checkpoint.objects.filter(shipment__tracking_number__startswith=f"00{number:02}").order_by("occurred_at")
        stored = rows.values_list("shipment__tracking_number", "location", "occurred_at")
        assert list(stored) == expected, program


GOOD = ("UNIT-000000", "CREATED", "Bogotá", "ok", "2024-01-15T09:00:00Z")
# A changed column of a good row, and what the reason contains.
BAD = [
    ("tracking_id", "9.26129E+21", "exponent"),
    ("tracking_id", "1E+12", "exponent"),
    ("tracking_id", "794612345678.0", "decimal"),
    ("tracking_id", "1.234.567,00", "decimal"),
    ("tracking_id", "92612909952345600000", "15th"),
    ("tracking_id", "=B2&C2", "formula"),
    ("tracking_id", "#REF!", "error"),
    ("tracking_id", "12345", "6 characters"),
    ("tracking_id", "UNIT\u200b000001", "invisible"),
    ("tracking_id", "UNIT\0000001", "null"),
    ("tracking_id", "", "blank"),
    ("status", "SENT", ""),
    ("status", "", ""),
    ("location", "#N/A", "error"),
    ("location", "Bogot\ufffd", "lost"),
    ("location", "\u200b", "blank"),
    ("location", "x" * 201, "200"),
    ("description", "a\0b", "null"),
    ("timestamp", "03/04/2024 10:00", "--dates"),
    ("timestamp", "16/12/2024", "--dates"),
    ("timestamp", "45292.5", "day number"),
    ("timestamp", "########", "narrow"),
    ("timestamp", "2024-02-30", "no such date"),
    ("timestamp", "15-Jan-24", "ISO 8601"),
    ("timestamp", "10:30", "ISO 8601"),
    ("timestamp", "", ""),
]


def test_bad_cells_are_refused_by_row_and_field(run, tmp_path):
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for number, (column, cell, _reason) in enumerate(BAD):
        good = dict(zip(COLUMNS, (f"GOOD-{number:06}", *GOOD[1:]), strict=True))
        writer.writerows([good.values(), (good | {"tracking_id": f"UNIT-{number:06}", column: cell}).values()])
    lines = text.getvalue() + '"' + "\r\n".join(["U-0001,CREATED,a,b", "U-0002,CREATED,a, b,c,2024-01-15", "U-0003"])
    (tmp_path / "file.csv").write_bytes(lines.encode())
    status, output = run("file.csv")
    refused = {row["row"]: row for row in map(json.loads, (tmp_path / "file.csv.refused.ndjson").open())}
    assert (status, f"{len(BAD)} stored, 0 existing, {len(BAD) + 3} refused" in output) == (1, True), output
    assert set(Checkpoint.objects.values_list("description", flat=True)) == {"ok"}
    for number, (column, cell, reason) in enumerate(BAD):
        row = refused.pop(3 + 2 * number)
        assert list(row["details"]) == [column], row
        assert reason in " ".join(row["details"][column]), row
        assert row["given"][column] == cell, row
    assert [sorted(row["details"]) for row in refused.values()] == [
        ["row"], ["row"], ["description", "location", "status", "timestamp"],
    ]  # fmt: skip
    assert "row 3, tracking_id '9.26129E+21': A spreadsheet turned it" in output


def test_numbers_that_all_end_in_zero_are_pointed_out(run, tmp_path):
    for last, is_shown in ((0, True), (1, False)):
        rows = io.StringIO()
        csv.writer(rows).writerows([COLUMNS, *((f"92612909952{number:04}{last}", *GOOD[1:]) for number in range(3))])
        (tmp_path / "file.csv").write_text(rows.getvalue())
        assert ("All 3 tracking ids of 16 and 17 digits end in zero" in run("file.csv", dry_run=True)[1]) == is_shown


def test_wrong_order_of_dates_stores_nothing(run, tmp_path):
    def write(*days):
        rows = [",".join((f"UNIT-{number:06}", *GOOD[1:4], day)) for number, day in enumerate(days)]
        (tmp_path / "file.csv").write_text("\n".join([",".join(COLUMNS), *rows]), encoding="utf-8")

    write("03/04/2024", "16/04/2024")
    status, output = run("file.csv", dates="mdy")
    assert (status, "The dates are in the order dmy, not mdy" in output) == (1, True)
    assert not Checkpoint.objects.exists()
    # Where other rows confirm the order, a wrong date costs only its row.
    write("03/04/2024", "16/04/2024", "04/16/2024")
    status, output = run("file.csv", dates="dmy")
    assert (status, "2 stored, 0 existing, 1 refused" in output) == (1, True)


def test_bad_bytes_cost_only_their_rows(run, tmp_path):
    rows = [",".join((f"UNIT-{number:06}", *GOOD[1:])) for number in range(4)]
    lines = "\n".join([",".join(COLUMNS), *rows])
    good = "000002,CREATED,Bogotá"
    (tmp_path / "file.csv").write_bytes(lines.encode().replace(good.encode(), good.encode("cp1252")))
    status, output = run("file.csv")
    assert (status, "3 stored, 0 existing, 1 refused" in output) == (1, True)
    assert "row 4, location 'Bogot\\udce1': It contains a byte that is not UTF-8." in output
    item = json.dumps(dict(zip(COLUMNS, GOOD, strict=True)), ensure_ascii=False)
    (tmp_path / "file.ndjson").write_bytes(f"{item}\n{item}\n".encode() + item.encode("cp1252"))
    status, output = run("file.ndjson")
    assert (status, "0 stored, 2 existing, 1 refused" in output) == (1, True)


def test_ndjson_of_windows_is_read(run, tmp_path):
    rows = [dict(zip(COLUMNS, (f"UNIT-{number:06}", *GOOD[1:]), strict=True)) | {"note": 1} for number in range(3)]
    lines = [json.dumps(row) for row in rows] + [
        '{"tracking_id": "a", "tracking_id": "b"}',
        '{"tracking_id": 12345678}',
    ]
    (tmp_path / "file.txt").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    status, output = run("file.txt")
    assert (status, "Not imported: the fields note." in output) == (1, True)
    assert "3 stored, 0 existing, 2 refused" in output
    assert "row 4, tracking_id: This key is in the object more than once." in output
    assert "row 5, tracking_id 12345678: " in output.replace("'", "")
