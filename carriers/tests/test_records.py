"""``Record`` reads a carrier's JSON strictly, and its values can be stored."""

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from rest_framework.exceptions import ValidationError

from apikeys.http.fields import CurrencyField
from carriers.adapters import skipping
from carriers.adapters.records import Record, matching, to_storable
from carriers.adapters.refusals import find_refusal
from carriers.adapters.values import decode_file, filled, read_time
from carriers.adapters.zones import zone_of
from carriers.tests.damage import skipped

PARIS, INDIA = ZoneInfo("Europe/Paris"), ZoneInfo("Asia/Kolkata")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        ("text", True),
        ("text", ""),
        ("text", None),
        ("identifier", "A/B"),
        ("number", "1.5.5"),
        ("number", True),
        ("number", float("nan")),
        ("number", 10**10),
        ("amount", -1),
        ("integer", 1.5),
        ("integer", -1),
        ("integer", 32_768),
        ("flag", "maybe"),
        ("time", "yesterday"),
        ("record", []),
        ("records", {}),
        ("records", [1]),
        ("texts", [""]),
        ("integers", {"a": "one"}),
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
    record = Record({"price": "five", "name": "Depot"})
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


PDF, PNG, ZPL = b"%PDF-1.7 \xfb\xff", b"\x89PNG\r\n\x1a\n\xff\xfe", b"^XA^XZ"


def _encoded(content):
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (_encoded(PDF), (PDF, "PDF")),
        (_encoded(PNG), (PNG, "PNG")),
        (_encoded(ZPL), (ZPL, "ZPL")),
        (base64.encodebytes(PDF * 20).decode().replace("\n", "\r\n"), (PDF * 20, "PDF")),
        (f"  {_encoded(PDF)[:8]} {_encoded(PDF)[8:]}\t", (PDF, "PDF")),
        (base64.urlsafe_b64encode(PDF).decode(), (PDF, "PDF")),
        (_encoded(ZPL + b"12").rstrip("="), (ZPL + b"12", "ZPL")),
        (f"data:image/png;base64,{_encoded(PNG)}", (PNG, "PNG")),
        (f"DATA:application/pdf;base64,\n{_encoded(PDF)}", (PDF, "PDF")),
        (_encoded(b"\n" + PDF), (PDF, "PDF")),
        (_encoded(b"\xef\xbb\xbf\r\n" + PDF), (PDF, "PDF")),
        (_encoded(b"  \n" + ZPL), (ZPL, "ZPL")),
        ("\n ^XA^XZ", (ZPL, "ZPL")),
    ],
)
def test_file_is_read_in_every_form_and_its_content_says_its_format(data, expected):
    assert Record({"data": data}).file("data") == expected


def test_value_that_is_no_label_file_is_refused():
    for data in (_encoded(b"text"), "%PDF", "=", "", 7, ["JVBERi0="], _encoded(b"x" + PDF)):
        with pytest.raises(ValueError, match=r"^data is not"):
            Record({"data": data}).file("data")


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        ("amount", "12.50", Decimal("12.50")),
        ("amount", " 1,234.50 ", Decimal("1234.50")),
        ("amount", "1,23,456.00", Decimal("123456.00")),
        ("amount", "Rs. 80", Decimal(80)),
        ("amount", "\N{INDIAN RUPEE SIGN}80.5", Decimal("80.5")),
        ("amount", "US$12.50", Decimal("12.50")),
        ("amount", "12.50 USD", Decimal("12.50")),
        ("integer", "3", 3),
        ("integer", 3.0, 3),
        ("text", 31990244, "31990244"),
        ("text", Decimal("1E+3"), "1000"),
        ("identifier", " PKT-1 ", "PKT-1"),
        ("flag", "Yes", True),
        ("flag", 0, False),
        ("texts", "one", ("one",)),
        ("time", 1710500000, datetime(2024, 3, 15, 10, 53, 20, tzinfo=UTC)),
        ("time", "1710500000123", datetime(2024, 3, 15, 10, 53, 20, tzinfo=UTC)),
        ("time", "2024-03-15T10:00:00z", datetime(2024, 3, 15, 10, tzinfo=UTC)),
        ("time", "2024-03-15 10:00:00 +0530", datetime(2024, 3, 15, 4, 30, tzinfo=UTC)),
        ("time", "Fri, 15 Mar 2024 10:00:00 GMT", datetime(2024, 3, 15, 10, tzinfo=UTC)),
        ("time", "2024/03/15 10:00:00", datetime(2024, 3, 15, 10, tzinfo=UTC)),
        ("time", "15 Mar 2024, 10:30 PM", datetime(2024, 3, 15, 22, 30, tzinfo=UTC)),
    ],
)
def test_value_of_another_json_type_or_form_is_read(read, value, expected):
    assert getattr(Record({"field": value}), read)("field") == expected


@pytest.mark.parametrize("value", ["12,50", "1.234,50", "03/04/2024", "03-04-2024 10:00", "12 to 50", "1,2345"])
def test_ambiguous_amount_or_date_is_not_guessed(value):
    for read in ("amount", "time"):
        with pytest.raises(ValueError, match=r"^field is not"):
            getattr(Record({"field": value}), read)("field")


def test_unreadable_element_is_skipped_counted_and_logged_by_path(caplog):
    record = Record({"outer": {"list": [{"id": "A"}, {"id": None}, "secret", {"id": "B"}]}}).record("outer")
    before = skipped("test", "track")
    with skipping.reading("test", "track"):
        assert record.each("list", lambda item: item.text("id")) == ["A", "B"]
    assert skipped("test", "track") == before + 2
    assert [row.path for row in caplog.records] == ["outer.list[1]", "outer.list[2]"]
    assert "secret" not in str([vars(row) for row in caplog.records])
    assert record.each("list", lambda item: item.path)[:2] == ["outer.list[0]", "outer.list[1]"]
    assert Record({"list": []}).each("list", Record.text) == []
    with pytest.raises(ValueError, match=r"^list\[1\]\.id is missing"):
        Record({"list": [7, {}]}).each("list", lambda item: item.text("id"))
    assert Record({"names": ["a", 7, None, {}]}).texts("names") == ("a", "7")
    assert Record({"counts": {"a": "1", "b": [], "c": 2}}).integers("counts") == {"a": 1, "c": 2}


@pytest.mark.parametrize(
    ("text", "country", "code"),
    [
        ("USD", "", "USD"),
        ("inr", "", "INR"),
        ("\N{INDIAN RUPEE SIGN}", "", "INR"),
        ("US$", "FR", "USD"),
        ("$", "US", "USD"),
        ("$", "CO", "COP"),
        ("$", "", ""),
        ("$", "FR", ""),
        ("Rs.", "IN", "INR"),
        ("Rs.", "", ""),
        ("kr", "SE", "SEK"),
        ("DEM", "DE", ""),
        ("XXX", "US", ""),
        ("XAU", "US", ""),
        ("840", "US", ""),
        ("KWD", "", "KWD"),
    ],
)
def test_currency_is_a_code_or_empty(text, country, code):
    assert Record({"currency": text}).currency("currency", country) == code


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"success": False, "message": "Insufficient balance"}, ("", "Insufficient balance")),
        ({"success": "false", "code": "E7", "msg": "No"}, ("E7", "No")),
        ({"status": 0, "error": "Insufficient balance"}, ("0", "Insufficient balance")),
        ({"status": "error", "message": "No"}, ("error", "No")),
        ({"status_code": 402, "message": "Pay first"}, ("402", "Pay first")),
        ({"error": {"code": "LOW", "message": "No money"}}, ("LOW", "No money")),
        ({"error": True, "message": "No money"}, ("", "No money")),
        ({"error": "false", "awb": "1"}, None),
        ({"errors": [{"code": "A", "detail": "First"}, "Second"]}, ("A", "First; Second")),
        ({"errors": {"awb": ["Used"]}}, ("", "awb: Used")),
        ([{"success": False, "message": "No"}], ("", "No")),
        ({"success": True, "errors": ["Address changed"]}, None),
        ({"status": "failed", "awb": "1"}, None),
        ({"status": "delivered", "message": "Left at the door"}, None),
        ({"error": None, "errors": [], "data": []}, None),
        ([], None),
        ("no", None),
    ],
)
def test_refusal_inside_a_success_is_found(body, expected):
    assert find_refusal(body) == expected


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


@pytest.mark.parametrize("code", ["DEM", "XXX", "XTS", "XAU", "ABC", "$"])
def test_merchants_send_currencies_of_todays_tender_only(code):
    field = CurrencyField()
    assert [field.run_validation(one) for one in ("usd", "KWD", "JPY")] == ["USD", "KWD", "JPY"]
    with pytest.raises(ValidationError):
        field.run_validation(code)


@pytest.mark.parametrize("day", ["2026-12-16", "20261216", "16 Dec 2026", "2026/12/16"])
@pytest.mark.parametrize(("zone", "end"), [(UTC, "2026-12-16T23:59:00+00:00"), (INDIA, "2026-12-16T18:29:00+00:00")])
def test_deadline_of_a_day_is_its_end_and_of_a_time_the_time(day, zone, end):
    assert Record({"at": day}, zone=zone).deadline("at").isoformat() == end
    for text in ("2026-12-16T00:00:00Z", "20261216T000000Z", "1797379200", "1797379200000"):
        assert Record({"at": text}, zone=zone).deadline("at").isoformat() == "2026-12-16T00:00:00+00:00", text
    assert Record({}).deadline("at", None) is None


def test_local_time_keeps_its_day():
    assert Record({"at": "2026-12-16T00:30:00+05:30"}).local_time("at").isoformat() == "2026-12-16T00:30:00+05:30"
    assert Record({"at": "2026-12-16"}, zone=INDIA).local_time("at").date().isoformat() == "2026-12-16"
    with pytest.raises(ValueError, match="at is not a time"):
        Record({"at": "0001-01-01T00:00:00+05:30"}).local_time("at")


def test_one_element_is_read_as_a_list_of_one():
    for value, expected in (({"a": 1}, [{"a": 1}]), ([{"a": 1}] * 2, [{"a": 1}] * 2), (None, []), ("", [])):
        assert [one.value for one in Record({"x": value}).one_or_many("x").records("x")] == expected
    with pytest.raises(ValueError, match=r"x\[0\]"):
        Record({"x": "text"}).one_or_many("x").records("x")


def test_empty_fields_are_left_out_at_every_depth():
    body = {"a": "", "b": [{"c": None}, {"d": 0}], "e": {"f": {}}, "g": False}
    assert filled(body) == {"b": [{"d": 0}], "g": False}


def test_file_without_first_bytes_of_its_own_has_the_declared_format():
    for content, declared in ((b"\nN\nq812\n", "EPL"), (b"<html></html>", "HTML"), (b"GIF89a", "GIF")):
        encoded = base64.b64encode(content).decode()
        assert decode_file(encoded, "x", declared) == (content, declared)
    for content in (b"", b"text"):
        with pytest.raises(ValueError, match="label format"):
            decode_file(base64.b64encode(content).decode(), "x", "HTML")


def test_zone_of_a_place_is_that_of_its_state_or_of_most_of_the_country():
    places = {("DE", ""): "Europe/Berlin", ("SE", ""): "Europe/Stockholm", ("US", "WA"): "America/Los_Angeles"}
    places |= {("US", ""): "America/New_York", ("CA", "BC"): "America/Vancouver", ("ZZ", ""): "UTC"}
    assert {place: str(zone_of(*place)) for place in places} == places


def test_decimal_text_has_a_point_only():
    row = Record({"a": "12.50", "b": "-3", "c": 7, "d": ""})
    assert [row.decimal_text(name) for name in "abc"] == [Decimal("12.50"), -3, 7]
    assert row.decimal_text("d", None) is None
    for text in ("1,234", "1,23", "12 EUR", "1.2.3", "1e3", "٣"):
        with pytest.raises(ValueError, match="a is not a decimal number"):
            Record({"a": text}).decimal_text("a")


def test_milliseconds_since_1970_are_an_instant():
    for value in (1797379200123, "1797379200123"):
        assert Record({"at": value}).epoch_ms("at").isoformat() == "2026-12-16T00:00:00.123000+00:00"
    assert Record({"at": None}).epoch_ms("at", None) is None
    for value in (-1, 1797379200, "soon", 10**15, True):
        with pytest.raises(ValueError, match="at is not"):
            Record({"at": value}).epoch_ms("at")


def test_moment_is_read_from_date_time_and_offset():
    row = Record({"d": "20261216", "t": "003000", "o": "+05:30", "iso": "2026-12-16", "hm": "9:05", "dot": "-05.00"})
    moments = [
        (row.moment("d", "t", "o"), ("2026-12-16T00:30:00+05:30", False)),
        (row.moment("iso", "hm", "dot"), ("2026-12-16T09:05:00-05:00", False)),
        (row.moment("d", "t", "absent"), ("2026-12-16T00:30:00+00:00", True)),
        (Record(row.value, zone=INDIA).moment("d", "t"), ("2026-12-16T00:30:00+05:30", True)),
    ]
    for (moment, is_assumed), expected in moments:
        assert (moment.isoformat(), is_assumed) == expected
    for wrong in ({"d": "20261316"}, {"t": "2460"}, {"d": "00000000"}, {"o": "east"}, {"d": "19700101"}, {"t": None}):
        with pytest.raises(ValueError, match=r"^[dt] "):
            Record(row.value | wrong).moment("d", "t", "o")
