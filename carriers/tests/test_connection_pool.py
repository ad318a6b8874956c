"""Connections to carriers: one deadline and size limit per call, several addresses, no cookies."""

import contextlib
import gzip
import socket
import time
from contextlib import suppress

import pytest

from carriers.adapters.apis import Json
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
