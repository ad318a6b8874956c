"""Connections to carriers: one deadline and size limit per call, several addresses, no cookies."""

import contextlib
import gzip
import inspect
import re
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from carriers.adapters.apis import Json
from carriers.http import connection_pool
from carriers.http.call_log import Caller
from carriers.http.exchange import _session
from carriers.http.transport import HttpTransport
from carriers.models import CarrierCall
from carriers.tests.server import drip
from carriers.types import errors

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.mark.parametrize(
    "slow",
    [
        drip(b"x" * 70_000, 0.1),
        drip(b"x", 0.05),
        drip(b"1\r\nx\r\n", 0.05, head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        drip(b"X-More: x\r\n", 0.05, head=b"HTTP/1.1 200 OK\r\n"),
        drip(b"H", 0.05, head=b""),
    ],
    ids=["large pieces", "bytes", "chunks", "headers", "before the status"],
)
def test_slow_answer_ends_at_the_timeout(send, carrier, settings, slow):
    settings.CARRIER_TIMEOUT_S = 0.8
    carrier.answers = [slow]
    started = time.monotonic()
    with pytest.raises(errors.CarrierTimeout):
        send()
    assert time.monotonic() - started < 5  # the whole answer takes over ten seconds
    assert CarrierCall.objects.get().outcome == "timeout"


@pytest.fixture
def host_of(monkeypatch, settings, carrier):
    """A function that returns a host name with these addresses."""
    plain = socket.getaddrinfo

    def resolve_to(*addresses):
        def getaddrinfo(host, port, *args, **kwargs):
            found = [plain(one, port, *args, **kwargs) for one in (addresses if host == "many.example" else [host])]
            return [address for addresses_of_one in found for address in addresses_of_one]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        url = f"http://many.example:{carrier.server.server_port}"
        settings.CARRIER_BASE_URLS = {("pickit", "sandbox", "main"): url}
        return "many.example"

    return resolve_to


@pytest.fixture
def silent(carrier):
    """Addresses (with the carrier's port) that do not answer: their connection queues are full."""
    with contextlib.ExitStack() as opened:

        def occupy(address):
            listener = opened.enter_context(socket.socket())
            listener.bind((address, carrier.server.server_port))
            listener.listen(0)
            for _ in range(3):
                queued = opened.enter_context(socket.socket())
                queued.setblocking(False)
                queued.connect_ex(listener.getsockname())
            return address

        yield [occupy(f"127.0.0.{last}") for last in range(2, 10)]


@pytest.mark.parametrize(("connect_timeout_s", "timeout_s"), [(0.4, 5), (5, 0.4)])
def test_all_addresses_of_a_host_share_the_connect_timeout(
    credential, carrier, settings, host_of, silent, connect_timeout_s, timeout_s
):
    settings.CARRIER_CONNECT_TIMEOUT_S, settings.CARRIER_TIMEOUT_S = connect_timeout_s, timeout_s
    settings.CARRIER_MAX_RETRIES = 0
    url = f"http://{host_of(*silent)}:{carrier.server.server_port}/x"
    started = time.monotonic()
    with pytest.raises(errors.CarrierUnavailable):
        HttpTransport(Caller(credential, credential.merchant_id, "Pickit")).send("create_label", "GET", url)
    assert 0.3 < time.monotonic() - started < 2.5  # eight times as long if each address had the timeout
    assert CarrierCall.objects.get().outcome == "unreachable"


def test_second_address_is_used_if_the_first_does_not_answer(credential, carrier, settings, host_of, silent):
    settings.CARRIER_CONNECT_TIMEOUT_S, settings.CARRIER_MAX_RETRIES = 0.6, 0
    url = f"http://{host_of(silent[0], '127.0.0.1')}:{carrier.server.server_port}/x"
    transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
    assert transport.send("quote", "GET", url).status == 200


def test_unknown_host_is_unreachable(credential, monkeypatch, settings):
    def getaddrinfo(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    settings.CARRIER_MAX_RETRIES = 0
    settings.CARRIER_BASE_URLS = {("pickit", "sandbox", "main"): "http://none.example"}
    transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
    with pytest.raises(errors.CarrierUnavailable):
        transport.send("create_label", "POST", "http://none.example/x", body=Json({}))
    assert CarrierCall.objects.get().outcome == "unreachable"


def test_cookies_are_neither_stored_nor_sent(send, carrier):
    carrier.answers = [(200, b"{}", {"Set-Cookie": "session=abc; HttpOnly"})]
    for number in range(3):
        send("track", method="GET", path=f"/shipments/{number}/tracking")
    assert len(_session.cookies) == 0
    assert not any("Cookie" in headers for _path, headers, _body in carrier.requests)


def test_answer_over_the_size_limit_is_dropped(send, carrier, settings):
    settings.CARRIER_MAX_ANSWER_BYTES, settings.CARRIER_MAX_RETRIES = 100_000, 0
    carrier.answers = [(200, gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"})]
    with pytest.raises(errors.CarrierUnavailable):
        send()
    assert CarrierCall.objects.get().outcome == "broken"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunks(size, body):
    """Answer with one chunk of this declared size, then close the connection."""

    def answer(handler):
        with suppress(OSError):
            handler.connection.sendall(CHUNKED + size + b"\r\n" + body)
        handler.close_connection = True

    return answer


@pytest.mark.parametrize("size", [b"-5", b"-1", b"5"])
@pytest.mark.parametrize(
    ("operation", "kind"), [("create_label", errors.OutcomeUnknown), ("quote", errors.CarrierUnavailable)]
)
def test_invalid_chunk_size_is_a_broken_answer(send, carrier, settings, size, operation, kind):
    settings.CARRIER_MAX_RETRIES = 0
    carrier.answers = [chunks(size, b"{}")]
    with pytest.raises(kind):
        send(operation)
    assert CarrierCall.objects.get().outcome == "broken"


def test_endless_chunk_is_read_up_to_the_size_limit(send, carrier, settings):
    settings.CARRIER_MAX_ANSWER_BYTES = 100_000
    written = []

    def endless(handler):
        with suppress(OSError):
            handler.connection.sendall(CHUNKED + b"-1\r\n")
            for _ in range(100):
                handler.connection.sendall(b"x" * 100_000)
                written.append(1)
        handler.close_connection = True

    carrier.answers = [endless]
    with pytest.raises(errors.CarrierUnavailable):
        send()
    assert len(carrier.requests) == 1
    assert len(written) < 100


def test_internals_of_urllib3_that_are_replaced_exist_and_are_used(send, carrier, monkeypatch):
    """An incompatible urllib3 fails here: without these, calls would have no deadline and no size limit."""
    mixin, used = connection_pool._DeadlineMixin, set()
    for ours, theirs in (
        (connection_pool._Connection, connection_pool.HTTPConnection),
        (connection_pool._SecureConnection, connection_pool.HTTPSConnection),
    ):
        assert not {"_new_conn", "connect", "request"} - set(dir(theirs))
        for name in ("_new_conn", "connect"):
            assert list(inspect.signature(getattr(theirs, name)).parameters) == ["self"]
        values = ("_dns_host", "host", "port", "timeout", "source_address", "socket_options", "sock")
        connection = ours("127.0.0.1", 9, timeout=3)
        assert [name for name in values if not hasattr(connection, name)] == []
        assert (connection._dns_host, connection.port, connection.timeout) == ("127.0.0.1", 9, 3)
    for owner, name in (
        (mixin, "_new_conn"),
        (mixin, "connect"),
        (mixin, "request"),
        (connection_pool._Response, "__init__"),
        (connection_pool._LimitedReader, "readinto"),
    ):
        original = getattr(owner, name)

        def record(self, *args, _original=original, _name=name, **kwargs):
            used.add(_name)
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(owner, name, record)
    _session.get_adapter(carrier.url).close()  # no pooled connection
    assert send().status == 200
    assert used == {"_new_conn", "connect", "request", "__init__", "readinto"}
    pools = _session.get_adapter("https://x").poolmanager.pool_classes_by_scheme
    assert pools == {"http": connection_pool._Pool, "https": connection_pool._SecurePool}


def test_only_the_connection_pool_imports_urllib3():
    root = Path(__file__).resolve().parents[2]
    apps = [root / name for name in ("apikeys", "carriers", "config", "shipping", "tracking", "webhooks", "deploy")]
    importing = [
        path.relative_to(root).as_posix()
        for app in apps
        for path in app.rglob("*.py")
        if re.search(r"^\s*(import|from) urllib3", path.read_text(), re.MULTILINE)
    ]
    assert importing == ["carriers/http/connection_pool.py"]
