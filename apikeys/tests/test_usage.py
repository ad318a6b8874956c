"""Statistics of use: exact, by day, key and credential, and never a write in a request."""

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

# Counts are by day, and none may end meanwhile.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
Kind = UsageDay.Kind


def test_a_request_writes_nothing_and_a_batch_counts_all(api):
    api.get("/api/v1/shipments")
    usage.flush()
    with CaptureQueriesContext(connection) as queries:
        api.get("/api/v1/shipments")
    assert {query["sql"].split()[0] for query in queries} == {"SELECT"}
    for _ in range(4):
        api.get("/api/v1/tracking/NOBODY")
    assert ApiKey.objects.get().use_count == 1
    assert usage.flush() == 1
    row = UsageDay.objects.get()
    assert (row.requests, row.failures) == (6, 4)
    assert ApiKey.objects.get().use_count == 6


def test_refusals_of_a_known_key_count_as_failures(api):
    api.post("/api/v1/labels", {})
    usage.flush()
    assert UsageDay.objects.get().failures == 1


def test_two_processes_add_up(tenant, api_key):
    key = ApiKey.objects.get()
    for _ in range(3):
        usage.count(Kind.KEY, key.id, tenant, failed=False)
        usage.flush()
    assert UsageDay.objects.get().requests == ApiKey.objects.get().use_count == 3


def test_no_count_is_lost_between_threads(tenant, api_key):
    key = ApiKey.objects.get()

    def one(number):
        usage.count(Kind.KEY, key.id, tenant, failed=False)
        if number % 40 == 0:
            usage.flush()
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(400)))
    usage.flush()
    assert UsageDay.objects.get().requests == 400


def test_what_cannot_be_written_is_kept_for_the_next_time(tenant, api_key, monkeypatch):
    key = ApiKey.objects.get()
    usage.count(Kind.KEY, key.id, tenant, failed=True)
    with monkeypatch.context() as patch:
        patch.setattr(usage, "_write", lambda items: (_ for _ in ()).throw(DatabaseError("gone")))
        assert usage.flush() == 0
    usage.count(Kind.KEY, key.id, tenant, failed=False)
    usage.flush()
    row = UsageDay.objects.get()
    assert (row.requests, row.failures) == (2, 1)


def test_a_shared_credential_is_counted_for_each_merchant(tenant, api):
    other = Merchant.objects.create(name="Other", slug="other")
    shared = uuid.uuid4()
    usage.count(Kind.CREDENTIAL, shared, tenant, failed=False)
    usage.count(Kind.CREDENTIAL, shared, Tenant(other.id, "test"), failed=False)
    (day,) = api.get("/api/v1/usage").json()["days"]
    assert [(row["id"], row["requests"]) for row in day["credentials"]] == [(str(shared), 1)]


def test_usage_is_told_by_day_the_latest_first(api, tenant):
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


@pytest.mark.parametrize(
    "query",
    [{"from": "x"}, {"to": "2026-13-01"}, {"from": "2026-02-01", "to": "2026-01-01"}, {"from": "2024-01-01"}],
)
def test_bad_input_is_named(api, query):
    refused = api.get("/api/v1/usage", **query)
    assert refused.status_code == 400
    assert refused.json()["details"].keys() <= {"from", "to"}


@pytest.mark.parametrize("path", ["/api/v1/usage", "/api/v1/analytics/performance"])
def test_before_all_days_there_is_none(api, path):
    assert api.get(path, to="0001-01-01").status_code == 200


def test_each_key_s_day_is_on_record_once(tenant, api_key):
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


def test_a_call_without_a_key_counts_for_nobody(client, db):
    Client().get("/api/v1/shipments")
    assert usage.flush() == 0
