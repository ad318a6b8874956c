"""Order of arrival, missing offsets and clock changes never change the time of a scan."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikeys.http.fields import MomentField
from apikeys.models import Event
from carriers.adapters.values import read_time
from carriers.types import Scan, Status
from shipping.checkpoints import carrier_reports
from shipping.checkpoints.fold import CheckpointFacts, sort_checkpoints, summarize
from shipping.models import BookingState, Checkpoint, Shipment

ZONES = {name: ZoneInfo(name) for name in ("Europe/Oslo", "America/Bogota", "America/New_York")}
zones = st.sampled_from(sorted(ZONES)).map(ZONES.get)
# Bogotá put its clocks forward at midnight in 1992, so that day began at one.
FIRST, LAST = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1990, 2040))
walls = st.datetimes(FIRST, LAST)
HOUR = timedelta(hours=1)


def scan(text, status, code=None, zone=UTC, location=""):
    """Return a scan as an adapter reads it."""
    moment, assumed = read_time(text, zone=zone)
    return Scan(
        code=code or status.value,
        status=status,
        occurred_at=moment,
        occurred_text=text,
        tz_assumed=assumed,
        description=status.value,
        location=location,
    )


def booked(tenant, number):
    return Shipment.objects.create(
        merchant_id=tenant.merchant_id,
        mode=tenant.mode,
        carrier="pickit",
        booking_state=BookingState.BOOKED,
        tracking_number=number,
        carrier_shipment_id=f"S-{number}",
        reference=f"WB{number}",
        order_id=number,
        created_at=HISTORY[0].occurred_at,
    )


# Clocks


@given(walls, zones)
def test_time_without_offset_is_never_off_by_a_day(wall, zone):
    moment, assumed = read_time(wall.isoformat(), zone=zone)
    shown = moment.astimezone(zone).replace(tzinfo=None)
    assert assumed
    assert shown.date() == wall.date()
    assert shown - wall in (timedelta(0), HOUR)  # an hour only where the clocks skipped it


@given(st.datetimes(FIRST, LAST, timezones=st.just(UTC)), zones)
def test_time_with_offset_is_exact(instant, zone):
    time_text = instant.astimezone(zone).isoformat()
    assert read_time(time_text) == (instant, False)
    assert MomentField().run_validation(time_text) == (instant, time_text, False)


@pytest.mark.parametrize(
    ("zone", "time_text", "instant"),
    [
        ("Europe/Oslo", "2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),
        ("Europe/Oslo", "2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),  # skipped
        ("Europe/Oslo", "2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
        ("Europe/Oslo", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),  # twice
        ("Europe/Oslo", "2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
        ("America/New_York", "2026-03-08T02:30:00", "2026-03-08T07:30:00Z"),  # skipped
        ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00Z"),  # twice
        ("America/New_York", "2026-12-31T23:59:59", "2027-01-01T04:59:59Z"),
        ("America/Bogota", "1992-05-03T00:30:00", "1992-05-03T05:30:00Z"),  # skipped, at midnight
        ("America/Bogota", "2024-01-15T23:30:00", "2024-01-16T04:30:00Z"),
    ],
)
def test_times_on_days_when_clocks_change(zone, time_text, instant):
    assert read_time(time_text, zone=ZONES[zone]) == (datetime.fromisoformat(instant), True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("time_text", "zone", "assumed"),
    [
        ("2026-10-25T02:30:00", "Europe/Oslo", True),
        ("2026-10-25T02:30:00+01:00", "Europe/Oslo", False),
        ("2024-01-15 23:30:00", "America/Bogota", True),
        ("2026-03-08T02:30:00Z", "America/New_York", False),
    ],
)
def test_carrier_scan_keeps_time_text_and_shows_an_assumed_zone(tenant, api, time_text, zone, assumed):
    shipment = booked(tenant, "PKT-CLOCK")
    carrier_reports.store_scans(shipment.id, [scan(time_text, Status.IN_TRANSIT, zone=ZONES[zone])])
    row = Checkpoint.objects.get()
    assert (row.occurred_text, row.tz_assumed) == (time_text, assumed)
    (shown,) = api.get("/api/v1/tracking/PKT-CLOCK").json()["checkpoints"]
    assert datetime.fromisoformat(shown["timestamp"]) == read_time(time_text, zone=ZONES[zone])[0]
    assert Event.objects.get(type="shipment.checkpoint").data["checkpoint"]["tz_assumed"] is assumed


@pytest.mark.django_db
@pytest.mark.parametrize("way", ["one by one", "as a batch"])
def test_posted_checkpoint_keeps_time_text_in_each_endpoint(api, way):
    times = [
        "2024-01-15T09:00:00",
        "2024-01-15T05:30:00-05:00",
        "2024-01-15T12:00:00+01:00",
        "2024-01-15T12:00:00Z",
    ]
    statuses = ["CREATED", "PICKED_UP", "IN_TRANSIT", "OUT_FOR_DELIVERY"]
    bodies = [
        {"tracking_id": "CLOCK-0001", "status": status, "location": "Oslo", "description": "x", "timestamp": text}
        for status, text in zip(statuses, times, strict=True)
    ]
    if way == "as a batch":
        assert api.post("/api/v1/checkpoints/batch", bodies).status_code == 200
    else:
        assert {api.post("/api/v1/checkpoints", body).status_code for body in bodies} == {201}
    rows = Checkpoint.objects.order_by("occurred_at").values_list("occurred_text", "tz_assumed", "occurred_at")
    assert [row[:2] for row in rows] == list(zip(times, [True, False, False, False], strict=True))
    assert [row[2].hour * 60 + row[2].minute for row in rows] == [540, 630, 660, 720]


# Orders of arrival: delivered to the wrong address, then returned

HISTORY = [
    scan("2024-10-26T09:00:00", Status.CREATED, zone=ZONES["Europe/Oslo"], location="Oslo"),
    scan("2024-10-26T16:00:00", Status.PICKED_UP, zone=ZONES["Europe/Oslo"], location="Oslo"),
    scan("2024-10-27T02:30:00", Status.IN_TRANSIT, zone=ZONES["Europe/Oslo"], location="Hamar"),
    scan("2024-10-27T02:30:00+01:00", Status.OUT_FOR_DELIVERY, location="Lillehammer"),
    scan("2024-10-27T10:00:00", Status.DELIVERED, zone=ZONES["Europe/Oslo"], location="Lillehammer"),
    scan("2024-10-28T08:00:00", Status.RTO, zone=ZONES["Europe/Oslo"], location="Lillehammer"),
    scan("2024-10-30T12:00:00", Status.RETURNED, zone=ZONES["Europe/Oslo"], location="Oslo"),
]
# The same with a second attempt instead of the return leg, and scans at the same time.
DELIVERED = [
    *HISTORY[:4],
    scan("2024-10-27T02:30:00+01:00", Status.EXCEPTION, location="Lillehammer"),
    scan("2024-10-27T09:30:00", Status.UNKNOWN, "zz9", zone=ZONES["Europe/Oslo"]),
    scan("2024-10-27T10:00:00", Status.DELIVERED, zone=ZONES["Europe/Oslo"], location="Lillehammer"),
]
HISTORIES = pytest.mark.parametrize(
    ("history", "status", "delivered_at"),
    [(HISTORY, "returned", None), (DELIVERED, "delivered", datetime(2024, 10, 27, 9, tzinfo=UTC))],
    ids=["returned", "delivered"],
)


def points(scans):
    return [CheckpointFacts(one.occurred_at, one.status.value, one.code, one.location) for one in scans]


@HISTORIES
def test_all_5040_orders_of_seven_scans_give_one_result(history, status, delivered_at):
    orders = list(itertools.permutations(points(history)))
    assert len(orders) == 5040
    assert {tuple(sort_checkpoints(order)) for order in orders} == {tuple(sort_checkpoints(points(history)))}
    (end,) = {summarize(order) for order in orders}
    assert (end.status, end.delivered_at, end.count) == (status, delivered_at, 7)


def shown(api, number):
    """Return the API's view of a unit without the ids of its rows."""
    answer = api.get(f"/api/v1/tracking/{number}").json()
    listed = [{key: value for key, value in one.items() if key != "id"} for one in answer["checkpoints"]]
    return answer | {"tracking_id": "", "checkpoints": listed}


@HISTORIES
@pytest.mark.django_db
def test_order_and_batching_of_scans_do_not_change_the_response(tenant, api, history, status, delivered_at, full_size):
    chosen = random.Random(7).sample(list(itertools.permutations(history)), 500 if full_size else 20)
    seen = []
    for number, order in enumerate(chosen):
        single, batch = booked(tenant, f"PKT-S{number}"), booked(tenant, f"PKT-B{number}")
        assert [carrier_reports.store_scans(single.id, [one]) for one in order] == [1] * 7
        assert carrier_reports.store_scans(batch.id, order) == 7
        assert carrier_reports.store_scans(batch.id, order[::-1]) == 0
        seen += [shown(api, f"PKT-S{number}"), shown(api, f"PKT-B{number}")]
    assert all(one == seen[0] for one in seen)
    assert seen[0]["current_status"] == status.upper()
    time_text = seen[0]["delivery_time"]
    assert (time_text and datetime.fromisoformat(time_text)) == delivered_at
