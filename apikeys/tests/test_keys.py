"""API keys: shown once, found by one query, refused for nothing when malformed, dead at once when revoked."""

from datetime import timedelta

import bcrypt
import pytest
from django.utils import timezone

from apikeys import keys
from apikeys.models import ApiKey
from apikeys.tenancy import Tenant

pytestmark = pytest.mark.django_db


def test_a_generated_key_opens_its_own_row(tenant):
    key = keys.generate("test")
    row = keys.create(tenant, key, name="shop")
    assert key.startswith("wb_test_")
    assert len(key) == len("wb_test_") + 36
    assert keys.find(key) == row


def test_neither_the_key_nor_a_part_that_opens_is_stored(tenant):
    key = keys.generate("live")
    row = keys.create(tenant, key, name="shop")
    stored = " ".join(str(value) for value in ApiKey.objects.filter(id=row.id).values_list()[0])
    assert key not in stored
    assert key[12:] not in stored


def test_a_wrong_checksum_costs_no_query(tenant, django_assert_num_queries):
    key = keys.generate("test")
    keys.create(tenant, key, name="shop")
    other = key[:-1] + ("A" if key[-1] != "A" else "B")
    with django_assert_num_queries(0):
        assert keys.find(other) is None


def test_a_strangers_string_costs_one_query_and_no_bcrypt(tenant, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(bcrypt, "checkpw", lambda *args: pytest.fail("bcrypt ran"))
    with django_assert_num_queries(1):
        assert keys.find("some-string-of-a-stranger") is None


def test_the_second_use_of_a_key_runs_no_bcrypt(tenant, monkeypatch):
    key = keys.generate("test")
    keys.create(tenant, key, name="shop")
    assert keys.find(key)
    monkeypatch.setattr(bcrypt, "checkpw", lambda *args: pytest.fail("bcrypt ran"))
    assert keys.find(key)


@pytest.mark.parametrize("given", ["", "x" * 73, "é" * 10, "a\nb", "wb_test_short", "wb_prod_" + "a" * 36])
def test_what_cannot_be_a_key_is_refused_without_a_query(given, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert keys.find(given) is None


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
    ],
)
def test_a_revoked_or_expired_key_dies_at_once(tenant, change):
    key = keys.generate("test")
    row = keys.create(tenant, key, name="shop")
    assert keys.find(key)
    ApiKey.objects.filter(id=row.id).update(**change)
    assert keys.find(key) is None


def test_a_key_dies_with_its_merchant(tenant, merchant):
    key = keys.generate("test")
    keys.create(tenant, key, name="shop")
    merchant.is_active = False
    merchant.save()
    assert keys.find(key) is None


def test_the_demo_key_opens_nothing_in_production(merchant, settings):
    keys.create(Tenant(merchant.id, "test"), "test-api-key", name="demo", is_demo=True)
    assert keys.find("test-api-key")
    settings.DEMO = False
    assert keys.find("test-api-key") is None
