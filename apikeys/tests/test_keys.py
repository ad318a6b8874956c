"""API keys: shown once, found by one query, refused for nothing when malformed, dead at once when revoked."""

from datetime import timedelta

import bcrypt
import pytest
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.keys.verification import refusal_reason, verify_key
from apikeys.models import ApiKey

pytestmark = pytest.mark.django_db


def test_a_generated_key_opens_its_own_row(tenant):
    key = generate_key("test")
    row = store_key(tenant, key, name="shop")
    assert key.startswith("wb_test_")
    assert len(key) == len("wb_test_") + 36
    assert verify_key(key).id == row.id


def test_neither_the_key_nor_a_part_that_opens_is_stored(tenant):
    key = generate_key("live")
    row = store_key(tenant, key, name="shop")
    stored = " ".join(str(value) for value in ApiKey.objects.filter(id=row.id).values_list()[0])
    assert key not in stored
    assert key[12:] not in stored


def test_a_wrong_checksum_costs_no_query(tenant, django_assert_num_queries):
    key = generate_key("test")
    store_key(tenant, key, name="shop")
    other = key[:-1] + ("A" if key[-1] != "A" else "B")
    with django_assert_num_queries(0):
        assert verify_key(other) is None


def test_a_strangers_string_costs_one_query_and_no_bcrypt(tenant, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(bcrypt, "checkpw", lambda *args: pytest.fail("bcrypt ran"))
    with django_assert_num_queries(1):
        assert verify_key("some-string-of-a-stranger") is None


def test_the_second_use_of_a_key_runs_no_bcrypt(tenant, monkeypatch):
    key = generate_key("test")
    store_key(tenant, key, name="shop")
    assert verify_key(key)
    monkeypatch.setattr(bcrypt, "checkpw", lambda *args: pytest.fail("bcrypt ran"))
    assert verify_key(key)


@pytest.mark.parametrize("given", ["", "x" * 73, "é" * 10, "a\nb", "wb_test_short", "wb_prod_" + "a" * 36])
def test_what_cannot_be_a_key_is_refused_without_a_query(given, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert verify_key(given) is None


def refusal(key, address="192.0.2.1"):
    return refusal_reason(verify_key(key), address)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"revoked_at": timezone.now()}, "revoked"),
        ({"revoked_at": timezone.now(), "revoked_for": "leaked"}, "leaked"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expired"),
        ({"allowed_ips": ["198.51.100.0/24"]}, "address"),
    ],
)
def test_a_key_that_was_just_used_is_refused_at_once(tenant, change, reason):
    key = generate_key("test")
    row = store_key(tenant, key, name="shop")
    assert refusal(key) == ""
    ApiKey.objects.filter(id=row.id).update(**change)
    assert refusal(key) == reason


def test_a_key_dies_with_its_merchant(tenant, merchant):
    key = generate_key("test")
    store_key(tenant, key, name="shop")
    merchant.is_active = False
    merchant.save()
    assert refusal(key) == "inactive"


def test_the_demo_key_opens_nothing_in_production(merchant, settings):
    store_key(Tenant(merchant.id, "test"), "test-api-key", name="demo", is_demo=True)
    assert refusal("test-api-key") == ""
    settings.DEMO = False
    assert refusal("test-api-key") == "demo"


# At the door itself


@pytest.fixture
def no_bcrypt(monkeypatch):
    monkeypatch.setattr(bcrypt, "checkpw", lambda *args: pytest.fail("bcrypt ran"))


def knock(client, key):
    return client.get("/api/v1/shipments", headers={"X-API-Key": key})


def test_a_thousand_malformed_keys_cause_no_query_and_no_bcrypt(client, no_bcrypt, django_assert_num_queries):
    keyed = [generate_key("live")[:-1] + "!" for _ in range(500)] + ["wb_test_" + "x" * 36] * 500
    with django_assert_num_queries(0):
        assert {knock(client, key).status_code for key in keyed} == {401}


def test_a_thousand_strangers_strings_cause_one_query_each_and_no_bcrypt(client, no_bcrypt, django_assert_num_queries):
    with django_assert_num_queries(1000):
        assert {knock(client, f"stranger-{number}").status_code for number in range(1000)} == {401}


def test_a_warm_key_adds_one_query_and_no_bcrypt(client, api_key, request, django_assert_num_queries):
    knock(client, api_key)
    request.getfixturevalue("no_bcrypt")
    with django_assert_num_queries(1):  # an empty answer, as there is no such path's object to look for
        assert (
            client.post("/api/v1/labels", "[]", "application/json", headers={"X-API-Key": api_key}).status_code == 400
        )


@pytest.mark.parametrize("length", [73, 100, 5_000])
def test_a_key_of_any_length_is_401(client, length, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert knock(client, "k" * length).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        "Basic dXNlcjpwYXNz",
        "Bearer",
        "Bearer ",
        "bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer test-api-key",
        "Bearer \xe9",
    ],
)
def test_what_is_neither_key_nor_token_is_401(client, header, merchant):
    store_key(Tenant(merchant.id, "test"), "test-api-key", name="demo", is_demo=True)
    assert client.get("/api/v1/shipments", headers={"Authorization": header}).status_code == 401


def test_guessing_is_slowed_down_by_address(client, settings, clock):
    settings.PUBLIC_RATES = ["20/m"]
    answers = [knock(client, f"guess-{number}").status_code for number in range(25)]
    assert answers == [401] * 20 + [429] * 5
    other = client.get("/api/v1/shipments", headers={"X-API-Key": "guess"}, REMOTE_ADDR="198.51.100.1")
    assert other.status_code == 401
