"""Rate limits of carriers are kept by all processes together, in Redis and in rows."""

import os
import threading
import time

import pytest
from django.db import connection

from carriers.adapters.base import Rate
from carriers.adapters.pickit import PickitAdapter
from carriers.http import rate_limits
from carriers.models import CallBudget
from carriers.types import errors

REDIS = os.environ.get("REDIS_URL_TEST", "")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True, params=["rows", "redis"])
def store(request, settings):
    """Run each test with both stores."""
    if request.param == "redis":
        if not REDIS:
            pytest.skip("no Redis here")
        settings.REDIS_URL = REDIS
    return request.param


@pytest.fixture
def rates(monkeypatch):
    def declare(**rates):
        monkeypatch.setattr(PickitAdapter, "rates", rates)

    return declare


@pytest.fixture
def stopped_clock(monkeypatch):
    now = rate_limits._now()
    monkeypatch.setattr(rate_limits, "_now", lambda: now)


def take(credential, operation="quote", most_s=0.0):
    return rate_limits.reserve_turn(credential, operation, most_s=most_s)


def test_calls_up_to_the_rate_pass_and_the_next_gets_retry_after(credential, rates):
    rates(quote=Rate(3, "hour"))
    assert [take(credential) for _ in range(3)] == [0, 0, 0]
    with pytest.raises(rate_limits.RateExceeded) as refusal:
        take(credential)
    assert 1195 <= refusal.value.retry_after_s <= 1200
    assert (refusal.value.endpoint, refusal.value.rate.limit) == ("quote", 3)


def test_waiting_callers_get_successive_turns(credential, rates, stopped_clock):
    rates(quote=Rate(10, "second"))
    waits = [take(credential, most_s=1) for _ in range(15)]
    late = waits[10:]
    assert late == sorted(late)
    assert 0 < late[0] <= 0.1
    assert 0.3 < late[-1] <= 0.5


def test_operations_share_only_declared_rates(credential, rates):
    rates(buying=Rate(2, "hour", ("create_label", "create_return")), track=Rate(1, "hour"))
    take(credential, "create_label")
    take(credential, "create_return")
    with pytest.raises(rate_limits.RateExceeded):
        take(credential, "create_label")
    take(credential, "track")
    assert [take(credential, "quote") for _ in range(9)] == [0] * 9


def test_common_rate_applies_too_and_a_refusal_takes_nothing(credential, rates):
    rates(**{"*": Rate(5, "hour"), "quote": Rate(1, "hour")})
    take(credential, "quote")
    for _ in range(10):
        with pytest.raises(rate_limits.RateExceeded):
            take(credential, "quote")
    assert [take(credential, "track") for _ in range(4)] == [0] * 4
    with pytest.raises(rate_limits.RateExceeded):
        take(credential, "track")


def test_read_rates_returns_the_unused_part(credential, rates):
    rates(quote=Rate(4, "hour"), track=Rate(10, "minute", ("track", "proof_of_delivery")))
    take(credential)
    quote, track = rate_limits.read_rates(credential)
    assert (quote.endpoint, quote.operations, quote.limit, quote.per) == ("quote", ("quote",), 4, "hour")
    assert quote.remaining == 3
    assert 0 < (quote.reset.timestamp() - time.time()) <= 900
    assert (track.remaining, track.operations) == (10, ("track", "proof_of_delivery"))


@pytest.mark.django_db(transaction=True)
def test_concurrent_callers_get_exactly_the_rate(credential, rates):
    rates(quote=Rate(20, "hour"))
    passed = []

    def one():
        try:
            for _ in range(5):
                take(credential)
                passed.append(1)
        except rate_limits.RateExceeded:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 20


def test_call_over_the_rate_is_refused_and_not_sent(send, carrier, rates, settings):
    rates(quote=Rate(1, "hour"))
    settings.CARRIER_BUDGET_WAIT_S = 0.1
    send()
    with pytest.raises(errors.CarrierRateLimited) as refusal:
        send()
    assert refusal.value.retry_after_s > 3000
    assert refusal.value.carrier_code == "budget_spent"
    assert "1 requests per hour" in str(refusal.value.details["limit"][0])
    assert len(carrier.requests) == 1


def test_429_pauses_every_caller_of_the_credential(send, carrier, rates, settings):
    rates(**{"*": Rate(20, "second")})
    settings.CARRIER_MAX_RETRIES, settings.CARRIER_BUDGET_WAIT_S = 0, 0.1
    carrier.answers = [(429, b"{}", {"Retry-After": "600"})]
    with pytest.raises(errors.CarrierRateLimited) as first:
        send("quote")
    with pytest.raises(errors.CarrierRateLimited) as second:
        send("track")
    assert (first.value.retry_after_s, second.value.carrier_code) == (600, "budget_spent")
    assert 590 <= second.value.retry_after_s <= 600
    assert len(carrier.requests) == 1


def test_pause_ends_and_is_limited_to_an_hour(credential, rates, stopped_clock):
    rates(quote=Rate(3, "second"))
    rate_limits.pause(credential, "quote", 0.05)
    assert 0 < take(credential, most_s=1) <= 0.05
    rate_limits.pause(credential, "quote", 10**6)
    rate_limits.pause(credential, "quote", 1)
    with pytest.raises(rate_limits.RateExceeded) as refusal:
        take(credential)
    assert 3590 <= refusal.value.retry_after_s <= 3600


@pytest.fixture
def a_day_ahead(monkeypatch):
    """A function that sets the clock a day ahead; it returns a function that sets it back."""
    real = rate_limits._now

    def set_ahead():
        monkeypatch.setattr(rate_limits, "_now", lambda: real() + 24 * 3600 * 10**6)
        return lambda: monkeypatch.setattr(rate_limits, "_now", real)

    return set_ahead


def test_clock_set_back_refuses_no_calls(credential, rates, a_day_ahead):
    rates(quote=Rate(2, "hour"))
    set_back = a_day_ahead()
    assert [take(credential), take(credential)] == [0, 0]
    set_back()
    assert rate_limits.read_rates(credential)[0].remaining == 2
    assert [take(credential), take(credential)] == [0, 0]
    with pytest.raises(rate_limits.RateExceeded) as refusal:
        take(credential)
    assert 1795 <= refusal.value.retry_after_s <= 1800


def test_pause_after_the_clock_was_set_back_is_kept(credential, rates, a_day_ahead):
    rates(quote=Rate(2, "hour"))
    set_back = a_day_ahead()
    rate_limits.pause(credential, "quote", 5000)
    set_back()
    rate_limits.pause(credential, "quote", 600)
    with pytest.raises(rate_limits.RateExceeded) as refusal:
        take(credential)
    assert 595 <= refusal.value.retry_after_s <= 600


def test_longest_possible_wait_is_not_taken_for_a_clock_change(credential, rates, settings, monkeypatch):
    rates(quote=Rate(2, "hour"))
    rate_limits.pause(credential, "quote", 10**6)
    late = rate_limits._now() - 30 * 10**6  # the clock was read long before the statement runs
    monkeypatch.setattr(rate_limits, "_now", lambda: late)
    assert take(credential, most_s=3630 + settings.CARRIER_BUDGET_WAIT_S) > 3620
    for _ in range(2):
        with pytest.raises(rate_limits.RateExceeded):
            take(credential, most_s=settings.CARRIER_BUDGET_WAIT_S)
    assert rate_limits.read_rates(credential)[0].remaining == 0


def test_call_waits_for_its_turn(send, carrier, rates):
    rates(quote=Rate(5, "second"))
    started = time.monotonic()
    for _ in range(7):
        send()
    assert time.monotonic() - started >= 0.3
    assert len(carrier.requests) == 7


@pytest.mark.parametrize("store", ["rows"], indirect=True)
def test_rows_are_used_without_redis(credential, rates, settings):
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    rates(quote=Rate(1, "hour"))
    take(credential)
    with pytest.raises(rate_limits.RateExceeded):
        take(credential)
    assert CallBudget.objects.get().endpoint == "quote"
