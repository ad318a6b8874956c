"""What happened, for the merchant to read: filtered, paged, its own alone, and never what is for operations staff."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.db.tenancy import Tenant, first_id_at
from apikeys.http import actors
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Event, Merchant, Store

pytestmark = pytest.mark.django_db
TOLD, READ, HIDDEN = (
    EventType("thing.told", public=True),
    EventType("thing.read", audit=True),
    EventType("thing.hidden"),
)


@pytest.fixture
def listed(api):
    def ask(**query):
        response = api.get("/api/v1/events", **query)
        assert response.status_code == 200, response.content
        return response.json()["events"]

    return ask


def types(rows):
    return [row["type"] for row in rows]


def test_a_merchant_reads_public_and_audit_events_and_no_internal_ones(listed, tenant):
    for kind in (TOLD, READ, HIDDEN):
        events.record(kind, tenant=tenant)
    assert types(listed()) == ["thing.read", "thing.told"]


def test_another_merchants_and_another_modes_events_are_not_there(listed, merchant):
    other = Merchant.objects.create(name="Other", slug="other")
    for tenant in (Tenant(other.id, "test"), Tenant(merchant.id, "live"), None):
        events.record(READ, tenant=tenant)
    assert listed() == []


def test_types_families_and_subjects_are_filters(listed, tenant):
    subject = uuid.uuid4()
    events.record(READ, tenant=tenant, subject_id=subject)
    events.record(TOLD, tenant=tenant)
    events.record(EventType("other.read", audit=True), tenant=tenant)
    assert types(listed(type="thing.told")) == ["thing.told"]
    assert types(listed(type="thing.*")) == ["thing.told", "thing.read"]
    assert types(listed(type="other.read,thing.read")) == ["other.read", "thing.read"]
    assert types(listed(subject_id=str(subject))) == ["thing.read"]
    assert listed(type="thing") == []


def test_times_are_filters(listed, tenant):
    for hour in (10, 11, 12):
        moment = datetime(2026, 1, 1, hour, tzinfo=UTC)
        Event.objects.create(
            id=uuid.UUID(int=first_id_at(moment).int + 1),
            merchant_id=tenant.merchant_id,
            mode="test",
            type=f"at.{hour}",
            visibility="audit",
            created_at=moment,
        )
    assert types(listed(since="2026-01-01T11:00:00Z")) == ["at.12", "at.11"]
    assert types(listed(until="2026-01-01T11:00:00Z")) == ["at.10"]
    assert types(listed(since="2026-01-01T12:00:00+01:00", until="2026-01-01T13:00:00+01:00")) == ["at.11"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "x"},
        {"cursor": "x"},
        {"subject_id": "x"},
        {"since": "x"},
        {"until": "1"},
    ],
)
def test_bad_input_is_named(api, query):
    refused = api.get("/api/v1/events", **query)
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == query.keys()


def test_pages_join_without_a_gap_while_events_are_added(api, tenant):
    ids = [str(events.record(READ, tenant=tenant).id) for _ in range(7)]
    seen, cursor = [], {}
    while True:
        page = api.get("/api/v1/events", limit=3, **cursor).json()
        seen += [row["id"] for row in page["events"]]
        events.record(READ, tenant=tenant)
        if not page["pagination"]["has_more"]:
            break
        cursor = {"cursor": page["pagination"]["next_cursor"]}
    assert seen == ids[::-1]


def test_an_event_tells_who_and_from_where(listed, tenant):
    with actors.from_address("192.0.2.7"):
        actors.identify("person:1")
        event = events.record(READ, tenant=tenant, data={"n": 1})
    (row,) = listed()
    assert row == {
        "id": str(event.id),
        "type": "thing.read",
        "visibility": "audit",
        "subject_id": None,
        "data": {"n": 1},
        "actor": "person:1",
        "address": "192.0.2.7",
        "correlation_id": "",
        "created_at": event.created_at.isoformat().replace("+00:00", "Z"),
    }


def test_a_key_of_a_store_does_not_read_the_whole_merchants_events(client, merchant, tenant):
    store = Store.objects.create(merchant=merchant, name="Shop", code="shop")
    bound = generate_key("test")
    store_key(Tenant(merchant.id, "test", store.id), bound, name="bound")
    for path in ("events", "usage"):
        assert client.get(f"/api/v1/{path}", headers={"X-API-Key": bound}).status_code == 403


def test_a_page_of_events_is_one_query_besides_the_key(api, tenant, django_assert_num_queries):
    for _ in range(20):
        events.record(READ, tenant=tenant)
    api.get("/api/v1/events")
    with django_assert_num_queries(2):
        api.get("/api/v1/events", type="thing.*", since=(timezone.now() - timedelta(days=1)).isoformat())
