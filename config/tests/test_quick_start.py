"""The steps of the documents' quick starts, as users type them."""

import base64
import os
import shutil
import stat
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
import requests
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from config import secrets, test_database
from config.environment import read_file
from config.secrets import DEMO_SECRETS
from config.test_runner import find_test
from deploy.services import free_port

pytestmark = pytest.mark.once
ROOT = Path(__file__).resolve().parents[2]
NUMBER = {
    "origin_country_id": "MY",
    "destination_country_id": "ID",
    "weight": "1.234",
    "created_at": "2018-11-20T19:29:32+08:00",
    "customer_id": "de619854-b59b-425e-9db4-943979e1bd49",
    "customer_name": "RedBox Logistics",
    "customer_slug": "redbox-logistics",
}


@pytest.fixture
def shell(tmp_path):
    """Return the environment of a shell with nothing configured but where files and data are."""
    names = {"PATH", "HOME", "TMPDIR", test_database.DIRECTORY}
    url = test_database.create("quick", tmp_path) if not os.environ.get("DATABASE_URL", "").startswith("post") else ""
    return {name: os.environ[name] for name in names if name in os.environ} | {
        "ENV_FILE": str(tmp_path / ".env"),
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": url or f"sqlite:///{tmp_path}/quick.sqlite3",
    }


def manage(shell, *command, **variables):
    arguments = [sys.executable, "manage.py", *command]
    return subprocess.run(arguments, env=shell | variables, cwd=ROOT, capture_output=True, text=True)


def test_copied_example_is_migrated_and_served(shell, tmp_path):
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    migrated = manage(shell, "migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert "DEBUG=true: demo mode" in migrated.stderr
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", "--noreload", str(port)],
        env=shell,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://localhost:{port}"
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            try:
                health = requests.get(f"{url}/health", timeout=10)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        assert health.json()["status"] == "healthy"
        assert len(requests.get(f"{url}/next-tracking-number", NUMBER, timeout=30).json()["tracking_number"]) == 16
        assert requests.get(f"{url}/metrics", timeout=30).status_code == 200
        assert requests.get(f"{url}/admin/", timeout=30).url.startswith(f"{url}/")
    finally:
        server.kill()
        server.wait()


@pytest.mark.django_db
def test_superuser_is_created_as_documented(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "long enough 1")
    call_command("createsuperuser", interactive=False, username="ana", email="ana@shop.example", stdout=StringIO())
    assert get_user_model().objects.get().is_superuser


def test_secrets_are_generated_without_a_usable_configuration(shell, tmp_path):
    (tmp_path / ".env").write_text("DEBUG=false\nPORT=wrong\nDATABASE_URL=mysql://db/x\n")
    printed = manage({name: value for name, value in shell.items() if name != "DATABASE_URL"}, "generate_env")
    assert [line.partition("=")[0] for line in printed.stdout.splitlines()] == list(DEMO_SECRETS)
    assert printed.stderr == ""


def test_start_without_secrets_names_the_command_and_its_file_starts_production(shell, tmp_path):
    refused = manage(shell, "check")
    assert refused.returncode != 0
    assert "SECRET_KEY, ENCRYPTION_KEYS, API_KEY_PEPPER, TRACKING_NUMBER_SECRETS are not set" in refused.stderr
    assert "manage.py generate_env" in refused.stderr
    call_command("generate_env", output=f"{tmp_path}/.env", stdout=StringIO())
    checked = manage(shell, "check", "--deploy", "--fail-level", "WARNING")
    assert checked.returncode == 0, checked.stderr


def test_generated_file_is_private_and_replaced_only_by_force(tmp_path):
    file, out = tmp_path / ".env", StringIO()
    call_command("generate_env", output=str(file), stdout=out)
    first = file.read_text()
    with pytest.raises(CommandError, match="--force"):
        call_command("generate_env", output=str(file), stdout=out)
    assert file.read_text() == first
    file.chmod(0o644)
    call_command("generate_env", output=str(file), force=True, stdout=out)
    assert file.read_text() != first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("generate_env", output=str(tmp_path / "missing" / ".env"), stdout=out)
    values = read_file(file, {})
    assert not any(values[name] in out.getvalue() for name in DEMO_SECRETS)


def test_printed_secrets_complete_a_file(tmp_path):
    out = StringIO()
    call_command("generate_env", stdout=out)
    file, variables = tmp_path / ".env", {}
    file.write_text(f"SECRET_KEY=\n{out.getvalue()}")
    read_file(file, variables)
    assert set(variables) == set(DEMO_SECRETS)
    assert all(variables.values())
    assert not secrets._is_known(variables["ENCRYPTION_KEYS"])
    assert secrets._is_known(f"k1:your-32-byte-encryption-key-here,{variables['ENCRYPTION_KEYS']}")


def test_manage_test_runs_documented_modules_with_pytest(shell):
    done = manage(shell, "test", "tracking.tests.test_numbers", "--failfast", "-k", "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "warning" not in done.stdout
    for name in ("test_services", "test_views", "test_serializers"):
        path = find_test(f"tracking.tests.{name}")
        assert path == f"tracking/tests/{name}.py"
    assert find_test("tracking") == "tracking"
    assert find_test("tracking.tests.test_views.Class.test_one") == "tracking/tests/test_views.py::Class::test_one"


def test_public_secrets_are_known_in_every_form():
    key = base64.b64decode(DEMO_SECRETS["ENCRYPTION_KEYS"].partition(":")[2])
    plain = base64.b64encode(key).decode()
    forms = [
        key.decode(),
        key.hex(),
        key.hex().upper(),
        plain,
        plain.rstrip("="),
        f"k1:{plain}",
        f"k1: {key.hex()},k2:x",
    ]
    for public in (*DEMO_SECRETS.values(), *forms, "2:demo-secret-for-tracking-numbers", "1:test-secret"):
        assert secrets._is_known(public), public
    for value in secrets.generate_secrets().values():
        assert not secrets._is_known(value)
