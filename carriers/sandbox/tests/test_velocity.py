"""The simulated Velocity answers as its document does: the same files on both sides, key for key and type for type."""

import json
import uuid
from pathlib import Path

import pytest
import requests

from carriers.sandbox.testing import SandboxProcess

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures" / "velocity"
RECORDED = {path.stem: json.loads(path.read_text()) for path in sorted(FIXTURES.glob("*.json"))}
EVENTS = {name: RECORDED.pop(name) for name in list(RECORDED) if name.startswith("event_")}
ACCOUNT = "+910000000000"
INJECTED = {"order_lost_at_the_courier": {"kind": "status", "status": 500}}
DELIVERED = "cancelling_what_is_delivered"


@pytest.fixture(scope="module")
def process():
    one = SandboxProcess()
    yield one
    one.stop()


class Client:
    """An account at the simulated Velocity, with a warehouse and an order of its own."""

    def __init__(self, process):
        self.process, self.session = process, requests.Session()
        process.control("DELETE", "/_sandbox/faults")
        process.control("PUT", f"/_sandbox/accounts/{ACCOUNT}", {"rate_limit": 0, "webhook_url": ""})
        login = {"username": ACCOUNT, "password": "test-secret"}
        self.session.headers["Authorization"] = self("auth-token", login).json()["token"]
        self.warehouse = self("warehouse", RECORDED["warehouse_created"]["request"]["body"]).json()["warehouse_id"]
        self.orders = 0

    def __call__(self, path, body=None, method="POST", query=None):
        url = f"{self.process.url}/velocity/custom/api/v1/{path}"
        return self.session.request(method, url, json=body, params=query, timeout=30)

    def order(self, name="order_with_cash_on_delivery", **changes):
        self.orders += 1
        own = {"warehouse_id": self.warehouse, "order_id": f"{uuid.uuid4()}"}
        recorded = RECORDED[name]["request"]
        return self(recorded["path"].rpartition("/")[2], recorded["body"] | own | changes)

    def advance(self, number, **wish):
        return self.process.control("POST", f"/_sandbox/velocity/shipments/{number}/advance", wish)


@pytest.fixture
def velocity(process):
    return Client(process)


def real(velocity, name):
    """The recorded request, about an order and a warehouse that are there."""
    recorded = RECORDED[name]["request"]
    body, query = dict(recorded.get("body") or {}), dict(recorded.get("query") or {})
    if "order_id" in body or "awb" in body or "awbs" in body or "order_id" in query or "from" in query:
        made = velocity.order().json()
        if "awbs" in body or name == DELIVERED:
            velocity.advance(made["awb"], to="DEL" if name == DELIVERED else "IT", at="2030-01-01 10:00:00")
        body |= {"awb": made["awb"]} if "awb" in body else {}
        body |= {"awbs": [made["awb"], "UNKNOWN"]} if "awbs" in body else {}
        body |= {"original_awb": made["awb"]} if "original_awb" in body else {}
        body |= {"order_id": f"R-{made['order_id']}"} if "order_id" in body else {}
        query |= {"order_id": made["order_id"]} if "order_id" in query else {}
        query |= {"from": "2000-01-01", "to": "2100-01-01"} if "from" in query else {}
    if body.get("warehouse_id") not in (None, "INVALID_ID"):
        body["warehouse_id"] = velocity.warehouse
    if name in INJECTED:
        velocity.process.control("POST", "/_sandbox/faults", INJECTED[name] | {"carrier": "velocity", "count": 1})
    return velocity(recorded["path"].rpartition("/")[2], body or None, recorded["method"], query)


def shape(value):
    """Keys and types; of a list its first item, numbers alike."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize("name", list(RECORDED))
def test_it_answers_as_the_document_does(velocity, name):
    answer = real(velocity, name)
    assert answer.status_code == RECORDED[name]["status"], answer.text
    expected, found = shape(RECORDED[name]["response"]), shape(answer.json())
    if isinstance(expected, dict) and "freight_charges" not in json.dumps(expected):
        found.pop("freight_charges", None)  # ours beyond the document
    assert found == expected


def test_tokens_are_taken_raw_and_as_bearer_and_nothing_else_is(process, velocity):
    token = velocity.session.headers["Authorization"]
    url = f"{process.url}/velocity/custom/api/v1/order-tracking"
    for sent, status in ((token, 200), (f"Bearer {token}", 200), ("Bearer nonsense", 401), ("", 401)):
        assert requests.post(url, json={"awbs": ["X"]}, headers={"Authorization": sent}).status_code == status


def test_the_log_in_is_limited_as_documented(process):
    process.control("PUT", "/_sandbox/accounts/velocity-platform", {"rate_limit": 1})
    url = f"{process.url}/velocity/custom/api/v1/auth-token"
    body = {"username": "velocity-platform", "password": "test-secret"}
    answers = [requests.post(url, json=body) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert 3500 < int(answers[-1].headers["Retry-After"]) <= 3600


def test_label_and_manifest_are_files(velocity):
    order = velocity.order().json()
    for name in ("label_url", "manifest_url"):
        assert requests.get(order[name]).content.startswith(b"%PDF")


def test_an_order_is_made_once(velocity):
    once = f"ONCE-{uuid.uuid4()}"
    first = velocity.order(order_id=once)
    again = velocity.order(order_id=once)
    assert first.status_code == 200
    assert (again.status_code, set(again.json()["errors"])) == (400, {"order_id"})


@pytest.mark.parametrize("code", ["NEW", "PKP", "IT", "OFD", "DEL", "NDR", "RTO", "LOST", "DAMAGED", "CANCELLED"])
def test_every_code_can_be_brought_about(velocity, code):
    number = velocity.order().json()["awb"]
    velocity.advance(number, to=code, at="2030-01-01 10:00:00")
    (track,) = velocity("order-tracking", {"awbs": [number]}).json()
    assert track["status_code"] == code


@pytest.mark.parametrize(("code", "can"), [("NEW", True), ("PKP", True), ("IT", True), ("OFD", False), ("RTO", False)])
def test_what_can_be_cancelled_is_as_documented(velocity, code, can):
    number = velocity.order().json()["awb"]
    if code != "NEW":
        velocity.advance(number, to=code)
    assert velocity("cancel-order", {"awb": number}).status_code == (200 if can else 400)


def test_another_accounts_orders_are_not_seen(process, velocity):
    number = velocity.order().json()["awb"]
    process.control("PUT", "/_sandbox/accounts/velocity-platform", {"rate_limit": 0})
    login = requests.post(
        f"{process.url}/velocity/custom/api/v1/auth-token",
        json={"username": "velocity-platform", "password": "test-secret"},
    )
    velocity.session.headers["Authorization"] = login.json()["token"]
    assert velocity("order-tracking", {"awbs": [number]}).json() == []
    assert velocity("cancel-order", {"awb": number}).status_code == 404


def test_it_forgets_nothing_when_it_is_killed(process, velocity):
    number = velocity.order().json()["awb"]
    process.kill()
    process.restart()
    assert [one["awb"] for one in velocity("order-tracking", {"awbs": [number]}).json()] == [number]
