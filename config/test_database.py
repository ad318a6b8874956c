"""Databases of the tests: migrations and demo data are written once per test run, and each test worker and
installation gets a copy.

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


def create(name: str, directory: Path, *, demo: bool = False) -> str:
    """Copy the migrated database, with ``demo`` the one with the demo merchant.

    Return the URL of the copy: a file in the directory, or a database on the server.
    """
    template = _template("demo" if demo else "migrated")
    if _server():
        _execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return _url(name)
    shutil.copy(template, directory / f"{name}.sqlite3")
    return f"sqlite:///{directory}/{name}.sqlite3"


def drop(url: str) -> None:
    """Drop a copy. SQLite files go with their directory."""
    if _server():
        _execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")


def drop_templates() -> None:
    """Drop the run's templates from the server, as far as tests needed them."""
    for kind in ("migrated", "demo"):
        record = Path(os.environ[DIRECTORY], kind)
        if _server() and record.exists() and (name := record.read_text()):
            drop(_url(name))


def _template(kind: str) -> str:
    """Return a template: a path, or a name on the server. The first worker that needs it creates it."""
    directory = Path(os.environ[DIRECTORY])
    with (directory / kind).open("a+") as record:
        fcntl.flock(record, fcntl.LOCK_EX)
        record.seek(0)
        if not (name := record.read()):
            url = _create_migrated(directory) if kind == "migrated" else _create_demo(directory)
            name = url.rpartition("/")[2] if _server() else url.removeprefix("sqlite:///")
            record.write(name)
        return name


def _create_migrated(directory: Path) -> str:
    if _server():
        name = f"template_{uuid.uuid4().hex[:12]}"
        _execute(f"CREATE DATABASE {name}")
        url = _url(name)
    else:
        url = f"sqlite:///{directory}/template.sqlite3"
    _manage(url, "migrate", "-v0")
    return url


def _create_demo(directory: Path) -> str:
    url = create(f"demo_{uuid.uuid4().hex[:12]}", directory)
    _manage(url, "seed_demo")
    return url


def _manage(url: str, *command: str) -> None:
    environment = os.environ | {"DATABASE_URL": url, "REDIS_URL": ""}
    arguments = [sys.executable, "manage.py", *command]
    subprocess.run(arguments, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 no input


def _server() -> str:
    url = os.environ.get("DATABASE_URL", "")
    return url if url.startswith("postgres") else ""


def _url(name: str) -> str:
    return f"{_server().rpartition('/')[0]}/{name}"


def _execute(statement: str) -> None:
    with psycopg.connect(_server(), autocommit=True) as connection:
        connection.execute(statement)
