"""An installation that records its responses, and the search for secrets in all that it stored and sent."""

from __future__ import annotations

import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from deploy.tests.canaries import Canary, found_in
from deploy.tests.system import System

OURS = {
    "LOG_LEVEL": "DEBUG",
    "GUNICORN_CMD_ARGS": "--log-level debug",
    "RATE_LIMITS_ENABLED": "false",
    "SIGN_IN_FAILURES": "100",
    "SECURITY_EMAILS": "security@example.com",
    "SECURITY_NOTICE_EVERY_S": "0.3",
    "WEBHOOK_RETRY_SCALE": "0.001",
    "CARRIER_TIMEOUT_S": "4",
    "REQUEST_DEADLINE_S": "6",
    "RECONCILE_FIRST_LOOKUP_S": "1",
    "RECONCILE_EVERY_S": "0.3",
    "RECONCILE_QUIET_PERIOD_S": "2",
    "USAGE_FLUSH_S": "0.2",
}
# The second factor's shared secret: it must be readable to check codes (django-otp's own column).
READABLE = {"otp_totp_totpdevice.key": {"second factor", "second factor, base32"}}
SHOWN_BY_MAIL = {"invitation", "password reset"}


class Echo:
    """A merchant's server that repeats each request in its response; the first responses are errors."""

    def __init__(self, port: int) -> None:
        self.bodies: list[bytes] = []
        echo = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                echo.bodies.append(body)
                answer = f"{self.path}\n{self.headers}".encode() + body
                self.send_response(500 if len(echo.bodies) <= 3 else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Recorder:
    """An installation that records its responses, and the secrets sent through it."""

    def __init__(self) -> None:
        self.system = System(keep_logs=True, **OURS)
        self.canaries: list[Canary] = []
        self.responses: list[tuple[str, bytes]] = []  # request, response
        self.echo = Echo(self.system.receiver_port)

    def plant(self, *secrets: Canary) -> str:
        """Add secrets to search for; return the text of the first."""
        self.canaries += secrets
        return secrets[0].text

    def call(self, method: str, path: str, body: Any = None, *, shown_once: bool = False, **more: Any) -> Any:
        """Send a request, with the demo key unless ``headers`` are given. ``shown_once`` responses are not searched."""
        headers = more.pop("headers", {"X-API-Key": "test-api-key"})
        url = self.system.web + path
        answer = requests.request(method, url, json=body, headers=headers, timeout=60, allow_redirects=False, **more)
        if not shown_once:
            self.responses.append((f"{method} {path}"[:80], f"{answer.headers}".encode() + answer.content))
        assert answer.status_code != 500, answer.text
        return answer

    def ok(self, *args: Any, **more: Any) -> Any:
        """Send a request that must succeed; return the JSON of the response."""
        answer = self.call(*args, **more)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def raw(self, request: str) -> None:
        """Send bytes that are not HTTP."""
        with socket.create_connection(("127.0.0.1", self.system.port), timeout=10) as connection:
            connection.sendall(request.encode())
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        self.responses.append(("not HTTP", answer))

    def fault(self, kind: str, operation: str, **more: Any) -> None:
        self.system.control("POST", "/_sandbox/faults", {"kind": kind, "operation": operation} | more)

    def close(self) -> None:
        self.echo.close()
        self.system.close()


def run_code(recorder: Recorder, code: str, given: dict[str, str]) -> str:
    """Run code in the installation. ``given`` is its input, so that no command line contains it."""
    return recorder.system.manage("shell", "--no-imports", "-c", code, stdin=json.dumps(given)).strip()


def mails(recorder: Recorder) -> str:
    return "".join(file.read_text() for file in (recorder.system.directory / "mail").glob("*"))


def send_form(recorder: Recorder, path: str, filled: dict[str, str], *, searched: bool = True) -> requests.Response:
    """Send the form of a page from a new browser; redirects are not followed."""
    browser = requests.Session()
    page = browser.get(recorder.system.web + path, timeout=30)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token, page.text
    form = {"csrfmiddlewaretoken": token[1]} | filled
    answer = browser.post(page.url, form, headers={"Referer": page.url}, timeout=30, allow_redirects=False)
    if searched:
        recorder.responses.append((f"form {path}", page.content + str(answer.headers).encode() + answer.content))
    return answer


def all_content(recorder: Recorder) -> list[tuple[str, bytes]]:
    """Return all stored content and all responses: values by column, and files (also deleted rows in SQLite's)."""
    found = [(name, as_bytes(value)) for name, value in recorder.system.database.values() if value is not None]
    sandbox_files = recorder.system.directory / "sandbox"
    for file in recorder.system.directory.rglob("*"):
        if file.is_file() and sandbox_files not in file.parents:
            found.append((str(file.relative_to(recorder.system.directory)), file.read_bytes()))
    return found + recorder.responses


def as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return (json.dumps(value) if isinstance(value, dict | list) else str(value)).encode()


def leaks(recorder: Recorder) -> dict[str, set[str]]:
    """Return the secrets found, by location."""
    found: dict[str, set[str]] = {}
    contents: dict[str, list[bytes]] = {}
    for where, content in all_content(recorder):
        contents.setdefault(where, []).append(content)
    for where, parts in contents.items():
        names = found_in(b"\0".join(parts), recorder.canaries) - READABLE.get(where, set())
        if where.startswith("mail/"):
            names -= SHOWN_BY_MAIL
        if where.startswith("system_"):  # the whole file, with the readable column
            names -= set().union(*READABLE.values())
        if names:
            found.setdefault(where, set()).update(names)
    return found
