"""A scan that a webhook and polling report is one checkpoint with the data of both, in every order of arrival."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apikeys.models import Event
from carriers.adapters.pickit import read
from carriers.adapters.records import Record
from carriers.types import Scan, Status, Track
from shipping.checkpoints import carrier_reports
from shipping.models import Checkpoint, CheckpointReport, StatusCode
from shipping.reports import counters
from webhooks.tests.helpers import book, event, send_webhook

pytestmark = pytest.mark.django_db
BOOKED = datetime(2024, 1, 15, 9, tzinfo=UTC)
# The same locations as a webhook and as polling write them.
PLACES = [("Bogotá, Centro", "BOGOTA  CENTRO"), ("Medellín", "medellin"), ("", "Cali")]
# Code, time of the scan. Each may be reported at several locations in one second; two have a wrong clock.
SCANS = [
    ("picked_up", BOOKED),
    ("in_transit", BOOKED + timedelta(hours=1)),
    ("rto", BOOKED + timedelta(hours=2)),
    ("delivered", BOOKED + timedelta(hours=3)),
    ("in_transit", datetime(2096, 1, 1, tzinfo=UTC)),
    ("delivered", datetime(1970, 1, 1, tzinfo=UTC)),
]
reports = st.tuples(st.sampled_from(SCANS), st.sampled_from(PLACES), st.sampled_from(["webhook", "poll"]))
histories = st.lists(reports, min_size=1, max_size=9)


@pytest.fixture
def rto(db):
    StatusCode.objects.create(carrier="pickit", code="rto", status="rto")


def report(shipment, credential, scan, place, source):
    """Let a source report a scan, as it arrives from Pickit."""
    (code, at), location = scan, place[source == "poll"]
    if source == "webhook":
        extra = {"pickup_time": at.isoformat(), "delivered_at": at.isoformat()}
        kind, data = f"shipment.{code}", {"location": location, "driver": f"D-{location}"} | extra
        assert (
            send_webhook(event(kind, shipment.tracking_number, at.isoformat(), **data), credential).status_code == 200
        )
        return
    details = {"vehicle": f"V-{location}", "driver": ""} if location else {"vehicle": "V"}
    row = {"status": code, "timestamp": at.isoformat(), "location": location, "details": details}
    track = read.track(Record({"events": [row]}), shipment.tracking_number)
    carrier_reports.store_track(shipment, track, asked_at=BOOKED + timedelta(days=1))


def show(api, shipment):
    """Return what the API shows of a shipment, without ids and numbers."""
    history = api.get(f"/api/v1/tracking/{shipment.tracking_number}").json()
    points = [{key: value for key, value in one.items() if key != "id"} for one in history["checkpoints"]]
    details = api.get(f"/api/v1/shipments/{shipment.id}").json()
    unit = {name: details[name] for name in ("status", "delivered_at", "checkpoints")}
    return history | {"checkpoints": points, "tracking_id": ""} | unit


@settings(max_examples=12, suppress_health_check=list(HealthCheck), derandomize=True)
@given(histories.flatmap(lambda items: st.tuples(st.just(items), st.permutations([*items, *items[:3]]))))
def test_every_order_of_arrival_from_two_sources_shows_the_same(rto, api, credential, pair):
    seen = []
    for order in pair:
        shipment = book(credential, f"PKT-{Checkpoint.objects.count():06}{len(seen)}", created_at=BOOKED)
        for one in order:
            report(shipment, credential, *one)
        seen.append(show(api, shipment))
    assert seen[0] == seen[1]
    expected = 0
    for scan in set(SCANS):
        places = {
            source: {place for one, place, by in pair[0] if (one, by) == (scan, source)}
            for source in ("webhook", "poll")
        }
        expected += max(len(found) for found in places.values())
    assert seen[0]["total_checkpoints"] == len(seen[0]["checkpoints"]) == expected
    codes = {code for (code, at), _place, _source in pair[0] if 2000 < at.year < 2090}
    assert seen[0]["status"] == next(
        status
        for status, needed in [
            ("returned", {"rto", "delivered"}),
            ("delivered", {"delivered"}),
            *((code, {code}) for code in ("rto", "in_transit", "picked_up")),
            ("unknown", set()),
        ]
        if needed <= codes
    )
    assert (seen[0]["delivery_time"] is None) == (seen[0]["status"] != "delivered")
    assert not any(counters.differences().values())


def test_report_takes_few_statements(credential):
    shipment = book(credential, created_at=BOOKED)

    def statements(source):
        with CaptureQueriesContext(connection) as captured:
            if source == "webhook":
                carrier_reports.store_scans(shipment.id, [scan], received_at=BOOKED)
            else:
                carrier_reports.store_track(shipment, Track(tracking_number="", scans=(scan,)), asked_at=BOOKED)
        return [one["sql"].split()[0] for one in captured if one["sql"].split()[0] in ("SELECT", "INSERT", "UPDATE")]

    scan = Scan(code="x", status=Status.IN_TRANSIT, occurred_at=BOOKED, occurred_text="x", location="Oslo")
    assert statements("webhook") == ["SELECT", "SELECT", "INSERT", "UPDATE", "INSERT"]  # the last are the events
    assert statements("webhook") == ["SELECT", "SELECT"]
    assert statements("poll") == ["SELECT", "SELECT", "INSERT"]


def test_checkpoint_of_version_1_is_the_scan_at_its_location(api, credential):
    shipment = book(credential, created_at=BOOKED)
    owner = {"shipment": shipment, "merchant_id": shipment.merchant_id, "mode": "test", "source": "carrier"}
    scan = {"status": "in_transit", "code": "in_transit", "occurred_at": BOOKED, "location": "Medellín"}
    Checkpoint.objects.create(**owner, **scan, details={"route": "R1"})
    for place in PLACES[:2]:
        report(shipment, credential, ("in_transit", BOOKED), place, "poll")
    points = api.get(f"/api/v1/tracking/{shipment.tracking_number}").json()["checkpoints"]
    shown = {one["location"]: one["details"].get("route") for one in points}
    assert shown == {"BOGOTA  CENTRO": None, "medellin": "R1"}


def test_second_source_completes_a_scan_and_one_location_more_is_another_scan(api, credential):
    shipment = book(credential, created_at=BOOKED)
    scan = ("in_transit", BOOKED)
    for source, place in [("poll", PLACES[0]), ("webhook", PLACES[0]), ("webhook", PLACES[0]), ("webhook", PLACES[1])]:
        report(shipment, credential, scan, place, source)
    first, second = api.get(f"/api/v1/tracking/{shipment.tracking_number}").json()["checkpoints"]
    assert first["location"] == "BOGOTA  CENTRO"
    assert first["details"]["vehicle"] == "V-BOGOTA  CENTRO"
    assert first["details"]["driver"] == "D-Bogotá, Centro"  # polling reports an empty one
    assert (first["details"]["pickup_time"], second["location"]) == (BOOKED.isoformat(), "Medellín")
    assert (Checkpoint.objects.count(), CheckpointReport.objects.count()) == (2, 1)
    assert Event.objects.filter(type="shipment.checkpoint").count() == 2
    report(shipment, credential, scan, PLACES[1], "poll")
    shipment.refresh_from_db()
    assert (shipment.checkpoint_count, CheckpointReport.objects.count()) == (2, 2)
