"""Databases of the tests: the migrations run once per test run, and each test worker and installation gets a copy.

``DATABASE_URL`` chooses SQLite or the PostgreSQL server. Nothing here reads Django's settings.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
# The directory of the run's template, shared by all workers (see config.test_environment).
DIRECTORY = "WAYBILL_TEST_TEMPLATE"


def create(name: str, directory: Path) -> str:
    """Copy the migrated database; return the URL of the copy: a file in the directory, or a database on the server."""
    template = _template()
    if _server():
        _execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return _url(name)
    shutil.copy(template, directory / f"{name}.sqlite3")
    return f"sqlite:///{directory}/{name}.sqlite3"


def drop(url: str) -> None:
    """Drop a copy. SQLite files go with their directory."""
    if _server():
        _execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")


def drop_template() -> None:
    """Drop the run's template from the server, if a test needed one."""
    record = Path(os.environ[DIRECTORY], "template")
    if _server() and record.exists() and (name := record.read_text()):
        drop(_url(name))


def _template() -> str:
    """Return the migrated database without rows: a path, or a name on the server. The first worker creates it."""
    directory = Path(os.environ[DIRECTORY])
    with (directory / "template").open("a+") as record:
        fcntl.flock(record, fcntl.LOCK_EX)
        record.seek(0)
        if not (name := record.read()):
            name = _migrated(directory)
            record.write(name)
        return name


def _migrated(directory: Path) -> str:
    if _server():
        name = f"template_{uuid.uuid4().hex[:12]}"
        url = _url(name)
        _execute(f"CREATE DATABASE {name}")
    else:
        name = str(directory / "template.sqlite3")
        url = f"sqlite:///{name}"
    environment = os.environ | {"DATABASE_URL": url, "REDIS_URL": ""}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=environment, cwd=ROOT, check=True)
    return name


def _server() -> str:
    url = os.environ.get("DATABASE_URL", "")
    return url if url.startswith("postgres") else ""


def _url(name: str) -> str:
    return f"{_server().rpartition('/')[0]}/{name}"


def _execute(statement: str) -> None:
    with psycopg.connect(_server(), autocommit=True) as connection:
        connection.execute(statement)
