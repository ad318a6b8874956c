"""The simulated Velocity answers as its document does: the same files on both sides, key for key and type for type."""

import hashlib
import hmac
import json
import queue
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from carriers.sandbox.testing import SandboxProcess, lacking
from carriers.tests import recorded

RECORDED, EVENTS = recorded.examples("velocity"), recorded.events("velocity")
LOGIN = RECORDED["token_for_a_day"]["request"]["body"]
KINDS = ("orders", "billing", "performance", "cod_remittance", "weight_discrepancy", "ndr")
DELIVERED = "cancelling_what_is_delivered"
AWB, REFERENCE, WAREHOUSES = "SHPHYB700100200", "WB-0073", ("WHKKP2", "WHQRS778")


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
        self.configure(rate_limit=0, limits={}, webhook_url="", secret=LOGIN["password"])
        self.session.headers["Authorization"] = self("auth-token", LOGIN).json()["token"]
        self.warehouse = self("warehouse", RECORDED["warehouse_created"]["request"]["body"]).json()["warehouse_id"]
        self.orders = 0

    def configure(self, **changes):
        account = f"/_sandbox/accounts/{LOGIN['username']}"
        self.process.control("PUT", account, {"carrier": "velocity"} | changes)

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


def _ordered(velocity, *way):
    """An order under the recorded number, which went this way; how what is recorded is called here."""
    made = velocity.order().json()
    for place, code in enumerate(way):
        velocity.advance(made["awb"], to=code, at=f"2030-01-01 1{place}:00:00")
    return {AWB: made["awb"], REFERENCE: made["order_id"]}


def _reported(velocity):
    """Weighed, not handed over at first, and paid for at last: something for each report."""
    names = _ordered(velocity)
    for wish in ({"to": "IT", "details": {"charged_weight": 1.25}}, {"to": "NDR"}, {"to": "DEL"}):
        velocity.advance(names[AWB], **wish)
    return names


def _cancelled(velocity):
    names = _ordered(velocity)
    assert velocity("cancel-order", {"awb": names[AWB]}).ok
    return names


def _failing(status):
    def fail(velocity):
        fault = {"carrier": "velocity", "kind": "status", "status": status}
        velocity.process.control("POST", "/_sandbox/faults", fault)
        return {}

    return fail


# What must have happened before a recorded request is answered as recorded.
BEFORE = {
    "token_beyond_the_limit": _failing(429),
    "token_failed_at_velocity": _failing(500),
    "order_lost_at_the_courier": _failing(500),
    "tracking_of_one_in_transit": lambda it: _ordered(it, "PKP", "IT"),
    "tracking_without_one_that_nobody_knows": lambda it: _ordered(it, "PKP", "IT"),
    "order_cancelled": _ordered,
    DELIVERED: lambda it: _ordered(it, "DEL"),
    "order_updated_to_another_address": _ordered,
    "changing_what_is_out_for_delivery": lambda it: _ordered(it, "OFD"),
    "order_found_by_our_reference": _cancelled,
    "return_booked": lambda it: _ordered(it, "DEL"),
    "return_of_a_chosen_courier": lambda it: _ordered(it, "DEL"),
    **{f"report_of_{kind}": _reported for kind in KINDS},
    "report_of_ndr": lambda it: _ordered(it, "NDR"),
}


def here(value, names):
    """What is recorded, with the names that things have here."""
    text = json.dumps(value)
    for told, real in names.items():
        text = text.replace(told, real)
    return json.loads(text)


@pytest.mark.parametrize("name", list(RECORDED))
def test_a_recorded_request_is_answered_as_recorded(velocity, name):
    fresh = {REFERENCE: f"WB-{uuid.uuid4()}", "WB-0074": f"WB-{uuid.uuid4()}"}
    names = fresh | dict.fromkeys(WAREHOUSES, velocity.warehouse) | BEFORE.get(name, lambda it: {})(velocity)
    asked = here(RECORDED[name]["request"], names)
    query = asked.get("query", {})
    query |= {"from": "2000-01-01", "to": "2100-01-01"} if "from" in query else {}
    answer = velocity(asked["path"].rpartition("/")[2], asked.get("body"), asked["method"], query)
    assert answer.status_code == RECORDED[name]["status"], answer.text
    assert lacking(here(RECORDED[name]["response"], names), answer.json(), exactly=True) == []


@pytest.mark.parametrize(
    ("asked", "status", "name"),
    [
        ("token_for_a_day", 401, "token_refused"),
        ("token_for_a_day", 429, "token_beyond_the_limit"),
        ("token_for_a_day", 503, "token_failed_at_velocity"),
        ("return_booked", 502, "order_lost_at_the_courier"),
    ],
)
def test_a_failure_that_is_asked_for_has_the_body_of_a_real_one(velocity, asked, status, name):
    _failing(status)(velocity)
    request = RECORDED[asked]["request"]
    answer = velocity(request["path"].rpartition("/")[2], request["body"])
    assert (answer.status_code, answer.json()) == (status, RECORDED[name]["response"])


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
    assert answers[-1].json() == RECORDED["token_beyond_the_limit"]["response"]
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


# The least and the most that the document's schema takes.
BOUNDS = {
    "billing_customer_name": ("x" * 100,),
    "billing_address": ("x" * 200,),
    "billing_city": ("x" * 50,),
    "billing_state": ("x" * 50,),
    "weight": (0.1, 30),
    "length": (1, 200),
    "breadth": (1, 200),
    "height": (1, 200),
    "order_items": ([{"name": "Shirt", "units": 1, "selling_price": 0, "discount": 0, "tax": 0}],),
}


@pytest.mark.parametrize("field", list(BOUNDS))
def test_the_documented_bounds_themselves_are_taken(velocity, field):
    for value in BOUNDS[field]:
        answer = velocity.order(**{field: value})
        assert answer.status_code == 200, answer.text


def test_an_order_number_may_have_fifty_characters(velocity):
    assert velocity.order(order_id=f"{uuid.uuid4()}".ljust(50, "x")).status_code == 200


@pytest.mark.parametrize("change", [{"selling_price": -1}, {"discount": -1}, {"tax": -1}, {"units": 0}])
def test_goods_are_checked(velocity, change):
    good = {"name": "Shirt", "units": 1, "selling_price": 10, "discount": 2, "tax": 1}
    answer = velocity.order(order_items=[good | change])
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["order_items"])
    assert next(iter(change)) in answer.json()["errors"]["order_items"]


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
    cash = {"payment_method": "COD", "cod_collectible": 765}
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
    same = {"awb": number, "shipping_city": "Pune", "shipping_address": "46 Lotus Street", "weight": 2}
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
    "999010": "HELD",
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
    assert of["cod_remittance"][delivered]["amount"] == 765
    assert of["ndr"].keys() == {failed}
    assert of["ndr"][failed]["ndr_reason"] == "CUSTOMER_NOT_AVAILABLE"
    assert of["weight_discrepancy"].keys() == {light}
    assert of["weight_discrepancy"][light]["extra_charges"] == 20
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
    server.url = f"http://127.0.0.1:{server.server_port}/events"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_each_scan_is_pushed_signed_and_in_order(velocity, received):
    velocity.configure(webhook_url=received.url, webhook_secret="own-secret")
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
    expected = EVENTS["event_nobody_at_the_door"]
    assert lacking(expected, failed, exactly=True) == []
    for event in events:
        assert set(expected) - set(event) == (set() if event is failed else {"ndr_reason", "attempt"})


def test_cash_that_is_paid_out_is_pushed(velocity, received):
    number = velocity.order().json()["awb"]
    path = f"/_sandbox/velocity/shipments/{number}/remit"
    assert velocity.session.post(velocity.process.url + path).status_code == 400
    velocity.advance(number, to="DEL")
    velocity.configure(webhook_url=received.url)
    velocity.process.control("POST", path)
    _headers, body = received.got.get(timeout=20)
    assert lacking(EVENTS["event_cash_remitted"], json.loads(body), exactly=True) == []
    assert json.loads(body)["amount"] == RECORDED["order_with_cash_on_delivery"]["request"]["body"]["cod_collectible"]


CANCELLED_IN_TIME = dict.fromkeys(("NEW", "PKP", "IT"), 200) | dict.fromkeys(("OFD", "DEL", "RTO", "LOST"), 400)


@pytest.mark.parametrize(("code", "status"), list(CANCELLED_IN_TIME.items()))
def test_what_can_be_cancelled_is_as_documented(velocity, code, status):
    number = velocity.order().json()["awb"]
    if code != "NEW":
        velocity.advance(number, to=code)
    assert velocity("cancel-order", {"awb": number}).status_code == status


def test_a_code_of_no_table_is_told_and_refused_like_any_other(velocity):
    order = velocity.order().json()
    number = order["awb"]
    velocity.advance(number, to="ZZZ", force=True)
    for path, body in (("cancel-order", {}), ("order-update", {"weight": 2})):
        answer = velocity(path, {"awb": number} | body)
        assert (answer.status_code, answer.json()["current_status"]) == (400, "zzz")
        assert set(answer.json()) == set(RECORDED[DELIVERED]["response"])
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
