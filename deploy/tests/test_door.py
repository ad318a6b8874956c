"""The door of a running system: limits are exact, refusals immediate, and work is done once whoever is killed."""

import contextlib
import copy
import json
import os
import signal
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import redis
import requests

from apikeys.access.limits import window_end
from deploy import services
from deploy.tests.system import System
from deploy.tests.things import PERSON

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        services.find_program("redis-server") is None and not os.environ.get("CI"), reason="redis-server is missing"
    ),
]

WORKERS = 4
LIST = "/api/v1/shipments"
KEYS = "/api/v1/api-keys"
PLACE = {"street": "456 Warehouse Ave", "city": "Brooklyn", "postal_code": "11201", "country": "US"}
# Prints a key that may do everything.
MERCHANT = """
from apikeys import keychain, scopes
from apikeys.models import Merchant
from apikeys.db.tenancy import Tenant
merchant = Merchant.objects.create(name="{slug}", slug="{slug}", plan_id="{plan}")
print(keychain.create(Tenant(merchant.id, "test"), name="all", scopes=scopes.OF_KEYS)[1])
"""
DISABLE = 'from apikeys.models import Merchant; Merchant.objects.filter(slug="{slug}").update(is_active=False)'


class House:
    """One database and one sandbox, and web processes of several kinds over them."""

    def __init__(self):
        points = ",".join(sorted({point for _work, point, _is_done in KILLED}))
        self.system = System(LOG_LEVEL="ERROR", IDEMPOTENCY_LEASE_S="1", KILL_AT=points).start("sandbox")

    @contextlib.contextmanager
    def site(self, **environment):
        one = copy.copy(self.system)
        one.port, one.processes = services.free_port(), {}
        one.environment = self.system.environment | environment | {"PORT": str(one.port)}
        try:
            yield one.start("web")
        finally:
            one.kill("web")

    @contextlib.contextmanager
    def four_processes(self):
        """They share a Redis, whose process number is told as well."""
        with services.redis_server() as url:
            with redis.Redis.from_url(url) as client:
                server = client.info("server")["process_id"]
            with self.site(REDIS_URL=url, WEB_CONCURRENCY=str(WORKERS)) as one:
                yield one, server

    def merchant(self, plan="enterprise"):
        """The slug of a new merchant, and a key that may do everything."""
        slug = f"m-{uuid.uuid4().hex[:8]}"
        return slug, self.system.manage("shell", "-v0", "-c", MERCHANT.format(slug=slug, plan=plan)).split()[-1]


@pytest.fixture(scope="module")
def house():
    one = House()
    yield one
    one.system.close()


@pytest.fixture(scope="module")
def office(house):
    """Four web processes that share a Redis, all of them up."""
    with house.four_processes() as (one, _server):
        every_worker(one, lambda _: call(one, "GET", LIST), 200)
        yield one


@pytest.fixture(scope="module")
def alone(house):
    """One web process that counts in memory, as on the smallest installation."""
    with house.site(PUBLIC_RATES="10/h") as one:
        yield one


def call(one, method, path, key="test-api-key", body=None, **headers):
    """A request over a connection of its own."""
    headers = {"X-API-Key": key} | {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, one.web + path, json=body, headers=headers, timeout=60)


def at_once(number, send):
    """The answers to so many requests that all start in the same moment."""
    start = threading.Barrier(number)

    def run(position):
        start.wait(60)
        return send(position)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def every_worker(one, send, expected):
    """Ask over new connections until each process has answered: always with ``expected``."""
    met = set()

    def ask():
        answers = at_once(3 * WORKERS, send)
        assert {answer.status_code for answer in answers} == {expected}
        met.update(answer.headers["X-Worker"] for answer in answers)
        return len(met) == WORKERS

    one.wait_for(ask)


def make_key(one, owner="test-api-key", **fields):
    response = call(one, "POST", KEYS, owner, {"name": "door", **fields})
    assert response.status_code == 201, response.text
    return response.json()


def key_with_time(one, *owner, **fields):
    """A key whose minute has only begun; the windows are spread over the keys, so one of a few has."""
    while True:
        made = make_key(one, *owner, **fields)
        if window_end(f"key:{made['id']}", 60) - time.time() > 30:
            return made


def exactly_a_hundred_pass(one, made):
    answers = at_once(400, lambda _: call(one, "GET", LIST, made["key"]))
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
    return {answer.headers["X-Worker"] for answer in answers}


def violations(one, made, owner="test-api-key"):
    answer = call(one, "GET", "/api/v1/events?type=rate_limit.exceeded&limit=100", owner)
    return [event["data"]["limit"] for event in answer.json()["events"] if event["actor"] == f"key:{made['id']}"]


def test_of_400_requests_to_four_processes_exactly_100_pass(office):
    made = key_with_time(office, per_minute=100)
    assert len(exactly_a_hundred_pass(office, made)) > 1
    assert violations(office, made) == ["api_key"]


def test_of_400_requests_to_one_process_exactly_the_100_of_the_plan_pass(house, alone):
    _slug, owner = house.merchant(plan="free")
    made = key_with_time(alone, owner)
    assert len(exactly_a_hundred_pass(alone, made)) == 1
    assert violations(alone, made, owner) == ["api_key"]


def test_a_forged_address_gets_no_further_requests(alone):
    def guess(number):
        return call(alone, "GET", LIST, f"guess-{number}", X_Forwarded_For=f"203.0.113.{number}, 127.0.0.1")

    alone.wait_for(lambda: window_end("127.0.0.1/32", 3600) > time.time() + 20)
    assert Counter(answer.status_code for answer in at_once(40, guess)) == {401: 10, 429: 30}


# What takes effect at once


def revoke(one, made):
    return call(one, "DELETE", f"{KEYS}/{made['id']}")


def replace(one, made):
    return call(one, "POST", f"{KEYS}/{made['id']}/regenerate")


def shorten(one, made):
    ends = datetime.now(UTC) + timedelta(seconds=2)
    response = call(one, "PATCH", f"{KEYS}/{made['id']}", body={"expires_at": ends.isoformat()})
    one.wait_for(lambda: datetime.now(UTC) > ends)
    return response


def shut_out(one, made):
    return call(one, "PATCH", f"{KEYS}/{made['id']}", body={"allowed_ips": ["203.0.113.7"]})


@pytest.mark.parametrize(
    ("change", "status"),
    [(revoke, 401), (replace, 401), (shorten, 401), (shut_out, 403)],
)
def test_a_changed_key_is_refused_by_every_process_from_the_next_request_on(office, change, status):
    made = make_key(office, allowed_ips=["127.0.0.1"], expires_at="2100-01-01T00:00:00Z")

    def use(_number):
        return call(office, "GET", LIST, made["key"], X_Forwarded_For="203.0.113.7")

    every_worker(office, use, 200)
    assert change(office, made).status_code in (200, 201)
    every_worker(office, use, status)


def test_a_disabled_merchants_key_is_refused_by_every_process_from_the_next_request_on(house, office):
    slug, key = house.merchant()

    def use(_number):
        return call(office, "GET", LIST, key)

    every_worker(office, use, 200)
    office.manage("shell", "-v0", "-c", DISABLE.format(slug=slug))
    every_worker(office, use, 401)


# The store of the counts dies


class Load:
    """Callers that each send one kind of request again and again, and what they were answered."""

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
        """The answers to what was sent after this moment, by kind."""
        found = {}
        for kind, began, answer in list(self.answers):
            if began > moment:
                found.setdefault(kind, []).append(answer)
        return found

    def has_each(self, number, moment=0.0):
        """Whether there are so many answers of each kind."""
        for caller in self.callers:
            if caller.done():
                caller.result()
        found = self.since(moment)
        return all(len(found.get(kind, ())) >= number for kind in self.kinds)


def checkpoint(**changes):
    return {
        "tracking_id": f"DOOR-{uuid.uuid4().hex[:10]}",
        "status": "CREATED",
        "location": "Bogotá",
        "description": "Paquete creado",
        "timestamp": "2024-01-15T09:00:00Z",
    } | changes


NUMBER = (
    "/next-tracking-number?origin_country_id=MY&destination_country_id=ID&weight=1.234"
    "&created_at=2018-11-20T19:29:32%2B08:00&customer_id=de619854-b59b-425e-9db4-943979e1bd49"
    "&customer_name=RedBox%20Logistics&customer_slug=redbox-logistics"
)
CLOSED = {"sign in": 200, "make a key": 201, "change a key": 200}
OPEN = {"read": 200, "post": 201, "list keys": 200, "number": 200, "health": 200, "a stranger": 401}


def kinds_of_requests(one):
    made = make_key(one)
    return {
        "sign in": lambda: call(one, "POST", "/api/v1/auth/token", body=PERSON),
        "make a key": lambda: call(one, "POST", KEYS, body={"name": "more"}),
        "change a key": lambda: call(one, "PATCH", f"{KEYS}/{made['id']}", body={"name": uuid.uuid4().hex}),
        "read": lambda: call(one, "GET", "/api/v1/tracking/TEST123456"),
        "post": lambda: call(one, "POST", "/api/v1/checkpoints", body=checkpoint()),
        "list keys": lambda: call(one, "GET", KEYS),
        "number": lambda: call(one, "GET", NUMBER),
        "health": lambda: call(one, "GET", "/health"),
        "a stranger": lambda: call(one, "GET", LIST, "no-such-key"),
    }


def statuses(answers):
    return {kind: {answer.status_code for answer in given} for kind, given in answers.items()}


def assert_only_doors_are_closed(answers):
    assert statuses(answers) == {kind: {503} for kind in CLOSED} | {kind: {status} for kind, status in OPEN.items()}
    for kind in CLOSED:
        for answer in answers[kind]:
            assert answer.json()["error"] == "unavailable"
            assert int(answer.headers["Retry-After"]) >= 1
    assert {answer.json()["status"] for answer in answers["health"]} == {"degraded"}


def test_without_the_store_of_the_counts_doors_stay_closed_and_the_rest_goes_on(house):
    with house.four_processes() as (one, server), Load(kinds_of_requests(one)) as load:
        one.wait_for(lambda: load.has_each(3))
        assert statuses(load.since(0)) == {kind: {status} for kind, status in (CLOSED | OPEN).items()}
        hung = signalled(one, load, server, signal.SIGSTOP)
        assert_only_doors_are_closed(load.since(hung))
        os.kill(server, signal.SIGCONT)
        one.wait_for(lambda: call(one, "POST", KEYS, body={"name": "again"}).status_code == 201)
        killed = signalled(one, load, server, signal.SIGKILL)
        assert_only_doors_are_closed(load.since(killed))
        assert {answer.status_code for _kind, _began, answer in load.answers} <= {200, 201, 401, 503}


def signalled(one, load, server, how):
    """Send it and wait for answers of each kind; the moment from which on the server did not answer."""
    os.kill(server, how)
    moment = time.monotonic()
    one.wait_for(lambda: load.has_each(4, moment))
    return moment


# Work that is done once


def order(**changes):
    return {
        "carrier": "Pickit",
        "order_id": f"ORDER-{uuid.uuid4().hex[:8]}",
        "origin": PLACE,
        "destination": PLACE | {"contact_name": "Jane Smith", "postal_code": "10001"},
        "packages": [{"weight_kg": 2}],
    } | changes


def key_request(**changes):
    return {"name": f"once-{uuid.uuid4().hex[:8]}"} | changes


def insist(one, path, body, key):
    """Send until the answer is neither lost nor «in progress»."""

    def answer():
        try:
            response = call(one, "POST", path, body=body, Idempotency_Key=key)
        except requests.ConnectionError:
            return None
        return None if response.status_code == 409 else (response,)

    return one.wait_for(answer)[0]


def labels_of(one, body):
    return [call for call in one.purchases() if body["order_id"] in json.dumps(call)]


def keys_of(one, body):
    return [key for key in call(one, "GET", f"{KEYS}?limit=100").json()["api_keys"] if key["name"] == body["name"]]


def checkpoints_of(one, body):
    return call(one, "GET", f"/api/v1/tracking/{body['tracking_id']}").json().get("checkpoints", [])


LABEL = ("/api/v1/labels", order, labels_of, {"service_type": "express"})
KEY = (KEYS, key_request, keys_of, {"scopes": ["tracking:read"]})
CHECKPOINT = ("/api/v1/checkpoints", checkpoint, checkpoints_of, {"location": "Cali"})
# What is asked for, where its holder is killed, whether it is done by then; of labels also see test_system.
KILLED = [
    (KEY, "making_key", False),
    (KEY, "binding_key", False),
    (KEY, "recording_key", False),
    (KEY, "telling_key", True),
    (KEY, "keeping", True),
    (CHECKPOINT, "posting", False),
    (CHECKPOINT, "telling_checkpoint", True),
    (CHECKPOINT, "keeping", True),
    (LABEL, "keeping", True),
]


@pytest.mark.parametrize(("path", "make", "done", "other"), [LABEL, KEY, CHECKPOINT], ids=["label", "key", "scan"])
def test_64_equal_requests_under_one_key_do_the_work_once(office, path, make, done, other):
    body, key = make(), uuid.uuid4().hex
    answers = at_once(64, lambda _: call(office, "POST", path, body=body, Idempotency_Key=key))
    good = [answer for answer in answers if answer.status_code != 409]
    # 202: on a slow machine the lease ends while the holder, bound already, still asks the carrier.
    assert {answer.status_code for answer in good} <= {200, 201, 202}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 409} <= {"in_progress"}
    assert len({answer.headers["X-Worker"] for answer in answers}) > 1
    assert len([answer for answer in good if "Idempotent-Replayed" not in answer.headers]) == 1
    assert len(done(office, body)) == 1
    mismatch = call(office, "POST", path, body=body | other, Idempotency_Key=key)
    assert (mismatch.status_code, mismatch.json()["error"]) == (422, "idempotency_mismatch")
    assert insist(office, path, body, key).headers["Idempotent-Replayed"] == "true"
    assert len(done(office, body)) == 1
    if path == KEYS:
        assert len([answer for answer in good if answer.json()["key"]]) == 1


@pytest.mark.parametrize(
    ("work", "point", "is_done"),
    KILLED,
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_killed_holder_is_taken_over_and_the_work_is_not_done_twice(office, work, point, is_done):
    path, make, done, _other = work
    body, key = make(), uuid.uuid4().hex
    office.kill_at(point)
    with pytest.raises(requests.ConnectionError):
        call(office, "POST", path, body=body, Idempotency_Key=key)
    assert len(done(office, body)) == int(is_done)
    final = insist(office, path, body, key)
    assert final.status_code in (200, 201)
    assert ("Idempotent-Replayed" in final.headers) == is_done
    assert len(done(office, body)) == 1
    if work is KEY:
        assert (final.json()["key"] is None) == is_done
