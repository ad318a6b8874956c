"""What a carrier reports is believed when its signature holds, kept whatever it says, and applied once."""

import hashlib
import hmac
import itertools
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone

from apikeys.db.crypto import Ciphertext
from apikeys.db.tenancy import Tenant
from apikeys.models import Merchant
from carriers.credentials import storage
from carriers.models import Credential
from shipping.models import BookingState, Checkpoint, Pickup, Shipment, StatusCode
from webhooks.inbound import service
from webhooks.models import InboundWebhook, UnmatchedNumber

pytestmark = pytest.mark.django_db
NUMBER = "PKT-0000000001"
FIXTURES = Path(__file__).parents[2] / "carriers" / "tests" / "fixtures" / "pickit"


def booked(credential, number=NUMBER, **changes):
    return Shipment.objects.create(
        merchant_id=credential.merchant_id or Merchant.objects.get(slug="acme").id,
        mode="test",
        carrier="pickit",
        credential=credential,
        booking_state=BookingState.BOOKED,
        tracking_number=number,
        reference=f"REF-{uuid.uuid4().hex}",
        **changes,
    )


def scheduled(credential, number="PCK-1"):
    return Pickup.objects.create(
        merchant_id=credential.merchant_id,
        mode="test",
        carrier="pickit",
        credential=credential,
        state="scheduled",
        carrier_pickup_id=number,
        scheduled_date=timezone.now(),
        window_start="10:00",
        window_end="14:00",
        packages_count=2,
    )


def event(name="shipment.in_transit", number=NUMBER, at="2024-01-16T08:00:00Z", **data):
    return {"event_type": name, "timestamp": at, "data": {"tracking_number": number} | data}


def push(body, credential=None, *, secret="test-secret", at=None, path=None, client=None, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    told_at = at or datetime.now(UTC).isoformat()
    signature = hmac.new(secret.encode(), told_at.encode() + b"." + raw, hashlib.sha256).hexdigest()
    path = path or "/webhooks/pickit/events" + (f"/{credential.id}" if credential else "")
    sent = {"X-Pickit-Signature": signature, "X-Pickit-Timestamp": told_at} | headers
    return (client or Client()).post(path, raw, content_type="application/json", headers=sent)


def test_a_signed_event_becomes_a_checkpoint(credential):
    shipment = booked(credential)
    response = push(event(current_location="New York Distribution Center", route="NYC-001"), credential)
    assert response.status_code == 200
    assert response.json() == {"status": "success", "message": "Event processed"}
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"
    checkpoint = Checkpoint.objects.get()
    assert checkpoint.location == "New York Distribution Center"
    assert checkpoint.details["route"] == "NYC-001"


def test_an_event_of_a_code_that_operations_placed_has_its_status(credential):
    shipment = booked(credential)
    push(event("shipment.beamed"), credential)
    assert (Checkpoint.objects.get().status, StatusCode.objects.get().code) == ("unknown", "beamed")
    StatusCode.objects.update(status="out_for_delivery")
    push(event("shipment.beamed", at="2024-01-16T09:00:00Z"), credential)
    shipment.refresh_from_db()
    assert shipment.status == "out_for_delivery"


@pytest.mark.parametrize(
    "forged",
    [
        {"secret": "another-secret"},
        {"at": (datetime.now(UTC) - timedelta(hours=9)).isoformat()},
        {"at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
        {"at": "yesterday"},
        {"X-Pickit-Signature": ""},
        {"X-Pickit-Signature": "ä" * 64},
        {"X-Pickit-Timestamp": ""},
    ],
    ids=["secret", "old", "early", "no time", "no signature", "not ascii", "no timestamp"],
)
def test_what_is_not_signed_well_or_stale_moves_nothing(credential, forged):
    booked(credential)
    response = push(event(), credential, **forged)
    assert response.status_code == 401
    assert response.json()["error"] == "not_authenticated"
    assert not InboundWebhook.objects.exists()
    assert not Checkpoint.objects.exists()


def test_an_event_within_eight_hours_is_taken(credential):
    booked(credential)
    late = (datetime.now(UTC) - timedelta(hours=7, minutes=50)).isoformat()
    assert push(event(), credential, at=late).status_code == 200


def test_the_bare_path_takes_the_platforms_signature_only(credential):
    platform = storage.save_credential(
        tenant=None,
        mode="test",
        carrier="pickit",
        environment="sandbox",
        fields={"client_id": "p", "client_secret": "p-secret", "webhook_secret": "platform-secret"},
    )
    shipment = booked(platform)
    assert push(event()).status_code == 401
    assert push(event(), secret="platform-secret").status_code == 200
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"


def test_an_event_touches_only_shipments_of_the_credential_that_signed_it(credential):
    other = Merchant.objects.create(name="Other", slug="other")
    theirs = storage.save_credential(
        tenant=Tenant(other.id, "test"),
        mode="test",
        carrier="pickit",
        environment="sandbox",
        fields={"client_id": "o", "client_secret": "o-secret", "webhook_secret": "other-secret"},
    )
    shipment = booked(credential)
    assert push(event(), credential, secret="other-secret").status_code == 401
    assert push(event(), theirs, secret="other-secret").status_code == 200
    shipment.refresh_from_db()
    assert shipment.status == ""
    assert not Checkpoint.objects.exists()
    assert InboundWebhook.objects.get().state == "unmatched"


@pytest.mark.parametrize(
    "path", ["/webhooks/nobody/events", f"/webhooks/pickit/events/{'0' * 8}-0000-7000-8000-{'0' * 12}"]
)
def test_unknown_carriers_and_credentials_are_not_found(path):
    assert push(event(), path=path).status_code == 404


def test_a_repetition_is_taken_and_does_nothing(credential):
    booked(credential)
    for _ in range(3):
        assert push(event(), credential).status_code == 200
    assert Checkpoint.objects.count() == 1 == InboundWebhook.objects.count()


@pytest.mark.parametrize(
    "body",
    [b"not json", b"[]", b"\xff\xfe", b"{}", b'{"event_type": "shipment.delivered", "timestamp": "x", "data": {}}'],
)
def test_what_cannot_be_read_is_kept_and_listed_and_can_be_run_again(credential, body):
    assert push(body, credential).status_code == 200
    row = InboundWebhook.objects.get()
    assert row.state == "failed"
    assert row.error
    assert bytes(row.body) == body
    assert service.process(row.id) == "failed"


EVENTS = {path.stem: json.loads(path.read_text()) for path in sorted(FIXTURES.glob("event_*.json"))}
SHIPMENT_EVENTS = [name for name, told in EVENTS.items() if told["event_type"].startswith("shipment.")]
PICKUP_EVENTS = [name for name, told in EVENTS.items() if told["event_type"].startswith("pickup.")]


def assert_shows(shown, told, *, but):
    text = json.dumps(shown, sort_keys=True)
    for name, value in told["data"].items():
        if name not in but:
            assert json.dumps(value, sort_keys=True) in text, name


@pytest.mark.parametrize("name", SHIPMENT_EVENTS)
def test_everything_that_an_event_tells_is_kept_and_shown_to_the_merchant(api, credential, name):
    told = EVENTS[name]
    number = told["data"]["tracking_number"]
    booked(credential, number)
    assert push(told, credential).status_code == 200
    (scan,) = api.get(f"/api/v1/shipments/{number}").json()["checkpoints"]
    assert_shows(scan, told, but=("tracking_number", "shipment_id"))


@pytest.mark.parametrize("name", PICKUP_EVENTS)
def test_everything_that_is_told_of_a_pickup_is_kept_and_shown_to_the_merchant(api, credential, name):
    told = EVENTS[name]
    pickup = scheduled(credential, told["data"]["pickup_id"])
    assert push(told, credential).status_code == 200
    assert_shows(api.get(f"/api/v1/pickups/{pickup.id}").json(), told, but=("shipment_ids",))


def test_the_latest_news_of_a_pickup_stay_in_whatever_order_they_come(api, credential):
    pickup = scheduled(credential)
    for at, driver in (
        ("2024-01-15T09:00:00Z", "D-1"),
        ("2024-01-15T11:00:00.5Z", "D-3"),
        ("2024-01-15T11:00:00Z", "D-2"),
    ):
        data = {"pickup_id": "PCK-1", "driver": {"id": driver}}
        push({"event_type": "pickup.scheduled", "timestamp": at, "data": data}, credential)
    done = {"pickup_id": "PCK-1", "completed_at": "2024-01-16T11:30:00Z", "notes": "All there", "shipment_ids": []}
    push({"event_type": "pickup.completed", "timestamp": "2024-01-16T11:31:00Z", "data": done}, credential)
    told = api.get(f"/api/v1/pickups/{pickup.id}").json()["metadata"]["events"]
    assert told["scheduled"] == {"driver": {"id": "D-3"}, "occurred_at": "2024-01-15T11:00:00.500000Z"}
    assert told["completed"] == {"notes": "All there", "occurred_at": "2024-01-16T11:30:00Z"}


def test_the_eight_events_of_the_document_are_recorded():
    assert {told["event_type"] for told in EVENTS.values()} == {
        "shipment.created",
        "shipment.picked_up",
        "shipment.in_transit",
        "shipment.at_pickup_point",
        "shipment.delivered",
        "shipment.failed",
        "pickup.scheduled",
        "pickup.completed",
    }


def test_an_event_that_comes_before_its_shipment_waits_for_it(credential):
    push(event(), credential)
    assert InboundWebhook.objects.get().state == "unmatched"
    assert service.sweep() == 0
    shipment = booked(credential)
    assert service.sweep() == 1
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"
    assert InboundWebhook.objects.get().state == "processed"
    assert service.sweep() == 0


def test_what_a_killed_process_left_unread_is_read_by_the_worker(credential):
    shipment = booked(credential)
    kept = {"carrier": "pickit", "credential": credential, "body": json.dumps(event()).encode(), "digest": "0" * 64}
    InboundWebhook.objects.create(**kept, received_at=timezone.now() - timedelta(minutes=1))
    assert service.sweep() == 1
    assert shipment.checkpoints.count() == 1


def test_an_unknown_code_is_kept_as_it_came_and_counts_for_nothing(credential):
    shipment = booked(credential)
    push(event(), credential)
    push(event("shipment.abducted", at="2024-01-17T08:00:00Z"), credential)
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"
    assert list(shipment.checkpoints.values_list("code", "status")) == [
        ("in_transit", "in_transit"),
        ("abducted", "unknown"),
    ]


def test_a_completed_pickup_picks_up_each_shipment_that_it_names(credential):
    shipments = [booked(credential, f"PKT-000000000{number}") for number in (1, 2)]
    pickup = scheduled(credential)
    body = {
        "event_type": "pickup.completed",
        "timestamp": "2024-01-16T11:30:00Z",
        "data": {
            "pickup_id": "PCK-1",
            "completed_at": "2024-01-16T11:30:00Z",
            "shipment_ids": [shipment.tracking_number for shipment in shipments],
        },
    }
    assert push(body, credential).status_code == 200
    assert set(Shipment.objects.values_list("status", flat=True)) == {"picked_up"}
    pickup.refresh_from_db()
    assert pickup.state == "completed"


def test_news_of_a_pickup_whose_booking_is_not_stored_yet_wait_for_it(credential):
    done = {"pickup_id": "PCK-1", "completed_at": "2024-01-16T11:30:00Z", "shipment_ids": []}
    push({"event_type": "pickup.completed", "timestamp": "2024-01-16T11:30:00Z", "data": done}, credential)
    assert InboundWebhook.objects.get().state == "unmatched"
    assert service.sweep() == 0
    pickup = scheduled(credential)
    assert service.sweep() == 1
    pickup.refresh_from_db()
    assert (pickup.state, InboundWebhook.objects.get().state) == ("completed", "processed")


HISTORY = [
    event("shipment.created", at="2024-01-15T10:00:00Z"),
    event("shipment.picked_up", at="2024-01-15T14:00:01Z", pickup_time="2024-01-15T14:00:00Z"),
    event("shipment.in_transit", at="2024-01-16T08:00:00Z", current_location="New York"),
    event("shipment.failed", at="2024-01-16T15:00:00Z", failure_reason="CUSTOMER_NOT_AVAILABLE", attempts=1),
    event("shipment.at_pickup_point", at="2024-01-17T10:00:00Z", pickup_code="PICKUP-123456"),
    event("shipment.delivered", at="2024-01-17T14:33:00Z", delivered_at="2024-01-17T14:32:00Z"),
]


def test_every_order_of_six_events_ends_equal(credential):
    ends = set()
    for number, order in enumerate(itertools.islice(itertools.permutations(HISTORY), 0, 720, 37)):
        name = f"PKT-{number:010}"
        shipment = booked(credential, name)
        for one in order:
            push(one | {"data": one["data"] | {"tracking_number": name}}, credential)
        shipment.refresh_from_db()
        timeline = tuple(shipment.checkpoints.order_by("occurred_at").values_list("code", "occurred_at"))
        ends.add((shipment.status, shipment.delivered_at, shipment.location, shipment.checkpoint_count, timeline))
    assert len(ends) == 1
    assert ends.pop()[0] == "delivered"


@pytest.mark.django_db(transaction=True)
def test_parallel_scans_of_one_shipment_end_in_the_right_status(credential):
    shipment = booked(credential)

    def one(body):
        try:
            return push(body, credential, client=Client()).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(one, HISTORY * 2)) == {200}
    while service.sweep():
        pass
    shipment.refresh_from_db()
    assert shipment.status == "delivered"
    assert shipment.checkpoint_count == 6 == shipment.checkpoints.count()


def test_a_pickup_is_moved_only_by_the_credential_that_it_was_booked_with(credential):
    other = Merchant.objects.create(name="Other", slug="other")
    theirs = storage.save_credential(
        tenant=Tenant(other.id, "test"),
        mode="test",
        carrier="pickit",
        environment="sandbox",
        fields={"client_id": "o", "client_secret": "o-secret", "webhook_secret": "other-secret"},
    )
    pickup = scheduled(credential)
    done_at = "2024-01-16T11:30:00Z"
    done = {"pickup_id": "PCK-1", "completed_at": done_at, "shipment_ids": []}
    body = {"event_type": "pickup.completed", "timestamp": done_at, "data": done}
    for account, secret, state in ((theirs, "other-secret", "scheduled"), (credential, "test-secret", "completed")):
        assert push(body, account, secret=secret).status_code == 200
        pickup.refresh_from_db()
        assert pickup.state == state


def test_the_latest_estimate_stands_in_whatever_order_the_events_come(credential):
    told = [
        event("shipment.created", at=f"2024-01-15T1{hour}:00:00Z", estimated_delivery=f"2024-01-2{hour}T15:00:00Z")
        for hour in range(3)
    ]
    told.append(event("shipment.in_transit", at="2024-01-15T15:00:00Z"))
    for number, order in enumerate(itertools.permutations(told)):
        shipment = booked(credential, f"PKT-{number:010}")
        for one in order:
            push(one | {"data": one["data"] | {"tracking_number": shipment.tracking_number}}, credential)
        shipment.refresh_from_db()
        assert shipment.estimated_delivery == datetime(2024, 1, 22, 15, tzinfo=UTC)


@pytest.mark.parametrize("days", [(20, 21), (21, 20)])
def test_of_two_estimates_told_at_one_time_the_later_stands(credential, days):
    shipment = booked(credential)
    for day in days:
        push(event("shipment.created", estimated_delivery=f"2024-01-{day}T15:00:00Z"), credential)
    shipment.refresh_from_db()
    assert shipment.estimated_delivery == datetime(2024, 1, 21, 15, tzinfo=UTC)


def platform(mode, **changes):
    fields = {"client_id": f"platform-{mode}", "client_secret": "test-secret", "webhook_secret": "one-for-both"}
    environment = {"test": "sandbox", "live": "production"}[mode]
    return storage.save_credential(
        tenant=None, mode=mode, carrier="pickit", environment=environment, fields=fields | changes
    )


@pytest.mark.parametrize(("state", "left"), [(BookingState.PENDING, 1), (BookingState.BOOKED, 0)])
def test_the_other_account_of_one_secret_waits_on_while_it_is_buying(merchant, state, left):
    both = {name: platform(name) for name in ("test", "live")}
    booked(both["live"])
    Shipment.objects.update(mode="live")
    bought = booked(both["test"], "PKT-ANOTHER")
    Shipment.objects.filter(id=bought.id).update(booking_state=state)
    push(event(), secret="one-for-both")
    assert UnmatchedNumber.objects.filter(credential=both["test"]).count() == left


def test_a_scan_does_not_wait_for_what_was_ordered_after_it(credential):
    push(event(), credential)
    InboundWebhook.objects.update(received_at=timezone.now() - timedelta(days=3))
    booked(credential)
    assert [service.sweep(), service.sweep()] == [0, 0]


def test_a_scan_does_not_wait_for_a_pickup_of_its_number(credential):
    scheduled(credential, NUMBER)
    push(event(), credential)
    assert [service.sweep(), service.sweep()] == [0, 0]
    booked(credential)
    assert [service.sweep(), service.sweep()] == [1, 0]


def test_a_scan_waits_for_the_purchase_under_way_that_may_have_an_old_shipments_number(credential):
    old = booked(credential, status="in_transit", created_at=timezone.now() - timedelta(days=200))
    new = booked(credential, "", created_at=timezone.now())
    Shipment.objects.filter(id=new.id).update(booking_state=BookingState.PENDING)
    push(event("shipment.delivered"), credential)
    assert InboundWebhook.objects.get().state == "unmatched"
    Shipment.objects.filter(id=old.id).update(carrier="elsewhere")  # a merchant has each number once at a carrier
    Shipment.objects.filter(id=new.id).update(booking_state=BookingState.BOOKED, tracking_number=NUMBER)
    assert service.sweep() == 1
    assert {row.id: row.status for row in Shipment.objects.all()} == {old.id: "in_transit", new.id: "delivered"}


def test_a_scan_of_an_old_shipment_is_its_own_once_the_purchases_of_that_time_are_settled(credential):
    old = booked(credential, created_at=timezone.now() - timedelta(days=200))
    new = booked(credential, "", created_at=timezone.now())
    Shipment.objects.filter(id=new.id).update(booking_state=BookingState.PENDING)
    push(event("shipment.delivered"), credential)
    Shipment.objects.filter(id=new.id).update(booking_state=BookingState.BOOKED, tracking_number="PKT-ANOTHER")
    assert service.sweep() == 1
    old.refresh_from_db()
    assert old.status == "delivered"


def test_a_scan_of_an_old_shipment_does_not_wait_for_purchases_that_were_begun_after_it(credential):
    old = booked(credential, created_at=timezone.now() - timedelta(days=200))
    bought = booked(credential, "", created_at=timezone.now() - timedelta(hours=2))
    Shipment.objects.filter(id=bought.id).update(booking_state=BookingState.PENDING)
    push(event("shipment.delivered"), credential)
    InboundWebhook.objects.update(received_at=timezone.now() - timedelta(hours=1))
    Shipment.objects.filter(id=bought.id).update(booking_state=BookingState.BOOKED, tracking_number="PKT-ANOTHER")
    later = booked(credential, "")
    Shipment.objects.filter(id=later.id).update(booking_state=BookingState.PENDING)
    assert service.sweep() == 1
    old.refresh_from_db()
    assert old.status == "delivered"


def test_a_scan_of_an_old_shipment_is_its_own_after_two_days_whoever_has_not_settled_what(credential):
    old = booked(credential, created_at=timezone.now() - timedelta(days=200))
    new = booked(credential, "", created_at=timezone.now() - timedelta(hours=1))
    Shipment.objects.filter(id=new.id).update(booking_state=BookingState.NEEDS_REVIEW)
    push(event("shipment.delivered"), credential)
    # Nothing came further, so the worker's lane rests before it looks again.
    assert (service.sweep(), InboundWebhook.objects.get().state) == (0, "unmatched")
    with time_machine.travel(timezone.now() + timedelta(days=2), tick=True):
        service.sweep()
    old.refresh_from_db()
    assert old.status == "delivered"


def test_where_one_of_two_accounts_that_may_be_meant_cannot_be_read_the_carrier_repeats(merchant):
    both = {name: platform(name) for name in ("test", "live")}
    sealed = Credential.objects.filter(id=both["live"].id)
    sealed.update(fields=Ciphertext("v1.demo.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
    assert push(event(), secret="one-for-both").status_code == 503
    shipment = booked(both["test"])  # then it is not the other's
    assert push(event(at="2024-01-17T08:00:00Z"), secret="one-for-both").status_code == 200
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"
    storage.delete_credential(both["live"])
    assert push(event(tracking_number="PKT-NOBODYS"), secret="one-for-both").status_code == 200


@pytest.mark.parametrize("mode", ["test", "live"])
def test_one_secret_for_both_modes_reaches_the_shipment_of_either(merchant, mode):
    both = {name: platform(name) for name in ("test", "live")}
    shipment = booked(both[mode])
    Shipment.objects.filter(id=shipment.id).update(mode=mode)
    assert push(event(), secret="one-for-both").status_code == 200
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"


def test_an_account_that_is_switched_off_still_hears_of_what_is_under_way(credential):
    shipment = booked(credential)
    type(credential).objects.update(is_active=False)
    assert push(event(), credential).status_code == 200
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"


def test_what_a_deleted_account_has_sent_before_is_applied_and_nothing_after(credential):
    push(event(), credential)
    shipment = booked(credential)
    storage.delete_credential(credential)
    assert service.sweep() == 1
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"
    assert push(event(at="2024-01-17T08:00:00Z"), credential).status_code == 404


def test_an_event_that_cannot_be_applied_is_listed_after_so_many_tries(credential, monkeypatch):
    push(event(), credential)
    booked(credential, created_at=timezone.now() - timedelta(hours=2))

    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(service.carrier_reports, "store_scans", broken)
    long_ago = timezone.now() - timedelta(hours=1)
    for _ in range(22):
        service.sweep()
        InboundWebhook.objects.update(received_at=long_ago, lease_until=None)
    row = InboundWebhook.objects.get()
    assert (row.state, row.error) == ("failed", "processing failed each time")


def test_an_event_that_is_run_again_moves_whose_number_it_was(credential):
    first = booked(credential)
    push(event(), credential)
    row = InboundWebhook.objects.get()
    InboundWebhook.objects.update(received_at=timezone.now() - timedelta(days=25))
    gone = {"tracking_number": "", "reference": "REF-GONE", "created_at": timezone.now() - timedelta(days=26)}
    Shipment.objects.filter(id=first.id).update(**gone)
    second = booked(credential)
    assert service.process(row.id) == "unmatched"
    second.refresh_from_db()
    assert second.status == ""
    assert service.sweep() == 0


def test_with_one_secret_for_both_modes_nothing_waits_for_what_was_the_other_s(merchant):
    both = {name: platform(name) for name in ("test", "live")}
    booked(both["live"])
    push(event(), secret="one-for-both")
    assert set(InboundWebhook.objects.values_list("state", flat=True)) == {"processed"}
    assert not UnmatchedNumber.objects.exists()
