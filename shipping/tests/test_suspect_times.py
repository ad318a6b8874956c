"""A time that cannot be right decides no status, no delivery time and no figure."""

import importlib
import itertools
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from apikeys.db.triggers import dropped
from apikeys.models import Event
from carriers.adapters.records import Record
from carriers.types import Cancellation, ProofOfDelivery, Scan, Status, Track, is_suspect_time
from shipping.checkpoints import carrier_reports
from shipping.checkpoints.merging import make_location_key
from shipping.models import FROZEN_CHECKPOINTS, Checkpoint, Shipment
from shipping.reports import counters
from shipping.tests.labels import buy
from shipping.tests.test_checkpoints_api import checkpoint
from shipping.tests.test_clocks import booked as book

pytestmark = pytest.mark.django_db
START = datetime(2024, 10, 27, 9, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def scan(status, at):
    return Scan(code=status.value, status=status, occurred_at=at, occurred_text=at.isoformat(), location="Oslo")


def read(api, number):
    history = api.get(f"/api/v1/tracking/{number}").json()
    return history["current_status"], history["delivery_time"], history["updated_at"]


def test_suspect_scan_is_shown_and_decides_nothing_in_any_order(tenant, api):
    received = START + timedelta(hours=1)
    scans = [scan(Status.PICKED_UP, START), scan(Status.IN_TRANSIT, received + timedelta(hours=47))]
    wrong = [
        scan(Status.DELIVERED, EPOCH),
        scan(Status.DELIVERED, received + timedelta(hours=49)),
        scan(Status.LOST, datetime(2036, 1, 1, tzinfo=UTC)),
        scan(Status.CANCELLED, START - timedelta(days=63)),
    ]
    for number, order in enumerate(itertools.islice(itertools.permutations(scans + wrong), 0, 720, 97)):
        name = f"PKT-W{number}"
        shipment = book(tenant, name)
        for one in order:
            carrier_reports.store_scans(shipment.id, [one], received_at=received)
        last = scans[1].occurred_at.isoformat().replace("+00:00", "Z")
        assert read(api, name) == ("IN_TRANSIT", None, last)
        shown = api.get(f"/api/v1/shipments/{shipment.id}").json()
        assert sum(one["suspect_time"] for one in shown["checkpoints"]) == 4
        assert shown["delivered_at"] is None
    events = Event.objects.filter(type="shipment.checkpoint", subject_id=shipment.id)
    assert sum(one.data["checkpoint"]["suspect_time"] for one in events) == 4
    body = api.get("/metrics/business").json()
    assert (body["avg_delivery_time"], body["units_by_status"]["DELIVERED"]) == (None, 0)
    assert not any(counters.differences().values())


def test_limits_of_times_belong_to_the_possible_ones():
    second, early = timedelta(seconds=1), datetime(2000, 1, 1, tzinfo=UTC)
    limits = [(START + timedelta(hours=48), START, 1), (START - timedelta(days=60), START, -1), (early, early, -1)]
    for moment, booked_at, outwards in limits:
        times = {"booked_at": booked_at, "received_at": START}
        assert not is_suspect_time(moment, **times)
        assert is_suspect_time(moment + outwards * second, **times)


def test_shipment_with_suspect_scans_only_is_unknown_and_has_a_history(tenant, api):
    shipment = book(tenant, "PKT-NONE")
    carrier_reports.store_scans(shipment.id, [scan(Status.DELIVERED, EPOCH)])
    status, delivery_time, updated_at = read(api, "PKT-NONE")
    assert (status, delivery_time) == ("UNKNOWN", None)
    assert datetime.fromisoformat(updated_at) == shipment.created_at


def test_estimate_that_cannot_be_right_is_ignored(tenant):
    shipment = book(tenant, "PKT-EST")
    good, now = START + timedelta(days=3), START + timedelta(hours=1)
    for estimate in (EPOCH, good, datetime(9999, 12, 31, tzinfo=UTC), START - timedelta(days=99)):
        track = Track(tracking_number="PKT-EST", scans=(), estimated_delivery=estimate)
        carrier_reports.store_track(shipment, track, asked_at=now)
        now += timedelta(minutes=1)
    ahead = (good + timedelta(days=1), datetime(2036, 1, 1, tzinfo=UTC))  # estimated by a wrong clock
    carrier_reports.store_scans(shipment.id, [], estimates=[ahead], received_at=now)
    shipment.refresh_from_db()
    assert shipment.estimated_delivery == shipment.promised_delivery == good
    for text in ("1970-01-01T00:00:00Z", "0001-01-01", "9999-12-31T23:59:59Z", "0000000000"):
        assert Record({"at": text}).lenient(Record.time, "at", None) is None


def test_posted_time_before_2000_is_refused_in_each_endpoint(api):
    for text in ("1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1999-12-31T23:59:59Z"):
        body = checkpoint(timestamp=text)
        refused = api.post("/api/v1/checkpoints", body)
        assert (refused.status_code, list(refused.json()["details"])) == (400, ["timestamp"])
        (item,) = api.post("/api/v1/checkpoints/batch", [body]).json()["results"]  # an import stores batches too
        assert (item["result"], list(item["error"]["details"])) == ("refused", ["timestamp"])
    assert not Shipment.objects.exists()
    assert api.post("/api/v1/checkpoints", checkpoint(timestamp="2000-01-01T00:00:00Z")).status_code == 201


def test_delivery_after_rto_is_a_return_in_every_order(tenant, api):
    history = [
        scan(Status.OUT_FOR_DELIVERY, START),
        scan(Status.RTO, START + timedelta(hours=1)),
        scan(Status.IN_TRANSIT, START + timedelta(hours=2)),
        scan(Status.DELIVERED, START + timedelta(hours=3)),
    ]
    for number, order in enumerate(itertools.permutations(history)):
        shipment = book(tenant, f"PKT-R{number}")
        Shipment.objects.filter(id=shipment.id).update(estimated_delivery=START + timedelta(days=2))
        for one in order:
            carrier_reports.store_scans(shipment.id, [one])
        assert read(api, f"PKT-R{number}")[:2] == ("RETURNED", None)
        shown = api.get(f"/api/v1/shipments/{shipment.id}").json()
        assert [one["status"] for one in shown["checkpoints"]][-1] == shown["status"] == "returned"
        assert shown["delivered_at"] is None
        last = Event.objects.filter(subject_id=shipment.id).latest("id").data
        assert (last["status"], last["delivered_at"]) == ("returned", None)
    for unit in api.get("/api/v1/shipments").json()["units"]:
        assert (unit["status"], unit["delivery_time"]) == ("RETURNED", None)
    days = {"from": "2024-10-01", "to": "2024-10-31"}
    assert api.get("/api/v1/analytics/performance", **days).json()["total"]["deliveries"] == 0
    body = api.get("/metrics/business").json()
    assert (body["units_by_status"]["RETURNED"], body["avg_delivery_time"]) == (number + 1, None)
    assert not any(counters.differences().values())


@pytest.mark.usefixtures("credential", "sandbox")
def test_wrong_clock_of_an_answer_delays_neither_booking_nor_cancellation(api, order, monkeypatch):
    label = buy(api, order).json()
    adapter = "carriers.adapters.pickit.PickitAdapter"
    answer = Cancellation(tracking_number=label["tracking_number"], cancelled_at=EPOCH)
    monkeypatch.setattr(f"{adapter}.cancel", lambda *args: answer)
    proof = ProofOfDelivery(tracking_number=label["tracking_number"], delivered_at=EPOCH)
    monkeypatch.setattr(f"{adapter}.proof_of_delivery", lambda *args: proof)
    path = f"/api/v1/shipments/{label['shipment_id']}"
    assert api.get(f"{path}/proof-of-delivery").json()["proof_of_delivery"]["delivered_at"] is None
    cancelled = api.post(f"{path}/cancel", {}).json()["cancellation"]
    assert timezone.now() - datetime.fromisoformat(cancelled["cancelled_at"]) < timedelta(hours=1)
    assert api.get(path).json()["status"] == "cancelled"
    assert not Checkpoint.objects.filter(suspect_time=True).exists()


@pytest.mark.usefixtures("credential", "sandbox")
def test_shipment_with_a_suspect_cancellation_can_be_cancelled(api, order):
    label = buy(api, order).json()
    carrier_reports.store_scans(label["shipment_id"], [scan(Status.CANCELLED, EPOCH)])
    path = f"/api/v1/shipments/{label['shipment_id']}"
    assert api.get(path).json()["status"] == "created"
    cancelled = api.post(f"{path}/cancel", {}).json()["cancellation"]
    assert timezone.now() - datetime.fromisoformat(cancelled["cancelled_at"]) < timedelta(hours=1)
    assert api.get(path).json()["status"] == "cancelled"


def test_locations_are_compared_by_letters_and_digits():
    for one, other in [("Bogotá, D.C.", " BOGOTA  d c "), ("Łódź", "łódz"), ("ＴＯＫＹＯ 1", "tokyo-1"), ("", "—")]:
        assert make_location_key(one) == make_location_key(other)
    assert make_location_key("Oslo 1") != make_location_key("Oslo 2")
    assert len(make_location_key("ﷺ" * 200)) <= 100


def test_migration_marks_stored_times_and_decides_their_shipments_again(tenant):
    def store(name, status, *scans):
        shipment = book(tenant, name)
        owner = {"shipment": shipment, "merchant_id": tenant.merchant_id, "mode": tenant.mode, "source": "carrier"}
        for each, at in scans:
            Checkpoint.objects.create(**owner, status=each, code=each, occurred_at=at)
        Shipment.objects.filter(id=shipment.id).update(status=status, delivered_at=START, estimated_delivery=EPOCH)

    ahead = timezone.now() + timedelta(days=3650)
    store("PKT-AHEAD", "lost", ("picked_up", START), ("lost", ahead))
    store("PKT-EPOCH", "delivered", ("in_transit", START), ("delivered", EPOCH))
    store("PKT-RTO", "delivered", ("rto", START), ("delivered", START + timedelta(hours=1)))
    store("PKT-GOOD", "delivered", ("delivered", START))
    migration = importlib.import_module("shipping.migrations.0028_suspect_times")
    with dropped(connection, FROZEN_CHECKPOINTS):
        migration.mark(apps, SimpleNamespace(connection=connection))
    found = {
        row.tracking_number: (row.status, row.delivered_at, row.poll_at is not None) for row in Shipment.objects.all()
    }
    assert found == {
        "PKT-AHEAD": ("picked_up", None, True),
        "PKT-EPOCH": ("in_transit", None, True),
        "PKT-RTO": ("returned", None, False),
        "PKT-GOOD": ("delivered", START, False),
    }
    assert Checkpoint.objects.filter(suspect_time=True).count() == 2
    assert not Shipment.objects.filter(estimated_delivery__isnull=False).exists()
    assert not any(counters.differences().values())
