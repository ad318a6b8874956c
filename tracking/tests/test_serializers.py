"""Which parameters the generator accepts, and how it refuses others."""

from urllib.parse import urlencode

import pytest

from tracking.models import IssuedNumber
from tracking.tests.documented import PATH, QUERY, error_details

pytestmark = pytest.mark.django_db


def test_all_missing_parameters_are_reported(client):
    assert set(error_details(client.get(PATH))) == set(QUERY)


def test_all_wrong_parameters_are_reported(client):
    assert set(error_details(client.get(PATH, dict.fromkeys(QUERY, "!")))) == set(QUERY) - {"customer_name"}


@pytest.mark.parametrize("name", QUERY)
def test_missing_parameter_is_reported(get_number, name):
    assert set(error_details(get_number(**{name: None}))) == {name}


@pytest.mark.parametrize("name", QUERY)
def test_empty_parameter_is_reported(get_number, name):
    assert set(error_details(get_number(**{name: ""}))) == {name}


@pytest.mark.parametrize("name", QUERY)
@pytest.mark.parametrize("sent", [b"\xff\xfe", b"a\x00b"])
def test_undecodable_parameter_is_reported(client, name, sent):
    assert set(error_details(client.get(f"{PATH}?{urlencode(QUERY | {name: sent})}"))) == {name}


@pytest.mark.parametrize("name", QUERY)
def test_oversized_parameter_is_reported(get_number, name):
    assert set(error_details(get_number(**{name: "1" * 5_000}))) == {name}


@pytest.mark.parametrize("name", ["origin_country_id", "destination_country_id"])
@pytest.mark.parametrize("value", ["ZZ", "UK", "XK", "EU", "MYS", "M", "M1", "ß", "ＭＹ", "M Y", "458"])
def test_unassigned_country_is_refused(get_number, name, value):
    assert set(error_details(get_number(**{name: value}))) == {name}


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "0.000",
        "-1",
        "-0.5",
        "1.2345",
        "1.0000",
        "1000000",
        "abc",
        "NaN",
        "Infinity",
        "1e3",
        "1,5",
        "1_0",
        ".5",
        "5.",
        "١",
    ],
)
def test_invalid_weight_is_refused(get_number, value):
    assert set(error_details(get_number(weight=value))) == {"weight"}


@pytest.mark.parametrize(
    ("value", "shown"), [("0.001", "0.001"), ("1", "1.000"), ("1.5", "1.500"), ("999999.999", "999999.999")]
)
def test_weight_is_shown_with_three_decimals(get_number, value, shown):
    assert get_number(weight=value).json()["request_metadata"]["weight_kg"] == shown


@pytest.mark.parametrize(
    "value",
    [
        "2018-11-20T19:29:32",
        "2018-11-20",
        "2018-11-20T19:29+08:00",
        "20181120T192932Z",
        "2018-11-20T19:29:32+0800",
        "2018-11-20T19:29:32+08",
        "2018-11-20T19:29:32+24:00",
        "2018-11-20T19:29:32+08:60",
        "2018-02-30T19:29:32Z",
        "2018-11-20T25:29:32Z",
        "0001-01-01T00:00:00+08:00",
        "9999-12-31T23:59:59-08:00",
        "0000-01-01T00:00:00Z",
        "2018-11-20T19:29:32.Z",
        "1542713372",
        "yesterday",
    ],
)
def test_invalid_time_is_refused(get_number, value):
    assert set(error_details(get_number(created_at=value))) == {"created_at"}


@pytest.mark.parametrize(
    "value",
    [
        "2018-11-20T19:29:32Z",
        "2018-11-20 19:29:32-05:30",
        "2018-11-20T19:29:32.123456789+00:00",
        "2024-02-29T00:00:00Z",
    ],
)
def test_rfc_3339_time_is_accepted(get_number, value):
    assert get_number(created_at=value).status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        "123",
        "de619854-b59b-425e-9db4-943979e1bd4",
        "de619854b59b425e9db4943979e1bd49",
        "{de619854-b59b-425e-9db4-943979e1bd49}",
        "urn:uuid:de619854-b59b-425e-9db4-943979e1bd49",
        "ge619854-b59b-425e-9db4-943979e1bd49",
    ],
)
def test_invalid_uuid_is_refused(get_number, value):
    assert set(error_details(get_number(customer_id=value))) == {"customer_id"}


def test_name_may_have_200_characters_of_any_alphabet(get_number):
    assert get_number(customer_name="Ñandú 配送 & Co. " + "x" * 180).status_code == 200
    IssuedNumber.objects.all().delete()
    assert set(error_details(get_number(customer_name="x" * 201))) == {"customer_name"}


@pytest.mark.parametrize(
    "value", ["RedBox", "red_box", "-red", "red-", "red--box", "red box", "ñandu", "red-box\nx", "x" * 101]
)
def test_invalid_slug_is_refused(get_number, value):
    assert set(error_details(get_number(customer_slug=value))) == {"customer_slug"}


@pytest.mark.parametrize("value", ["a", "7", "red-box-2", "x" * 100])
def test_kebab_case_slug_is_accepted(get_number, value):
    assert get_number(customer_slug=value).json()["request_metadata"]["customer_slug"] == value
