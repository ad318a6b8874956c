"""``make run`` says what is wrong before it starts, and starts without questions."""

import socket

import pytest

from deploy import run, services


@pytest.fixture
def listener():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield str(taken.getsockname()[1])


def test_a_taken_port_is_named_with_the_way_out(listener):
    assert run.port_trouble("PORT", listener) == (
        f"Port {listener} (PORT) is taken. Stop what uses it, or choose another: make run PORT=<port>"
    )


def test_a_free_port_is_no_trouble():
    assert run.port_trouble("PORT", str(services.free_port())) is None


@pytest.mark.parametrize("value", ["0", "65536", "-1", "web", ""])
def test_what_is_no_port_is_refused(value):
    assert "is not a port number" in run.port_trouble("PORT", value)


def test_one_port_cannot_serve_both(monkeypatch):
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


def test_without_configuration_it_is_a_demo_on_the_usual_ports(environment, tmp_path):
    run.fill_environment(tmp_path)
    assert (environment["DEBUG"], environment["PORT"], environment["SANDBOX_PORT"]) == ("true", "8000", "8010")


def test_a_settings_file_decides_instead(environment, tmp_path):
    (tmp_path / ".env").write_text("PORT=9000\n")
    run.fill_environment(tmp_path)
    assert environment["PORT"] == "9000"
    assert "DEBUG" not in environment


def test_what_is_given_on_the_command_line_beats_the_file(environment, tmp_path, monkeypatch):
    monkeypatch.setenv("PORT", "9100")
    (tmp_path / ".env").write_text("PORT=9000\n")
    run.fill_environment(tmp_path)
    assert environment["PORT"] == "9100"
