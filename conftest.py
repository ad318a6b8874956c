"""Fixtures for every app's tests (the environment is set by ``config.test_environment``)."""

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.backends.sqlite3.base import DatabaseOperations

from apikeys import append_only, keys
from apikeys.models import Merchant
from apikeys.tenancy import Tenant

APPEND_ONLY_TABLES = ("apikeys_event",)


@pytest.fixture(autouse=True, scope="session")
def _flush_past_the_triggers():
    """On SQLite a test's clean-up deletes rows one by one, which append-only tables refuse; PostgreSQL truncates."""
    plain = DatabaseOperations.sql_flush

    def sql_flush(self, style, tables, **kwargs):
        statements = plain(self, style, tables, **kwargs)
        before = [line for table in APPEND_ONLY_TABLES for line in append_only.removal("sqlite", table)]
        after = [line for table in APPEND_ONLY_TABLES for line in append_only.statements("sqlite", table)]
        return before + statements + after if statements else statements

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
        yield


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def on_sqlite():
    return connection.vendor == "sqlite"


@pytest.fixture
def merchant(db):
    return Merchant.objects.create(name="Acme", slug="acme", plan="enterprise", default_country="US")


@pytest.fixture
def tenant(merchant):
    return Tenant(merchant.id, "test")


@pytest.fixture
def api_key(tenant):
    """A test key of the merchant; the text that a client sends."""
    key = keys.generate("test")
    keys.create(tenant, key, name="tests")
    return key


@pytest.fixture
def api(client, api_key):
    """A client of the JSON API: ``api.post(path, body)``, ``api.get(path, **query)``."""
    return ApiClient(client, api_key)


class ApiClient:
    """Speaks JSON with an API key; further headers by ``headers=``."""

    def __init__(self, client, key):
        self.client, self.key = client, key

    def get(self, path, headers=None, **query):
        return self.client.get(path, query, headers=self._headers(headers))

    def post(self, path, body=None, headers=None):
        return self.client.post(path, body or {}, content_type="application/json", headers=self._headers(headers))

    def _headers(self, headers):
        return {"X-API-Key": self.key} | (headers or {})
