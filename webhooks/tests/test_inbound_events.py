"""The documented events of Pickit: all their data is stored and shown to the merchant."""

import json
from pathlib import Path

import pytest

from shipping.models import Shipment
from webhooks.tests.helpers import YEAR_2024, book, schedule_pickup, send_webhook

pytestmark = pytest.mark.django_db
FIXTURES = Path(__file__).parents[2] / "carriers" / "tests" / "fixtures" / "pickit"
EVENTS = {path.stem: json.loads(path.read_text()) for path in sorted(FIXTURES.glob("event_*.json"))}
SHIPMENT_EVENTS = [name for name, body in EVENTS.items() if body["event_type"].startswith("shipment.")]
PICKUP_EVENTS = [name for name, body in EVENTS.items() if body["event_type"].startswith("pickup.")]


def assert_shows(shown, body, *, but):
    text = json.dumps(shown, sort_keys=True)
    for name, value in body["data"].items():
        if name not in but:
            assert json.dumps(value, sort_keys=True) in text, name


def test_eight_documented_events_have_fixtures():
    assert {body["event_type"] for body in EVENTS.values()} == {
        "shipment.created",
        "shipment.picked_up",
        "shipment.in_transit",
        "shipment.at_pickup_point",
        "shipment.delivered",
        "shipment.failed",
        "pickup.scheduled",
        "pickup.completed",
    }


@pytest.mark.parametrize("name", SHIPMENT_EVENTS)
def test_all_data_of_a_shipment_event_is_shown_to_the_merchant(api, credential, name):
    body = EVENTS[name]
    number = body["data"]["tracking_number"]
    book(credential, number, **YEAR_2024)
    assert send_webhook(body, credential).status_code == 200
    (scan,) = api.get(f"/api/v1/shipments/{number}").json()["checkpoints"]
    assert_shows(scan, body, but=("tracking_number", "shipment_id"))


@pytest.mark.parametrize("name", PICKUP_EVENTS)
def test_all_data_of_a_pickup_event_is_shown_to_the_merchant(api, credential, name):
    body = EVENTS[name]
    pickup = schedule_pickup(credential, body["data"]["pickup_id"], **YEAR_2024)
    assert send_webhook(body, credential).status_code == 200
    assert_shows(api.get(f"/api/v1/pickups/{pickup.id}").json(), body, but=("shipment_ids",))


def test_latest_pickup_event_counts_in_any_order_of_arrival(api, credential):
    pickup = schedule_pickup(credential, **YEAR_2024)
    for at, driver in (
        ("2024-01-15T09:00:00Z", "D-1"),
        ("2024-01-15T11:00:00.5Z", "D-3"),
        ("2024-01-15T11:00:00Z", "D-2"),
    ):
        data = {"pickup_id": "PCK-1", "driver": {"id": driver}}
        send_webhook({"event_type": "pickup.scheduled", "timestamp": at, "data": data}, credential)
    done = {"pickup_id": "PCK-1", "completed_at": "2024-01-16T11:30:00Z", "notes": "All there", "shipment_ids": []}
    send_webhook({"event_type": "pickup.completed", "timestamp": "2024-01-16T11:31:00Z", "data": done}, credential)
    events = api.get(f"/api/v1/pickups/{pickup.id}").json()["metadata"]["events"]
    assert events["scheduled"] == {"driver": {"id": "D-3"}, "occurred_at": "2024-01-15T11:00:00.500000Z"}
    assert events["completed"] == {"notes": "All there", "occurred_at": "2024-01-16T11:30:00Z"}


def test_completed_pickup_sets_its_shipments_to_picked_up(credential):
    shipments = [book(credential, f"PKT-000000000{number}", **YEAR_2024) for number in (1, 2)]
    pickup = schedule_pickup(credential, **YEAR_2024)
    body = {
        "event_type": "pickup.completed",
        "timestamp": "2024-01-16T11:30:00Z",
        "data": {
            "pickup_id": "PCK-1",
            "completed_at": "2024-01-16T11:30:00Z",
            "shipment_ids": [shipment.tracking_number for shipment in shipments],
        },
    }
    assert send_webhook(body, credential).status_code == 200
    assert set(Shipment.objects.values_list("status", flat=True)) == {"picked_up"}
    pickup.refresh_from_db()
    assert pickup.state == "completed"


def test_pickup_completed_by_a_wrong_clock_is_completed_at_its_report(credential):
    pickup, at = schedule_pickup(credential), "1970-01-01T00:00:00Z"
    send_webhook({"event_type": "pickup.completed", "timestamp": at, "data": {"pickup_id": "PCK-1"}}, credential)
    pickup.refresh_from_db()
    assert pickup.completed_at >= pickup.created_at


def test_pickup_event_needs_the_credential_of_the_booking(credential, other_credential):
    pickup = schedule_pickup(credential, **YEAR_2024)
    done_at = "2024-01-16T11:30:00Z"
    done = {"pickup_id": "PCK-1", "completed_at": done_at, "shipment_ids": []}
    body = {"event_type": "pickup.completed", "timestamp": done_at, "data": done}
    for signer, secret, state in (
        (other_credential, "other-secret", "scheduled"),
        (credential, "test-secret", "completed"),
    ):
        assert send_webhook(body, signer, secret=secret).status_code == 200
        pickup.refresh_from_db()
        assert pickup.state == state
