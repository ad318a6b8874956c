"""Under an Idempotency-Key work is done once, also when the process that does it is killed."""

import json
import uuid

import pytest
import requests

from deploy.tests import things
from deploy.tests.web import (
    KEYS,
    SHIPMENTS,
    Site,
    at_once,
    call,
    checkpoint,
    every_worker,
    needs_redis,
    until_processes_share,
)

pytestmark = [pytest.mark.system, needs_redis]


@pytest.fixture(scope="module")
def web():
    """Four web processes that share a Redis, all of them ready."""
    points = ",".join(sorted({point for _work, point, _is_done in KILLED}))
    site = Site(IDEMPOTENCY_LEASE_S="60", KILL_AT=points)
    try:
        with site.four_processes() as (processes, _server):
            every_worker(processes, lambda _: call(processes, "GET", SHIPMENTS), 200)
            yield processes
    finally:
        site.system.close()


def key_request(**changes):
    return {"name": f"once-{uuid.uuid4().hex[:8]}"} | changes


def insist(web, path, body, key):
    """Repeat the request until it gets a response other than ``in_progress``."""

    def answer():
        try:
            response = call(web, "POST", path, body=body, Idempotency_Key=key)
        except requests.ConnectionError:
            return None
        return None if response.status_code == 409 else (response,)

    return web.wait_for(answer)[0]


def labels_of(web, body):
    return [call for call in web.purchases() if body["order_id"] in json.dumps(call)]


def keys_of(web, body):
    return [key for key in call(web, "GET", f"{KEYS}?limit=100").json()["api_keys"] if key["name"] == body["name"]]


def checkpoints_of(web, body):
    return call(web, "GET", f"/api/v1/tracking/{body['tracking_id']}").json().get("checkpoints", [])


LABEL = ("/api/v1/labels", things.order, labels_of, {"service_type": "express"})
KEY = (KEYS, key_request, keys_of, {"scopes": ["tracking:read"]})
CHECKPOINT = ("/api/v1/checkpoints", checkpoint, checkpoints_of, {"location": "Cali"})
# Request, point at which its process is killed, whether the work is done by then. For labels see also test_purchases.
KILLED = [
    (KEY, "making_key", False),
    (KEY, "binding_key", False),
    (KEY, "recording_key", False),
    (KEY, "answering_key", True),
    (KEY, "keeping", True),
    (CHECKPOINT, "posting", False),
    (CHECKPOINT, "answering_checkpoint", True),
    (CHECKPOINT, "keeping", True),
    (LABEL, "keeping", True),
]


@pytest.mark.parametrize(("path", "make", "done", "other"), [LABEL, KEY, CHECKPOINT], ids=["label", "key", "scan"])
def test_64_equal_requests_under_one_key_do_the_work_once(web, path, make, done, other):
    until_processes_share(web, lambda: send_64_equal_requests(web, path, make, done, other))


def send_64_equal_requests(web, path, make, done, other):
    body, key = make(), uuid.uuid4().hex
    answers = at_once(64, lambda _: call(web, "POST", path, body=body, Idempotency_Key=key))
    good = [answer for answer in answers if answer.status_code != 409]
    assert {answer.status_code for answer in good} <= {200, 201}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 409} <= {"in_progress"}
    assert len([answer for answer in good if "Idempotent-Replayed" not in answer.headers]) == 1
    assert len(done(web, body)) == 1
    mismatch = call(web, "POST", path, body=body | other, Idempotency_Key=key)
    assert (mismatch.status_code, mismatch.json()["error"]) == (422, "idempotency_mismatch")
    assert insist(web, path, body, key).headers["Idempotent-Replayed"] == "true"
    assert len(done(web, body)) == 1
    if path == KEYS:
        assert len([answer for answer in good if answer.json()["key"]]) == 1
    return answers


@pytest.mark.parametrize(
    ("work", "point", "is_done"),
    KILLED,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_killed_process_is_replaced_and_the_work_is_not_done_twice(web, work, point, is_done):
    path, make, done, _other = work
    body, key = make(), uuid.uuid4().hex
    web.kill_at(point)
    with pytest.raises(requests.ConnectionError):
        call(web, "POST", path, body=body, Idempotency_Key=key)
    assert len(done(web, body)) == int(is_done)
    web.database.execute("UPDATE apikeys_idempotencyrecord SET lease_until = '2000-01-01 00:00:00'")
    final = insist(web, path, body, key)
    assert final.status_code in (200, 201)
    assert ("Idempotent-Replayed" in final.headers) == is_done
    assert len(done(web, body)) == 1
    if work is KEY:
        assert (final.json()["key"] is None) == is_done
