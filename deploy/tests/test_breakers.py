"""A carrier that hangs is left alone by every process at once, and tried again by one caller alone."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.tests import things
from deploy.tests.system import System

pytestmark = pytest.mark.system
WORKERS = 3
AT_ONCE = 12


@pytest.fixture
def house():
    rest = {"CARRIER_TIMEOUT_S": "3", "CARRIER_BREAKER_OPEN_S": "6", "RATE_LIMITS_ENABLED": "false"}
    one = System(WEB_CONCURRENCY=str(WORKERS), **rest).start("sandbox", "web")
    yield one
    one.close()


def quote(house):
    """The answer, and how long it took."""
    began = time.monotonic()
    answer = house.api("POST", "/api/v1/quotes", things.order())
    return answer, time.monotonic() - began


def asked(house):
    return len(house.world("GET", "/_sandbox/calls?operation=quote"))


def of_every_process(house, look):
    """An answer of each web process."""
    answers = {}

    def all_of_them():
        with ThreadPoolExecutor(WORKERS) as pool:
            for found in pool.map(lambda _: look(), range(WORKERS)):
                answers[found[0].headers["X-Worker"]] = found
        return len(answers) == WORKERS and list(answers.values())

    return house.wait_for(all_of_them)


def at_once(house, number=AT_ONCE):
    with ThreadPoolExecutor(number) as pool:
        return [answer.status_code for answer, _seconds in pool.map(lambda _: quote(house), range(number))]


def test_a_hanging_carrier_is_left_alone_by_all_processes_and_tried_again_by_one(house):
    assert quote(house)[0].status_code == 200
    house.world("POST", "/_sandbox/faults", {"operation": "quote", "kind": "timeout", "count": 99, "delay_s": 4})
    assert at_once(house, 5) == [504] * 5
    before = asked(house)

    for refused, seconds in of_every_process(house, lambda: quote(house)):
        assert (refused.status_code, refused.json()["carrier_code"]) == (503, "breaker_open")
        assert 1 <= int(refused.headers["Retry-After"]) <= 6
        assert seconds < 0.9
    read = of_every_process(house, lambda: (house.api("GET", "/api/v1/shipments"),))
    assert {answer.status_code for (answer,) in read} == {200}
    assert asked(house) == before

    house.world("DELETE", "/_sandbox/faults")
    house.world("POST", "/_sandbox/faults", {"operation": "quote", "kind": "slow", "count": 1, "delay_s": 2.5})

    def tried_again():
        codes = at_once(house)
        return codes if asked(house) > before else None

    codes = house.wait_for(tried_again)
    assert asked(house) == before + 1
    assert sorted(codes) == [200] + [503] * (AT_ONCE - 1)
    assert {answer.status_code for answer, _seconds in of_every_process(house, lambda: quote(house))} == {200}
