"""What speaks HTTP to carriers repeats only what is safe, waits only so long and writes everything down."""

import contextlib
import gzip
import json
import socket
import threading
import time
from contextlib import suppress
from datetime import timedelta
from email.utils import format_datetime
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from apikeys.http import correlation
from carriers.adapters.base import CarrierAdapter
from carriers.http.call_log import Caller
from carriers.http.exchange import _session
from carriers.http.transport import HttpTransport, TransactionOpen
from carriers.models import CarrierCall
from carriers.tests.server import drip, drop, hang
from carriers.types import errors

pytestmark = pytest.mark.django_db


def test_a_call_carries_the_correlation_id_and_is_on_record(send, carrier):
    with correlation.scope("corr-7"):
        assert send(json={"a": 1}).json() == {}
    _path, headers, body = carrier.requests[0]
    assert headers["X-Correlation-ID"] == "corr-7"
    assert json.loads(body) == {"a": 1}
    call = CarrierCall.objects.get()
    assert (call.operation, call.status, call.outcome, call.attempt) == ("quote", 200, "ok", 1)
    assert call.correlation_id == "corr-7"


def test_it_refuses_to_run_inside_a_transaction(send, carrier):
    with transaction.atomic(), pytest.raises(TransactionOpen):
        send()
    assert carrier.requests == []


@pytest.mark.parametrize("broken", [(500, b"", {}), (503, b"<html>", {}), drop])
def test_a_read_is_repeated_after_a_failure(send, carrier, broken):
    carrier.answers = [broken, broken, (200, b'{"ok": true}', {})]
    assert send().json() == {"ok": True}
    assert list(CarrierCall.objects.order_by("id").values_list("attempt", flat=True)) == [1, 2, 3]


@pytest.mark.parametrize("broken", [(500, b"", {}), (502, b"", {}), drop])
def test_a_purchase_is_never_repeated_after_a_failure(send, carrier, broken):
    carrier.answers = [broken]
    with pytest.raises(errors.OutcomeUnknown):
        send("create_label")
    assert len(carrier.requests) == 1 == CarrierCall.objects.count()


def test_a_purchase_without_an_answer_has_an_unknown_outcome(send, carrier, settings):
    settings.CARRIER_TIMEOUT_S = 0.5
    carrier.answers = [hang(2)]
    with pytest.raises(errors.OutcomeUnknown):
        send("create_label")
    assert CarrierCall.objects.get().outcome == "timeout"


def test_a_read_without_an_answer_times_out_within_its_time(send, carrier, settings):
    settings.CARRIER_TIMEOUT_S = 0.5
    carrier.answers = [hang(2)]
    started = time.monotonic()
    with pytest.raises(errors.CarrierTimeout):
        send()
    assert time.monotonic() - started < 1.5
    assert len(carrier.requests) == 1


@pytest.mark.parametrize(
    "slow",
    [
        drip(b"x" * 70_000, 0.1),
        drip(b"x", 0.05),
        drip(b"1\r\nx\r\n", 0.05, head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        drip(b"X-More: x\r\n", 0.05, head=b"HTTP/1.1 200 OK\r\n"),
        drip(b"H", 0.05, head=b""),
    ],
    ids=["in big pieces", "byte by byte", "chunk by chunk", "header by header", "before the status"],
)
def test_an_answer_that_trickles_does_not_outlast_its_time(send, carrier, settings, slow):
    settings.CARRIER_TIMEOUT_S = 0.8
    carrier.answers = [slow]
    started = time.monotonic()
    with pytest.raises(errors.CarrierTimeout):
        send()
    assert time.monotonic() - started < 1.5
    assert CarrierCall.objects.get().outcome == "timeout"


def test_the_carriers_limit_is_obeyed_and_then_reported_as_the_carriers(send, carrier, settings):
    settings.CARRIER_MAX_RETRIES = 1
    carrier.answers = [(429, b"", {"Retry-After": "1"}), (200, b"{}", {})]
    send("create_label")
    carrier.answers = [(429, b"", {"Retry-After": "3600"})]
    with pytest.raises(errors.CarrierRateLimited) as refusal:
        send("create_label")
    assert refusal.value.retry_after_s == 3600
    assert len(carrier.requests) == 3


def in_seconds(seconds):
    return format_datetime(timezone.now() + timedelta(seconds=seconds), usegmt=True)


def test_a_time_to_come_back_may_be_a_date(send, carrier):
    carrier.answers = [(429, b"", {"Retry-After": in_seconds(2)}), (200, b"{}", {})]
    started = time.monotonic()
    send("create_label")
    assert time.monotonic() - started > 0.9
    carrier.answers = [(429, b"", {"Retry-After": in_seconds(600)})]
    with pytest.raises(errors.CarrierRateLimited) as refusal:
        send("create_label")
    assert 595 <= refusal.value.retry_after_s <= 600


def test_a_carrier_that_is_down_for_a_told_time_is_not_asked_before(send, carrier):
    carrier.answers = [(503, b"", {"Retry-After": "120"})]
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.retry_after_s == 120
    assert len(carrier.requests) == 1


@pytest.mark.parametrize("told", ["", "soon", "-5", "9" * 40, "Fri, 99 Foo 2026 00:00:00 GMT"])
def test_nonsense_as_a_time_to_come_back_costs_nothing(send, carrier, settings, told):
    settings.CARRIER_MAX_RETRIES = 0
    carrier.answers = [(429, b"", {"Retry-After": told})]
    with pytest.raises(errors.CarrierRateLimited) as refusal:
        send()
    assert 1 <= refusal.value.retry_after_s <= 999_999


@pytest.mark.parametrize(("told", "seconds"), [("0000010", 10), ("1234567", 999_999), ("0", 1)])
def test_a_time_to_come_back_is_read_whole_and_is_never_absurd(send, carrier, settings, told, seconds):
    settings.CARRIER_MAX_RETRIES = 0
    carrier.answers = [(503, b"", {"Retry-After": told})]
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.retry_after_s == seconds


def test_a_refused_connection_is_repeated_and_then_says_that_nothing_happened(credential, settings):
    settings.CARRIER_MAX_RETRIES = 2
    transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
    with pytest.raises(errors.CarrierUnavailable):
        transport.send("create_label", "POST", "http://127.0.0.1:9/x", json={})
    assert list(CarrierCall.objects.values_list("outcome", flat=True)) == ["unreachable"] * 3


@pytest.fixture
def host_of(monkeypatch):
    """A host name for any number of addresses."""
    plain = socket.getaddrinfo

    def named(*addresses):
        def getaddrinfo(host, port, *args, **kwargs):
            found = [plain(one, port, *args, **kwargs) for one in (addresses if host == "many.example" else [host])]
            return [place for places in found for place in places]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return "many.example"

    return named


@pytest.fixture
def silent(carrier):
    """Addresses (with the carrier's port) that no connection comes about with: their queues are full."""
    with contextlib.ExitStack() as opened:

        def one(address):
            listener = opened.enter_context(socket.socket())
            listener.bind((address, carrier.server.server_port))
            listener.listen(0)
            for _ in range(3):
                queued = opened.enter_context(socket.socket())
                queued.setblocking(False)
                queued.connect_ex(listener.getsockname())
            return address

        yield [one(f"127.0.0.{last}") for last in range(2, 10)]


@pytest.mark.parametrize(("connecting_s", "whole_s"), [(0.4, 5), (5, 0.4)])
def test_all_addresses_of_a_host_share_one_time_to_connect(
    credential, carrier, settings, host_of, silent, connecting_s, whole_s
):
    settings.CARRIER_CONNECT_TIMEOUT_S, settings.CARRIER_TIMEOUT_S = connecting_s, whole_s
    settings.CARRIER_MAX_RETRIES = 0
    url = f"http://{host_of(*silent)}:{carrier.server.server_port}/x"
    started = time.monotonic()
    with pytest.raises(errors.CarrierUnavailable):
        HttpTransport(Caller(credential, credential.merchant_id, "Pickit")).send("create_label", "GET", url)
    assert 0.3 < time.monotonic() - started < 1.5
    assert CarrierCall.objects.get().outcome == "unreachable"


def test_an_address_that_answers_is_found_behind_one_that_does_not(credential, carrier, settings, host_of, silent):
    settings.CARRIER_CONNECT_TIMEOUT_S, settings.CARRIER_MAX_RETRIES = 0.6, 0
    url = f"http://{host_of(silent[0], '127.0.0.1')}:{carrier.server.server_port}/x"
    transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
    assert transport.send("quote", "GET", url).status == 200


def test_a_host_without_an_address_is_not_reached(credential, monkeypatch, settings):
    def getaddrinfo(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    settings.CARRIER_MAX_RETRIES = 0
    transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
    with pytest.raises(errors.CarrierUnavailable):
        transport.send("create_label", "POST", "http://none.example/x", json={})
    assert CarrierCall.objects.get().outcome == "unreachable"


def test_a_redirect_is_an_answer_and_is_not_followed(send, carrier):
    carrier.answers = [(302, b"", {"Location": carrier.url + "/elsewhere"})]
    assert send().status == 302
    assert len(carrier.requests) == 1


def test_a_carriers_cookies_are_neither_kept_nor_sent(send, carrier):
    carrier.answers = [(200, b"{}", {"Set-Cookie": "session=abc; HttpOnly"})]
    for number in range(3):
        send("track", method="GET", path=f"/shipments/{number}/tracking")
    assert len(_session.cookies) == 0
    assert not any("Cookie" in headers for _path, headers, _body in carrier.requests)


def test_an_answer_over_the_cap_is_not_read_to_its_end(send, carrier, settings):
    settings.CARRIER_MAX_ANSWER_BYTES, settings.CARRIER_MAX_RETRIES = 100_000, 0
    carrier.answers = [(200, gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"})]
    with pytest.raises(errors.CarrierUnavailable):
        send()
    assert CarrierCall.objects.get().outcome == "broken"


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff"])
def test_what_is_not_json_says_so(send, carrier, body):
    carrier.answers = [(200, body, {})]
    with pytest.raises(ValueError):
        send().json()


def test_secrets_and_personal_data_are_masked_on_record(send, carrier):
    answer = {"access_token": "canary-token", "signed_by": "Canary Person", "label": {"data": "Y2FuYXJ5"}}
    carrier.answers = [(200, json.dumps(answer).encode(), {})]
    person = {"contact_name": "Canary Person", "street": "Canary St 1", "city": "Bogotá"}
    send(json={"client_secret": "canary-secret", "destination": person}, headers={"Authorization": "Bearer canary"})
    call = CarrierCall.objects.get()
    assert "anary" not in call.request_body + call.response_body + call.url
    assert "Bogotá" in call.request_body


def slow(handler):
    time.sleep(1)
    handler.send_response(200)
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"{}")


def test_whom_the_request_names_is_not_logged_from_the_answers_sentence_either(send, carrier):
    carrier.answers = [(400, b'{"message": "Nobody called Asha Rao lives there"}', {})]
    answer = send(json={"contact_name": "Asha Rao"})
    assert b"Asha Rao" in answer.content  # the merchant's own words come back to the merchant
    assert CarrierCall.objects.get().response_body == '{"message": "Nobody called *** lives there"}'


def test_half_characters_do_not_cost_the_row(send, carrier):
    carrier.answers = [(200, b'{"text": "\\ud800", "nul": "\\u0000"}', {})]
    send()
    assert CarrierCall.objects.get().status == 200


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_are_bounded(send, carrier, monkeypatch):
    monkeypatch.setattr("carriers.http.slots._slots", threading.BoundedSemaphore(1))
    monkeypatch.setattr("carriers.http.slots._MAX_WAIT_S", 0.1)
    carrier.answers = [slow, (200, b"{}", {})]
    other = threading.Thread(target=send)
    other.start()
    while not carrier.requests:
        time.sleep(0.01)
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.retry_after_s
    other.join()


@pytest.fixture
def fetch(credential, carrier):
    def one(url=None, hosts=None, credential=credential, **kwargs):
        transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
        own = carrier.url.removeprefix("http://")
        return transport.fetch("label_file", url or f"{carrier.url}/label.pdf", hosts=hosts or [own], **kwargs)

    return one


def test_a_file_comes_from_the_carrier_and_is_on_record_without_its_content(fetch, carrier):
    carrier.answers = [(200, b"%PDF canary \xff\x00", {})]
    answer = fetch(f"{carrier.url}/label.pdf?signature=canary")
    assert answer.content == b"%PDF canary \xff\x00"
    call = CarrierCall.objects.get()
    assert (call.operation, call.outcome, call.response_body) == ("label_file", "ok", "<a file of 14 bytes>")
    assert "canary" not in call.url


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/other-port",
        "https://evil.example/label.pdf",
        "ftp://127.0.0.1/label.pdf",
        "file:///etc/passwd",
        "//evil.example/label.pdf",
        "http://[::1",
        "http://{own}@evil.example/label.pdf",
        "http://evil.example\\@{own}/label.pdf",
        "http://{own}.evil.example/label.pdf",
        "http://evil.example#@{own}/",
        "",
    ],
)
def test_a_file_elsewhere_is_never_asked_for(fetch, carrier, url):
    own = carrier.url.removeprefix("http://")
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        fetch(url.replace("{own}", own) or "no url")
    assert refusal.value.carrier_code == "unreadable_answer"
    assert carrier.requests == []


def test_a_redirect_to_elsewhere_is_not_followed(fetch, carrier):
    carrier.answers = [(302, b"", {"Location": f"{carrier.url}/elsewhere"})]
    assert fetch().status == 302
    assert len(carrier.requests) == 1


def test_production_files_come_over_https_alone(fetch, carrier, credential):
    credential.mode = "live"
    with pytest.raises(errors.CarrierUnavailable):
        fetch(credential=credential)
    assert carrier.requests == []


def test_a_file_over_the_cap_is_not_read_to_its_end(fetch, carrier, settings):
    settings.CARRIER_MAX_ANSWER_BYTES, settings.CARRIER_MAX_RETRIES = 1000, 0
    carrier.answers = [(200, b"x" * 5000, {})]
    with pytest.raises(errors.CarrierUnavailable):
        fetch()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunks(size, body):
    """An answer whose chunk says this of its size; the connection ends behind it."""

    def answer(handler):
        with suppress(OSError):
            handler.connection.sendall(CHUNKED + size + b"\r\n" + body)
        handler.close_connection = True

    return answer


@pytest.mark.parametrize("size", [b"-5", b"-1", b"5"])
@pytest.mark.parametrize(
    ("operation", "kind"), [("create_label", errors.OutcomeUnknown), ("quote", errors.CarrierUnavailable)]
)
def test_a_chunk_of_an_absurd_size_is_a_broken_answer_on_record(send, carrier, settings, size, operation, kind):
    settings.CARRIER_MAX_RETRIES = 0
    carrier.answers = [chunks(size, b"{}")]
    with pytest.raises(kind):
        send(operation)
    assert CarrierCall.objects.get().outcome == "broken"


def test_a_chunk_that_does_not_say_where_it_ends_is_read_to_the_cap(send, carrier, settings):
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


def test_a_secret_that_is_a_word_of_the_answer_does_not_spoil_it(send, carrier):
    carrier.answers = [(200, b'{"shipment_id": "1"}', {})]
    assert send(headers={"Authorization": "shipment"}).json() == {"shipment_id": "1"}
    assert CarrierCall.objects.get().response_body == '{"***_id": "1"}'


@pytest.mark.parametrize("status", [302, 400, 503])
def test_a_secret_that_an_answer_repeats_which_is_no_success_goes_no_further(send, carrier, status):
    carrier.answers = [(status, b'{"message": "go away with canary-token"}', {})]
    try:
        answer = send("create_label", headers={"Authorization": "Bearer canary-token"})
    except errors.CarrierError as error:
        answer = error.answer
    assert answer.json() == {"message": "go away with ***"}


@pytest.mark.parametrize(("is_platform", "shown"), [(True, b"***"), (False, b"test-client-id")])
def test_who_the_platform_is_at_a_carrier_is_not_told_to_merchants(credential, carrier, is_platform, shown):
    credential.merchant_id = None if is_platform else credential.merchant_id
    carrier.answers = [(400, b'{"message": "no client test-client-id"}', {})]
    http = HttpTransport(Caller(credential, None, "Pickit"))
    answer = http.send("quote", "POST", carrier.url)
    assert answer.json()["message"].encode() == b"no client " + shown


def test_a_bare_token_that_the_carrier_repeats_is_masked(send, carrier):
    carrier.answers = [(400, b'{"message": "bad token canary-token-1"}', {})]
    assert b"canary" not in send(headers={"Authorization": "canary-token-1"}).content
    assert "canary" not in CarrierCall.objects.get().response_body


def test_a_token_goes_to_the_base_url_s_host_alone(credential, carrier):
    class Tokens:
        def current(self):
            return "canary-token"

    class Adapter(CarrierAdapter):
        slug, name = "x", "X"
        file_hosts = (carrier.url.removeprefix("http://"),)

        def label_file(self, url):
            return self._download("label_file", url)

    http = HttpTransport(Caller(credential, credential.merchant_id, "X"))
    carrier.answers = [(200, b"a file", {})]
    for base, told in (("https://api.example", False), (carrier.url, True)):
        adapter = Adapter(fields={}, base_url=base, http=http, tokens=Tokens())
        assert adapter.label_file(f"{carrier.url}/label.pdf") == b"a file"
        assert ("Authorization" in carrier.requests[-1][1]) is told


@pytest.mark.django_db(transaction=True)
def test_several_calls_run_five_at_once_and_one_failure_is_its_own(credential, carrier):
    five, busy, most, lock = threading.Barrier(5), [], [], threading.Lock()

    def met(handler):
        with lock:
            busy.append(handler)
            most.append(len(busy))
        five.wait(10)  # nobody is answered before five have come
        with lock:
            busy.remove(handler)
        failed = handler.path == "/3"
        handler.send_response(404 if failed else 200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    carrier.answers = [met]
    transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))

    def asked(number):
        answer = transport.send("track", "GET", f"{carrier.url}/{number}")
        if answer.status == 404:
            raise errors.CarrierNotFound(carrier="Pickit", carrier_code=str(number))
        return answer.status

    with correlation.scope("corr-8"):
        found = transport.several([partial(asked, number) for number in range(10)])
    assert [one for one in found if one == 200] == [200] * 9
    assert found[3].carrier_code == "3"
    assert max(most) == 5
    assert {call.correlation_id for call in CarrierCall.objects.all()} == {"corr-8"}


@pytest.mark.parametrize("number", [1, 2])
def test_several_calls_refuse_to_run_inside_a_transaction_too(send, credential, carrier, number):
    transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
    with transaction.atomic(), pytest.raises(TransactionOpen):
        transport.several([send] * number)
    assert carrier.requests == []
