"""``Record`` reads a carrier's JSON strictly, and its values can be stored."""

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from carriers.adapters.records import Record, matching, read_time, to_storable

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        ("text", 7),
        ("text", ""),
        ("text", None),
        ("identifier", "A/B"),
        ("number", "1.5"),
        ("number", True),
        ("number", float("nan")),
        ("number", 10**10),
        ("amount", -1),
        ("integer", 1.5),
        ("integer", -1),
        ("integer", 32_768),
        ("flag", 1),
        ("time", "yesterday"),
        ("record", []),
        ("records", {}),
        ("records", [1]),
        ("texts", [""]),
        ("integers", {"a": "1"}),
        ("mapping", []),
    ],
)
def test_wrong_value_raises_with_its_path_and_is_not_quoted(read, value):
    record = Record({"outer": {"field": value}}).record("outer")
    with pytest.raises(ValueError, match=r"^outer\.field") as problem:
        getattr(record, read)("field")
    assert "yesterday" not in str(problem.value)
    assert "A/B" not in str(problem.value)


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_body_that_is_not_an_object_is_refused(body):
    with pytest.raises(ValueError, match="the body is not an object"):
        Record(body)


@pytest.mark.parametrize("value", [{}, {"field": None}])
def test_absent_field_is_its_default(value):
    record = Record(value)
    for read in ("text", "number", "amount", "integer", "flag", "time", "record"):
        assert getattr(record, read)("field", "default") == "default"
    assert (record.texts("field"), record.integers("field"), record.mapping("field")) == ((), {}, {})


def test_lenient_field_is_its_default_if_unreadable():
    record = Record({"price": "5.20", "name": "Depot"})
    assert record.lenient(Record.amount, "price", None) is None
    assert record.lenient(Record.text, "name", "") == "Depot"


def test_expected_value_may_differ_in_case_only():
    record = Record({"ref": "WB-1a"})
    assert record.expect("ref", "wb-1A") is record
    with pytest.raises(ValueError, match="ref is not the requested one"):
        record.expect("ref", "WB-2")


def test_lookup_without_a_matching_row_is_unreadable_unless_it_is_empty():
    ours, other, unreadable = Record({"ref": "wb-1"}), Record({"ref": "WB-2"}), Record({"ref": 7})
    assert matching([other, ours, unreadable], "ref", "WB-1") == [ours]
    assert matching([], "ref", "WB-1") == []
    with pytest.raises(ValueError, match="no row has the requested ref"):
        matching([other, unreadable], "ref", "WB-1")


def test_file_begins_like_its_format():
    pdf, text = (base64.b64encode(content).decode() for content in (b"%PDF-1.7", b"text"))
    assert Record({"data": pdf}).file("data", "pdf") == b"%PDF-1.7"
    for data, label_format in ((pdf, "PNG"), (text, "PDF"), ("%PDF", "PDF"), (pdf, "DOCX")):
        with pytest.raises(ValueError, match=r"^data is not"):
            Record({"data": data}).file("data", label_format)


@pytest.mark.parametrize(
    ("text", "expected", "is_assumed"),
    [
        ("2026-01-05T10:00:00+01:00", datetime(2026, 1, 5, 9, tzinfo=UTC), False),
        ("2026-01-05 10:00:00", datetime(2026, 1, 5, 9, tzinfo=UTC), True),
        ("2026-10-25T02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), True),  # twice: the earlier one
        ("2026-03-29T02:30:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC), True),  # skipped: the offset from before
    ],
)
def test_time_without_offset_is_in_the_carriers_zone(text, expected, is_assumed):
    assert read_time(text, zone=PARIS) == (expected, is_assumed)


def test_storable_value_is_json_that_every_database_takes():
    deep = value = []
    for _level in range(30):
        value.append([])
        value = value[0]
    stored = to_storable(
        {
            "nul\0": "half \ud800",
            "price": Decimal("1.5"),
            "none": float("inf"),
            "big": 10**30,
            "huge": 10**400,
            "deep": deep,
        }
    )
    assert (stored["price"], stored["none"], stored["big"], stored["huge"]) == (1.5, None, str(10**30), None)
    text = json.dumps(stored, ensure_ascii=False, allow_nan=False)
    assert "\0" not in text
    text.encode()
    assert text.count("[") == 20
    assert "…" in text
