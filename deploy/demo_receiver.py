"""The merchant's server of ``make demo``: receives webhooks and verifies each as Standard Webhooks specifies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "whsec_ZGVtby13ZWJob29rLXNlY3JldC1mb3ItdHJ5aW5nLW91dCE="  # of the demo merchant's endpoint


class Receiver:
    """A server that keeps the verified webhooks, and the reasons why others were rejected."""

    def __init__(self, port: int) -> None:
        """Start the server. Raises ``OSError`` if the port is taken."""
        self.verified: list[dict[str, Any]] = []
        self.rejected: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                problem = receiver.verify(self.headers, body)
                self.send_response(400 if problem else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def verify(self, headers: Any, body: bytes) -> str:
        """Store a webhook; return why it is rejected, empty if it is not."""
        problem = _signature_problem(headers, body)
        if problem:
            self.rejected.append(problem)
        else:
            self.verified.append(json.loads(body))
        return problem

    def webhooks_of(self, shipment_id: str) -> list[dict[str, Any]]:
        """Return the verified webhooks about a shipment."""
        return [message for message in self.verified if message["data"].get("shipment_id") == shipment_id]


def _signature_problem(headers: Any, body: bytes) -> str:
    """Check a signature: v1 = base64(HMAC-SHA256(secret, id.timestamp.body)), at most five minutes old.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    try:
        message_id, sent_at, signatures = (headers[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
        if abs(time.time() - int(sent_at)) > 300:
            return "the timestamp is too old"
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        expected = hmac.new(key, f"{message_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
        given = [base64.b64decode(part.partition(",")[2]) for part in signatures.split(" ")]
    except (TypeError, ValueError, AttributeError) as error:
        return f"a signature header is missing or malformed ({error})"
    return "" if any(hmac.compare_digest(expected, one) for one in given) else "the signature does not match"
