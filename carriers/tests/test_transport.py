"""What speaks HTTP to carriers repeats only what is safe, waits only so long and writes everything down."""

import gzip
import json
import threading
import time

import pytest
from django.db import transaction

from apikeys import correlation
from carriers import errors
from carriers.models import CarrierCall
from carriers.tests.server import drop, hang
from carriers.transport import Caller, HttpTransport, TransactionOpen

pytestmark = pytest.mark.django_db(transaction=True)


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
    assert send(safe=True).json() == {"ok": True}
    assert list(CarrierCall.objects.order_by("id").values_list("attempt", flat=True)) == [1, 2, 3]


@pytest.mark.parametrize("broken", [(500, b"", {}), (502, b"", {}), drop])
def test_a_purchase_is_never_repeated_after_a_failure(send, carrier, broken):
    carrier.answers = [broken]
    with pytest.raises(errors.OutcomeUnknown):
        send(safe=False)
    assert len(carrier.requests) == 1 == CarrierCall.objects.count()


def test_a_purchase_without_an_answer_has_an_unknown_outcome(send, carrier, settings):
    settings.CARRIER_TIMEOUT_S = 0.5
    carrier.answers = [hang(2)]
    with pytest.raises(errors.OutcomeUnknown):
        send(safe=False)
    assert CarrierCall.objects.get().outcome == "timeout"


def test_a_read_without_an_answer_times_out_within_its_time(send, carrier, settings):
    settings.CARRIER_TIMEOUT_S = 0.5
    carrier.answers = [hang(2)]
    started = time.monotonic()
    with pytest.raises(errors.CarrierTimeout):
        send()
    assert time.monotonic() - started < 1.5
    assert len(carrier.requests) == 1


def test_an_answer_that_trickles_does_not_outlast_its_time(send, carrier, settings):
    settings.CARRIER_TIMEOUT_S = 0.8

    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(b"x" * 70_000)
            time.sleep(0.1)

    carrier.answers = [trickle]
    started = time.monotonic()
    with pytest.raises(errors.CarrierError):
        send()
    assert time.monotonic() - started < 2


def test_the_carriers_limit_is_obeyed_and_then_reported_as_the_carriers(send, carrier, settings):
    settings.CARRIER_MAX_RETRIES = 1
    carrier.answers = [(429, b"", {"Retry-After": "1"}), (200, b"{}", {})]
    send(safe=False)
    carrier.answers = [(429, b"", {"Retry-After": "3600"})]
    with pytest.raises(errors.CarrierRateLimited) as refusal:
        send(safe=False)
    assert refusal.value.retry_after_s == 3600
    assert len(carrier.requests) == 3


def test_a_refused_connection_is_repeated_and_then_says_that_nothing_happened(credential, settings):
    settings.CARRIER_MAX_RETRIES = 2
    transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
    with pytest.raises(errors.CarrierUnavailable):
        transport.send("create_label", "POST", "http://127.0.0.1:9/x", safe=False, json={})
    assert list(CarrierCall.objects.values_list("outcome", flat=True)) == ["unreachable"] * 3


def test_a_redirect_is_an_answer_and_is_not_followed(send, carrier):
    carrier.answers = [(302, b"", {"Location": carrier.url + "/elsewhere"})]
    assert send().status == 302
    assert len(carrier.requests) == 1


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


def test_half_characters_do_not_cost_the_row(send, carrier):
    carrier.answers = [(200, b'{"text": "\\ud800", "nul": "\\u0000"}', {})]
    send()
    assert CarrierCall.objects.get().status == 200


def test_calls_at_once_are_bounded(send, carrier, monkeypatch):
    monkeypatch.setattr("carriers.transport._slots", threading.BoundedSemaphore(1))
    monkeypatch.setattr("carriers.transport._SLOT_WAIT_S", 0.1)
    carrier.answers = [slow, (200, b"{}", {})]
    other = threading.Thread(target=send)
    other.start()
    while not carrier.requests:
        time.sleep(0.01)
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.retry_after_s
    other.join()
