"""The merchant's call log, and figures of carriers that are computed from it."""

import json
import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apikeys.db.tenancy import Tenant, first_id_at
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant, Store
from carriers.api import figures
from carriers.http.masking import mask_body
from carriers.models import CarrierCall

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def log(merchant):
    """A function that logs a call, some time ago."""

    def log_call(ago=timedelta(0), **changes):
        at = timezone.now() - ago
        values = {"merchant_id": merchant.id, "mode": "test", "carrier": "pickit", "operation": "quote"}
        values |= {"method": "POST", "url": "https://example.com/quote", "outcome": "ok", "status": 200}
        row_id = uuid.UUID(int=first_id_at(at).int + uuid.uuid4().int % 2**70)
        return CarrierCall.objects.create(**(values | {"id": row_id, "created_at": at, "duration_ms": 5} | changes))

    return log_call


def listed(api, **query):
    response = api.get("/api/v1/carrier-calls", **query)
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["carrier_calls"]]


def test_call_is_shown_with_masked_request_and_response(api, credential, sandbox, order):
    assert api.post("/api/v1/quotes", order).status_code == 200
    rows = api.get("/api/v1/carrier-calls", operation="quote").json()["carrier_calls"]
    assert len(rows) == 1
    row = rows[0]
    assert (row["carrier"], row["method"], row["status"], row["outcome"], row["attempt"]) == (
        "Pickit", "POST", 200, "ok", 1,
    )  # fmt: skip
    assert (row["credential_id"], row["error"]) == (str(credential.id), "")
    assert row["response_time_ms"] >= 0
    assert row["request"]["destination"]["city"] == "Manhattan"
    assert row["response"] and isinstance(row["response"], dict)
    everything = api.get("/api/v1/carrier-calls").content.decode()
    assert not [text for text in ("test-secret", "Jane Smith", "789 Customer St", "jane.smith@") if text in everything]
    assert api.get(f"/api/v1/carrier-calls/{row['id']}").json() == row


def test_body_of_any_json_is_shown(api, log):
    """One body must not cost the list: numbers of labels have more than 64 bits."""
    long, deep = "9261290995234560000001234567", "[" * 300 + "]" * 300
    for body in (f'{{"barcode": {long}}}', deep, '{"a": NaN, "b": 1e999}'):
        log(response_body=mask_body(body.encode()))
    response = api.get("/api/v1/carrier-calls")
    assert response.status_code == 200
    shown = [row["response"] for row in response.json()["carrier_calls"]]
    assert {"barcode": int(long)} in shown and json.loads(deep) in shown and {"a": None, "b": None} in shown


def test_each_filter_selects_and_uses_an_index(api, log, merchant):
    shipment, now = uuid.uuid4(), timezone.now()
    other = Merchant.objects.create(name="Other", slug="other")
    log(merchant_id=other.id)
    log(mode="live")
    failed = log(
        2 * DAY,
        carrier="velocity",
        operation="track",
        outcome="failed",
        status=503,
        subject_id=shipment,
        correlation_id="abc",
        response_body="<12 bytes, not readable as JSON>",
    )
    usual = [log(timedelta(hours=1)) for _ in range(3)]
    for query in (
        {"carrier": "Velocity Shipfast"},
        {"operation": "track"},
        {"outcome": "failed"},
        {"status": "503"},
        {"shipment_id": str(shipment)},
        {"correlation_id": "abc"},
        {"until": (now - DAY).isoformat()},
        {"carrier": "velocity", "status": "503", "since": (now - 3 * DAY).isoformat()},
    ):
        with CaptureQueriesContext(connection) as captured:
            assert listed(api, **query) == [str(failed.id)], query
        (statement,) = (one["sql"] for one in captured if "carriers_carriercall" in one["sql"])
        assert reads_by_index(statement), statement
    assert sorted(listed(api, since=(now - DAY).isoformat())) == sorted(str(row.id) for row in usual)
    assert api.get(f"/api/v1/carrier-calls/{failed.id}").json()["response"] == "<12 bytes, not readable as JSON>"
    for query in ({"outcome": "good"}, {"carrier": "x"}, {"status": "1"}, {"shipment_id": "1"}, {"since": "x"}):
        refused = api.get("/api/v1/carrier-calls", **query)
        assert (refused.status_code, refused.json()["details"].keys()) == (400, query.keys())


def reads_by_index(statement):
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
            plan = " ".join(row[3] for row in cursor.fetchall())
            return "SEARCH" in plan and "SCAN carriers_carriercall" not in plan
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement}")
        plan = " ".join(line for (line,) in cursor.fetchall())
        return "Seq Scan" not in plan and "Index Cond" in plan


def test_pages_follow_the_cursor(api, log):
    rows = [str(log(timedelta(minutes=number)).id) for number in range(5)]
    first = api.get("/api/v1/carrier-calls", limit=2).json()
    assert [row["id"] for row in first["carrier_calls"]] == rows[:2]
    assert listed(api, limit=3, cursor=first["pagination"]["next_cursor"]) == rows[2:]


def test_key_of_a_store_does_not_read_the_call_log(client, merchant):
    store, key = Store.objects.create(merchant=merchant, name="Shop", code="shop"), generate_key("test")
    store_key(Tenant(merchant.id, "test", store.id), key, name="bound")
    assert client.get("/api/v1/carrier-calls", headers={"X-API-Key": key}).status_code == 403


def health(api, carrier="pickit"):
    cache.clear()
    return api.get(f"/api/v1/carriers/{carrier}").json()["health"]


def test_latency_and_availability_are_of_the_merchants_calls(api, log, merchant):
    assert (health(api)["latency_p95_ms"], health(api)["availability"]) == (None, None)
    for number in range(1, 21):
        log(timedelta(hours=number), duration_ms=number)
    log(duration_ms=1_000, outcome="timeout", status=None)  # not answered: no latency
    log(2 * DAY, duration_ms=1_000, outcome="refused", status=400)
    log(20 * DAY, outcome="failed", status=500)
    log(31 * DAY, outcome="failed", status=500)
    log(duration_ms=9_000, merchant_id=Merchant.objects.create(name="Other", slug="other").id)
    log(duration_ms=9_000, mode="live")
    log(duration_ms=9_000, carrier="velocity")
    shown = health(api)
    assert (shown["latency_p95_ms"], shown["availability"]) == (19, round(21 / 23, 5))
    assert health(api, "velocity")["latency_p95_ms"] == 9_000


def test_figures_read_a_bounded_number_of_calls_by_index(log, tenant, monkeypatch):
    monkeypatch.setattr(figures, "MAX_LATENCIES", 2)
    monkeypatch.setattr(figures, "MAX_CALLS", 3)
    for number in range(4):
        log(timedelta(minutes=number), duration_ms=number, outcome="failed" if number == 3 else "ok")
    with CaptureQueriesContext(connection) as captured:
        assert figures.of_tenant(tenant, ["pickit"])["pickit"] == figures.Figures(1, 1.0)
        assert figures.of_all()["pickit", "test"] == figures.Figures(1, 1.0)
        figures.of_tenant(tenant, ["pickit"])
    assert len(captured) == 4
    assert all(reads_by_index(query["sql"]) for query in captured)


def test_kept_figures_are_of_one_merchant_and_mode(log, tenant, merchant):
    log(duration_ms=7)
    other = Merchant.objects.create(name="Other", slug="other")
    for reader, latency in ((tenant, 7), (Tenant(other.id, "test"), None), (Tenant(merchant.id, "live"), None)):
        assert figures.of_tenant(reader, ["pickit"])["pickit"].latency_p95_ms == latency


def test_metrics_have_the_figures_of_all_calls(client, log, settings):
    settings.METRICS_ADDRESSES = ["127.0.0.1"]
    log(duration_ms=1500)
    log(mode="live", outcome="timeout", status=None, merchant_id=None)
    text = client.get("/metrics").content.decode()
    assert 'waybill_carrier_latency_p95_seconds{carrier="pickit",mode="test"} 1.5' in text
    assert 'waybill_carrier_availability_ratio{carrier="pickit",mode="live"} 0.0' in text
    assert 'carrier="velocity",mode="live"' not in text
