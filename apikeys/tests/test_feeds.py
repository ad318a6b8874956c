"""Feeds of events: order, cursors, transactions that commit late, filters and access."""

import threading
import time
import uuid

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apikeys.audit import events, feeds
from apikeys.audit.events import EventType
from apikeys.db import positions
from apikeys.db.tenancy import Tenant, new_id
from apikeys.db.triggers import dropped
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import APPEND_ONLY_EVENTS, Event, Merchant
from apikeys.models.scopes import AUDIT_EXPORT, OF_KEYS, OF_ROLES

pytestmark = pytest.mark.django_db
PUBLIC, AUDIT, INTERNAL = (
    EventType("feed.public", public=True),
    EventType("feed.audit", audit=True),
    EventType("feed.internal"),
)


@pytest.fixture
def platform_key(merchant):
    """A live key of the platform's operator."""
    key = generate_key("live")
    store_key(Tenant(merchant.id, "live"), key, name="SIEM", scopes=[AUDIT_EXPORT])
    return key


@pytest.fixture
def exported(client, platform_key):
    def read(**query):
        response = client.get("/api/v1/audit-events", query, headers={"X-API-Key": platform_key})
        assert response.status_code == 200, response.content
        return response.json()

    return read


@pytest.fixture(autouse=True)
def _settled(request):
    """On PostgreSQL a feed waits for running transactions; let a test's own transaction come before those."""
    if connection.vendor == "postgresql" and "transaction" not in request.node.get_closest_marker("django_db").kwargs:
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE OR REPLACE FUNCTION waybill_position() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 1::bigint'"
            )


def read_all(api, **query):
    """Follow a merchant's feed to its end; return the ids."""
    seen, after = [], "0"
    while True:
        page = api.get("/api/v1/events", after=after, limit=3, **query).json()
        seen += [row["id"] for row in page["events"]]
        after = page["pagination"]["next_after"]
        if not page["pagination"]["has_more"]:
            return seen, after


def test_feed_is_oldest_first_and_continues_after_its_end(api, tenant):
    ids = [str(events.record(kind, tenant=tenant).id) for kind in (AUDIT, PUBLIC, INTERNAL, AUDIT, PUBLIC)]
    ids.pop(2)
    seen, after = read_all(api)
    assert seen == ids
    new = str(events.record(AUDIT, tenant=tenant).id)
    page = api.get("/api/v1/events", after=after).json()
    assert [row["id"] for row in page["events"]] == [new]
    assert page["pagination"].keys() == {"limit", "has_more", "next_cursor", "next_after"}
    assert api.get("/api/v1/events", after="latest").json()["events"] == []
    assert "next_after" not in api.get("/api/v1/events").json()["pagination"]


def test_filters_that_match_little_read_a_bounded_number_of_events(api, tenant, monkeypatch):
    monkeypatch.setattr(feeds, "MAX_READ", 4)
    subject = uuid.uuid4()
    for number in range(11):
        events.record(AUDIT, tenant=tenant, subject_id=subject if number == 9 else None)
    wanted = str(events.record(PUBLIC, tenant=tenant).id)
    page = api.get("/api/v1/events", after="0", type="feed.public").json()
    assert (page["events"], page["pagination"]["has_more"]) == ([], True)
    assert read_all(api, type="feed.pub*,feed.public")[0] == [wanted]
    assert len(read_all(api, subject_id=str(subject))[0]) == 1
    assert len(read_all(api)[0]) == 12


def test_cursor_that_is_none_is_refused(api):
    for after in ("x", "1", "1.2", "-1." + "0" * 32, ""):
        refused = api.get("/api/v1/events", after=after)
        assert (refused.status_code, list(refused.json()["details"])) == (400, ["after"]), after
    refused = api.get("/api/v1/events", after="0", since="2026-01-01", cursor=str(uuid.uuid4()))
    assert refused.json()["details"].keys() == {"since", "cursor"}


def test_export_has_audit_events_of_all_merchants_in_the_documented_form(exported, tenant):
    other = Tenant(Merchant.objects.create(name="Other", slug="other").id, "live")
    events.record(AUDIT, tenant=tenant)  # of the test mode
    events.record(PUBLIC, tenant=other)
    first = events.record(AUDIT, tenant=other, data={"n": 1})
    second = events.record(INTERNAL, tenant=None)
    page = exported()
    assert [row["id"] for row in page["events"]] == [str(first.id), str(second.id)]
    assert page["events"][0] == {
        "id": str(first.id),
        "timestamp": first.created_at.isoformat().replace("+00:00", "Z"),
        "event_type": "feed.audit",
        "action": "audit",
        "user_id": "",
        "ip_address": None,
        "details": {"n": 1},
        "service": "waybill",
        "merchant": "other",
        "merchant_id": str(other.merchant_id),
        "mode": "live",
        "visibility": "audit",
        "subject_id": None,
        "correlation_id": "",
    }
    assert exported(after=page["pagination"]["next_after"])["events"] == []


def test_only_operations_staff_can_give_the_scope_of_the_export(api, tenant):
    assert api.get("/api/v1/audit-events").status_code == 403
    assert api.post("/api/v1/api-keys", {"name": "x", "scopes": [AUDIT_EXPORT]}).status_code == 400
    assert all(AUDIT_EXPORT not in held for held in (OF_KEYS, *OF_ROLES.values()))
    row = store_key(tenant, generate_key("test"), name="x", scopes=[AUDIT_EXPORT])
    assert api.post(f"/api/v1/api-keys/{row.id}/regenerate").status_code == 403


def test_feeds_read_their_index_only(tenant):
    """The plan has no scan of the table and no sort, also with events of many merchants."""
    queries = {
        "event_feed_of_tenant": lambda: feeds.read_merchant_feed(tenant, feeds.START, limit=10),
        "event_feed_of_audit": lambda: feeds.read_audit_feed("live", feeds.START, limit=10),
    }
    for index, read in queries.items():
        with CaptureQueriesContext(connection) as captured:
            read()
        assert len(captured) <= 2
        for query in captured:
            with connection.cursor() as cursor:
                if connection.vendor == "postgresql":
                    cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
                    cursor.execute(f"EXPLAIN {query['sql']}")
                else:
                    cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                plan = "\n".join(str(row) for row in cursor.fetchall())
            assert index in plan, plan
            assert "Sort" not in plan and "TEMP B-TREE" not in plan, plan


class _Writer(threading.Thread):
    """Records an event in a transaction of its own, which ends when the test allows it."""

    def __init__(self, tenant, *, rolls_back=False):
        super().__init__(daemon=True)
        self.tenant, self.rolls_back = tenant, rolls_back
        self.written, self.may_end = threading.Event(), threading.Event()
        self.start()

    def run(self):
        try:
            with transaction.atomic():
                self.id = events.record(AUDIT, tenant=self.tenant).id
                self.written.set()
                assert self.may_end.wait(30)
                transaction.set_rollback(self.rolls_back)
        finally:
            connection.close()

    def end(self):
        self.may_end.set()
        self.join(30)


def _read(tenant, after):
    page, info = feeds.read_merchant_feed(tenant, after, limit=100)
    return [row.id for row in page], feeds.parse_cursor(info["next_after"])


def _read_settled(tenant, after, count=1):
    """Read until there are so many events. On PostgreSQL transactions of other test processes delay them."""
    ends = time.monotonic() + 120
    while True:
        found = _read(tenant, after)
        if len(found[0]) >= count or time.monotonic() > ends:
            return found
        time.sleep(0.05)


@pytest.mark.django_db(transaction=True)
def test_reader_misses_no_transaction_that_commits_late(tenant, on_sqlite):
    """The first writer commits after the second; a reader between them waits for both."""
    start = feeds.START
    if on_sqlite:  # a second writer cannot begin before the first has ended
        writer = _Writer(tenant)
        assert writer.written.wait(30)
        assert _read(tenant, start)[0] == []
        writer.end()
        second = events.record(AUDIT, tenant=tenant)
        assert _read(tenant, start)[0] == [writer.id, second.id]
        return
    late = _Writer(tenant)
    assert late.written.wait(30)
    early = _Writer(tenant)
    assert early.written.wait(30)
    early.end()
    seen, after = _read(tenant, start)
    assert (seen, after) == ([], start)  # an event before the committed one may still come
    late.end()
    seen, after = _read_settled(tenant, start, count=2)
    assert seen == [late.id, early.id]
    undone = _Writer(tenant, rolls_back=True)
    assert undone.written.wait(30)
    last = events.record(AUDIT, tenant=tenant)
    assert _read(tenant, after)[0] == []
    undone.end()
    assert _read_settled(tenant, after)[0] == [last.id]


@pytest.mark.django_db(transaction=True)
def test_feed_continues_after_a_restored_dump(tenant, on_sqlite, monkeypatch):
    """The dump is from a cluster with more transactions. On SQLite the table keeps its numbers.

    Many events may have been recorded since.
    """
    monkeypatch.setattr(positions, "_LATEST", 1)
    if on_sqlite:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT waybill_position()")
        ahead = cursor.fetchone()[0] + 5_000_000
    Event.objects.create(merchant_id=tenant.merchant_id, mode="test", type="old", visibility="audit", position=ahead)
    events.record(PUBLIC, tenant=tenant)
    with pytest.raises(feeds.UnknownCursor):
        feeds.parse_cursor(f"{ahead}.{new_id().hex}")
    positions.restore_functions(apps.get_app_config("apikeys"), using="default")
    try:
        seen, after = _read_settled(tenant, feeds.START)
        new = events.record(AUDIT, tenant=tenant)
        assert (len(seen), _read_settled(tenant, after)[0]) == (2, [new.id])
    finally:
        positions.create_functions(connection)


@pytest.mark.django_db(transaction=True)
def test_positions_grow_after_all_events_are_deleted(tenant):
    first = events.record(AUDIT, tenant=tenant)
    position = Event.objects.get(id=first.id).position
    with transaction.atomic(), connection.cursor() as cursor, dropped(connection, APPEND_ONLY_EVENTS):
        cursor.execute("DELETE FROM apikeys_event")
    second = events.record(AUDIT, tenant=tenant)
    assert (Event.objects.get(id=second.id).position, second.id) > (position, first.id)
