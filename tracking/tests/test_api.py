"""``GET /next-tracking-number`` as documented, and ``POST /api/v1/tracking-numbers``."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from tracking import numbers
from tracking.models import IssuedNumber

PATH = "/next-tracking-number"
QUERY = {
    "origin_country_id": "MY",
    "destination_country_id": "ID",
    "weight": "1.234",
    "created_at": "2018-11-20T19:29:32+08:00",
    "customer_id": "de619854-b59b-425e-9db4-943979e1bd49",
    "customer_name": "RedBox Logistics",
    "customer_slug": "redbox-logistics",
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def get_number(client):
    """Return a function that sends the documented query with changed parameters. None removes one."""

    def send(correlation_id=None, **changes):
        query = {name: value for name, value in (QUERY | changes).items() if value is not None}
        return client.get(PATH, query, headers={"X-Correlation-ID": correlation_id} if correlation_id else None)

    return send


def error_details(response):
    """Check a validation error and return its details."""
    body = response.json()
    assert (response.status_code, body["error"]) == (400, "validation_error")
    assert body["correlation_id"] == response["X-Correlation-ID"]
    assert all(isinstance(text, str) for texts in body["details"].values() for text in texts)
    assert not IssuedNumber.objects.exists()
    return body["details"]


def test_documented_request_gets_the_documented_response(get_number):
    response = get_number()
    body = response.json()
    assert response.status_code == 200
    assert body == {
        "tracking_number": body["tracking_number"],
        "created_at": body["created_at"],
        "correlation_id": response["X-Correlation-ID"],
        "request_metadata": {
            "origin_country": "MY",
            "destination_country": "ID",
            "weight_kg": "1.234",
            "customer_slug": "redbox-logistics",
        },
    }
    assert numbers.parse(body["tracking_number"])[:2] == ("MY", "ID")
    assert timezone.now() - datetime.fromisoformat(body["created_at"]) < timedelta(minutes=1)
    assert str(uuid.UUID(body["correlation_id"])) == body["correlation_id"]


def test_unencoded_plus_of_the_documented_curl_is_accepted(client):
    raw = urlencode(QUERY, safe=":+")
    assert "19:29:32+08:00" in raw
    unencoded = client.get(f"{PATH}?{raw}", headers={"X-Correlation-ID": "c"}).json()
    encoded = client.get(PATH, QUERY, headers={"X-Correlation-ID": "c"}).json()
    assert unencoded == encoded


def test_repeated_request_with_its_correlation_id_gets_the_first_response(get_number):
    first = get_number("550e8400-e29b-41d4-a716-446655440000").json()
    assert first["correlation_id"] == "550e8400-e29b-41d4-a716-446655440000"
    assert get_number("550e8400-e29b-41d4-a716-446655440000").json() == first
    assert IssuedNumber.objects.count() == 1


def test_equal_values_in_another_notation_get_the_same_response(get_number):
    other_notation = {
        "origin_country_id": "my",
        "destination_country_id": " Id",
        "weight": "01.234",
        "created_at": "2018-11-20t11:29:32.000z",
        "customer_id": QUERY["customer_id"].upper(),
        "customer_name": " RedBox Logistics ",
    }
    assert get_number("c", **other_notation).json() == get_number("c").json()


def test_each_request_without_correlation_id_gets_a_new_number(get_number):
    assert len({get_number().json()["tracking_number"] for _ in range(5)}) == 5


def test_invalid_correlation_id_is_ignored(get_number):
    assert get_number("not valid!").json()["tracking_number"] != get_number("not valid!").json()["tracking_number"]


def test_request_repeated_with_the_returned_correlation_id_gets_the_same_number(get_number):
    first = get_number().json()
    assert get_number(first["correlation_id"]).json() == first


def test_other_input_with_the_same_correlation_id_gets_another_number(get_number):
    assert get_number("c").json()["tracking_number"] != get_number("c", weight="1.235").json()["tracking_number"]


def test_response_is_not_cached(get_number):
    assert get_number()["Cache-Control"] == "no-store"
    assert get_number(weight="0")["Cache-Control"] == "no-store"


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


def test_last_value_of_a_repeated_parameter_counts(client):
    answer = client.get(f"{PATH}?{urlencode(QUERY)}&weight=2&origin_country_id=SG").json()
    assert answer["request_metadata"]["weight_kg"] == "2.000"
    assert answer["tracking_number"].startswith("SGID")


def test_unknown_parameter_is_ignored(get_number):
    assert get_number("c", colour="red").json() == get_number("c").json()


def test_no_key_is_needed_and_a_wrong_one_is_ignored(client):
    assert client.get(PATH, QUERY, headers={"X-API-Key": "wrong"}).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_other_methods_are_refused(client, method):
    response = getattr(client, method)(PATH)
    assert (response.status_code, response.json()["error"]) == (405, "method_not_allowed")


def test_exhausted_numbers_are_an_internal_error(get_number, monkeypatch):
    monkeypatch.setattr(numbers, "SPACE", 1)
    get_number()
    response = get_number()
    assert (response.status_code, response.json()["error"]) == (500, "internal_error")


def test_request_needs_one_query_and_a_refused_one_none(get_number, django_assert_num_queries):
    with django_assert_num_queries(1):
        get_number("c")
    with django_assert_num_queries(2):
        get_number("c")
    with django_assert_num_queries(0):
        get_number(weight="0")


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_with_one_correlation_id_get_one_response():
    def call(_):
        try:
            return Client().get(PATH, QUERY, headers={"X-Correlation-ID": "c"}).json()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert IssuedNumber.objects.count() == 1


LIST_PATH = "/api/v1/tracking-numbers"


@pytest.fixture
def post_numbers(client):
    """Return a function that sends a list, with an optional correlation id."""

    def send(items, correlation_id=None, **headers):
        headers |= {"X-Correlation-ID": correlation_id} if correlation_id else {}
        return client.post(LIST_PATH, {"numbers": items}, content_type="application/json", headers=headers)

    return send


def test_list_gets_numbers_in_its_order(post_numbers):
    answer = post_numbers([QUERY | {"weight": str(weight)} for weight in range(1, 6)])
    body = answer.json()
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    assert body["count"] == 5
    assert [one["request_metadata"]["weight_kg"] for one in body["tracking_numbers"]] == [
        f"{n}.000" for n in range(1, 6)
    ]
    assert len({one["tracking_number"] for one in body["tracking_numbers"]}) == 5


def test_equal_items_get_different_numbers_and_a_repeated_list_the_same(post_numbers):
    first = post_numbers([QUERY, QUERY], "my-list").json()
    assert first["tracking_numbers"][0]["tracking_number"] != first["tracking_numbers"][1]["tracking_number"]
    assert post_numbers([QUERY, QUERY], "my-list").json() == first
    assert post_numbers([QUERY, QUERY]).json() != first


def test_item_with_a_correlation_id_gets_the_number_of_the_get_request(get_number, post_numbers):
    single = get_number("mine").json()["tracking_number"]
    (one,) = post_numbers([QUERY | {"correlation_id": "mine"}]).json()["tracking_numbers"]
    assert one["tracking_number"] == single


@pytest.mark.parametrize("items", [[], [QUERY] * 1001, None, "x", [None], {}])
def test_list_of_wrong_size_or_type_is_refused(post_numbers, items):
    assert set(error_details(post_numbers(items))) <= {"numbers", "numbers[0]"}


@pytest.mark.parametrize("value", [None, True, 7, 1.5, [], {}, "\0"])
@pytest.mark.parametrize("name", list(QUERY))
def test_value_of_any_type_is_accepted_or_reported(post_numbers, name, value):
    answer = post_numbers([QUERY | {name: value}])
    accepted = {"weight": (7, 1.5), "customer_name": (7, 1.5), "customer_slug": (7,)}
    if value is not True and value in accepted.get(name, ()):
        assert answer.status_code == 201
    else:
        assert set(error_details(answer)) == {f"numbers[0].{name}"}


def test_invalid_item_is_reported_and_no_number_is_issued(client):
    items = [QUERY, QUERY | {"weight": "-1", "customer_slug": "No Slug"}]
    answer = client.post(LIST_PATH, {"numbers": items}, content_type="application/json")
    details = answer.json()["details"]
    assert answer.status_code == 400
    assert set(details) == {"numbers[1].weight", "numbers[1].customer_slug"}
    assert not IssuedNumber.objects.exists()


def test_s10_is_selected_by_parameter(get_number, client):
    number = get_number(number_format="s10").json()["tracking_number"]
    assert numbers.parse_s10(number).indicator == "CP"
    assert get_number(number_format="s10", service_indicator="RR").json()["tracking_number"].startswith("RR")
    for name, value in (("number_format", "s11"), ("service_indicator", "r")):
        answer = client.get(PATH, QUERY | {"number_format": "s10", name: value})
        assert set(answer.json()["details"]) == {name}
    assert set(client.get(PATH, QUERY | {"service_indicator": "RR"}).json()["details"]) == {"service_indicator"}


def test_a_setting_demands_a_key(post_numbers, client, settings, api_key):
    settings.TRACKING_NUMBERS_NEED_KEY = True
    assert client.get(PATH, QUERY).status_code == 401
    assert post_numbers([QUERY]).status_code == 401
    assert client.get(PATH, QUERY, headers={"X-API-Key": api_key}).status_code == 200
    assert post_numbers([QUERY], **{"X-API-Key": api_key}).status_code == 201


def test_the_hundred_and_first_of_a_minute_from_one_address_waits(client, settings, clock):
    settings.PUBLIC_RATES = ["3/m"]
    statuses = [client.get(PATH, QUERY).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
