"""The simulated Velocity answers as the recorded examples, with which the adapter is tested too."""

import json
import uuid

import pytest

from carriers.sandbox.testing import find_differences
from carriers.sandbox.tests.velocity_client import RECORDED

KINDS = ("orders", "billing", "performance", "cod_remittance", "weight_discrepancy", "ndr")
# Names in the recorded examples. Here they stand for other ones.
AWB, REFERENCE, OTHER_REFERENCE, WAREHOUSES = "SHPHYB700100200", "WB-0073", "WB-0074", ("WHKKP2", "WHQRS778")


def order(velocity, *codes):
    """Place an order and add scans; return the real names by the recorded ones."""
    made = velocity.order().json()
    for number, code in enumerate(codes):
        velocity.advance(made["awb"], to=code, at=f"2030-01-01 1{number}:00:00")
    return {AWB: made["awb"], REFERENCE: made["order_id"]}


def order_with_reports(velocity):
    """Place an order that is weighed, not delivered at first, then delivered and paid: it is in every report."""
    names = order(velocity)
    for change in ({"to": "IT", "details": {"charged_weight": 1.25}}, {"to": "NDR"}, {"to": "DEL"}):
        velocity.advance(names[AWB], **change)
    return names


def order_and_cancel(velocity):
    names = order(velocity)
    assert velocity("cancel-order", {"awb": names[AWB]}).ok
    return names


def fail_with(status):
    def prepare(velocity):
        velocity.fail_next(status)
        return {}

    return prepare


# Steps before a recorded request, so that its answer is the recorded one.
PREPARE = {
    "token_over_rate_limit": fail_with(429),
    "token_failed_at_velocity": fail_with(500),
    "order_failed_at_courier": fail_with(500),
    "tracking_of_one_in_transit": lambda it: order(it, "PKP", "IT"),
    "tracking_without_unknown_number": lambda it: order(it, "PKP", "IT"),
    "order_cancelled": order,
    "cancelling_delivered_order": lambda it: order(it, "DEL"),
    "order_updated_to_another_address": order,
    "changing_order_out_for_delivery": lambda it: order(it, "OFD"),
    "order_found_by_our_reference": order_and_cancel,
    "return_booked": lambda it: order(it, "DEL"),
    "return_of_a_chosen_courier": lambda it: order(it, "DEL"),
    **{f"report_of_{kind}": order_with_reports for kind in KINDS},
    "report_of_ndr": lambda it: order(it, "NDR"),
}


def replace_names(value, names):
    text = json.dumps(value)
    for recorded_name, real in names.items():
        text = text.replace(recorded_name, real)
    return json.loads(text)


@pytest.mark.parametrize("name", list(RECORDED))
def test_recorded_request_gets_the_recorded_answer(velocity, name):
    references = {REFERENCE: f"WB-{uuid.uuid4()}", OTHER_REFERENCE: f"WB-{uuid.uuid4()}"}
    prepared = PREPARE.get(name, lambda it: {})(velocity)
    names = references | dict.fromkeys(WAREHOUSES, velocity.warehouse) | prepared
    request = replace_names(RECORDED[name]["request"], names)
    query = request.get("query", {})
    query |= {"from": "2000-01-01", "to": "2100-01-01"} if "from" in query else {}
    answer = velocity(request["path"].rpartition("/")[2], request.get("body"), request["method"], query)
    assert answer.status_code == RECORDED[name]["status"], answer.text
    assert find_differences(replace_names(RECORDED[name]["response"], names), answer.json(), exactly=True) == []


@pytest.mark.parametrize(
    ("requested", "status", "name"),
    [
        ("token_granted", 401, "token_refused"),
        ("token_granted", 429, "token_over_rate_limit"),
        ("token_granted", 503, "token_failed_at_velocity"),
        ("return_booked", 502, "order_failed_at_courier"),
    ],
)
def test_injected_failure_has_the_body_of_a_real_one(velocity, requested, status, name):
    velocity.fail_next(status)
    request = RECORDED[requested]["request"]
    answer = velocity(request["path"].rpartition("/")[2], request["body"])
    assert (answer.status_code, answer.json()) == (status, RECORDED[name]["response"])
