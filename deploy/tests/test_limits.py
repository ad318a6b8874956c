"""Limits of a running system are exact, changes of keys apply at once, and without Redis the rest keeps working."""

import os
import signal
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from apikeys.access.limits import window_end
from deploy.tests.things import PERSON
from deploy.tests.web import (
    KEYS,
    PATIENCE_S,
    SHIPMENTS,
    Site,
    at_once,
    call,
    checkpoint,
    every_worker,
    needs_redis,
    until_processes_share,
)

pytestmark = [pytest.mark.system, pytest.mark.once, needs_redis]
DISABLE = 'from apikeys.models import Merchant; Merchant.objects.filter(slug="{slug}").update(is_active=False)'


@pytest.fixture(scope="module")
def site():
    shared = Site()
    yield shared
    shared.system.close()


@pytest.fixture(scope="module")
def four_processes(site):
    """Four web processes that share a Redis, all of them ready."""
    with site.four_processes() as (web, _server):
        every_worker(web, lambda _: call(web, "GET", SHIPMENTS), 200)
        yield web


@pytest.fixture(scope="module")
def one_process(site):
    """One web process that counts in memory, as on the smallest installation."""
    with site.web(PUBLIC_RATES="10/h") as web:
        yield web


def make_key(web, owner="test-api-key", **fields):
    response = call(web, "POST", KEYS, owner, {"name": "limits", **fields})
    assert response.status_code == 201, response.text
    return response.json()


def key_with_time(web, *owner, **fields):
    """Create keys until one has at least 30 seconds left in its minute. Each key's window starts at another second."""
    while True:
        made = make_key(web, *owner, **fields)
        if window_end(f"key:{made['id']}", 60) - time.time() > 30:
            return made


def exactly_a_hundred_pass(web, *owner, **fields):
    """Send 400 requests within one minute of a new key; return the key and the responses."""
    answers = []
    while not answers:
        made = key_with_time(web, *owner, **fields)
        end = window_end(f"key:{made['id']}", 60)
        sent = at_once(400, lambda _, key=made["key"]: call(web, "GET", SHIPMENTS, key))
        answers = sent if time.time() < end else []  # on a busy machine the next minute may have begun
    assert Counter(answer.status_code for answer in answers) == {200: 100, 429: 300}
    passed = [answer for answer in answers if answer.status_code == 200]
    assert sorted(int(answer.headers["X-RateLimit-Remaining"]) for answer in passed) == list(range(100))
    for refused in (answer for answer in answers if answer.status_code == 429):
        body = refused.json()
        assert set(body) == {"error", "message", "details", "correlation_id"}
        assert (body["error"], body["details"]) == ("rate_limited", {"limit": ["api_key"]})
        assert body["correlation_id"] == refused.headers["X-Correlation-ID"]
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"100"}
    return made, answers


def violations(web, made, owner="test-api-key"):
    answer = call(web, "GET", "/api/v1/events?type=rate_limit.exceeded&limit=100", owner)
    return [event["data"]["limit"] for event in answer.json()["events"] if event["actor"] == f"key:{made['id']}"]


def test_of_400_requests_to_four_processes_exactly_100_pass(four_processes):
    def attempt():
        made, answers = exactly_a_hundred_pass(four_processes, per_minute=100)
        assert violations(four_processes, made) == ["api_key"]
        return answers

    until_processes_share(four_processes, attempt)


def test_of_400_requests_to_one_process_exactly_the_100_of_the_plan_pass(site, one_process):
    _slug, owner = site.create_merchant(plan="free")
    made, answers = exactly_a_hundred_pass(one_process, owner)
    assert len({answer.headers["X-Worker"] for answer in answers}) == 1
    assert violations(one_process, made, owner) == ["api_key"]


def test_forged_address_does_not_extend_the_limit(one_process):
    def guess(number):
        return call(one_process, "GET", SHIPMENTS, f"guess-{number}", X_Forwarded_For=f"203.0.113.{number}, 127.0.0.1")

    one_process.wait_for(lambda: window_end("127.0.0.1/32", 3600) > time.time() + 20)
    assert Counter(answer.status_code for answer in at_once(40, guess)) == {401: 10, 429: 30}


# Changes that apply at once


def revoke(web, made):
    return call(web, "DELETE", f"{KEYS}/{made['id']}")


def replace(web, made):
    return call(web, "POST", f"{KEYS}/{made['id']}/regenerate")


def shorten(web, made):
    ends = datetime.now(UTC) + timedelta(seconds=2)
    response = call(web, "PATCH", f"{KEYS}/{made['id']}", body={"expires_at": ends.isoformat()})
    web.wait_for(lambda: datetime.now(UTC) > ends)
    return response


def restrict(web, made):
    return call(web, "PATCH", f"{KEYS}/{made['id']}", body={"allowed_ips": ["203.0.113.7"]})


@pytest.mark.parametrize(
    ("change", "status"),
    [(revoke, 401), (replace, 401), (shorten, 401), (restrict, 403)],
)
def test_changed_key_is_refused_by_every_process_from_the_next_request_on(four_processes, change, status):
    made = make_key(four_processes, allowed_ips=["127.0.0.1"], expires_at="2100-01-01T00:00:00Z")

    def use(_number):
        return call(four_processes, "GET", SHIPMENTS, made["key"], X_Forwarded_For="203.0.113.7")

    every_worker(four_processes, use, 200)
    assert change(four_processes, made).status_code in (200, 201)
    every_worker(four_processes, use, status)


def test_key_of_disabled_merchant_is_refused_by_every_process_from_the_next_request_on(site, four_processes):
    slug, key = site.create_merchant()

    def use(_number):
        return call(four_processes, "GET", SHIPMENTS, key)

    every_worker(four_processes, use, 200)
    four_processes.manage("shell", "-v0", "-c", DISABLE.format(slug=slug))
    every_worker(four_processes, use, 401)


# Redis fails


class Load:
    """Threads that each repeat one kind of request, and the responses to them."""

    def __init__(self, kinds):
        self.kinds, self.answers, self.ended = kinds, [], threading.Event()

    def __enter__(self):
        self.pool = ThreadPoolExecutor(len(self.kinds))
        self.callers = [self.pool.submit(self._run, kind, send) for kind, send in self.kinds.items()]
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.pool.shutdown()

    def _run(self, kind, send):
        while not self.ended.wait(0.05):
            began = time.monotonic()
            self.answers.append((kind, began, send()))

    def since(self, moment):
        """Return the responses to requests sent after this moment, by kind."""
        found = {}
        for kind, began, answer in list(self.answers):
            if began > moment:
                found.setdefault(kind, []).append(answer)
        return found

    def has_each(self, number, moment=0.0):
        """Whether there are this many responses of each kind; raises a thread's error."""
        for caller in self.callers:
            if caller.done():
                caller.result()
        found = self.since(moment)
        return all(len(found.get(kind, ())) >= number for kind in self.kinds)


NUMBER = (
    "/next-tracking-number?origin_country_id=MY&destination_country_id=ID&weight=1.234"
    "&created_at=2018-11-20T19:29:32%2B08:00&customer_id=de619854-b59b-425e-9db4-943979e1bd49"
    "&customer_name=RedBox%20Logistics&customer_slug=redbox-logistics"
)
REFUSED_WITHOUT_REDIS = {"sign in": 200, "make a key": 201, "change a key": 200}
SERVED_WITHOUT_REDIS = {"read": 200, "post": 201, "list keys": 200, "number": 200, "health": 200, "unknown key": 401}


def request_kinds(web):
    made = make_key(web)
    return {
        "sign in": lambda: call(web, "POST", "/api/v1/auth/token", body=PERSON),
        "make a key": lambda: call(web, "POST", KEYS, body={"name": "more"}),
        "change a key": lambda: call(web, "PATCH", f"{KEYS}/{made['id']}", body={"name": uuid.uuid4().hex}),
        "read": lambda: call(web, "GET", "/api/v1/tracking/TEST123456"),
        "post": lambda: call(web, "POST", "/api/v1/checkpoints", body=checkpoint()),
        "list keys": lambda: call(web, "GET", KEYS),
        "number": lambda: call(web, "GET", NUMBER),
        "health": lambda: call(web, "GET", "/health"),
        "unknown key": lambda: call(web, "GET", SHIPMENTS, "no-such-key"),
    }


def statuses(answers):
    return {kind: {answer.status_code for answer in given} for kind, given in answers.items()}


def assert_only_limited_requests_are_refused(answers):
    assert statuses(answers) == {kind: {503} for kind in REFUSED_WITHOUT_REDIS} | {
        kind: {status} for kind, status in SERVED_WITHOUT_REDIS.items()
    }
    for kind in REFUSED_WITHOUT_REDIS:
        for answer in answers[kind]:
            assert answer.json()["error"] == "unavailable"
            assert int(answer.headers["Retry-After"]) >= 1
    assert {answer.json()["status"] for answer in answers["health"]} == {"degraded"}


def test_without_redis_limited_requests_are_refused_and_others_are_served(site):
    with site.four_processes() as (web, server), Load(request_kinds(web)) as load:
        web.wait_for(lambda: load.has_each(3), PATIENCE_S)
        assert statuses(load.since(0)) == {
            kind: {status} for kind, status in (REFUSED_WITHOUT_REDIS | SERVED_WITHOUT_REDIS).items()
        }
        hung = send_signal(web, load, server, signal.SIGSTOP)
        assert_only_limited_requests_are_refused(load.since(hung))
        os.kill(server, signal.SIGCONT)
        web.wait_for(lambda: call(web, "POST", KEYS, body={"name": "again"}).status_code == 201)
        killed = send_signal(web, load, server, signal.SIGKILL)
        assert_only_limited_requests_are_refused(load.since(killed))
        assert {answer.status_code for _kind, _began, answer in load.answers} <= {200, 201, 401, 503}


def send_signal(web, load, server, number):
    """Signal Redis and wait for responses of each kind; return the time of the signal."""
    os.kill(server, number)
    moment = time.monotonic()
    web.wait_for(lambda: load.has_each(4, moment), PATIENCE_S)
    return moment
