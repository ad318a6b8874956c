"""An account never asks its carrier more often than the carrier allows, however many processes ask."""

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
    """Both places where a bucket can live promise the same."""
    if request.param == "redis":
        if not REDIS:
            pytest.skip("no Redis here")
        settings.REDIS_URL = REDIS
    return request.param


@pytest.fixture
def rates(monkeypatch):
    def declare(**given):
        monkeypatch.setattr(PickitAdapter, "rates", given)

    return declare


def take(credential, operation="quote", most_s=0.0):
    return rate_limits.reserve_turn(credential, operation, most_s=most_s)


def test_so_many_pass_at_once_and_the_next_is_told_when(credential, rates):
    rates(quote=Rate(3, "hour"))
    assert [take(credential) for _ in range(3)] == [0, 0, 0]
    with pytest.raises(rate_limits.RateExceeded) as refusal:
        take(credential)
    assert 1195 <= refusal.value.retry_after_s <= 1200
    assert (refusal.value.endpoint, refusal.value.rate.limit) == ("quote", 3)


def test_who_may_wait_gets_a_turn_each_one_later_than_the_one_before(credential, rates):
    rates(quote=Rate(10, "second"))
    waits = [take(credential, most_s=1) for _ in range(15)]
    late = waits[10:]
    assert late == sorted(late)
    assert 0 < late[0] <= 0.1
    assert 0.3 < late[-1] <= 0.5


def test_operations_share_a_budget_only_where_the_carrier_says_so(credential, rates):
    rates(buying=Rate(2, "hour", ("create_label", "create_return")), track=Rate(1, "hour"))
    take(credential, "create_label")
    take(credential, "create_return")
    with pytest.raises(rate_limits.RateExceeded):
        take(credential, "create_label")
    take(credential, "track")
    assert [take(credential, "quote") for _ in range(9)] == [0] * 9


def test_one_budget_for_everything_stands_beside_the_others_and_a_refusal_takes_nothing(credential, rates):
    rates(**{"*": Rate(5, "hour"), "quote": Rate(1, "hour")})
    take(credential, "quote")
    for _ in range(10):
        with pytest.raises(rate_limits.RateExceeded):
            take(credential, "quote")
    assert [take(credential, "track") for _ in range(4)] == [0] * 4
    with pytest.raises(rate_limits.RateExceeded):
        take(credential, "track")


def test_what_is_left_can_be_asked(credential, rates):
    rates(quote=Rate(4, "hour"), track=Rate(10, "minute", ("track", "proof_of_delivery")))
    take(credential)
    quote, track = rate_limits.read_rates(credential)
    assert (quote.endpoint, quote.operations, quote.limit, quote.per) == ("quote", ("quote",), 4, "hour")
    assert quote.remaining == 3
    assert 0 < (quote.reset.timestamp() - time.time()) <= 900
    assert (track.remaining, track.operations) == (10, ("track", "proof_of_delivery"))


@pytest.mark.django_db(transaction=True)
def test_many_at_once_get_exactly_what_there_is(credential, rates):
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


def test_a_call_beyond_the_budget_is_refused_as_ours_and_never_leaves(send, carrier, rates, settings):
    rates(quote=Rate(1, "hour"))
    settings.CARRIER_BUDGET_WAIT_S = 0.1
    send()
    with pytest.raises(errors.CarrierRateLimited) as refusal:
        send()
    assert refusal.value.retry_after_s > 3000
    assert refusal.value.carrier_code == "budget_spent"
    assert "1 requests per hour" in str(refusal.value.details["limit"][0])
    assert len(carrier.requests) == 1


def test_a_carriers_429_holds_back_every_caller_of_the_account(send, carrier, rates, settings):
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


def test_a_rest_that_the_carrier_asks_for_ends_and_is_never_absurd(credential, rates):
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
    """A clock that was, until it was set right."""
    real = rate_limits._now

    def ahead():
        monkeypatch.setattr(rate_limits, "_now", lambda: real() + 24 * 3600 * 10**6)
        return lambda: monkeypatch.setattr(rate_limits, "_now", real)

    return ahead


def test_a_clock_set_back_locks_nobody_out(credential, rates, a_day_ahead):
    rates(quote=Rate(2, "hour"))
    set_right = a_day_ahead()
    assert [take(credential), take(credential)] == [0, 0]
    set_right()
    assert rate_limits.read_rates(credential)[0].remaining == 2
    assert [take(credential), take(credential)] == [0, 0]
    with pytest.raises(rate_limits.RateExceeded) as refusal:
        take(credential)
    assert 1795 <= refusal.value.retry_after_s <= 1800


def test_a_rest_is_kept_by_the_clock_that_was_set_right(credential, rates, a_day_ahead):
    rates(quote=Rate(2, "hour"))
    set_right = a_day_ahead()
    rate_limits.pause(credential, "quote", 5000)
    set_right()
    rate_limits.pause(credential, "quote", 600)
    with pytest.raises(rate_limits.RateExceeded) as refusal:
        take(credential)
    assert 595 <= refusal.value.retry_after_s <= 600


def test_what_waits_longest_is_no_leap_of_the_clock(credential, rates, settings, monkeypatch):
    rates(quote=Rate(2, "hour"))
    rate_limits.pause(credential, "quote", 10**6)
    late = rate_limits._now() - 30 * 10**6  # looked at long before its statement runs
    monkeypatch.setattr(rate_limits, "_now", lambda: late)
    assert take(credential, most_s=3630 + settings.CARRIER_BUDGET_WAIT_S) > 3620
    for _ in range(2):
        with pytest.raises(rate_limits.RateExceeded):
            take(credential, most_s=settings.CARRIER_BUDGET_WAIT_S)
    assert rate_limits.read_rates(credential)[0].remaining == 0


def test_a_call_waits_a_little_for_its_turn(send, carrier, rates):
    rates(quote=Rate(5, "second"))
    started = time.monotonic()
    for _ in range(7):
        send()
    assert time.monotonic() - started >= 0.3
    assert len(carrier.requests) == 7


@pytest.mark.parametrize("store", ["rows"], indirect=True)
def test_a_lost_redis_leaves_the_rows(credential, rates, settings):
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    rates(quote=Rate(1, "hour"))
    take(credential)
    with pytest.raises(rate_limits.RateExceeded):
        take(credential)
    assert CallBudget.objects.get().endpoint == "quote"
