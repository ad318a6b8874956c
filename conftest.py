"""Fixtures of all apps' tests. ``config.test_environment`` sets the environment."""

import gc
import os
import uuid
from pathlib import Path

import hypothesis
import pytest
import time_machine as clocks
from django.apps import apps
from django.core.cache import cache
from django.core.management.commands import flush
from django.db import connection
from django.db.models import DateTimeField, Value
from django.test import override_settings
from django.utils import timezone, translation
from xdist.scheduler import LoadScopeScheduling

from apikeys.access import usage
from apikeys.apps import create_standard_plans
from apikeys.db import counters, leases, redis_client
from apikeys.db.tenancy import Tenant
from apikeys.db.triggers import TRIGGER_SETS
from apikeys.http import actors
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant
from carriers.credentials import storage
from carriers.sandbox.testing import SandboxProcess
from config import test_database

# On a busy machine examples may be generated slowly; that is no error.
hypothesis.settings.register_profile("waybill", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("waybill")

# Tables whose rows are created by migrations.
UNCHANGING = {"django_content_type", "auth_permission"}


class Scheduler(LoadScopeScheduling):
    """Distribute single tests, but modules that start installations as a whole, so that each is started once."""

    def _split_scope(self, nodeid):
        module = nodeid.partition("::")[0]
        return module if module.startswith("deploy/tests/") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Use our scheduler in the order of ``pytest_collection_modifyitems``."""
    config.option.loadscopereorder = False
    return Scheduler(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Search no garbage among the modules and tests, which all stay: it would take half of the collection's time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config, items):
    """Order the tests, and leave out on the second database those whose result does not depend on SQL.

    Started installations take longest and come first; the order is random otherwise. Tests that use no database, or are
    marked ``once``, run on the first database only. Transactional tests run on both also in modules marked ``once``:
    their threads meet in the database.
    """
    if os.environ.get("WAYBILL_TEST_DATABASE_ONLY") == "1":
        config.hook.pytest_deselected(items=[item for item in items if not _depends_on_sql(item)])
        items[:] = [item for item in items if _depends_on_sql(item)]
    items.sort(key=lambda item: item.get_closest_marker("system") is None)


def _depends_on_sql(item):
    database = item.get_closest_marker("django_db")
    if database and database.kwargs.get("transaction"):
        return True
    if item.get_closest_marker("once") and os.environ.get("WAYBILL_TEST_FULL") != "1":
        return False
    return bool(database or item.get_closest_marker("system") or {"db", "transactional_db"} & set(item.fixturenames))


def pytest_terminal_summary(terminalreporter):
    """Print which operations of carriers were checked against published documents."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    lines = {text for report in reports for name, text in report.user_properties if name == "conformance"}
    for line in sorted(lines):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment):
    """Give the worker a copy of the migrated database. pytest-django would run all migrations in each worker."""
    name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{uuid.uuid4().hex[:8]}"
    url = test_database.create(name, Path(os.environ["DATA_DIR"]))
    # All threads' connections share this dictionary.
    connection.settings_dict["NAME"] = name if connection.vendor == "postgresql" else url.removeprefix("sqlite:///")
    yield
    connection.close()
    test_database.drop(url)


@pytest.fixture(autouse=True, scope="session")
def _flush_what_changes():
    """Keep content types and permissions when a transactional test's rows are deleted; creating them takes long.

    On SQLite the rows are deleted one by one, which triggers refuse; PostgreSQL truncates.
    """

    def sql_flush(style, connection, **kwargs):
        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        lines = connection.ops.sql_flush(style, [name for name in tables if name not in UNCHANGING], **kwargs)
        if connection.vendor != "sqlite":
            return lines
        # Triggers refuse to delete rows, or count the deleted ones.
        before = [line for trigger_set in TRIGGER_SETS.values() for line in trigger_set.drop("sqlite")]
        after = [line for trigger_set in TRIGGER_SETS.values() for line in trigger_set.create("sqlite")]
        return before + lines + after

    def after_flush(verbosity, interactive, database):
        create_standard_plans(sender=apps.get_app_config("apikeys"), using=database)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", sql_flush)
        patch.setattr(flush, "emit_post_migrate_signal", after_flush)
        yield


@pytest.fixture(autouse=True, scope="session")
def _fast_settings():
    """Switch off WhiteNoise's search of all files for each new client, and slow password hashes.

    The processes that tests start keep both.
    """
    with override_settings(
        WHITENOISE_USE_FINDERS=False, PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]
    ):
        yield


@pytest.fixture(autouse=True)
def _fresh_state():
    """Forget what another test left in the process: cache, language, counters, and the actor of events."""
    cache.clear()
    translation.deactivate()
    counters.reset()
    redis_client.end_pause()
    usage.discard()
    with actors.from_address(None):
        yield


@pytest.fixture(scope="session")
def full_size():
    """Whether ``make test-full`` runs, with larger numbers of cases."""
    return os.environ.get("WAYBILL_TEST_FULL") == "1"


@pytest.fixture
def on_sqlite():
    return connection.vendor == "sqlite"


@pytest.fixture
def clock(time_machine):
    """Stop the clock until ``clock.shift(seconds)``, so that no window of a rate limit ends."""
    time_machine.move_to(timezone.now(), tick=False)
    return time_machine


@pytest.fixture(autouse=True)
def database_clock(monkeypatch):
    """Use the process's clock for leases while a test changes it; they use the database's clock otherwise.

    The value is the replaced function.
    """
    original = leases.now

    def now():
        if clocks.escape_hatch.is_travelling():
            return Value(timezone.now(), output_field=DateTimeField())
        return original()

    monkeypatch.setattr(leases, "now", now)
    return original


@pytest.fixture
def merchant(db):
    return Merchant.objects.create(name="Acme", slug="acme", plan_id="enterprise", default_country="US")


@pytest.fixture
def tenant(merchant):
    return Tenant(merchant.id, "test")


@pytest.fixture
def api_key(tenant):
    """A test key of the merchant, as clients send it."""
    key = generate_key("test")
    store_key(tenant, key, name="tests")
    return key


@pytest.fixture
def api(client, api_key):
    """A client of the JSON API: ``api.post(path, body)``, ``api.get(path, **query)``."""
    return ApiClient(client, api_key)


class ApiClient:
    """Sends JSON with an API key; ``headers=`` adds headers."""

    def __init__(self, client, key):
        self.client, self.key = client, key

    def get(self, path, headers=None, **query):
        return self.client.get(path, query, headers=self._headers(headers))

    def post(self, path, body=None, headers=None):
        return self.client.post(path, body or {}, content_type="application/json", headers=self._headers(headers))

    def _headers(self, headers):
        return {"X-API-Key": self.key} | (headers or {})


@pytest.fixture(scope="session")
def sandbox_process():
    """The process of the simulated carriers, one for each test worker."""
    process = SandboxProcess()
    yield process
    process.stop()


@pytest.fixture
def sandbox(sandbox_process, settings, request):
    """The simulated carriers without faults, recorded calls and rate limits. The sandbox environments point to them."""
    sandbox_process.reset()
    settings.CARRIER_SANDBOX_URL, settings.CARRIER_BASE_URLS = sandbox_process.url, {}
    return sandbox_process


@pytest.fixture
def credential(tenant):
    """The merchant's credential at the simulated Pickit."""
    return storage.save_credential(
        tenant=tenant,
        mode="test",
        carrier="pickit",
        environment="sandbox",
        fields={"client_id": "test-client-id", "client_secret": "test-secret", "webhook_secret": "test-secret"},
    )


@pytest.fixture
def order():
    """The label request of the Pickit document, with a new order id."""
    return {
        "carrier": "Pickit",
        "order_id": f"ORDER-{uuid.uuid4().hex[:12]}",
        "origin": {
            "company": "My Store",
            "contact_name": "Shipping Department",
            "street": "456 Warehouse Ave",
            "city": "Brooklyn",
            "state": "NY",
            "postal_code": "11201",
            "country": "US",
            "contact_phone": "+1234567890",
            "contact_email": "shipping@example.com",
        },
        "destination": {
            "contact_name": "Jane Smith",
            "street": "789 Customer St",
            "city": "Manhattan",
            "state": "NY",
            "postal_code": "10001",
            "country": "US",
            "contact_phone": "+1987654321",
            "contact_email": "jane.smith@example.com",
        },
        "packages": [
            {
                "weight_kg": 2.5,
                "length_cm": 30,
                "width_cm": 20,
                "height_cm": 15,
                "declared_value": 100,
                "description": "Order #001 - Electronics",
            }
        ],
        "service_type": "standard",
        "label_format": "PDF",
        "label_size": "4x6",
        "metadata": {"pickup_point_id": "PP-12345", "customer_reference": "CUST-REF-001"},
    }
