"""The simulated Pickit answers as the recorded examples, with which the adapter is tested too."""

import json
import uuid

import pytest

from carriers.sandbox.testing import find_differences
from carriers.sandbox.tests.pickit_client import PickitClient
from carriers.tests import recorded

RECORDED, EVENTS = recorded.examples("pickit"), recorded.events("pickit")
# Names in the recorded examples. Here they stand for other ones.
NUMBER, PICKUP, POINT, REFERENCE = "PKT-4081726350", "PCK-665544", "PP-70421", "WB-0001"
FAULTS = {"refused_too_many_requests": 429, "failed_inside_pickit": 500}
# Answers that an adapter must handle and that the simulator does not give.
NOT_SIMULATED = {
    "quote_total_above_its_parts",
    "quote_total_below_its_parts",
    "label_in_unknown_format",
    "label_of_another_reference",
    "label_with_invalid_base64_characters",
    "label_file_not_base64",
    "label_file_not_pdf",
    "tracking_newest_first_without_offsets",
}


class RecordedClient(PickitClient):
    """The client of the records. ``names`` maps recorded names to those of this sandbox."""

    def __init__(self, process):
        login = RECORDED["token_granted"]["request"]["body"]
        super().__init__(process, login["client_id"], login["client_secret"])
        self.names = {POINT: "PP-12345", REFERENCE: f"WB-{uuid.uuid4()}"}

    def send(self, name):
        """Send a recorded request with the names of this sandbox."""
        request = self.replace_names(RECORDED[name]["request"])
        return self(request["method"], request["path"], request.get("body"), **request.get("query", {}))

    def replace_names(self, value):
        text = json.dumps(value)
        for recorded_name, real in self.names.items():
            text = text.replace(recorded_name, real)
        return json.loads(text)

    def buy_recorded(self, *statuses, name="label_bought_to_a_pickup_point"):
        number = self.send(name).json()["tracking_number"]
        self.names[NUMBER] = number
        self.advance(number, *statuses)

    def schedule_pickup(self, *, completed=False):
        self.buy_recorded()
        self.names[PICKUP] = self.send("pickup_scheduled_with_a_driver").json()["pickup_id"]
        if completed:
            self.process.control("POST", f"/_sandbox/pickit/pickups/{self.names[PICKUP]}/complete")


@pytest.fixture
def client(process):
    process.control("DELETE", "/_sandbox/faults")
    return RecordedClient(process)


def buy_cancel_and_buy(client):
    client.buy_recorded()
    assert client.send("cancelled_at_customers_request").ok
    client.buy_recorded()


# Steps before a recorded request, so that its answer is the recorded one.
PREPARE = {
    "found_two_first_cancelled": buy_cancel_and_buy,
    "tracking_in_transit": lambda client: client.buy_recorded("picked_up", "in_transit"),
    "tracking_failed_at_the_door_then_waiting_at_a_point": lambda client: client.buy_recorded(
        "picked_up", "in_transit", "exception", "at_pickup_point"
    ),
    "tracking_with_unknown_code": lambda client: client.buy_recorded("held_by_customs"),
    "cancelled_at_customers_request": RecordedClient.buy_recorded,
    "proof_left_with_the_receptionist": lambda client: client.buy_recorded(
        "delivered", name="label_bought_to_the_door"
    ),
    "proof_collected_with_code_without_pictures": lambda client: client.buy_recorded("at_pickup_point", "delivered"),
    "pickup_scheduled_with_a_driver": RecordedClient.buy_recorded,
    "pickup_cancelled": RecordedClient.schedule_pickup,
    "refused_no_proof_before_delivery": RecordedClient.buy_recorded,
    "refused_cancelling_delivered_shipment": lambda client: client.buy_recorded("delivered"),
    "refused_cancelling_completed_pickup": lambda client: client.schedule_pickup(completed=True),
    "refused_token_expired": lambda client: client.session.headers.update(Authorization="Bearer of-yesterday"),
    "refused_account_suspended": lambda client: client.configure(suspended=True),
}
# Records with fewer keys than Pickit may send. The simulator sends all of them.
SHORTER = {
    "found_two_first_cancelled",
    "label_bought_to_a_pickup_point",
    "pickup_scheduled_with_a_driver",
    "points_near_downtown_one_closed",
    "quote_as_short_as_documented",
    "tracking_failed_at_the_door_then_waiting_at_a_point",
    "tracking_in_transit",
    "tracking_with_unknown_code",
}


@pytest.mark.parametrize("name", sorted(set(RECORDED) - NOT_SIMULATED))
def test_recorded_request_gets_the_recorded_answer(process, client, name):
    PREPARE.get(name, lambda client: None)(client)
    if name in FAULTS:
        process.control("POST", "/_sandbox/faults", {"carrier": "pickit", "kind": "status", "status": FAULTS[name]})
    answer = client.send(name)
    assert answer.status_code == RECORDED[name]["status"], answer.text
    expected = client.replace_names(RECORDED[name]["response"])
    assert find_differences(expected, answer.json(), exactly=name not in SHORTER) == []


@pytest.mark.parametrize(
    ("operation", "status", "name"),
    [
        ("token", 401, "refused_wrong_client_secret"),
        ("track", 401, "refused_token_expired"),
        ("track", 403, "refused_account_suspended"),
        ("track", 429, "refused_too_many_requests"),
        ("track", 503, "failed_inside_pickit"),
    ],
)
def test_injected_failure_has_the_body_of_a_real_one(process, client, operation, status, name):
    process.control("POST", "/_sandbox/faults", {"operation": operation, "kind": "status", "status": status})
    answer = client.send({"token": "token_granted", "track": "tracking_in_transit"}[operation])
    assert (answer.status_code, answer.json()) == (status, RECORDED[name]["response"])


def test_eight_events_equal_the_recorded_ones(process, client, receiver):
    client.configure(webhook_url=receiver.url)
    client.schedule_pickup(completed=True)
    client.advance(client.names[NUMBER], "in_transit", "exception", "at_pickup_point", "delivered")
    client.buy_recorded("picked_up")
    sent = {event["event_type"]: event for event in receiver.wait_for(9)}
    assert {event["event_type"] for event in EVENTS.values()} == set(sent)
    assert len(sent) == len(EVENTS) == 8
    for event in EVENTS.values():
        assert find_differences(event, sent[event["event_type"]], exactly=True) == [], event["event_type"]
