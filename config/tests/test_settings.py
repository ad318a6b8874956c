"""Every documented variable is honoured or warned about, and wrong values stop the start."""

import gc
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from carriers.adapters.registry import ADAPTERS
from config import environment, startup
from config.environment import any_text, env, read_file

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r"""(?:environ\.get|env\.\w+)\(\s*["']([A-Z_]+)["']""")
# Read by tests and tools only.
OF_TESTS = {"DEMO_PATIENCE_S", "BENCH_SECONDS", "ENV_FILE", "PATH"}
CREDENTIALS = {name for adapter in ADAPTERS.values() for name in adapter.environment_names}
# All variables of the five documents, besides those that their examples insert into others (DB_PASSWORD).
DOCUMENTED = set(
    """
    ALLOWED_HOSTS ALLOWED_ORIGINS API_KEY CELERY_BROKER_URL CELERY_RESULT_BACKEND CORS_ALLOWED_ORIGINS
    DATABASE_MAX_OVERFLOW DATABASE_POOL_SIZE DATABASE_URL DATADOG_API_KEY DEBUG ENCRYPTION_KEY KEEPALIVE LOG_LEVEL
    NODE_ENV PICKIT_API_URL PICKIT_CLIENT_ID PICKIT_CLIENT_SECRET PICKIT_MAX_RETRIES PICKIT_RETRY_DELAY PICKIT_TIMEOUT
    PICKIT_WEBHOOK_SECRET RATE_LIMIT_PER_HOUR RATE_LIMIT_PER_MINUTE REDIS_POOL_SIZE REDIS_URL SECRET_KEY SENTRY_DSN
    USE_VELOCITY_MOCK VELOCITY_BASE_URL VELOCITY_PASSWORD VELOCITY_TEST_WAREHOUSE_ID VELOCITY_USERNAME WORKERS
    WORKER_CLASS WORKER_CONNECTIONS
    """.split()  # noqa: SIM905 rows are easier to compare
)
# Two installations that together read every variable.
KINDS = ({"DATABASE_URL": "sqlite:///db.sqlite3"}, {"DATABASE_URL": "postgresql://waybill:pw@db.example/waybill"})
# The environment files of the documents, as they are written there.
FILES = {
    "Pickit in production": """
# Production .env file
PICKIT_CLIENT_ID=${PICKIT_CLIENT_ID}
PICKIT_API_URL=https://api.pickit.net/v2
PICKIT_TIMEOUT=30
PICKIT_MAX_RETRIES=3
DATABASE_URL=postgresql://carrier:${DB_PASSWORD}@db-cluster.aws.com:5432/carrier_db
DATABASE_POOL_SIZE=20
DATABASE_MAX_OVERFLOW=10
REDIS_URL=redis://redis-cluster.aws.com:6379/1
REDIS_POOL_SIZE=10
ENCRYPTION_KEY=${ENCRYPTION_KEY}
SECRET_KEY=${SECRET_KEY}
ALLOWED_ORIGINS=https://app.quenty.com,https://api.quenty.com
SENTRY_DSN=${SENTRY_DSN}
DATADOG_API_KEY=${DATADOG_API_KEY}
LOG_LEVEL=INFO
WORKERS=4
WORKER_CLASS=uvicorn.workers.UvicornWorker
WORKER_CONNECTIONS=1000
KEEPALIVE=5
""",
    "Coordinadora": """
API_KEY=test-api-key
DATABASE_URL=postgresql://user:password@db:5432/tracking_db
REDIS_URL=redis://redis:6379/0
CELERY_BROKER_URL=redis://redis:6379/0
CELERY_RESULT_BACKEND=redis://redis:6379/0
""",
    "Velocity": """
DATABASE_URL=postgresql://user:password@host:5432/database
VELOCITY_BASE_URL=https://shazam.velocity.in
VELOCITY_USERNAME="+910000000000"
VELOCITY_PASSWORD="<password>"
VELOCITY_TEST_WAREHOUSE_ID="WHYYB5"
USE_VELOCITY_MOCK=false
""",
}


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Return a function that loads settings and gunicorn's configuration with these variables only."""

    def load(**variables):
        for name in {*env.names, "PROMETHEUS_MULTIPROC_DIR"}:  # gunicorn's configuration sets the last one
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        for name, value in {"DEBUG": "true", "DATA_DIR": str(tmp_path), **variables}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        return runpy.run_path(str(ROOT / "config/settings.py")) | runpy.run_path(str(ROOT / "deploy/gunicorn.py"))

    return load


@pytest.fixture
def read(load):
    """Return the names that settings and gunicorn's configuration read."""
    for kind in KINDS:
        load(**kind)
    files = [ROOT / "deploy/run.py", ROOT / "deploy/demo_shop.py", ROOT / "apikeys/access/health.py"]
    return {name for file in files for name in READ.findall(file.read_text())} | set(env.names) | CREDENTIALS


def documented_in_example():
    return startup.known_names() - set(startup.UNUSED)


def test_example_lists_every_variable_that_is_read(read):
    assert documented_in_example() - OF_TESTS == read - OF_TESTS - set(startup.UNUSED)


def test_every_variable_of_the_documents_is_honoured_or_warned_about(read):
    assert read | set(startup.UNUSED) >= DOCUMENTED
    page = (ROOT / "docs/settings.md").read_text()
    for name, unused in startup.UNUSED.items():
        (warning,) = startup.find_warnings({name: "something"}, {})
        assert warning == f"{name} is set but not used. {unused.reason}"
        assert f"`{name}`" in page
        assert not any(startup.find_warnings({name: value}, {}) for value in ("", *unused.harmless))


def test_documented_aliases_have_the_effect_of_the_other_name(load):
    settings = load(
        **KINDS[1],
        DATABASE_POOL_SIZE="5",
        DATABASE_MAX_OVERFLOW="10",
        ALLOWED_ORIGINS="https://app.quenty.com,https://api.quenty.com",
        REDIS_URL="redis://redis:6379/0",
        REDIS_POOL_SIZE="7",
        WORKERS="4",
        WORKER_CONNECTIONS="500",
        KEEPALIVE="9",
        PICKIT_TIMEOUT="12",
        LOG_LEVEL="warning",
    )
    assert settings["DATABASES"]["default"]["OPTIONS"]["pool"]["max_size"] == 15
    assert settings["CORS_ALLOWED_ORIGINS"] == ["https://app.quenty.com", "https://api.quenty.com"]
    assert settings["CACHES"]["default"]["OPTIONS"]["max_connections"] == settings["REDIS_POOL_SIZE"] == 7
    assert (settings["workers"], settings["worker_connections"], settings["keepalive"]) == (4, 500, 9)
    assert (settings["CARRIER_TIMEOUT_S"], settings["LOGGING"]["root"]["level"]) == (12.0, "WARNING")
    assert load(WEB_CONCURRENCY="2", WORKERS="4")["workers"] == 2


def test_addresses_without_a_key_have_the_documented_limit(load):
    assert load()["PUBLIC_RATES"] == ["100/m"]
    assert load(RATE_LIMIT_PER_MINUTE="40")["PUBLIC_RATES"] == ["40/m"]
    assert load(RATE_LIMIT_PER_MINUTE="40", PUBLIC_RATES="9/m, 90/h")["PUBLIC_RATES"] == ["9/m", "90/h"]


def test_empty_variables_count_as_not_set(load, read):
    assert load(**dict.fromkeys(env.names, "") | {"DEBUG": "true"})["CARRIER_MAX_RETRIES"] == 3


def test_base_urls_of_carriers_are_those_that_are_set(load):
    settings = load()
    assert (settings["CARRIER_SIMULATED"], settings["CARRIER_BASE_URLS"]) == (True, {})  # in demo mode
    settings = load(CARRIER_SIMULATED="false", PICKIT_API_URL="https://proxy.example/v2")
    assert settings["CARRIER_SIMULATED"] is False
    assert settings["CARRIER_BASE_URLS"] == {("pickit", "production", "main"): "https://proxy.example/v2"}


def test_options_of_a_database_url_are_kept_and_driver_names_accepted(load):
    settings = load(DATABASE_URL="postgresql+asyncpg://u:p%40ss@db:5432/x?sslmode=require")["DATABASES"]["default"]
    assert (settings["OPTIONS"]["sslmode"], settings["PASSWORD"], settings["NAME"]) == ("require", "p@ss", "x")


def refusal(load, name, value):
    """Return the error of an installation of one kind or the other with this value, or nothing."""
    for kind in KINDS:
        try:
            load(**{**kind, name: value})
        except ImproperlyConfigured as error:
            return str(error)
    return ""


def test_wrong_values_stop_the_start_with_the_name_of_the_variable(load, read):
    checked = [name for name, parse in env.names.items() if parse is not any_text and name != "DEBUG"]
    assert len(checked) > 70
    for name in checked:
        assert name in refusal(load, name, "wörd ::"), name
    readers = ("Environment.int", "Environment.float")
    numbers = [name for name in checked if env.names[name].__qualname__.startswith(readers)]
    assert len(numbers) > 45
    for name in numbers:
        for value in ("-1", "1_0", "9" * 30, "nan", "1e3", "٣"):
            with pytest.raises(ImproperlyConfigured, match=rf"^{name} must be a"):
                env.names[name](name, value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DATABASE_URL", "mysql://u:hidden@db/x", "sqlite://"),
        ("DATABASE_URL", "postgresql://u:hid#den@db/x", "%XX"),
        ("REDIS_URL", "http://redis:6379", "redis://"),
        ("EMAIL_URL", "imap://u:hidden@mail", "smtp"),
        ("PICKIT_API_URL", "https://", "not a valid URL"),
        ("DEBUG", "maybe", "true or false"),
        ("RATE_LIMITS_ENABLED", "maybe", "true or false"),
        ("DATABASE_POOL_MIN", "21", "DATABASE_POOL_SIZE"),
        ("RATE_LIMIT_PER_HOUR", "0", "1 or more"),
        ("PORT", "70000", "1 to 65535"),
        ("REQUEST_DEADLINE_S", "120", "to 85"),
        ("PICKUP_POINTS_KEEP_S", "60", "PICKUP_POINTS_FRESH_S"),
        ("USER_RATES", "60", "10/15m"),
        ("USER_RATES", "60/0m", "10/15m"),
        ("ALLOWED_HOSTS", "https://api.example.com", "without scheme"),
        ("CORS_ALLOWED_ORIGINS", "app.example.com", "https://shop.example"),
        ("LOG_LEVEL", "verbose", "DEBUG, INFO"),
        ("TRUSTED_PROXIES", "10.0.0.0/40", "networks"),
    ],
)
def test_error_of_a_wrong_value_says_what_is_expected_and_shows_no_password(load, name, value, expected):
    # DEBUG decides the secrets, which are read once in each process.
    if name == "DEBUG":
        with pytest.raises(ImproperlyConfigured) as caught:
            environment.Environment({name: value}).bool(name, default=False)
        text = str(caught.value)
    else:
        text = refusal(load, name, value)
    assert name in text
    assert expected in text
    assert "hid" not in text


def test_file_is_overridden_by_the_environment_and_references_are_resolved(tmp_path):
    file = tmp_path / ".env"
    file.write_text(
        "\ufeffDATABASE_URL=postgresql://carrier:${DB_PASSWORD}@db/x\nSENTRY_DSN=${SENTRY_DSN}\n"
        "LOG_LEVEL=INFO\nVELOCITY_USERNAME=\"+910000000000\"\nVELOCITY_PASSWORD='$a}b'\n"
    )
    variables = {"DB_PASSWORD": "p", "LOG_LEVEL": "ERROR"}
    read_file(file, variables)
    assert variables == {
        "DATABASE_URL": "postgresql://carrier:p@db/x",
        "DB_PASSWORD": "p",
        "LOG_LEVEL": "ERROR",
        "VELOCITY_USERNAME": "+910000000000",
        "VELOCITY_PASSWORD": "$a}b",
    }
    with pytest.raises(ImproperlyConfigured, match=r"DATABASE_URL in \.env .*DB_PASSWORD is not set"):
        read_file(file, {})


@pytest.mark.parametrize("name", FILES)
def test_files_of_the_documents_are_read(load, tmp_path, name):
    file = tmp_path / ".env"
    file.write_text(FILES[name])
    given = dict.fromkeys(("PICKIT_CLIENT_ID", "DB_PASSWORD", "ENCRYPTION_KEY", "SECRET_KEY"), "ab" * 32)
    read_file(file, given)
    settings = load(**given)
    assert settings["DATABASES"]["default"]["ENGINE"] == "apikeys.db.postgresql"
    warned = {text.split()[0] for text in startup.find_warnings(given, {})}
    assert warned == set(startup.UNUSED) & set(given) - {"USE_VELOCITY_MOCK"}


def test_proxy_without_its_address_is_warned_about():
    (warning,) = startup.find_warnings({"BEHIND_TLS_PROXY": "true"}, {})
    assert "TRUSTED_PROXIES" in warning
    assert not startup.find_warnings({"BEHIND_TLS_PROXY": "true", "TRUSTED_PROXIES": "10.0.0.5"}, {})


def test_unknown_names_in_the_file_are_reported_with_the_similar_one():
    from_file = {"PICKIT_TIMOUT": "30", "DATABASE_URL": "postgresql://u:${DB_PASSWORD}@db/x", "DB_PASSWORD": "p"}
    (warning,) = startup.find_warnings({}, from_file)
    assert "PICKIT_TIMOUT" in warning
    assert "PICKIT_TIMEOUT" in warning


def test_warnings_are_shown_once_by_a_process_and_its_children():
    shown, variables = [], {"SENTRY_DSN": "https://key@sentry.example/1", "WORKERS": "3"}
    startup.warn_once(shown.append, variables)
    startup.warn_once(shown.append, variables)
    assert [text.split()[0] for text in shown] == ["SENTRY_DSN", "Several"]
    assert "key@" not in "".join(shown)
    code = "import django; django.setup()"
    inherited = {name: value for name, value in os.environ.items() if name != "WAYBILL_START_WARNINGS_SHOWN"}
    command = [sys.executable, "-c", code]
    environment = inherited | {"DJANGO_SETTINGS_MODULE": "config.settings", "CELERY_RESULT_BACKEND": "redis://r"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.count("CELERY_RESULT_BACKEND is set but not used") == 1


def test_garbage_is_collected_when_the_apps_are_loaded():
    loaded = apps.get_app_config("config")
    try:
        type(loaded)(loaded.name, loaded.module)
        assert not gc.isenabled()
        loaded.ready()
        assert gc.isenabled()
    finally:
        gc.enable()
    assert list(apps.get_app_configs())[-1] is loaded
