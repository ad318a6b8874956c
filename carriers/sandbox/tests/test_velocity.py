"""The simulated Velocity answers as its document does: the same files on both sides, key for key and type for type."""

import hashlib
import hmac
import json
import queue
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from carriers.sandbox.testing import SandboxProcess

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures" / "velocity"
RECORDED = {path.stem: json.loads(path.read_text()) for path in sorted(FIXTURES.glob("*.json"))}
EVENTS = {name: RECORDED.pop(name) for name in list(RECORDED) if name.startswith("event_")}
ACCOUNT = "+910000000000"
INJECTED = {"order_lost_at_the_courier": {"kind": "status", "status": 500}}
KINDS = ("orders", "billing", "performance", "cod_remittance", "weight_discrepancy", "ndr")
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
        fresh = {"rate_limit": 0, "limits": {}, "webhook_url": ""}
        process.control("PUT", f"/_sandbox/accounts/{ACCOUNT}", fresh)
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
    assert shape(answer.json()) == shape(RECORDED[name]["response"])


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


WRONG = {
    "billing_phone": ("+919000000001", "90000", 9000000001, None),
    "billing_pincode": ("5601", 560095, "56010A"),
    "billing_customer_name": ("", None, "x" * 101, 7),
    "billing_address": ("x" * 201, None),
    "billing_city": ("x" * 51, None),
    "billing_state": ("x" * 51, None),
    "billing_email": ("nobody", "a@b", 7),
    "order_id": ("x" * 51, "", None, 7),
    "order_date": ("08.05.2026", "2026-02-30 10:00", "2026-05-08T12:23:00Z", None),
    "payment_method": ("cod", "CASH", None),
    "cod_collectible": (None, 0, "990"),
    "weight": (0.05, 30.1, "1", None),
    "length": (0.5, 201, None),
    "breadth": (0.5, 201, None),
    "height": (0.5, 201, None),
    "order_items": ([], None, "shirt", [{"name": "Shirt", "units": 1}], [{"name": "Shirt", "units": 0.5}], ["Shirt"]),
    "pickup_location": (None, ""),
    "sub_total": ("990", -1, None),
    "shipping_is_billing": ("no", 0),
    "vendor_details": ("Lane 4", {"city": 7}),
}


@pytest.mark.parametrize("field", list(WRONG))
def test_an_order_is_checked_as_documented(velocity, field):
    for value in WRONG[field]:
        answer = velocity.order(**{field: value})
        told = answer.json()
        assert (answer.status_code, told["message"]) == (400, "Validation failed"), value
        assert list(told["errors"]) == [field]
        assert told["errors"][field]


def test_the_recipient_of_another_buyers_order_is_checked_likewise(velocity):
    told = velocity.order(shipping_is_billing=False, shipping_pincode="560103").json()
    names = ("customer_name", "address", "city", "state", "phone")
    assert set(told["errors"]) == {f"shipping_{name}" for name in names}


def test_a_weight_above_the_most_is_told_in_the_documents_words(velocity):
    assert velocity.order(weight=31).json()["errors"] == {"weight": "Weight exceeds maximum limit"}


def test_an_order_without_a_warehouse_is_one_of_an_unknown_warehouse(velocity):
    answer = velocity.order(warehouse_id=None, pickup_location=None)
    assert (answer.status_code, answer.json()) == (404, {"message": "Warehouse not found", "warehouse_id": None})


def test_where_nobody_goes_nothing_is_bought(velocity):
    answer = velocity.order(billing_pincode="999999")
    assert (answer.status_code, answer.json()["pincode"]) == (422, "999999")
    answer = velocity.order("return_booked", pickup_pincode="000000")
    assert (answer.status_code, answer.json()["pincode"]) == (422, "000000")


def test_a_courier_that_takes_no_cash_is_offered_and_chosen_without_it_only(velocity):
    route = RECORDED["served_by_two_couriers"]["request"]["body"]
    offered = [
        {
            one["courier_company_id"]
            for one in velocity("serviceability", route | {"cod": cod}).json()["available_carriers"]
        }
        for cod in (0, 1)
    ]
    assert offered[0] - offered[1] == {"9"}
    name = "order_of_a_chosen_courier"
    cash = {"payment_method": "COD", "cod_collectible": 990}
    assert velocity.order(name, courier_company_id="9").json()["courier_name"] == "Xpressbees Air"
    assert set(velocity.order(name, courier_company_id="9", **cash).json()["errors"]) == {"courier_company_id"}
    assert set(velocity.order(name, courier_company_id="77").json()["errors"]) == {"courier_company_id"}


def test_a_return_goes_to_its_warehouse_unless_it_says_where(velocity):
    nowhere = {f"shipping_{name}": None for name in ("customer_name", "address", "city", "pincode", "state", "phone")}
    assert velocity.order("return_booked", **nowhere).status_code == 200
    assert "shipping_pincode" in velocity.order("return_booked", **nowhere, warehouse_id=None).json()["errors"]
    assert set(velocity.order("return_booked", payment_method="COD").json()["errors"]) == {"payment_method"}


def test_an_update_is_checked_and_tells_what_changed(velocity):
    number = velocity.order().json()["awb"]
    same = {"awb": number, "shipping_city": "Bangalore", "shipping_address": "14 Example Road", "weight": 2}
    assert velocity("order-update", same).json()["updated_fields"] == ["shipping_address", "weight"]
    assert velocity("order-update", same).json()["updated_fields"] == []
    for wrong in ({"weight": 31}, {"shipping_pincode": "1"}, {"cod_collectible": 0}, {"shipping_city": None}):
        answer = velocity("order-update", {"awb": number} | wrong)
        assert (answer.status_code, set(answer.json()["errors"])) == (400, set(wrong))
    assert velocity("order-update", {"awb": number, "shipping_pincode": "999999"}).status_code == 422
    assert velocity("order-update", {"awb": number}).status_code == 400
    velocity.advance(number, to="OFD")
    late = velocity("order-update", same)
    assert (late.status_code, late.json()["current_status"]) == (400, "out_for_delivery")


REFUSED_WAREHOUSES = {
    "phone": "1",
    "pin_code": "1",
    "name": "",
    "city": None,
    "email": "nobody",
    "return_pin_code": "1",
}


@pytest.mark.parametrize("field", list(REFUSED_WAREHOUSES))
def test_a_warehouse_is_checked(velocity, field):
    body = RECORDED["warehouse_created"]["request"]["body"] | {field: REFUSED_WAREHOUSES[field]}
    assert set(velocity("warehouse", body).json()["errors"]) == {field}


ARRIVED = {
    "999001": "PKP",
    "999002": "IT",
    "999003": "OFD",
    "999004": "DEL",
    "999005": "NDR",
    "999006": "RTO",
    "999007": "LOST",
    "999008": "DAMAGED",
    "999009": "CANCELLED",
}


@pytest.mark.parametrize("pincode", list(ARRIVED))
def test_a_pincode_brings_about_a_status(velocity, pincode):
    made = velocity.order(billing_pincode=pincode).json()
    (track,) = velocity("order-tracking", {"awbs": [made["awb"]]}).json()
    assert (made["status"], track["status_code"]) == ("NEW", ARRIVED[pincode])


@pytest.mark.parametrize(("word", "pincode", "status"), [("500", "999500", 500), ("429", "999429", 429)])
def test_a_fault_is_asked_for_by_order_id_recipient_or_pincode(velocity, word, pincode, status):
    asked = (
        {"order_id": f"SANDBOX-{word}"},
        {"billing_customer_name": f"SANDBOX-{word}"},
        {"billing_pincode": pincode},
    )
    for wish in asked:
        assert velocity.order(**wish).status_code == status


def test_an_order_whose_answer_is_lost_is_found_by_its_id(velocity):
    once = f"LOST-{uuid.uuid4()}"
    fault = {"kind": "cut", "carrier": "velocity", "operation": "create_label", "count": 1}
    velocity.process.control("POST", "/_sandbox/faults", fault)
    with pytest.raises(requests.RequestException):
        velocity.order(order_id=once).json()
    (found,) = velocity("reports", method="GET", query={"type": "orders", "order_id": once}).json()["data"]
    assert found["awb"].startswith("SHPHYB")


def test_times_are_indias_whatever_the_scan_was_told_in(velocity):
    number = velocity.order().json()["awb"]
    velocity.advance(number, to="PKP", at="2030-01-01T20:00:00Z")
    velocity.advance(number, to="IT", at="2030-01-02 09:15:00")
    (track,) = velocity("order-tracking", {"awbs": [number]}).json()
    times = [event["timestamp"] for event in track["tracking_history"]]
    assert times == ["2030-01-02 01:30:00", "2030-01-02 09:15:00"]


def test_a_failed_delivery_tells_its_reason_and_counts_attempts(velocity):
    number = velocity.order().json()["awb"]
    first = velocity.advance(number, to="ndr")
    second = velocity.advance(
        number, to="NDR", details={"ndr_reason": "ADDRESS_INCOMPLETE", "location": "Bangalore Hub"}
    )
    assert (first["ndr_reason"], first["attempt"]) == ("CUSTOMER_NOT_AVAILABLE", 1)
    assert (second["ndr_reason"], second["attempt"], second["location"]) == ("ADDRESS_INCOMPLETE", 2, "Bangalore Hub")
    assert velocity.advance(number)["status"] == "delivered"


def test_each_report_has_rows_of_its_own(velocity):
    delivered, failed, light = [velocity.order().json()["awb"] for _ in range(3)]
    velocity.advance(delivered, to="DEL")
    velocity.advance(failed, to="NDR")
    velocity.advance(light, to="IT", details={"charged_weight": 1.2})
    told = {kind: velocity("reports", method="GET", query={"type": kind}).json() for kind in KINDS}
    of = {
        kind: {row["awb"]: row for row in report["data"] if "awb" in row and row["awb"] in (delivered, failed, light)}
        for kind, report in told.items()
    }
    assert of["cod_remittance"].keys() == {delivered}
    assert of["cod_remittance"][delivered]["amount"] == 990
    assert of["ndr"].keys() == {failed}
    assert of["ndr"][failed]["ndr_reason"] == "CUSTOMER_NOT_AVAILABLE"
    assert of["weight_discrepancy"].keys() == {light}
    assert of["weight_discrepancy"][light]["extra_charges"] == 40
    assert of["billing"][light]["freight_charges"] == 85
    assert of["billing"][light]["total_charges"] == 85 + of["billing"][light]["cod_charges"]
    assert sum(row["orders"] for row in told["performance"]["data"]) == len(told["orders"]["data"])
    assert told["billing"]["totals"]["total_charges"] == sum(row["total_charges"] for row in told["billing"]["data"])


def test_a_kind_of_report_that_is_not_is_refused(velocity):
    answer = velocity("reports", method="GET", query={"type": "gossip"})
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"type"})


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ("quote", "serviceability"),
        ("track", "order-tracking"),
        ("cancel", "cancel-order"),
        ("orders", "forward-order"),
        ("register_warehouse", "warehouse"),
    ],
)
def test_each_limit_can_be_set(velocity, group, path):
    account = f"limited-{group}"
    limits = {"carrier": "velocity", "limits": {group: 2}}
    velocity.process.control("PUT", f"/_sandbox/accounts/{account}", limits)
    login = {"username": account, "password": "test-secret"}
    velocity.session.headers["Authorization"] = velocity("auth-token", login).json()["token"]
    answers = [velocity(path, {}) for _ in range(3)]
    assert [answer.status_code == 429 for answer in answers] == [False, False, True]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


class Receiver(BaseHTTPRequestHandler):
    """Keeps what is pushed."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.put((dict(self.headers), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def received():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got = queue.Queue()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_each_scan_is_pushed_signed_and_in_order(velocity, received):
    url = f"http://127.0.0.1:{received.server_port}/events"
    changes = {"webhook_url": url, "webhook_secret": "own-secret"}
    velocity.process.control("PUT", f"/_sandbox/accounts/{ACCOUNT}", changes)
    number = velocity.order().json()["awb"]
    velocity.advance(number, to="NDR")
    other = velocity.order().json()["awb"]
    velocity("cancel-order", {"awb": other})
    told = [received.got.get(timeout=20) for _ in range(4)]
    for headers, body in told:
        signed = f"{headers['X-Velocity-Timestamp']}.".encode() + body
        expected = hmac.new(b"own-secret", signed, hashlib.sha256).hexdigest()
        assert headers["X-Velocity-Signature"] == expected
    events = [json.loads(body) for _, body in told]
    codes = {awb: [event["status_code"] for event in events if event["awb"] == awb] for awb in (number, other)}
    assert codes == {number: ["NEW", "NDR"], other: ["NEW", "CANCELLED"]}
    failed = next(event for event in events if event["status_code"] == "NDR")
    expected = shape(EVENTS["event_nobody_at_the_door"])
    assert shape(failed) == expected
    without = {name: kind for name, kind in expected.items() if name not in ("ndr_reason", "attempt")}
    assert all(shape(event) == without for event in events if event is not failed)


@pytest.mark.parametrize(("code", "can"), [("NEW", True), ("PKP", True), ("IT", True), ("OFD", False), ("RTO", False)])
def test_what_can_be_cancelled_is_as_documented(velocity, code, can):
    number = velocity.order().json()["awb"]
    if code != "NEW":
        velocity.advance(number, to=code)
    assert velocity("cancel-order", {"awb": number}).status_code == (200 if can else 400)


def test_a_code_of_no_table_is_told_and_refused_like_any_other(velocity):
    order = velocity.order().json()
    number = order["awb"]
    velocity.advance(number, to="ZZZ", force=True)
    for path, body in (("cancel-order", {}), ("order-update", {"weight": 2})):
        answer = velocity(path, {"awb": number} | body)
        assert (answer.status_code, answer.json()["current_status"]) == (400, "zzz")
        assert shape(answer.json()) == shape(RECORDED[DELIVERED]["response"])
    (track,) = velocity("order-tracking", {"awbs": [number]}).json()
    assert (track["status"], track["status_code"]) == ("zzz", "ZZZ")
    (found,) = velocity("reports", method="GET", query={"type": "orders", "order_id": order["order_id"]}).json()["data"]
    assert found["status_code"] == "ZZZ"
    assert [velocity("reports", method="GET", query={"type": kind}).status_code for kind in KINDS] == [200] * len(KINDS)
    for file in (order["label_url"], order["manifest_url"]):
        assert requests.get(file).content.startswith(b"%PDF")
    assert velocity.advance(number)["status"] == "delivered"


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
