"""A carrier that hangs is not called by any web process, and one request tries it again later."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.tests import things
from deploy.tests.system import System

pytestmark = pytest.mark.system
WORKERS = 3
REFUSED_AT_ONCE = 11
CARRIER_TIMEOUT_S = 5.0


@pytest.fixture
def system():
    limits = {
        "CARRIER_TIMEOUT_S": str(CARRIER_TIMEOUT_S),
        "CARRIER_BREAKER_OPEN_S": "60",
        "RATE_LIMITS_ENABLED": "false",
    }
    started = System(WEB_CONCURRENCY=str(WORKERS), GUNICORN_CMD_ARGS="--preload", **limits).start("sandbox", "web")
    yield started
    started.close()


def quote(system):
    """Return the response and its duration in seconds."""
    started = time.monotonic()
    response = system.api("POST", "/api/v1/quotes", things.order())
    return response, time.monotonic() - started


def calls(system):
    return len(system.control("GET", "/_sandbox/calls?operation=quote"))


def of_every_process(system, request):
    """Repeat a request until each web process has answered; return one result of each."""
    results = {}

    def all_processes():
        with ThreadPoolExecutor(WORKERS) as pool:
            for result in pool.map(lambda _: request(), range(WORKERS)):
                results[result[0].headers["X-Worker"]] = result
        return len(results) == WORKERS and list(results.values())

    return system.wait_for(all_processes, 120)


def quotes_at_once(system, number):
    with ThreadPoolExecutor(number) as pool:
        return [response.status_code for response, _s in pool.map(lambda _: quote(system), range(number))]


def test_hanging_carrier_is_left_alone_by_all_processes_and_tried_again_by_one(system):
    assert quote(system)[0].status_code == 200
    system.control("POST", "/_sandbox/faults", {"operation": "quote", "kind": "timeout", "count": 99, "delay_s": 60})
    assert quotes_at_once(system, 5) == [504] * 5
    before = calls(system)

    for refused, seconds in of_every_process(system, lambda: quote(system)):
        assert (refused.status_code, refused.json()["carrier_code"]) == (503, "breaker_open")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert seconds < CARRIER_TIMEOUT_S
    lists = of_every_process(system, lambda: (system.api("GET", "/api/v1/shipments"),))
    assert {response.status_code for (response,) in lists} == {200}
    assert calls(system) == before

    system.control("DELETE", "/_sandbox/faults")
    system.control("POST", "/_sandbox/faults", {"operation": "quote", "kind": "slow", "count": 1, "delay_s": 60})
    system.database.execute("UPDATE carriers_breaker SET retry_at = opened_at")
    with ThreadPoolExecutor(1) as pool:
        trial = pool.submit(quote, system)
        system.wait_for(lambda: calls(system) > before)
        assert quotes_at_once(system, REFUSED_AT_ONCE) == [503] * REFUSED_AT_ONCE
        system.control("DELETE", "/_sandbox/faults")  # the slow response is sent now
        assert trial.result()[0].status_code == 200
    assert calls(system) == before + 1
    assert {response.status_code for response, _s in of_every_process(system, lambda: quote(system))} == {200}
