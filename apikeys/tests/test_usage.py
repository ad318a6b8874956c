"""Usage statistics: exact counts per day, key and credential, without a write in the request."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apikeys.access import usage
from apikeys.db.tenancy import Tenant
from apikeys.models import ApiKey, Event, Merchant, UsageDay

# Counts are per day. With the clock stopped, no day ends during a test.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
Kind = UsageDay.Kind


def test_request_writes_nothing_and_flush_writes_all_counts(api):
    api.get("/api/v1/shipments")
    usage.flush()
    with CaptureQueriesContext(connection) as queries:
        api.get("/api/v1/shipments")
    assert {query["sql"].split()[0] for query in queries} == {"SELECT"}
    for _ in range(4):
        api.get("/api/v1/tracking/UNKNOWN")
    assert ApiKey.objects.get().use_count == 1
    assert usage.flush() == 1
    row = UsageDay.objects.get()
    assert (row.requests, row.failures) == (6, 4)
    assert ApiKey.objects.get().use_count == 6


def test_refused_requests_of_a_key_count_as_failures(api):
    api.post("/api/v1/labels", {})
    usage.flush()
    assert UsageDay.objects.get().failures == 1


def test_counts_of_several_flushes_add_up(tenant, api_key):
    key = ApiKey.objects.get()
    for _ in range(3):
        usage.count(Kind.KEY, key.id, tenant, failed=False)
        usage.flush()
    assert UsageDay.objects.get().requests == ApiKey.objects.get().use_count == 3


@pytest.mark.django_db(transaction=True)
def test_concurrent_threads_lose_no_counts(tenant, api_key):
    key = ApiKey.objects.get()

    def count(number):
        usage.count(Kind.KEY, key.id, tenant, failed=False)
        if number % 40 == 0:
            usage.flush()
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(400)))
    usage.flush()
    assert UsageDay.objects.get().requests == 400


def test_counts_are_kept_after_a_database_error(tenant, api_key, monkeypatch):
    key = ApiKey.objects.get()
    usage.count(Kind.KEY, key.id, tenant, failed=True)
    with monkeypatch.context() as patch:
        patch.setattr(usage, "_write", lambda items: (_ for _ in ()).throw(DatabaseError("gone")))
        assert usage.flush() == 0
    usage.count(Kind.KEY, key.id, tenant, failed=False)
    usage.flush()
    row = UsageDay.objects.get()
    assert (row.requests, row.failures) == (2, 1)


def test_shared_credential_is_counted_per_merchant(tenant, api):
    other = Merchant.objects.create(name="Other", slug="other")
    shared = uuid.uuid4()
    usage.count(Kind.CREDENTIAL, shared, tenant, failed=False)
    usage.count(Kind.CREDENTIAL, shared, Tenant(other.id, "test"), failed=False)
    (day,) = api.get("/api/v1/usage").json()["days"]
    assert [(row["id"], row["requests"]) for row in day["credentials"]] == [(str(shared), 1)]


def test_usage_is_listed_by_day_latest_first(api, tenant):
    today = timezone.now().date()
    key = ApiKey.objects.get()
    for days, requests in ((0, 5), (1, 3), (40, 9)):
        UsageDay.objects.create(
            merchant_id=tenant.merchant_id,
            mode="test",
            kind=Kind.KEY,
            subject_id=key.id,
            day=today - timedelta(days=days),
            requests=requests,
            failures=1,
            last_used_at=timezone.now(),
        )
    days = api.get("/api/v1/usage").json()["days"]
    assert [(day["date"], day["requests"], day["failures"]) for day in days] == [
        (today.isoformat(), 5, 1),
        ((today - timedelta(days=1)).isoformat(), 3, 1),
    ]
    assert days[0]["keys"][0]["id"] == str(key.id)
    old = (today - timedelta(days=40)).isoformat()
    assert [day["date"] for day in api.get("/api/v1/usage", **{"from": old, "to": old}).json()["days"]] == [old]


def test_invalid_input_is_reported_by_field(api):
    reversed_period = {"from": "2026-02-01", "to": "2026-01-01"}
    for query in ({"from": "x"}, {"to": "2026-13-01"}, reversed_period, {"from": "2024-01-01"}):
        refused = api.get("/api/v1/usage", **query)
        assert refused.status_code == 400, query
        assert refused.json()["details"].keys() <= {"from", "to"}


def test_period_may_end_on_the_first_day_of_the_calendar(api):
    for path in ("/api/v1/usage", "/api/v1/analytics/performance"):
        assert api.get(path, to="0001-01-01").status_code == 200, path


def test_daily_use_of_a_key_is_recorded_once(tenant, api_key):
    key = ApiKey.objects.get()
    usage.count(Kind.KEY, key.id, tenant, failed=False)
    usage.flush()
    assert usage.summarise_days() == 0  # the day is not over
    yesterday = timezone.now().date() - timedelta(days=1)
    UsageDay.objects.update(day=yesterday)
    assert usage.summarise_days() == 1
    assert usage.summarise_days() == 0
    (event,) = Event.objects.filter(type="api_key.daily_use")
    assert event.data == {"date": yesterday.isoformat(), "requests": 1, "failures": 0}


def test_request_without_a_key_is_not_counted(client, db):
    Client().get("/api/v1/shipments")
    assert usage.flush() == 0
