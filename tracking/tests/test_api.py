"""``GET /next-tracking-number`` as its document has it."""

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
def ask(client):
    """Send the documented query with some parameters changed, or taken away by None."""

    def one(correlation_id=None, **changes):
        query = {name: value for name, value in (QUERY | changes).items() if value is not None}
        return client.get(PATH, query, headers={"X-Correlation-ID": correlation_id} if correlation_id else None)

    return one


def refused(response):
    """The details of a refusal, checked for the rest of its shape."""
    body = response.json()
    assert (response.status_code, body["error"]) == (400, "validation_error")
    assert body["correlation_id"] == response["X-Correlation-ID"]
    assert all(isinstance(text, str) for texts in body["details"].values() for text in texts)
    assert not IssuedNumber.objects.exists()
    return body["details"]


def test_the_documented_request_gets_the_documented_answer(ask):
    response = ask()
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


def test_the_documented_curl_whose_plus_arrives_as_a_blank(client):
    raw = urlencode(QUERY, safe=":+")
    assert "19:29:32+08:00" in raw
    sent = client.get(f"{PATH}?{raw}", headers={"X-Correlation-ID": "c"}).json()
    encoded = client.get(PATH, QUERY, headers={"X-Correlation-ID": "c"}).json()
    assert sent == encoded


def test_the_same_request_under_the_same_correlation_id_gets_the_same_answer(ask):
    first = ask("550e8400-e29b-41d4-a716-446655440000").json()
    assert first["correlation_id"] == "550e8400-e29b-41d4-a716-446655440000"
    assert ask("550e8400-e29b-41d4-a716-446655440000").json() == first
    assert IssuedNumber.objects.count() == 1


def test_the_same_values_written_otherwise_get_the_same_answer(ask):
    written = {
        "origin_country_id": "my",
        "destination_country_id": " Id",
        "weight": "01.234",
        "created_at": "2018-11-20t11:29:32.000z",
        "customer_id": QUERY["customer_id"].upper(),
        "customer_name": " RedBox Logistics ",
    }
    assert ask("c", **written).json() == ask("c").json()


def test_without_a_correlation_id_each_call_gets_a_new_number(ask):
    assert len({ask().json()["tracking_number"] for _ in range(5)}) == 5


def test_a_correlation_id_that_is_not_taken_counts_as_none(ask):
    assert ask("not valid!").json()["tracking_number"] != ask("not valid!").json()["tracking_number"]


def test_who_was_cut_off_repeats_with_the_id_of_the_answer(ask):
    first = ask().json()
    assert ask(first["correlation_id"]).json() == first


def test_other_inputs_under_the_same_correlation_id_get_another_number(ask):
    assert ask("c").json()["tracking_number"] != ask("c", weight="1.235").json()["tracking_number"]


def test_a_number_is_never_kept_by_a_cache(ask):
    assert ask()["Cache-Control"] == "no-store"
    assert ask(weight="0")["Cache-Control"] == "no-store"


def test_missing_parameters_are_named_all_at_once(client):
    assert set(refused(client.get(PATH))) == set(QUERY)


def test_wrong_parameters_are_named_all_at_once(client):
    assert set(refused(client.get(PATH, dict.fromkeys(QUERY, "!")))) == set(QUERY) - {"customer_name"}


@pytest.mark.parametrize("name", QUERY)
def test_one_missing_parameter_is_named(ask, name):
    assert set(refused(ask(**{name: None}))) == {name}


@pytest.mark.parametrize("name", QUERY)
def test_an_empty_parameter_is_named(ask, name):
    assert set(refused(ask(**{name: ""}))) == {name}


@pytest.mark.parametrize("name", QUERY)
@pytest.mark.parametrize("sent", [b"\xff\xfe", b"a\x00b"])
def test_a_parameter_that_is_no_text_is_named(client, name, sent):
    assert set(refused(client.get(f"{PATH}?{urlencode(QUERY | {name: sent})}"))) == {name}


@pytest.mark.parametrize("name", QUERY)
def test_an_oversized_parameter_is_named(ask, name):
    assert set(refused(ask(**{name: "1" * 5_000}))) == {name}


@pytest.mark.parametrize("name", ["origin_country_id", "destination_country_id"])
@pytest.mark.parametrize("value", ["ZZ", "UK", "XK", "EU", "MYS", "M", "M1", "ß", "ＭＹ", "M Y", "458"])
def test_what_is_no_assigned_country_is_refused(ask, name, value):
    assert set(refused(ask(**{name: value}))) == {name}


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
def test_what_is_no_weight_is_refused(ask, value):
    assert set(refused(ask(weight=value))) == {"weight"}


@pytest.mark.parametrize(
    ("value", "shown"), [("0.001", "0.001"), ("1", "1.000"), ("1.5", "1.500"), ("999999.999", "999999.999")]
)
def test_a_weight_is_shown_in_grams_of_precision(ask, value, shown):
    assert ask(weight=value).json()["request_metadata"]["weight_kg"] == shown


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
def test_what_is_no_rfc_3339_time_with_an_offset_is_refused(ask, value):
    assert set(refused(ask(created_at=value))) == {"created_at"}


@pytest.mark.parametrize(
    "value",
    [
        "2018-11-20T19:29:32Z",
        "2018-11-20 19:29:32-05:30",
        "2018-11-20T19:29:32.123456789+00:00",
        "2024-02-29T00:00:00Z",
    ],
)
def test_every_form_of_rfc_3339_is_taken(ask, value):
    assert ask(created_at=value).status_code == 200


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
def test_what_is_no_uuid_is_refused(ask, value):
    assert set(refused(ask(customer_id=value))) == {"customer_id"}


def test_a_name_may_be_long_and_foreign_but_not_longer(ask):
    assert ask(customer_name="Ñandú 配送 & Co. " + "x" * 180).status_code == 200
    IssuedNumber.objects.all().delete()
    assert set(refused(ask(customer_name="x" * 201))) == {"customer_name"}


@pytest.mark.parametrize(
    "value", ["RedBox", "red_box", "-red", "red-", "red--box", "red box", "ñandu", "red-box\nx", "x" * 101]
)
def test_what_is_no_kebab_case_slug_is_refused(ask, value):
    assert set(refused(ask(customer_slug=value))) == {"customer_slug"}


@pytest.mark.parametrize("value", ["a", "7", "red-box-2", "x" * 100])
def test_kebab_case_slugs_are_taken(ask, value):
    assert ask(customer_slug=value).json()["request_metadata"]["customer_slug"] == value


def test_of_a_repeated_parameter_the_last_counts(client):
    answer = client.get(f"{PATH}?{urlencode(QUERY)}&weight=2&origin_country_id=SG").json()
    assert answer["request_metadata"]["weight_kg"] == "2.000"
    assert answer["tracking_number"].startswith("SGID")


def test_an_unknown_parameter_does_no_harm(ask):
    assert ask("c", colour="red").json() == ask("c").json()


def test_no_key_is_needed_and_a_wrong_one_does_no_harm(client):
    assert client.get(PATH, QUERY, headers={"X-API-Key": "wrong"}).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_only_get_is_offered(client, method):
    response = getattr(client, method)(PATH)
    assert (response.status_code, response.json()["error"]) == (405, "method_not_allowed")


def test_an_exhausted_space_answers_the_error_envelope(ask, monkeypatch):
    monkeypatch.setattr(numbers, "SPACE", 1)
    ask()
    response = ask()
    assert (response.status_code, response.json()["error"]) == (500, "internal_error")


def test_the_whole_request_costs_one_statement_a_refused_one_none(ask, django_assert_num_queries):
    with django_assert_num_queries(1):
        ask("c")
    with django_assert_num_queries(2):
        ask("c")
    with django_assert_num_queries(0):
        ask(weight="0")


@pytest.mark.django_db(transaction=True)
def test_eight_callers_at_once_with_one_correlation_id_get_one_answer():
    def call(_):
        try:
            return Client().get(PATH, QUERY, headers={"X-Correlation-ID": "c"}).json()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert IssuedNumber.objects.count() == 1


MANY = "/api/v1/tracking-numbers"


@pytest.fixture
def ask_many(client):
    """Send a list, under a correlation id where one is given."""

    def many(items, correlation_id=None, **headers):
        headers |= {"X-Correlation-ID": correlation_id} if correlation_id else {}
        return client.post(MANY, {"numbers": items}, content_type="application/json", headers=headers)

    return many


def test_many_at_once_in_their_order(ask_many):
    answer = ask_many([QUERY | {"weight": str(weight)} for weight in range(1, 6)])
    body = answer.json()
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    assert body["count"] == 5
    assert [one["request_metadata"]["weight_kg"] for one in body["tracking_numbers"]] == [
        f"{n}.000" for n in range(1, 6)
    ]
    assert len({one["tracking_number"] for one in body["tracking_numbers"]}) == 5


def test_equal_ones_in_a_list_are_different_numbers_and_the_same_list_again_the_same(ask_many):
    first = ask_many([QUERY, QUERY], "my-list").json()
    assert first["tracking_numbers"][0]["tracking_number"] != first["tracking_numbers"][1]["tracking_number"]
    assert ask_many([QUERY, QUERY], "my-list").json() == first
    assert ask_many([QUERY, QUERY]).json() != first


def test_one_with_a_correlation_id_of_its_own_is_the_one_that_get_gives(ask, ask_many):
    single = ask("mine").json()["tracking_number"]
    (one,) = ask_many([QUERY | {"correlation_id": "mine"}]).json()["tracking_numbers"]
    assert one["tracking_number"] == single


@pytest.mark.parametrize("items", [[], [QUERY] * 1001, None, "x", [None], {}])
def test_a_list_of_another_size_or_shape_is_refused(ask_many, items):
    assert set(refused(ask_many(items))) <= {"numbers", "numbers[0]"}


@pytest.mark.parametrize("value", [None, True, 7, 1.5, [], {}, "\0"])
@pytest.mark.parametrize("name", list(QUERY))
def test_values_of_any_type_are_taken_or_named(ask_many, name, value):
    answer = ask_many([QUERY | {name: value}])
    taken = {"weight": (7, 1.5), "customer_name": (7, 1.5), "customer_slug": (7,)}
    if value is not True and value in taken.get(name, ()):
        assert answer.status_code == 201
    else:
        assert set(refused(answer)) == {f"numbers[0].{name}"}


def test_one_bad_item_names_its_place_and_gives_out_nothing(client):
    items = [QUERY, QUERY | {"weight": "-1", "customer_slug": "No Slug"}]
    answer = client.post(MANY, {"numbers": items}, content_type="application/json")
    details = answer.json()["details"]
    assert answer.status_code == 400
    assert set(details) == {"numbers[1].weight", "numbers[1].customer_slug"}
    assert not IssuedNumber.objects.exists()


def test_s10_is_asked_for_by_parameter(ask, client):
    number = ask(number_format="s10").json()["tracking_number"]
    assert numbers.parse_s10(number).indicator == "CP"
    assert ask(number_format="s10", service_indicator="RR").json()["tracking_number"].startswith("RR")
    for name, value in (("number_format", "s11"), ("service_indicator", "r")):
        answer = client.get(PATH, QUERY | {"number_format": "s10", name: value})
        assert set(answer.json()["details"]) == {name}
    assert set(client.get(PATH, QUERY | {"service_indicator": "RR"}).json()["details"]) == {"service_indicator"}


def test_a_setting_demands_a_key(ask_many, client, settings, api_key):
    settings.TRACKING_NUMBERS_NEED_KEY = True
    assert client.get(PATH, QUERY).status_code == 401
    assert ask_many([QUERY]).status_code == 401
    assert client.get(PATH, QUERY, headers={"X-API-Key": api_key}).status_code == 200
    assert ask_many([QUERY], **{"X-API-Key": api_key}).status_code == 201


def test_the_hundred_and_first_of_a_minute_from_one_address_waits(client, settings, clock):
    settings.PUBLIC_RATES = ["3/m"]
    statuses = [client.get(PATH, QUERY).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
