"""The sandbox's HTTP server: each carrier under its prefix, the control surface under ``/_sandbox/``."""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from carriers.sandbox import control
from carriers.sandbox.faults import DropConnection
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.sandbox import Sandbox

log = logging.getLogger(__name__)
MAX_BODY = 24 * 1024 * 1024  # thirteen files of one megabyte in base64


class SandboxServer(ThreadingHTTPServer):
    """An HTTP server for a sandbox. Port 0 stands for any free port."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, sandbox: Sandbox, host: str, port: int) -> None:
        super().__init__((host, port), Handler)
        self.sandbox = sandbox

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: clients close connections in the middle of an answer."""


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SandboxServer

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self.close_connection = True
            return self._send(Answer(413, {"error": {"code": "PAYLOAD_TOO_LARGE", "message": "", "field": None}}))
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(length)
        request = Request(self.command, unquote(url.path), dict(parse_qsl(url.query)), headers, body)
        sandbox = self.server.sandbox
        try:
            is_control = request.path.startswith("/_sandbox/")
            answer = control.answer(sandbox, request) if is_control else sandbox.answer(request)
        except DropConnection as drop:
            self.close_connection = True
            return self._reset() if drop.reset else None
        except Exception:
            log.exception("sandbox")
            answer = Answer(500, {"error": {"code": "INTERNAL_ERROR", "message": "Bug in the sandbox", "field": None}})
        return self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

    def _reset(self) -> None:
        """Close the connection with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _send(self, answer: Answer) -> None:
        content = answer.content()
        headers = {"Content-Type": answer.content_type, "Content-Length": str(len(content))} | answer.headers
        # A fault may announce more bytes than it sends.
        self.close_connection = self.close_connection or headers["Content-Length"] != str(len(content))
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Log nothing: the calls are recorded."""


def serve(*, host: str, port: int, state: Path, webhooks: dict[str, str], retry_scale: float = 1.0) -> None:
    """Serve until SIGTERM or Ctrl-C. Prints one line when it is ready.

    Args:
        webhooks: URL by account.
    """
    sandbox = Sandbox(state, retry_scale=retry_scale)
    for account, url in webhooks.items():
        sandbox.configure(account, {"webhook_url": url})
    server = SandboxServer(sandbox, host, port)
    print(json.dumps({"message": "sandbox ready", "port": server.server_port}), flush=True)  # noqa: T201
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        sandbox.stop()
        server.socket.close()
