"""Cells and tables as Excel, LibreOffice and Numbers write them are read right, or refused with the reason."""

import io
from zoneinfo import ZoneInfo

import pytest

from apikeys.files import cells, tables

READERS = {"code": cells.read_identifier, "note": cells.read_text}
IDENTIFIERS = {
    "00123": "00123",
    '="00123"': "00123",
    '="1.234.567"': "1.234.567",
    '="say ""yes"""': 'say "yes"',
    "'00123": "00123",
    "'+57 300": "+57 300",
    "1 234 567": "1 234 567",
    "12E345678": "12E345678",
    "1Z999AA10123456784": "1Z999AA10123456784",
    "PKT-40.817": "PKT-40.817",
    "9261290995234560": "9261290995234560",
    "926129099523456001": "926129099523456001",
    '="926129099523456000"': "926129099523456000",
    "": "",
}
# Numbers that a spreadsheet has changed, formulas, errors, damaged texts.
NO_IDENTIFIERS = (
    "1E+12", "1e+12", "9.26129E+21", "9,26129E+21", "7.94612E11", "794612345678.0", "794612345678,00", "1,234,567",
    "1.234.567,00", "1’234’567", "926129099523456000", "92612909952345600000", "=A1", "=HYPERLINK(1)", "#REF!", "#N/A",
    "#NV", "#¡VALOR!", "########", "Err:502", "A\0B", "Bogot\ufffd",
)  # fmt: skip
TIMES = {
    ("2026-12-16T10:30:00Z", ""): "2026-12-16T10:30:00Z",
    ("2026-12-16 10:30:00.5 +01:00", ""): "2026-12-16T10:30:00.5+01:00",
    ("2026-12-16 10:30:00 UTC", ""): "2026-12-16T10:30:00Z",
    ("2026/12/16 9:05", ""): "2026-12-16T09:05:00",
    ("2026-12-16", ""): "2026-12-16",
    ("20261216T1030", ""): "20261216T1030",
    ("16/12/2026", "dmy"): "2026-12-16",
    ("16.12.26 10:30", "dmy"): "2026-12-16T10:30:00",
    ("3/4/2026 9.05.10", "dmy"): "2026-04-03T09:05:10",
    ("16-12-2026, 10:30 p.\u00a0m.", "dmy"): "2026-12-16T22:30:00",
    ("\u200e12/16/2026 12:05\u202fAM", "mdy"): "2026-12-16T00:05:00",
    ("3/4/2026 12:05:09 PM", "mdy"): "2026-03-04T12:05:09",
    ("45292.4375", "serial"): "2024-01-01T10:30:00",
    ("45292,5", "serial"): "2024-01-01T12:00:00",
    ("45292", "serial"): "2024-01-01T00:00:00",
    ('="2026-12-16"', ""): "2026-12-16",
    # The request's field refuses these.
    ("yesterday", ""): "yesterday",
    ("10:30", ""): "10:30",
    ("16-Dec-26", "dmy"): "16-Dec-26",
    ("2026-W03-1", ""): "2026-W03-1",
}
NO_TIMES = (
    ("16/12/2026", ""), ("03/04/2026", ""), ("16.12.2026 10:30", ""), ("16/12/2026", "serial"), ("45292.5", ""),
    ("45292.5", "dmy"), ("16/12/2026", "mdy"), ("12/16/2026", "dmy"), ("2026-02-30", ""), ("30/2/2026", "dmy"),
    ("1/2/2026 13:00 PM", "mdy"), ("1/2/2026 25:00", "mdy"), ("########", ""), ("=NOW()", ""),
)  # fmt: skip


def test_identifiers_are_kept_or_refused():
    assert {cell: cells.read_identifier(cell) for cell in IDENTIFIERS} == IDENTIFIERS
    for cell in NO_IDENTIFIERS:
        with pytest.raises(ValueError, match="It |A spreadsheet") as refusal:
            cells.read_identifier(cell)
        assert cell not in str(refusal.value), cell
    with pytest.raises(ValueError, match="apostrophe"):
        cells.read_secret("'f3a9c7e8")
    for text in ("'s-Hertogenbosch", '5" tube', "-", "@home", "1,234.56"):  # texts are kept
        assert cells.read_text(text) == text
    assert cells.read_text("'=1+1") == "=1+1"


def test_times_are_read_or_refused():
    assert {given: cells.read_time(given[0], order=given[1]) for given in TIMES} == TIMES
    for cell, order in NO_TIMES:
        with pytest.raises(ValueError, match="[a-z]"):
            cells.read_time(cell, order=order)


def test_zone_applies_to_times_without_one():
    madrid = ZoneInfo("Europe/Madrid")
    assert cells.read_time("2026-07-01 10:30", zone=madrid) == "2026-07-01T10:30:00+02:00"
    assert cells.read_time("2026-07-01T10:30:00Z", zone=madrid) == "2026-07-01T10:30:00Z"
    assert cells.read_time("20260101", zone=madrid) == "2026-01-01T00:00:00+01:00"
    for changing in ("2026-03-29 02:30", "2026-10-25 02:30"):  # never, and twice
        with pytest.raises(ValueError, match="clocks"):
            cells.read_time(changing, zone=madrid)


def read(text):
    table = tables.read_table(io.StringIO(text, newline=""), READERS, frozenset(("code",)))
    return table, list(table.rows)


def test_malformed_rows_cost_only_themselves():
    stray = 'U3,"not closed'
    text = "\r\n".join(
        [
            "",
            " CODE ,Note,more",
            "U1,ok,1",
            ",,",
            stray,
            "U4,ok",
            'U5,"a ""b""\nc",',
            'U6,"x" y',
            "U7",
            "U8,a,b,c",
            "U9",
        ]
    )
    table, rows = read(text)
    assert table.ignored == ("more",)
    assert {row.number: row.cells.get("code") for row in rows if not row.errors} == {
        3: "U1", 6: "U4", 7: "U5", 9: "U7", 11: "U9",
    }  # fmt: skip
    assert rows[3].cells["note"] == 'a "b"\nc'
    assert {row.number: list(row.errors) for row in rows if row.errors} == {5: ["row"], 8: ["row"], 10: ["row"]}
    assert [row.cells["code"] for row in read("code|note\n" + '"' * 3 + "\nU1|x\n" * 300)[1][1:3]] == ["U1", "U1"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,note\n1,2\n", "missing: code.*name, note"),
        ("code,Code\n1,2\n", "twice: code"),
        ("Table 1\ncode,note\n", "Table 1"),
        ('"code,note\n1,2\n', "missing: code|cannot be read"),
        ("\n\n", "nothing"),
    ],
)
def test_unusable_table_is_refused_with_the_reason(text, reason):
    with pytest.raises(tables.UnreadableFile, match=reason):
        read(text)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\n", "empty"),
        (b"PK\x03\x04rest", "workbook"),
        (b"\x1f\x8brest", "gzip"),
        ("code,note\n1,é\n".encode("latin-1"), r"not UTF-8: line 2: 1,\\xe9"),
        (b"\xff\xfec\0o\0d", "not utf-16"),
    ],
)
def test_unusable_file_is_refused_with_the_reason(tmp_path, raw, reason):
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(tables.UnreadableFile, match=reason):
        tables.inspect(tmp_path / "file")


def test_named_encoding_is_used_for_a_file_that_is_not_unicode(tmp_path):
    file = tmp_path / "file"
    file.write_bytes("code,note\n1,é€\n".encode("cp1252"))
    assert tables.inspect(file, "windows-1252").open().read() == "code,note\n1,é€\n"
    with pytest.raises(tables.UnreadableFile, match="no encoding"):
        tables.inspect(file, "windows-1")
    with pytest.raises(tables.UnreadableFile, match="ascii throughout"):
        tables.inspect(file, "ascii")
    file.write_text("code,note\n1,é€\n", encoding="utf-8")
    assert tables.inspect(file, "windows-1252").encoding == "utf-8"
    # A bad byte in a UTF-8 file costs its row only, also if another encoding is named.
    file.write_bytes("code,note\n1,é€\n2,ü\n".encode() + b"3,\xe9\n4,ok")
    with tables.inspect(file, "windows-1252").open() as source:
        rows = list(tables.read_table(source, READERS, frozenset()).rows)
    assert [(row.cells["code"], list(row.errors)) for row in rows] == [("1", []), ("2", []), ("3", ["note"]), ("4", [])]
