"""Verification of API keys: queries, bcrypt, and refusals of known keys."""

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


def test_generated_key_is_verified(tenant):
    key = generate_key("test")
    row = store_key(tenant, key, name="shop")
    assert key.startswith("wb_test_")
    assert len(key) == len("wb_test_") + 36
    assert verify_key(key).id == row.id


def test_key_is_not_stored(tenant):
    key = generate_key("live")
    row = store_key(tenant, key, name="shop")
    stored = " ".join(str(value) for value in ApiKey.objects.filter(id=row.id).values_list()[0])
    assert key not in stored
    assert key[12:] not in stored


def test_digest_alone_does_not_verify_a_key(tenant):
    key, other = generate_key("test"), generate_key("test")
    row = store_key(tenant, key, name="shop")
    row.hash = bcrypt.hashpw(other.encode(), bcrypt.gensalt(4)).decode()
    row.save()
    assert verify_key(key) is None


def test_wrong_checksum_costs_no_query(tenant, django_assert_num_queries):
    key = generate_key("test")
    store_key(tenant, key, name="shop")
    other = key[:-1] + ("A" if key[-1] != "A" else "B")
    with django_assert_num_queries(0):
        assert verify_key(other) is None


def test_unknown_key_costs_one_query_and_no_bcrypt(tenant, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(bcrypt, "checkpw", lambda *args: pytest.fail("bcrypt ran"))
    with django_assert_num_queries(1):
        assert verify_key("some-unknown-string") is None


def test_second_use_of_a_key_runs_no_bcrypt(tenant, monkeypatch):
    key = generate_key("test")
    store_key(tenant, key, name="shop")
    assert verify_key(key)
    monkeypatch.setattr(bcrypt, "checkpw", lambda *args: pytest.fail("bcrypt ran"))
    assert verify_key(key)


def test_malformed_keys_cost_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        for key in ("", "x" * 73, "é" * 10, "a\nb", "wb_test_short", "wb_prod_" + "a" * 36):
            assert verify_key(key) is None, key


def reason_for(key, address="192.0.2.1"):
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
def test_changes_of_a_cached_key_apply_immediately(tenant, change, reason):
    key = generate_key("test")
    row = store_key(tenant, key, name="shop")
    assert reason_for(key) == ""
    ApiKey.objects.filter(id=row.id).update(**change)
    assert reason_for(key) == reason


def test_key_of_an_inactive_merchant_is_refused(tenant, merchant):
    key = generate_key("test")
    store_key(tenant, key, name="shop")
    merchant.is_active = False
    merchant.save()
    assert reason_for(key) == "inactive"


def test_demo_key_is_refused_in_production(merchant, settings):
    store_key(Tenant(merchant.id, "test"), "test-api-key", name="demo", is_demo=True)
    assert reason_for("test-api-key") == ""
    settings.DEMO = False
    assert reason_for("test-api-key") == "demo"


# In requests


@pytest.fixture
def no_bcrypt(monkeypatch):
    monkeypatch.setattr(bcrypt, "checkpw", lambda *args: pytest.fail("bcrypt ran"))


def list_shipments(client, key):
    return client.get("/api/v1/shipments", headers={"X-API-Key": key})


@pytest.fixture
def no_alarm(settings):
    """Raise no alarm for many unknown keys: it writes an event."""
    settings.UNKNOWN_KEYS_ALARM = settings.UNKNOWN_KEYS_TOTAL_ALARM = []


@pytest.mark.usefixtures("no_alarm")
def test_thousand_malformed_keys_cost_no_query_and_no_bcrypt(client, no_bcrypt, django_assert_num_queries):
    keyed = [generate_key("live")[:-1] + "!" for _ in range(500)] + ["wb_test_" + "x" * 36] * 500
    with django_assert_num_queries(0):
        assert {list_shipments(client, key).status_code for key in keyed} == {401}


@pytest.mark.usefixtures("no_alarm")
def test_thousand_unknown_keys_cost_one_query_each_and_no_bcrypt(client, no_bcrypt, django_assert_num_queries):
    with django_assert_num_queries(1000):
        assert {list_shipments(client, f"unknown-{number}").status_code for number in range(1000)} == {401}


def test_cached_key_costs_one_query_and_no_bcrypt(client, api_key, request, django_assert_num_queries):
    list_shipments(client, api_key)
    request.getfixturevalue("no_bcrypt")
    with django_assert_num_queries(1):  # the request is refused before any other query
        assert (
            client.post("/api/v1/labels", "[]", "application/json", headers={"X-API-Key": api_key}).status_code == 400
        )


def test_keys_that_are_too_long_are_401(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        for length in (73, 100, 5_000):
            assert list_shipments(client, "k" * length).status_code == 401, length


def test_authorization_without_key_or_token_is_401(client, merchant):
    store_key(Tenant(merchant.id, "test"), "test-api-key", name="demo", is_demo=True)
    for header in (
        "Basic dXNlcjpwYXNz",
        "Bearer",
        "Bearer ",
        "bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer test-api-key",
        "Bearer \xe9",
    ):
        assert client.get("/api/v1/shipments", headers={"Authorization": header}).status_code == 401, header


def test_guesses_are_limited_by_address(client, settings, clock):
    settings.PUBLIC_RATES = ["20/m"]
    statuses = [list_shipments(client, f"guess-{number}").status_code for number in range(25)]
    assert statuses == [401] * 20 + [429] * 5
    other = client.get("/api/v1/shipments", headers={"X-API-Key": "guess"}, REMOTE_ADDR="198.51.100.1")
    assert other.status_code == 401
