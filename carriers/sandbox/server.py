"""The sandbox's HTTP server: carriers under their prefixes, the control surface under ``/_sandbox/``."""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from carriers.sandbox.messages import Answer, Request, now
from carriers.sandbox.pickit import Pickit, masked
from carriers.sandbox.store import Store
from carriers.sandbox.velocity import Velocity
from carriers.sandbox.webhooks import Pusher

log = logging.getLogger(__name__)
MAX_BODY = 2 * 1024 * 1024
FAULTS = {
    "status",
    "echo",
    "timeout",
    "slow",
    "hang_after",
    "garbage",
    "close",
    "reset",
    "cut",
    "truncated",
    "mistyped",
    "huge",
}
HUGE = 50 * 1024 * 1024


class DropConnection(Exception):
    """The caller gets no answer at all."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


class Sandbox:
    """All simulated carriers over one store."""

    def __init__(self, directory: Path, *, retry_scale: float = 1.0) -> None:
        self.store = Store(directory)
        self.pusher = Pusher(self.store, retry_scale=retry_scale)
        made = (Pickit(self.store, self.pusher), Velocity(self.store, self.pusher))
        self.carriers: dict[str, Any] = {carrier.name: carrier for carrier in made}
        self.faults: list[dict[str, Any]] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Answer:
        """Raises ``DropConnection``."""
        if request.path.startswith("/_sandbox/"):
            return self._control(request)
        for carrier in self.carriers.values():
            if request.path.startswith(carrier.prefix + "/"):
                request.path, request.carrier = request.path.removeprefix(carrier.prefix), carrier.name
                return self._carrier(carrier, request)
        return Answer(404, {"error": {"code": "NOT_FOUND", "message": "No such path", "field": None}})

    def configure(self, account: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Create or change an account: of ``carrier``, else of the carrier that knows it, else of Pickit."""
        carrier = self.carriers[changes["carrier"]] if "carrier" in changes else self._owner(account)
        return carrier.configure(account, changes)

    def stop(self) -> None:
        """Let hanging requests go."""
        self.stopping.set()
        self.pusher.stop()

    # Carriers --------------------------------------------------------------------------------------------------------

    def _carrier(self, carrier: Any, request: Request) -> Answer:
        found = carrier.route(request)
        if found is None:
            return Answer(404, carrier.error(404, "No such path"))
        operation, handler = found
        request.account = carrier.account_of(request)
        fault = self._take_fault(carrier.name, operation, request.account) or carrier.magic(request, operation)
        call_id = self._record(carrier.name, operation, request, fault)

        def work() -> Answer:
            answer = carrier.handle(request, operation, handler)
            self._done(call_id, answer)
            return answer

        return work() if fault is None else self._fail(fault, request, operation, work)

    def _fail(self, fault: dict[str, Any], request: Request, operation: str, work: Callable[[], Answer]) -> Answer:
        """``after``: the work is done, and then the answer is lost."""
        kind = fault["kind"]
        after = fault.get("after") or kind in ("hang_after", "cut", "truncated", "mistyped")
        real = work() if after else None
        match kind:
            case "timeout" | "hang_after":
                self.stopping.wait(fault.get("delay_s", 60))
                raise DropConnection
            case "slow":
                self.stopping.wait(fault.get("delay_s", 15))
                return work()
            case "close" | "reset":
                raise DropConnection(reset=kind == "reset")
            case "garbage":
                return Answer(200, raw=b"<html>not what you expected", headers={"Content-Type": "text/html"})
            case "cut":
                return Answer(200, raw=_half(real), headers={"Content-Length": str(len(real.content()))})
            case "truncated":
                return Answer(200, raw=_half(real))
            case "mistyped":
                return Answer(200, _mistyped(real.body))
            case "huge":
                return Answer(200, raw=b'{"padding": "' + b"x" * HUGE + b'"}')
        status = fault.get("status", 500)
        wait = fault.get("retry_after", 1)
        headers = {"Retry-After": str(wait)} if status == 429 and wait is not None else {}
        message = _repeated(request) if kind == "echo" else ""
        return Answer(status, self.carriers[request.carrier].error(status, message, operation), headers)

    def _take_fault(self, carrier: str, operation: str, account: str) -> dict[str, Any] | None:
        with self._lock:
            for fault in self.faults:
                wanted = (
                    fault.get("carrier", carrier),
                    fault.get("operation", operation),
                    fault.get("account", account),
                )
                if wanted == (carrier, operation, account):
                    fault["count"] -= 1
                    if fault["count"] <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    def _record(self, carrier: str, operation: str, request: Request, fault: dict[str, Any] | None) -> str:
        body = masked(request.body)
        call = {
            "at": now(),
            "carrier": carrier,
            "operation": operation,
            "account": request.account,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "body": body,
            "reference": _reference(body) if isinstance(body, dict) else "",
            "correlation_id": request.headers.get("x-correlation-id", ""),
            "fault": fault["kind"] if fault else None,
            "done": None,
        }
        call_id = str(uuid.uuid4())
        self.store.put("call", call_id, call)
        return call_id

    def _done(self, call_id: str, answer: Answer) -> None:
        """``done``: the status of what the carrier really did, whatever its caller got to see."""
        call = self.store.get("call", call_id)
        if call is not None:
            self.store.put("call", call_id, call | {"done": answer.status})

    # The control surface ---------------------------------------------------------------------------------------------

    def _control(self, request: Request) -> Answer:
        parts = request.path.removeprefix("/_sandbox/").split("/")
        try:
            return self._controlled(request, parts)
        except KeyError as error:
            return Answer(404, {"error": f"unknown: {error}"})
        except (ValueError, TypeError, AttributeError) as error:
            return Answer(400, {"error": str(error)})

    def _controlled(self, request: Request, parts: list[str]) -> Answer:
        match [request.method, *parts]:
            case ["GET", "health"]:
                return Answer(200, {"status": "healthy", "carriers": sorted(self.carriers)})
            case ["GET", "calls"]:
                wanted = request.query.items()
                calls = [c for c in self.store.all("call") if all(str(c.get(key)) == value for key, value in wanted)]
                return Answer(200, calls)
            case ["DELETE", "calls"]:
                self.store.clear("call")
                return Answer(200, [])
            case ["GET", "faults"]:
                return Answer(200, self.faults)
            case ["DELETE", "faults"]:
                self.faults.clear()
                return Answer(200, [])
            case ["POST", "faults"]:
                return Answer(201, self._add_fault(request.json()))
            case ["GET", "webhooks"]:
                return Answer(200, self.store.all("webhook"))
            case ["POST", "webhooks", "send"]:
                return self._send(request.json())
            case ["GET", "accounts", name]:
                account = self.store.get("account", name)
                return Answer(200, account) if account else Answer(404, {"error": f"unknown account {name}"})
            case ["PUT", "accounts", name]:
                return Answer(200, self.configure(name, request.json()))
            case ["GET", "pickit", "shipments"]:
                return Answer(200, self._sold("shipment", request))
            case ["GET", "velocity", "shipments"]:
                return Answer(200, self._sold("velocity_order", request))
            case ["POST", carrier, "shipments", number, "advance"]:
                return Answer(200, self.carriers[carrier].advance(number, request.json()))
            case ["POST", "pickit", "pickups", name, "complete"]:
                return Answer(200, self.carriers["pickit"].complete_pickup(name))
            case ["POST", "velocity", "shipments", number, "remit"]:
                return Answer(200, self.carriers["velocity"].remit(number))
        return Answer(404, {"error": "no such path; see docs/carriers"})

    def _sold(self, kind: str, request: Request) -> list[dict[str, Any]]:
        """Under a reference, or the newest of all."""
        reference = request.query.get("reference")
        return self.store.all(kind) if reference is None else self.store.by_reference(kind, reference)

    def _owner(self, account: str) -> Any:
        """Whose account it is; Pickit's where nobody knows it yet."""
        return next((one for one in self.carriers.values() if account in one.accounts), self.carriers["pickit"])

    def _add_fault(self, fault: dict[str, Any]) -> dict[str, Any]:
        if fault.get("kind") not in FAULTS:
            raise ValueError(f"kind must be one of {sorted(FAULTS)}")
        fault["count"] = int(fault.get("count", 1))
        with self._lock:
            self.faults.append(fault)
        return fault

    def _send(self, wish: dict[str, Any]) -> Answer:
        account = self.store.get("account", wish.get("account", "pickit-platform"))
        if account is None or not (wish.get("url") or account["webhook_url"]):
            raise ValueError("no such account, or it has no webhook_url")
        url, secret = wish.get("url") or account["webhook_url"], wish.get("secret") or account["webhook_secret"]
        self.pusher.push(wish.get("carrier", "pickit"), url, secret, wish["event"], subject=str(uuid.uuid4()))
        return Answer(202, {"status": "queued"})


def _reference(body: dict[str, Any]) -> str:
    return body.get("reference") or body.get("order_id") or ""


def _half(answer: Answer) -> bytes:
    content = answer.content()
    return content[: len(content) // 2]


def _mistyped(value: Any) -> Any:
    """The same keys with values of other types."""
    match value:
        case dict():
            return {key: _mistyped(item) for key, item in value.items()}
        case list():
            return {"0": "not a list"}
        case str():
            return [7]
    return {"unexpected": True}


def _repeated(request: Request) -> str:
    """A carrier's error text that gives back all that it was sent, secrets included."""
    head = "; ".join(f"{name}: {value}" for name, value in request.headers.items())
    return f"Cannot process {request.method} {request.path} [{head}] {request.body.decode('utf-8', 'replace')}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is nothing to tell of."""


def make_server(sandbox: Sandbox, host: str, port: int) -> ThreadingHTTPServer:
    """A server that answers with this sandbox; port 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > MAX_BODY:
                self.close_connection = True
                return self._send(Answer(413, {"error": {"code": "PAYLOAD_TOO_LARGE", "message": "", "field": None}}))
            url = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            request = Request(self.command, unquote(url.path), dict(parse_qsl(url.query)), headers, body)
            try:
                answer = sandbox.answer(request)
            except DropConnection as drop:
                self.close_connection = True
                return self._reset() if drop.reset else None
            except Exception:
                log.exception("sandbox")
                answer = Answer(
                    500, {"error": {"code": "INTERNAL_ERROR", "message": "Bug in the sandbox", "field": None}}
                )
            return self._send(answer)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

        def _reset(self) -> None:
            """End the connection by RST, not by FIN."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

        def _send(self, answer: Answer) -> None:
            content = answer.content()
            headers = {"Content-Type": "application/json", "Content-Length": str(len(content))} | answer.headers
            self.close_connection = self.close_connection or headers["Content-Length"] != str(len(content))
            self.send_response(answer.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    return _Server((host, port), Handler)


def serve(*, host: str, port: int, state: Path, webhooks: dict[str, str], retry_scale: float = 1.0) -> None:
    """Serve until SIGTERM or Ctrl-C. ``webhooks``: account to URL. Prints one line when it is ready."""
    sandbox = Sandbox(state, retry_scale=retry_scale)
    for account, url in webhooks.items():
        sandbox.configure(account, {"webhook_url": url})
    server = make_server(sandbox, host, port)
    print(json.dumps({"message": "sandbox ready", "port": server.server_port}), flush=True)  # noqa: T201
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        sandbox.stop()
        server.socket.close()
