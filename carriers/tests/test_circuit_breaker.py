"""Circuit breaker: after repeated failures all processes pause an operation, then one call probes."""

import contextlib
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from apikeys.models import Event, User
from carriers.adapters.base import Rate
from carriers.http import circuit_breaker, rate_limits
from carriers.models import Breaker, CarrierCall
from carriers.tests.server import drop, hang
from carriers.types import errors

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _one_attempt(settings):
    settings.CARRIER_MAX_RETRIES = 0


@pytest.fixture
def fail(send, carrier):
    """A function that sends this many failing calls."""

    def send_failing(times, answer=(500, b"", {}), **kwargs):
        before, carrier.answers = carrier.answers, [answer]
        for _ in range(times):
            with pytest.raises(errors.CarrierError):
                send(**kwargs)
        carrier.answers = before

    return send_failing


def rate_exceeded(*args, **kwargs):
    raise rate_limits.RateExceeded("quote", Rate(1, "hour"), 60)


def end_pause():
    Breaker.objects.update(retry_at=timezone.now())


@pytest.mark.parametrize("failure", [(500, b"", {}), (503, b"<html>", {}), drop])
def test_calls_are_refused_after_five_failures(send, carrier, fail, failure):
    fail(5, failure)
    started = time.monotonic()
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert time.monotonic() - started < 5  # it does not wait for the end of the pause
    assert 55 <= refusal.value.retry_after_s <= 60
    assert (refusal.value.carrier_code, len(carrier.requests)) == ("breaker_open", 5)
    assert CarrierCall.objects.count() == 5


def test_timeouts_and_refused_connections_count(send, carrier, fail, settings):
    settings.CARRIER_TIMEOUT_S = 0.5
    fail(2, hang(3))
    carrier.server.shutdown()
    carrier.server.server_close()
    fail(3)
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.carrier_code == "breaker_open"
    outcomes = CarrierCall.objects.order_by("id").values_list("outcome", flat=True)
    assert list(outcomes) == ["timeout"] * 2 + ["unreachable"] * 3


@pytest.mark.parametrize("answer", [(400, b"{}", {}), (404, b"", {}), (429, b"", {})])
def test_refusals_do_not_count_as_failures(send, carrier, answer, settings):
    settings.CARRIER_MAX_RETRIES = 0
    carrier.answers = [answer]
    for _ in range(8):
        with contextlib.suppress(errors.CarrierRateLimited):
            send()
    assert len(carrier.requests) == 8
    assert not Breaker.objects.exists()


def test_answer_resets_the_count(send, carrier, fail):
    fail(4)
    send()
    fail(4)
    assert send().status == 200


def test_repeats_count_and_stop_when_the_breaker_opens(send, carrier, settings):
    settings.CARRIER_MAX_RETRIES = 9
    carrier.answers = [(500, b"", {})]
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.carrier_code == "500"
    assert len(carrier.requests) == 5


def test_other_operations_and_the_login_are_not_affected(send, carrier, fail):
    fail(5)
    assert send("token").status == send("track").status == 200
    with pytest.raises(errors.CarrierUnavailable):
        send("quote")


def test_late_request_does_not_count_as_failure(send, carrier, monkeypatch):
    monkeypatch.setattr("carriers.http.exchange.seconds_left", lambda: 0.8)
    carrier.answers = [hang(5)]
    for _ in range(2):  # the first failure would add a row
        with pytest.raises(errors.CarrierTimeout):
            send()
    assert not Breaker.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_one_probe_is_sent_and_its_answer_closes_the_breaker(send, carrier, fail):
    fail(5)
    end_pause()
    entered, leave = threading.Event(), threading.Event()

    def slow(handler):
        entered.set()
        leave.wait(10)
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    carrier.answers = [slow]
    statuses = []

    def probe():
        statuses.append(send().status)
        connection.close()

    thread = threading.Thread(target=probe)
    thread.start()
    assert entered.wait(10)
    for _ in range(5):
        with pytest.raises(errors.CarrierUnavailable) as refusal:
            send()
        assert refusal.value.retry_after_s
    leave.set()
    thread.join()
    carrier.answers = [(200, b"{}", {})]
    assert statuses == [200]
    assert len(carrier.requests) == 6
    assert send().status == 200
    assert Breaker.objects.get().state == "closed"


@pytest.mark.django_db(transaction=True)
def test_one_of_many_concurrent_callers_is_the_probe(credential, fail):
    fail(5)
    end_pause()
    barrier, permissions = threading.Barrier(8), []

    def one():
        barrier.wait()
        try:
            permissions.append(circuit_breaker.request_permission(credential, "quote"))
        except circuit_breaker.Open:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [permission.is_probe for permission in permissions] == [True]


def test_failed_probe_is_not_repeated_and_keeps_the_breaker_open(send, carrier, fail, settings):
    fail(5)
    settings.CARRIER_MAX_RETRIES = 3
    end_pause()
    fail(1)
    assert len(carrier.requests) == 6
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.retry_after_s > 50


def test_probe_of_a_dead_process_is_replaced_after_its_lease(credential, send, fail):
    fail(5)
    end_pause()
    dead = circuit_breaker.request_permission(credential, "quote")
    with pytest.raises(errors.CarrierUnavailable):
        send()
    Breaker.objects.update(probe_until=timezone.now() - timedelta(seconds=1))
    second = circuit_breaker.request_permission(credential, "quote")
    dead.record_answer()
    assert Breaker.objects.get().state == "half_open"
    second.record_answer()
    assert Breaker.objects.get().state == "closed"


def test_caller_with_an_outdated_row_does_not_probe(credential, monkeypatch):
    """Another caller's probe fails between this caller's read and its attempt to take the probe."""
    Breaker.objects.create(
        credential=credential,
        operation="track",
        failures=5,
        opened_at=timezone.now() - timedelta(minutes=2),
        retry_at=timezone.now() - timedelta(minutes=1),
    )
    acquire = circuit_breaker.LEASES.acquire

    def acquire_late(rows):
        Breaker.objects.update(retry_at=timezone.now() + timedelta(seconds=60), fence=F("fence") + 1)
        return acquire(rows)

    monkeypatch.setattr(type(circuit_breaker.LEASES), "acquire", lambda leases, rows: acquire_late(rows))
    with pytest.raises(circuit_breaker.Open):
        circuit_breaker.request_permission(credential, "track")


def test_clock_set_back_does_not_prolong_the_pause(credential, time_machine):
    now = timezone.now()
    time_machine.move_to(now + timedelta(days=1))
    for _ in range(5):
        circuit_breaker.request_permission(credential, "quote").record_failure("500")
    with pytest.raises(circuit_breaker.Open):
        circuit_breaker.request_permission(credential, "quote")
    time_machine.move_to(now)
    assert Breaker.objects.get().state == "half_open"
    assert circuit_breaker.request_permission(credential, "quote").is_probe
    with pytest.raises(circuit_breaker.Open):
        circuit_breaker.request_permission(credential, "quote")
    Breaker.objects.update(probe_until=now + timedelta(days=1))
    assert circuit_breaker.request_permission(credential, "quote").is_probe


def test_opening_and_closing_are_recorded_as_events(credential, send, fail):
    fail(7 - 2)
    end_pause()
    send()
    recorded = Event.objects.filter(type__startswith="carrier.breaker").order_by("id")
    assert [event.type for event in recorded] == ["carrier.breaker_opened", "carrier.breaker_closed"]
    assert {event.subject_id for event in recorded} == {credential.id}
    assert recorded[0].data == {"carrier": "pickit", "operation": "quote", "problem": "failed: HTTP 500"}


def test_probe_without_a_slot_lets_the_next_caller_probe(send, carrier, fail, monkeypatch):
    fail(5)
    end_pause()
    full = threading.BoundedSemaphore(1)
    monkeypatch.setattr("carriers.http.slots._slots", full)
    monkeypatch.setattr("carriers.http.slots._MAX_WAIT_S", 0.01)
    with full, pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert (refusal.value.carrier_code, len(carrier.requests)) == ("busy", 5)
    assert send().status == 200
    assert Breaker.objects.get().state == "closed"


def test_probe_over_the_rate_lets_the_next_caller_probe(send, carrier, fail, monkeypatch):
    fail(5)
    end_pause()
    with monkeypatch.context() as patch, pytest.raises(errors.CarrierRateLimited):
        patch.setattr("carriers.http.rate_limits.reserve_turn", rate_exceeded)
        send()
    assert len(carrier.requests) == 5
    assert send().status == 200


def test_staff_see_and_close_an_open_breaker(client, send, carrier, fail):
    fail(5)
    client.force_login(User.objects.create(username="ops", is_staff=True, is_superuser=True))
    page = reverse("admin:carriers_breaker_changelist")
    assert "open" in client.get(page).content.decode()
    chosen = {"action": "close", "_selected_action": [str(Breaker.objects.get().pk)]}
    assert client.post(page, chosen, follow=True).status_code == 200
    assert send().status == 200
    assert Event.objects.filter(type="carrier.breaker_closed").exists()


def test_late_answer_does_not_close_an_open_breaker(credential, send, fail):
    fail(1)
    permission = circuit_breaker.request_permission(credential, "quote")
    fail(4)
    permission.record_answer()
    row = Breaker.objects.get()
    assert (row.state, row.failures) == ("open", 5)
    with pytest.raises(errors.CarrierUnavailable):
        send()
