"""A carrier that fails again and again is left alone for a while, by all processes; then one call tries."""

import contextlib
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
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
    """So many failing calls."""

    def failing(times, answer=(500, b"", {}), **kwargs):
        before, carrier.answers = carrier.answers, [answer]
        for _ in range(times):
            with pytest.raises(errors.CarrierError):
                send(**kwargs)
        carrier.answers = before

    return failing


def spent(*args, **kwargs):
    raise rate_limits.RateExceeded("quote", Rate(1, "hour"), 60)


def rest_is_over():
    Breaker.objects.update(retry_at=timezone.now())


@pytest.mark.parametrize("failure", [(500, b"", {}), (503, b"<html>", {}), drop])
def test_after_five_failures_in_a_row_calls_are_refused_at_once(send, carrier, fail, failure):
    fail(5, failure)
    started = time.monotonic()
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert time.monotonic() - started < 0.5
    assert 55 <= refusal.value.retry_after_s <= 60
    assert (refusal.value.carrier_code, len(carrier.requests)) == ("breaker_open", 5)
    assert CarrierCall.objects.count() == 5


def test_timeouts_and_refused_connections_count(send, carrier, fail, settings):
    settings.CARRIER_TIMEOUT_S = 0.2
    fail(2, hang(1))
    carrier.server.shutdown()
    carrier.server.server_close()
    fail(3)
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.carrier_code == "breaker_open"
    outcomes = CarrierCall.objects.order_by("id").values_list("outcome", flat=True)
    assert list(outcomes) == ["timeout"] * 2 + ["unreachable"] * 3


@pytest.mark.parametrize("answer", [(400, b"{}", {}), (404, b"", {}), (429, b"", {})])
def test_what_the_carrier_says_is_no_failure(send, carrier, answer, settings):
    settings.CARRIER_MAX_RETRIES = 0
    carrier.answers = [answer]
    for _ in range(8):
        with contextlib.suppress(errors.CarrierRateLimited):
            send()
    assert len(carrier.requests) == 8
    assert not Breaker.objects.exists()


def test_an_answer_in_between_starts_the_count_anew(send, carrier, fail):
    fail(4)
    send()
    fail(4)
    assert send().status == 200


def test_repeats_of_one_call_count_and_end_when_it_opens(send, carrier, settings):
    settings.CARRIER_MAX_RETRIES = 9
    carrier.answers = [(500, b"", {})]
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.carrier_code == "500"
    assert len(carrier.requests) == 5


def test_other_operations_and_the_login_are_asked_as_before(send, carrier, fail):
    fail(5)
    assert send("token").status == send("track").status == 200
    with pytest.raises(errors.CarrierUnavailable):
        send("quote")


def test_a_request_that_came_too_late_is_not_the_carriers_failure(send, carrier, monkeypatch):
    monkeypatch.setattr("carriers.http.exchange.seconds_left", lambda: 0.1)
    carrier.answers = [hang(0.5)]
    for _ in range(6):
        with pytest.raises(errors.CarrierTimeout):
            send()
    assert not Breaker.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_exactly_one_of_many_tries_again_and_its_answer_closes_it(send, carrier, fail):
    fail(5)
    rest_is_over()
    entered, leave = threading.Event(), threading.Event()

    def slow(handler):
        entered.set()
        leave.wait(10)
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    carrier.answers = [slow]
    done = []

    def probe():
        done.append(send().status)
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
    assert done == [200]
    assert len(carrier.requests) == 6
    assert send().status == 200
    assert Breaker.objects.get().state == "closed"


@pytest.mark.django_db(transaction=True)
def test_only_one_of_many_callers_at_the_same_instant_is_the_probe(credential, fail):
    fail(5)
    rest_is_over()
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


def test_a_failed_probe_is_not_repeated_and_opens_it_for_another_rest(send, carrier, fail, settings):
    fail(5)
    settings.CARRIER_MAX_RETRIES = 3
    rest_is_over()
    fail(1)
    assert len(carrier.requests) == 6
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert refusal.value.retry_after_s > 50


def test_a_probe_whose_process_died_is_replaced_when_its_lease_ends(credential, send, fail):
    fail(5)
    rest_is_over()
    dead = circuit_breaker.request_permission(credential, "quote")
    with pytest.raises(errors.CarrierUnavailable):
        send()
    Breaker.objects.update(probe_until=timezone.now() - timedelta(seconds=1))
    second = circuit_breaker.request_permission(credential, "quote")
    dead.answered()
    assert Breaker.objects.get().state == "half_open"
    second.answered()
    assert Breaker.objects.get().state == "closed"


def test_a_clock_that_is_set_back_keeps_nobody_waiting(credential, time_machine):
    now = timezone.now()
    time_machine.move_to(now + timedelta(days=1))
    for _ in range(5):
        circuit_breaker.request_permission(credential, "quote").failed("500")
    with pytest.raises(circuit_breaker.Open):
        circuit_breaker.request_permission(credential, "quote")
    time_machine.move_to(now)
    assert Breaker.objects.get().state == "half_open"
    assert circuit_breaker.request_permission(credential, "quote").is_probe
    with pytest.raises(circuit_breaker.Open):
        circuit_breaker.request_permission(credential, "quote")
    Breaker.objects.update(probe_until=now + timedelta(days=1))
    assert circuit_breaker.request_permission(credential, "quote").is_probe


def test_opening_and_closing_are_events_of_the_account(credential, send, fail):
    fail(7 - 2)
    rest_is_over()
    send()
    told = Event.objects.filter(type__startswith="carrier.breaker").order_by("id")
    assert [event.type for event in told] == ["carrier.breaker_opened", "carrier.breaker_closed"]
    assert {event.subject_id for event in told} == {credential.id}
    assert told[0].data == {"carrier": "pickit", "operation": "quote", "problem": "failed: HTTP 500"}


def test_a_probe_that_found_no_room_leaves_the_turn_to_the_next(send, carrier, fail, monkeypatch):
    fail(5)
    rest_is_over()
    full = threading.BoundedSemaphore(1)
    monkeypatch.setattr("carriers.http.slots._slots", full)
    monkeypatch.setattr("carriers.http.slots._MAX_WAIT_S", 0.01)
    with full, pytest.raises(errors.CarrierUnavailable) as refusal:
        send()
    assert (refusal.value.carrier_code, len(carrier.requests)) == ("busy", 5)
    assert send().status == 200
    assert Breaker.objects.get().state == "closed"


def test_a_probe_whose_turn_never_came_leaves_it_to_the_next(send, carrier, fail, monkeypatch):
    fail(5)
    rest_is_over()
    with monkeypatch.context() as patch, pytest.raises(errors.CarrierRateLimited):
        patch.setattr("carriers.http.rate_limits.reserve_turn", spent)
        send()
    assert len(carrier.requests) == 5
    assert send().status == 200


def test_operations_staff_see_it_and_close_it(client, send, carrier, fail):
    fail(5)
    client.force_login(User.objects.create(username="ops", is_staff=True, is_superuser=True))
    page = reverse("admin:carriers_breaker_changelist")
    assert "open" in client.get(page).content.decode()
    chosen = {"action": "close", "_selected_action": [str(Breaker.objects.get().pk)]}
    assert client.post(page, chosen, follow=True).status_code == 200
    assert send().status == 200
    assert Event.objects.filter(type="carrier.breaker_closed").exists()


def test_a_late_answer_to_a_call_begun_before_says_nothing_of_an_open_one(credential, send, fail):
    fail(1)
    begun = circuit_breaker.request_permission(credential, "quote")
    fail(4)
    begun.answered()
    row = Breaker.objects.get()
    assert (row.state, row.failures) == ("open", 5)
    with pytest.raises(errors.CarrierUnavailable):
        send()
