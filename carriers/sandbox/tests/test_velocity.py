"""The simulated Velocity: tokens, limits, orders, scans, reports and webhooks."""

import hashlib
import hmac
import uuid

import pytest
import requests

from carriers.sandbox.testing import find_differences
from carriers.sandbox.tests.velocity_client import RECORDED
from carriers.tests import recorded

EVENTS = recorded.events("velocity")
KINDS = ("orders", "billing", "performance", "cod_remittance", "weight_discrepancy", "ndr")


def test_token_is_accepted_raw_and_as_bearer(process, velocity):
    token = velocity.session.headers["Authorization"]
    url = f"{process.url}/velocity/custom/api/v1/order-tracking"
    for sent, status in ((token, 200), (f"Bearer {token}", 200), ("Bearer nonsense", 401), ("", 401)):
        assert requests.post(url, json={"awbs": ["X"]}, headers={"Authorization": sent}).status_code == status


def test_login_has_the_documented_limit(process):
    process.control("PUT", "/_sandbox/accounts/velocity-platform", {"rate_limit": 1})
    url = f"{process.url}/velocity/custom/api/v1/auth-token"
    body = {"username": "velocity-platform", "password": "test-secret"}
    answers = [requests.post(url, json=body) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[-1].json() == RECORDED["token_over_rate_limit"]["response"]
    assert 3500 < int(answers[-1].headers["Retry-After"]) <= 3600


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


def test_label_and_manifest_are_pdf_files(velocity):
    order = velocity.order().json()
    for name in ("label_url", "manifest_url"):
        assert requests.get(order[name]).content.startswith(b"%PDF")


def test_repeated_order_id_is_refused(velocity):
    order_id = f"ONCE-{uuid.uuid4()}"
    first = velocity.order(order_id=order_id)
    again = velocity.order(order_id=order_id)
    assert first.status_code == 200
    assert (again.status_code, set(again.json()["errors"])) == (400, {"order_id"})


@pytest.mark.parametrize("code", ["NEW", "PKP", "IT", "OFD", "DEL", "NDR", "RTO", "LOST", "DAMAGED", "CANCELLED"])
def test_order_can_be_advanced_to_every_code(velocity, code):
    number = velocity.order().json()["awb"]
    velocity.advance(number, to=code, at="2030-01-01 10:00:00")
    (track,) = velocity("order-tracking", {"awbs": [number]}).json()
    assert track["status_code"] == code


CODE_OF_PINCODE = {
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


@pytest.mark.parametrize("pincode", list(CODE_OF_PINCODE))
def test_magic_pincode_sets_the_status(velocity, pincode):
    made = velocity.order(billing_pincode=pincode).json()
    (track,) = velocity("order-tracking", {"awbs": [made["awb"]]}).json()
    assert (made["status"], track["status_code"]) == ("NEW", CODE_OF_PINCODE[pincode])


@pytest.mark.parametrize(("word", "pincode", "status"), [("500", "999500", 500), ("429", "999429", 429)])
def test_order_id_recipient_or_pincode_requests_a_fault(velocity, word, pincode, status):
    changes = (
        {"order_id": f"SANDBOX-{word}"},
        {"billing_customer_name": f"SANDBOX-{word}"},
        {"billing_pincode": pincode},
    )
    for change in changes:
        assert velocity.order(**change).status_code == status


def test_order_with_a_lost_answer_is_found_by_its_id(velocity):
    order_id = f"LOST-{uuid.uuid4()}"
    fault = {"kind": "cut", "carrier": "velocity", "operation": "create_label", "count": 1}
    velocity.process.control("POST", "/_sandbox/faults", fault)
    with pytest.raises(requests.RequestException):
        velocity.order(order_id=order_id).json()
    (found,) = velocity.report("orders", order_id=order_id).json()["data"]
    assert found["awb"].startswith("SHPHYB")


def test_scan_times_are_shown_in_indian_time(velocity):
    number = velocity.order().json()["awb"]
    velocity.advance(number, to="PKP", at="2030-01-01T20:00:00Z")
    velocity.advance(number, to="IT", at="2030-01-02 09:15:00")
    (track,) = velocity("order-tracking", {"awbs": [number]}).json()
    times = [event["timestamp"] for event in track["tracking_history"]]
    assert times == ["2030-01-02 01:30:00", "2030-01-02 09:15:00"]


def test_failed_delivery_has_a_reason_and_counts_attempts(velocity):
    number = velocity.order().json()["awb"]
    first = velocity.advance(number, to="ndr")
    second = velocity.advance(
        number, to="NDR", details={"ndr_reason": "ADDRESS_INCOMPLETE", "location": "Bangalore Hub"}
    )
    assert (first["ndr_reason"], first["attempt"]) == ("CUSTOMER_NOT_AVAILABLE", 1)
    assert (second["ndr_reason"], second["attempt"], second["location"]) == ("ADDRESS_INCOMPLETE", 2, "Bangalore Hub")
    assert velocity.advance(number)["status"] == "delivered"


def test_each_report_has_its_own_rows(velocity):
    delivered, failed, light = [velocity.order().json()["awb"] for _ in range(3)]
    velocity.advance(delivered, to="DEL")
    velocity.advance(failed, to="NDR")
    velocity.advance(light, to="IT", details={"charged_weight": 1.2})
    reports = {kind: velocity.report(kind).json() for kind in KINDS}
    rows = {
        kind: {row["awb"]: row for row in report["data"] if "awb" in row and row["awb"] in (delivered, failed, light)}
        for kind, report in reports.items()
    }
    assert rows["cod_remittance"].keys() == {delivered}
    assert rows["cod_remittance"][delivered]["amount"] == 765
    assert rows["ndr"].keys() == {failed}
    assert rows["ndr"][failed]["ndr_reason"] == "CUSTOMER_NOT_AVAILABLE"
    assert rows["weight_discrepancy"].keys() == {light}
    assert rows["weight_discrepancy"][light]["extra_charges"] == 20
    assert rows["billing"][light]["freight_charges"] == 85
    assert rows["billing"][light]["total_charges"] == 85 + rows["billing"][light]["cod_charges"]
    assert sum(row["orders"] for row in reports["performance"]["data"]) == len(reports["orders"]["data"])
    billing = reports["billing"]
    assert billing["totals"]["total_charges"] == sum(row["total_charges"] for row in billing["data"])


def test_unknown_report_type_is_refused(velocity):
    answer = velocity.report("gossip")
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"type"})


def test_scans_are_sent_as_signed_webhooks_in_order(velocity, receiver):
    velocity.configure(webhook_url=receiver.url, webhook_secret="own-secret")
    number = velocity.order().json()["awb"]
    velocity.advance(number, to="NDR")
    other = velocity.order().json()["awb"]
    velocity("cancel-order", {"awb": other})
    events = receiver.wait_for(4)
    assert len(events) == 4
    for headers, body in receiver.received:
        signed = f"{headers['X-Velocity-Timestamp']}.".encode() + body
        expected = hmac.new(b"own-secret", signed, hashlib.sha256).hexdigest()
        assert headers["X-Velocity-Signature"] == expected
    codes = {awb: [event["status_code"] for event in events if event["awb"] == awb] for awb in (number, other)}
    assert codes == {number: ["NEW", "NDR"], other: ["NEW", "CANCELLED"]}
    failed = next(event for event in events if event["status_code"] == "NDR")
    expected = EVENTS["event_nobody_at_the_door"]
    assert find_differences(expected, failed, exactly=True) == []
    for event in events:
        assert set(expected) - set(event) == (set() if event is failed else {"ndr_reason", "attempt"})


def test_cod_remittance_is_sent_as_a_webhook(velocity, receiver):
    number = velocity.order().json()["awb"]
    path = f"/_sandbox/velocity/shipments/{number}/remit"
    assert velocity.session.post(velocity.process.url + path).status_code == 400
    velocity.advance(number, to="DEL")
    velocity.configure(webhook_url=receiver.url)
    velocity.process.control("POST", path)
    (event,) = receiver.wait_for(1)
    assert find_differences(EVENTS["event_cash_remitted"], event, exactly=True) == []
    assert event["amount"] == RECORDED["order_with_cash_on_delivery"]["request"]["body"]["cod_collectible"]


CANCEL_STATUS_BY_CODE = dict.fromkeys(("NEW", "PKP", "IT"), 200) | dict.fromkeys(("OFD", "DEL", "RTO", "LOST"), 400)


@pytest.mark.parametrize(("code", "status"), list(CANCEL_STATUS_BY_CODE.items()))
def test_cancellation_is_possible_until_out_for_delivery(velocity, code, status):
    number = velocity.order().json()["awb"]
    if code != "NEW":
        velocity.advance(number, to=code)
    assert velocity("cancel-order", {"awb": number}).status_code == status


def test_undocumented_code_is_shown_and_refused_like_any_other(velocity):
    order = velocity.order().json()
    number = order["awb"]
    velocity.advance(number, to="ZZZ", force=True)
    for path, body in (("cancel-order", {}), ("order-update", {"weight": 2})):
        answer = velocity(path, {"awb": number} | body)
        assert (answer.status_code, answer.json()["current_status"]) == (400, "zzz")
        assert set(answer.json()) == set(RECORDED["cancelling_delivered_order"]["response"])
    (track,) = velocity("order-tracking", {"awbs": [number]}).json()
    assert (track["status"], track["status_code"]) == ("zzz", "ZZZ")
    (found,) = velocity.report("orders", order_id=order["order_id"]).json()["data"]
    assert found["status_code"] == "ZZZ"
    assert [velocity.report(kind).status_code for kind in KINDS] == [200] * len(KINDS)
    for file in (order["label_url"], order["manifest_url"]):
        assert requests.get(file).content.startswith(b"%PDF")
    assert velocity.advance(number)["status"] == "delivered"


def test_orders_of_another_account_are_not_found(process, velocity):
    number = velocity.order().json()["awb"]
    process.control("PUT", "/_sandbox/accounts/velocity-platform", {"rate_limit": 0})
    login = requests.post(
        f"{process.url}/velocity/custom/api/v1/auth-token",
        json={"username": "velocity-platform", "password": "test-secret"},
    )
    velocity.session.headers["Authorization"] = login.json()["token"]
    assert velocity("order-tracking", {"awbs": [number]}).json() == []
    assert velocity("cancel-order", {"awb": number}).status_code == 404


def test_state_survives_a_kill(process, velocity):
    number = velocity.order().json()["awb"]
    process.kill()
    process.restart()
    assert [one["awb"] for one in velocity("order-tracking", {"awbs": [number]}).json()] == [number]
