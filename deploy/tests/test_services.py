"""The private servers run while they are used and leave nothing behind."""

import os
import socket
from pathlib import Path

import psycopg
import pytest
import redis

from deploy import services

NEEDED_IN_CI = bool(os.environ.get("CI"))


def needs(program):
    missing = services.find_program(program) is None and not NEEDED_IN_CI
    return pytest.mark.skipif(missing, reason=f"{program} is not installed")


def is_closed(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@needs("postgres")
def test_postgres_runs_and_is_removed_afterwards():
    with services.postgres() as url:
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT lower('JOSÉ')").fetchone() == ("josé",)
            directory = Path(connection.execute("SHOW data_directory").fetchone()[0])
            port = connection.info.port
        assert directory.is_dir()
    assert is_closed(port)
    assert not directory.parent.exists()


@needs("redis-server")
def test_redis_runs_without_persistence_and_is_removed_afterwards():
    with services.redis_server() as url:
        client = redis.Redis.from_url(url)
        assert client.set("a", "1")
        directory = Path(client.config_get("dir")["dir"])
        port = client.connection_pool.connection_kwargs["port"]
        assert client.config_get("save") == {"save": ""}
        client.close()
    assert is_closed(port)
    assert not directory.exists()


@needs("redis-server")
def test_server_is_stopped_after_an_error():
    with pytest.raises(ZeroDivisionError), services.redis_server() as url:
        port = redis.Redis.from_url(url).connection_pool.connection_kwargs["port"]
        raise ZeroDivisionError
    assert is_closed(port)


@pytest.mark.parametrize(
    ("variable", "service", "package"),
    [("POSTGRES_BIN", services.postgres, "postgresql"), ("REDIS_BIN", services.redis_server, "redis-server")],
)
def test_missing_server_is_reported_with_the_package_to_install(monkeypatch, tmp_path, variable, service, package):
    monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(services.ServiceMissing, match=f"apt-get install {package}"), service():
        pass


def test_server_that_does_not_start_is_reported_with_its_output(monkeypatch, tmp_path):
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho no space left; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("REDIS_BIN", str(tmp_path))
    with pytest.raises(RuntimeError, match="no space left"), services.redis_server():
        pass


def test_newest_postgresql_is_used(monkeypatch, tmp_path):
    for version in ("9.6", "15", "postgresql@14"):
        directory = tmp_path / version / "bin"
        directory.mkdir(parents=True)
        (directory / "initdb").touch()
    monkeypatch.setattr(services, "POSTGRES_DIRECTORIES", (str(tmp_path),))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("POSTGRES_BIN", raising=False)
    assert services.find_program("initdb") == str(tmp_path / "15" / "bin" / "initdb")
