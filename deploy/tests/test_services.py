"""The private servers of the tests answer while they are wanted and leave nothing behind."""

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


def nobody_listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@needs("postgres")
def test_postgres_answers_and_is_gone_afterwards():
    with services.postgres() as url:
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT lower('JOSÉ')").fetchone() == ("josé",)
            directory = Path(connection.execute("SHOW data_directory").fetchone()[0])
            port = connection.info.port
        assert directory.is_dir()
    assert nobody_listens(port)
    assert not directory.parent.exists()


@needs("redis-server")
def test_redis_answers_keeps_nothing_and_is_gone_afterwards():
    with services.redis_server() as url:
        client = redis.Redis.from_url(url)
        assert client.set("a", "1")
        directory = Path(client.config_get("dir")["dir"])
        port = client.connection_pool.connection_kwargs["port"]
        assert client.config_get("save") == {"save": ""}
        client.close()
    assert nobody_listens(port)
    assert not directory.exists()


@needs("redis-server")
def test_a_server_is_stopped_when_its_user_fails():
    with pytest.raises(ZeroDivisionError), services.redis_server() as url:
        port = redis.Redis.from_url(url).connection_pool.connection_kwargs["port"]
        raise ZeroDivisionError
    assert nobody_listens(port)


@pytest.mark.parametrize(
    ("variable", "service", "package"),
    [("POSTGRES_BIN", services.postgres, "postgresql"), ("REDIS_BIN", services.redis_server, "redis-server")],
)
def test_a_missing_server_is_said_with_what_to_install(monkeypatch, tmp_path, variable, service, package):
    monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(services.ServiceMissing, match=f"apt-get install {package}"), service():
        pass


def test_a_program_that_does_not_become_a_server_shows_its_own_words(monkeypatch, tmp_path):
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho no space left; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("REDIS_BIN", str(tmp_path))
    with pytest.raises(RuntimeError, match="no space left"), services.redis_server():
        pass


def test_the_newest_postgresql_wins(monkeypatch, tmp_path):
    for version in ("9.6", "15", "postgresql@14"):
        directory = tmp_path / version / "bin"
        directory.mkdir(parents=True)
        (directory / "initdb").touch()
    monkeypatch.setattr(services, "POSTGRES_DIRECTORIES", (str(tmp_path),))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("POSTGRES_BIN", raising=False)
    assert services.find_program("initdb") == str(tmp_path / "15" / "bin" / "initdb")
