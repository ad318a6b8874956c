"""Business metrics and carrier performance come from the counts and contain only the caller's data."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant, Store
from carriers.types import Scan, Status
from conftest import ApiClient
from shipping.checkpoints import carrier_reports
from shipping.models import BookingState, Shipment
from shipping.reports import counters
from shipping.tests.test_checkpoints_api import checkpoint

pytestmark = pytest.mark.django_db
WHEN = datetime(2024, 1, 15, 10, tzinfo=UTC)
BUSINESS, PERFORMANCE = "/metrics/business", "/api/v1/analytics/performance"
JANUARY = {"from": "2024-01-01", "to": "2024-01-31"}
NOTHING = {
    "deliveries": 0,
    "promised": 0,
    "on_time": 0,
    "late": 0,
    "on_time_rate": None,
    "avg_transit_days": None,
    "median_transit_days": None,
    "p90_transit_days": None,
}


@pytest.fixture
def booked(tenant):
    """Create a booked shipment: ``booked(number, of=tenant, lane="SE-NO", promised_days=2)``."""

    def make(number, of=tenant, lane="SE-NO", promised_days=None):
        row = Shipment(
            merchant_id=of.merchant_id,
            mode=of.mode,
            store_id=of.store_id,
            carrier="pickit",
            booking_state=BookingState.BOOKED,
            tracking_number=number,
            reference=f"{of.mode}-{number}",
            created_at=WHEN,
            origin={"country": lane[:2]},
            destination={"country": lane[3:]},
        )
        row.estimate(WHEN + timedelta(days=promised_days) if promised_days is not None else None, reported_at=WHEN)
        row.save()
        return row

    return make


def scan(status, days):
    at = WHEN + timedelta(days=days)
    return Scan(code=status, status=Status(status), occurred_at=at, occurred_text=at.isoformat(), description=status)


def delivered(row, days, picked_up=0.0):
    """Report a pickup and a delivery; the shipment was created a day before the pickup."""
    scans = [scan("created", picked_up - 1), scan("picked_up", picked_up), scan("delivered", days)]
    carrier_reports.store_scans(row.id, scans)


def client_of(tenant, client, scopes=("reports:read",)):
    key = generate_key(tenant.mode)
    store_key(tenant, key, name="reports", scopes=list(scopes))
    return ApiClient(client, key)


def test_business_metrics_have_the_documented_shape(api):
    for hour, status in enumerate(["CREATED", "PICKED_UP", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"]):
        api.post("/api/v1/checkpoints", checkpoint(status, hour * 5))
    api.post("/api/v1/checkpoints", checkpoint(tracking_id="UNIT-000002"))
    for path in (BUSINESS, "/api/v1" + BUSINESS, "/api/week3-integrations" + BUSINESS):
        assert api.get(path).json() == {
            "total_units": 2,
            "units_by_status": {
                "CREATED": 1,
                "PICKED_UP": 0,
                "IN_TRANSIT": 0,
                "OUT_FOR_DELIVERY": 0,
                "DELIVERED": 1,
                "EXCEPTION": 0,
            },
            "total_checkpoints": 6,
            "avg_delivery_time": "0.8 days",
        }


def test_figures_are_zero_without_units(api):
    body = api.get(BUSINESS).json()
    assert (body["total_units"], body["total_checkpoints"], body["avg_delivery_time"]) == (0, 0, None)
    assert set(body["units_by_status"].values()) == {0}
    body = api.get(PERFORMANCE).json()
    assert (body["total"], body["carriers"], body["lanes"], body["lanes_total"]) == (NOTHING, [], [], 0)


def test_undocumented_statuses_appear_when_they_occur(api, booked):
    carrier_reports.store_scans(booked("PKT-1").id, [scan("ndr", 1)])
    body = api.get(BUSINESS).json()
    assert body["units_by_status"]["NDR"] == 1
    assert body["total_units"] == sum(body["units_by_status"].values()) == 1


def test_performance_by_carrier_and_route(api, booked):
    # Picked up on the 15th; promised for the 17th.
    for number, days in enumerate((1, 1.5, 2, 2.5, 4)):
        delivered(booked(f"SE-{number}", promised_days=2), days)
    delivered(booked("US-1", lane="US-MX"), 7)
    booked("UNDERWAY", promised_days=2)
    body = api.get(PERFORMANCE, **JANUARY).json()
    northern = {
        "deliveries": 5,
        "promised": 5,
        "on_time": 3,
        "late": 2,
        "on_time_rate": 0.6,
        "avg_transit_days": 2.2,
        "median_transit_days": 2,
        "p90_transit_days": 4,
    }
    western = NOTHING | {"deliveries": 1, "avg_transit_days": 7.0, "median_transit_days": 7, "p90_transit_days": 7}
    assert body["lanes"] == [
        {"carrier": "Pickit", "origin_country": "SE", "destination_country": "NO"} | northern,
        {"carrier": "Pickit", "origin_country": "US", "destination_country": "MX"} | western,
    ]
    both = northern | {"deliveries": 6, "avg_transit_days": 3.0, "p90_transit_days": 7}
    assert body["carriers"] == [{"carrier": "Pickit"} | both]
    assert body["total"] == both
    assert (body["from"], body["to"], body["lanes_total"]) == ("2024-01-01", "2024-01-31", 2)
    assert api.get(PERFORMANCE, **JANUARY, origin_country="us").json()["total"] == western
    assert api.get(PERFORMANCE, **JANUARY, destination_country="NO", carrier="pickit").json()["total"] == northern
    assert api.get(PERFORMANCE, **{"from": "2024-01-19", "to": "2024-01-21"}).json()["total"]["deliveries"] == 1


def test_on_time_is_measured_against_the_first_estimate(api, booked):
    row = booked("PKT-1", promised_days=2)
    moved = (WHEN + timedelta(days=9), WHEN + timedelta(hours=1))
    carrier_reports.store_scans(row.id, [scan("picked_up", 0)], estimates=[moved])
    carrier_reports.store_scans(row.id, [scan("delivered", 5)])
    total = api.get(PERFORMANCE, **JANUARY).json()["total"]
    assert (total["promised"], total["on_time"], total["late"]) == (1, 0, 1)


def test_delivery_that_becomes_a_return_is_subtracted(api, booked):
    row = booked("PKT-1")
    delivered(row, 2)
    assert api.get(PERFORMANCE, **JANUARY).json()["total"]["deliveries"] == 1
    carrier_reports.store_scans(row.id, [scan("rto", 3)])
    assert api.get(PERFORMANCE, **JANUARY).json()["total"] == NOTHING


def test_self_tracked_units_have_no_carrier_and_no_route(api):
    for day, status in enumerate(["CREATED", "PICKED_UP", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"], start=10):
        api.post("/api/v1/checkpoints", checkpoint(status, timestamp=f"2024-01-{day}T09:00:00Z"))
    (lane,) = api.get(PERFORMANCE, **JANUARY).json()["lanes"]
    assert (lane["carrier"], lane["origin_country"], lane["destination_country"]) == (None, None, None)
    assert lane["avg_transit_days"] == 3.0  # from the pickup


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"from": "x"}, {"from"}),
        ({"to": "2024-13-01"}, {"to"}),
        ({"from": "2024-02-01", "to": "2024-01-01"}, {"from"}),
        ({"from": "2022-01-01", "to": "2024-01-01"}, {"from"}),
        ({"carrier": "nobody"}, {"carrier"}),
        ({"origin_country": "Sweden"}, {"origin_country"}),
        ({"destination_country": "1"}, {"destination_country"}),
    ],
)
def test_error_names_the_invalid_filter(api, query, named):
    response = api.get(PERFORMANCE, **query)
    assert (response.status_code, response.json()["error"]) == (400, "validation_error")
    assert response.json()["details"].keys() == named


def test_reports_contain_only_the_callers_data(client, booked, tenant, merchant):
    other = Tenant(Merchant.objects.create(name="Other", slug="other", plan_id="enterprise").id, "test")
    store = Store.objects.create(merchant=merchant, name="North", code="north")
    northern = Tenant(merchant.id, "test", store.id)
    southern = Tenant(merchant.id, "test", Store.objects.create(merchant=merchant, name="South", code="south").id)
    delivered(booked("PKT-1"), 2)
    delivered(booked("PKT-2", northern), 2)
    for caller, count in ((tenant, 2), (northern, 1), (southern, 0), (other, 0), (Tenant(merchant.id, "live"), 0)):
        ask = client_of(caller, client)
        assert ask.get(BUSINESS).json()["total_units"] == count
        assert ask.get(BUSINESS).json()["total_checkpoints"] == 3 * count
        assert ask.get(PERFORMANCE, **JANUARY).json()["total"]["deliveries"] == count


def test_key_without_scope_is_refused(client, tenant):
    ask = client_of(tenant, client, ["shipments:read", "tracking:read"])
    for path in (BUSINESS, PERFORMANCE):
        assert ask.get(path).json()["details"] == {"scope": ["reports:read"]}
    assert client.get(BUSINESS).status_code == 401


def test_reports_read_no_shipments_and_summing_up_changes_none(api, booked):
    for number in range(4):
        delivered(booked(f"PKT-{number}", promised_days=2), number)
    paths = ((BUSINESS, {}), (PERFORMANCE, JANUARY))
    before = [api.get(path, **query).json() for path, query in paths]
    counters.fold()
    with CaptureQueriesContext(connection) as captured:
        assert [api.get(path, **query).json() for path, query in paths] == before
    assert len(captured) == 4  # the key and the figures, twice
    assert not any("shipping_shipment" in one["sql"] or "shipping_checkpoint" in one["sql"] for one in captured)
