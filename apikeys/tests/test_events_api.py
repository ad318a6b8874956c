"""The list of events: visibility, tenancy, filters and pages."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.db.tenancy import Tenant, first_id_at
from apikeys.http import actors, correlation
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Event, Merchant, Store

pytestmark = pytest.mark.django_db
PUBLIC, AUDIT, INTERNAL = (
    EventType("thing.public", public=True),
    EventType("thing.audit", audit=True),
    EventType("thing.internal"),
)


@pytest.fixture
def listed(api):
    def list_events(**query):
        response = api.get("/api/v1/events", **query)
        assert response.status_code == 200, response.content
        return response.json()["events"]

    return list_events


def types(rows):
    return [row["type"] for row in rows]


def test_merchant_reads_public_and_audit_events_only(listed, tenant):
    for kind in (PUBLIC, AUDIT, INTERNAL):
        events.record(kind, tenant=tenant)
    assert types(listed()) == ["thing.audit", "thing.public"]


def test_events_of_other_merchants_and_modes_are_not_listed(listed, merchant):
    other = Merchant.objects.create(name="Other", slug="other")
    for tenant in (Tenant(other.id, "test"), Tenant(merchant.id, "live"), None):
        events.record(AUDIT, tenant=tenant)
    assert listed() == []


def test_list_is_filtered_by_type_prefix_and_subject(listed, tenant):
    subject = uuid.uuid4()
    events.record(AUDIT, tenant=tenant, subject_id=subject)
    events.record(PUBLIC, tenant=tenant)
    events.record(EventType("other.audit", audit=True), tenant=tenant)
    assert types(listed(type="thing.public")) == ["thing.public"]
    assert types(listed(type="thing.*")) == ["thing.public", "thing.audit"]
    assert types(listed(type="other.audit,thing.audit")) == ["other.audit", "thing.audit"]
    assert types(listed(subject_id=str(subject))) == ["thing.audit"]
    assert listed(type="thing") == []


def test_types_are_refused_if_there_are_none_or_too_many(api):
    for text in ("", ",", " , ", ",".join(f"a.{number}" for number in range(21))):
        for query in ({}, {"after": "0"}):
            refused = api.get("/api/v1/events", type=text, **query)
            assert (refused.status_code, list(refused.json()["details"])) == (400, ["type"]), text
    assert api.get("/api/v1/events", type=",".join(f"a.{number}" for number in range(20))).status_code == 200


def test_list_is_filtered_by_actor_and_correlation_id(listed, tenant):
    with actors.from_address(None), correlation.scope("abc"):
        actors.identify("key:1")
        events.record(AUDIT, tenant=tenant)
    events.record(PUBLIC, tenant=tenant)
    for query in ({"actor": "key:1"}, {"correlation_id": "abc"}):
        assert types(listed(**query)) == ["thing.audit"]
    assert listed(actor="key:2") == []


def test_list_is_filtered_by_time(listed, tenant):
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


def test_invalid_input_is_reported_by_field(api):
    for query in (
        {"limit": 0},
        {"limit": 101},
        {"limit": "x"},
        {"cursor": "x"},
        {"subject_id": "x"},
        {"since": "x"},
        {"until": "1"},
    ):
        refused = api.get("/api/v1/events", **query)
        assert refused.status_code == 400, query
        assert refused.json()["details"].keys() == query.keys()


def test_pages_stay_complete_while_events_are_added(api, tenant):
    ids = [str(events.record(AUDIT, tenant=tenant).id) for _ in range(7)]
    seen, cursor = [], {}
    while True:
        page = api.get("/api/v1/events", limit=3, **cursor).json()
        seen += [row["id"] for row in page["events"]]
        events.record(AUDIT, tenant=tenant)
        if not page["pagination"]["has_more"]:
            break
        cursor = {"cursor": page["pagination"]["next_cursor"]}
    assert seen == ids[::-1]


def test_event_names_actor_and_address(listed, tenant):
    with actors.from_address("192.0.2.7"):
        actors.identify("person:1")
        event = events.record(AUDIT, tenant=tenant, data={"n": 1})
    (row,) = listed()
    assert row == {
        "id": str(event.id),
        "type": "thing.audit",
        "visibility": "audit",
        "subject_id": None,
        "data": {"n": 1},
        "actor": "person:1",
        "address": "192.0.2.7",
        "correlation_id": "",
        "created_at": event.created_at.isoformat().replace("+00:00", "Z"),
    }


def test_key_bound_to_a_store_reads_no_events_or_usage(client, merchant, tenant):
    store = Store.objects.create(merchant=merchant, name="Shop", code="shop")
    bound = generate_key("test")
    store_key(Tenant(merchant.id, "test", store.id), bound, name="bound")
    for path in ("events", "usage"):
        assert client.get(f"/api/v1/{path}", headers={"X-API-Key": bound}).status_code == 403


def test_page_costs_one_query_besides_the_key(api, tenant, django_assert_num_queries):
    for _ in range(20):
        events.record(AUDIT, tenant=tenant)
    api.get("/api/v1/events")
    with django_assert_num_queries(2):
        api.get("/api/v1/events", type="thing.*", since=(timezone.now() - timedelta(days=1)).isoformat())
