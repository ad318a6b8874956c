"""Sending to carriers: repeats, Retry-After, transactions and concurrency."""

import json
import threading
import time
from datetime import timedelta
from email.utils import format_datetime
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from apikeys.http import correlation
from carriers.adapters.apis import Json
from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport, TransactionOpen
from carriers.models import CarrierCall
from carriers.tests.server import drop, hang
from carriers.types import errors

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_call_sends_the_correlation_id_and_is_logged(send, carrier):
    with correlation.scope("corr-7"):
        assert send(body=Json({"a": 1})).json() == {}
    _path, headers, body = carrier.requests[0]
    assert headers["X-Correlation-ID"] == "corr-7"
    assert json.loads(body) == {"a": 1}
    call = CarrierCall.objects.get()
    assert (call.operation, call.status, call.outcome, call.attempt) == ("quote", 200, "ok", 1)
    assert call.correlation_id == "corr-7"


def test_call_inside_a_transaction_is_refused(send, carrier):
    with transaction.atomic(), pytest.raises(TransactionOpen):
        send()
    assert carrier.requests == []


@pytest.mark.parametrize("broken", [(500, b"", {}), (503, b"<html>", {}), drop])
def test_read_is_repeated_after_a_failure(send, carrier, broken):
    carrier.answers = [broken, broken, (200, b'{"ok": true}', {})]
    assert send().json() == {"ok": True}
    assert list(CarrierCall.objects.order_by("id").values_list("attempt", flat=True)) == [1, 2, 3]


@pytest.mark.parametrize("broken", [(500, b"", {}), (502, b"", {}), drop])
def test_purchase_is_not_repeated_after_a_failure(send, carrier, broken):
    carrier.answers = [broken]
    with pytest.raises(errors.OutcomeUnknown):
        send("create_label")
    assert len(carrier.requests) == 1 == CarrierCall.objects.count()


def test_purchase_without_an_answer_has_an_unknown_outcome(send, carrier, settings):
    settings.CARRIER_TIMEOUT_S = 0.5
    carrier.answers = [hang(2)]
    with pytest.raises(errors.OutcomeUnknown):
        send("create_label")
    assert CarrierCall.objects.get().outcome == "timeout"


def test_read_without_an_answer_times_out_in_time(send, carrier, settings):
    settings.CARRIER_TIMEOUT_S = 0.5
    carrier.answers = [hang(10)]
    started = time.monotonic()
    with pytest.raises(errors.CarrierTimeout):
        send()
    assert time.monotonic() - started < 5
    assert len(carrier.requests) == 1


def test_retry_after_is_obeyed_or_returned(send, carrier, settings):
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


def test_retry_after_may_be_a_date(send, carrier):
    carrier.answers = [(429, b"", {"Retry-After": in_seconds(2)}), (200, b"{}", {})]
    started = time.monotonic()
    send("create_label")
    assert time.monotonic() - started > 0.9
    carrier.answers = [(429, b"", {"Retry-After": in_seconds(600)})]
    with pytest.raises(errors.CarrierRateLimited) as refusal:
        send("create_label")
    assert 595 <= refusal.value.retry_after_s <= 600


def test_long_retry_after_of_a_503_is_not_waited_for(send, carrier):
    carrier.answers = [(503, b"", {"Retry-After": "120"})]
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.retry_after_s == 120
    assert len(carrier.requests) == 1


@pytest.mark.parametrize("value", ["", "soon", "-5", "9" * 40, "Fri, 99 Foo 2026 00:00:00 GMT"])
def test_unreadable_retry_after_is_ignored(send, carrier, settings, value):
    settings.CARRIER_MAX_RETRIES = 0
    carrier.answers = [(429, b"", {"Retry-After": value})]
    with pytest.raises(errors.CarrierRateLimited) as refusal:
        send()
    assert 1 <= refusal.value.retry_after_s <= 999_999


@pytest.mark.parametrize(("value", "seconds"), [("0000010", 10), ("1234567", 999_999), ("0", 1)])
def test_retry_after_is_limited(send, carrier, settings, value, seconds):
    settings.CARRIER_MAX_RETRIES = 0
    carrier.answers = [(503, b"", {"Retry-After": value})]
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.retry_after_s == seconds


def test_refused_connection_is_repeated_even_for_a_purchase(credential, settings):
    settings.CARRIER_MAX_RETRIES = 2
    settings.CARRIER_BASE_URLS = {("pickit", "sandbox", "main"): "http://127.0.0.1:9"}
    transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
    with pytest.raises(errors.CarrierUnavailable):
        transport.send("create_label", "POST", "http://127.0.0.1:9/x", body=Json({}))
    assert list(CarrierCall.objects.values_list("outcome", flat=True)) == ["unreachable"] * 3


def test_redirect_is_returned_and_not_followed(send, carrier):
    carrier.answers = [(302, b"", {"Location": carrier.url + "/elsewhere"})]
    assert send().status == 302
    assert len(carrier.requests) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff"])
def test_json_of_other_content_raises_value_error(send, carrier, body):
    carrier.answers = [(200, body, {})]
    with pytest.raises(ValueError):
        send().json()


@pytest.mark.django_db(transaction=True)
def test_concurrent_calls_are_limited(send, carrier, monkeypatch):
    monkeypatch.setattr("carriers.http.slots._slots", threading.BoundedSemaphore(1))
    monkeypatch.setattr("carriers.http.slots._MAX_WAIT_S", 0.1)
    release = threading.Event()

    def answer_after_release(handler):
        release.wait(10)
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    carrier.answers = [answer_after_release, (200, b"{}", {})]
    other = threading.Thread(target=send)
    other.start()
    while not carrier.requests:
        time.sleep(0.01)
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.retry_after_s
    release.set()
    other.join()


@pytest.mark.django_db(transaction=True)
def test_several_runs_five_calls_at_once_and_returns_each_error(credential, carrier):
    five, busy, most, lock = threading.Barrier(5), [], [], threading.Lock()

    def answer_after_five(handler):
        with lock:
            busy.append(handler)
            most.append(len(busy))
        five.wait(10)  # no request is answered before five have arrived
        with lock:
            busy.remove(handler)
        failed = handler.path == "/3"
        handler.send_response(404 if failed else 200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    carrier.answers = [answer_after_five]
    transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))

    def track(number):
        answer = transport.send("track", "GET", f"{carrier.url}/{number}")
        if answer.status == 404:
            raise errors.CarrierNotFound(carrier="Pickit", carrier_code=str(number))
        return answer.status

    with correlation.scope("corr-8"):
        found = transport.several([partial(track, number) for number in range(10)])
    assert [result for result in found if result == 200] == [200] * 9
    assert found[3].carrier_code == "3"
    assert max(most) == 5
    assert {call.correlation_id for call in CarrierCall.objects.all()} == {"corr-8"}


@pytest.mark.parametrize("number", [1, 2])
def test_several_inside_a_transaction_is_refused(send, credential, carrier, number):
    transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
    with transaction.atomic(), pytest.raises(TransactionOpen):
        transport.several([send] * number)
    assert carrier.requests == []
