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
from tracking.tests.documented import PATH, QUERY, error_details

pytestmark = pytest.mark.django_db


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
