"""``make run`` reports problems before it starts, and needs no configuration."""

import socket

import pytest

from deploy import run, services


@pytest.fixture
def listener():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield str(taken.getsockname()[1])


def test_taken_port_is_named_with_a_solution(listener):
    assert run.port_problem("PORT", listener) == (
        f"Port {listener} (PORT) is taken. Stop what uses it, or choose another: make run PORT=<port>"
    )


def test_free_port_is_no_problem():
    assert run.port_problem("PORT", str(services.free_port())) is None


@pytest.mark.parametrize("value", ["0", "65536", "-1", "web", ""])
def test_invalid_port_is_refused(value):
    assert "is not a port number" in run.port_problem("PORT", value)


def test_web_and_sandbox_need_different_ports(monkeypatch):
    port = str(services.free_port())
    monkeypatch.setenv("PORT", port)
    monkeypatch.setenv("SANDBOX_PORT", port)
    with pytest.raises(SystemExit, match="one each"):
        run.check_ports()


@pytest.fixture
def environment(monkeypatch):
    for name in ("PORT", "SANDBOX_PORT", "DEBUG", "DEMO_CREDENTIAL", "PYTHONUNBUFFERED", "PATH"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return run.os.environ


def test_without_configuration_demo_mode_and_default_ports_are_used(environment, tmp_path):
    run.fill_environment(tmp_path)
    assert (environment["DEBUG"], environment["PORT"], environment["SANDBOX_PORT"]) == ("true", "8000", "8010")


def test_env_file_replaces_the_defaults(environment, tmp_path):
    (tmp_path / ".env").write_text("PORT=9000\n")
    run.fill_environment(tmp_path)
    assert environment["PORT"] == "9000"
    assert "DEBUG" not in environment


def test_command_line_overrides_the_file(environment, tmp_path, monkeypatch):
    monkeypatch.setenv("PORT", "9100")
    (tmp_path / ".env").write_text("PORT=9000\n")
    run.fill_environment(tmp_path)
    assert environment["PORT"] == "9100"
