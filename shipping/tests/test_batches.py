"""A batch of checkpoints is validated per item, stored by few statements, and equals single posts in its result."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apikeys.db.tenancy import Tenant
from apikeys.db.triggers import TRIGGER_SETS
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Event, Outbox
from shipping.checkpoints.fold import CheckpointFacts, summarize
from shipping.models import Checkpoint, Shipment

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/checkpoints/batch"
WAY = ["CREATED", "PICKED_UP", "IN_TRANSIT", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"]


def item(number=1, status="CREATED", hour=0, **changes):
    moment = datetime(2024, 1, 15, tzinfo=UTC) + timedelta(hours=hour)
    return {
        "tracking_id": f"UNIT-{number:06}",
        "status": status,
        "location": "Bogotá, Colombia",
        "description": "Paquete creado",
        "timestamp": moment.isoformat().replace("+00:00", "Z"),
    } | changes


def way(number, length=6):
    return [item(number, status, hour) for hour, status in enumerate(WAY[:length])]


@pytest.fixture
def send(api):
    def one(items, **headers):
        response = api.post(URL, items, headers=headers)
        assert response.status_code == 200, response.content
        return response.json()

    return one


def kinds(answer):
    return [result["result"] for result in answer["results"]]


def snapshot():
    """Return the stored units, checkpoints and events without ids and times of writing."""
    units = Shipment.objects.order_by("tracking_number").values_list(
        "tracking_number", "status", "location", "checkpoint_count", "first_at", "last_at", "delivered_at"
    )
    scans = Checkpoint.objects.order_by("shipment__tracking_number", "occurred_at", "status").values_list(
        "shipment__tracking_number", "status", "location", "occurred_at", "occurred_text", "tz_assumed", "description"
    )
    recorded = sorted(
        (row.type, json.dumps({**row.data, "shipment_id": "", "checkpoint": ""})) for row in Event.objects.all()
    )
    return list(units), list(scans), recorded


def test_thousand_checkpoints_are_stored_in_one_call(send):
    answer = send([step for number in range(250) for step in way(number, 4)])
    assert (answer["success"], answer["stored"], answer["repeated"], answer["refused"]) == (True, 1000, 0, 0)
    assert [result["index"] for result in answer["results"]] == list(range(1000))
    assert answer["results"][0]["data"]["unit_created"] is True
    assert answer["results"][1]["data"]["unit_created"] is False
    assert Shipment.objects.filter(status="in_transit", checkpoint_count=4).count() == 250
    assert Outbox.objects.count() == Event.objects.count() == 250 * 7  # the second in_transit changes no status


def test_invalid_item_does_not_affect_the_others(send):
    answer = send(
        [
            item(1),
            item(2, "DELIVERED"),
            {"tracking_id": "123"},
            5,
            item(1, "PICKED_UP", 1),
            item(1, "CREATED", 2),
            item(3, timestamp="2999-01-01T00:00:00Z"),
            item(1),
        ]
    )
    assert kinds(answer) == ["stored", "refused", "refused", "refused", "stored", "refused", "refused", "repeated"]
    assert answer["success"] is False
    errors = [result["error"]["error"] for result in answer["results"] if "error" in result]
    assert errors == ["business_error", *["validation_error"] * 2, "business_error", "validation_error"]
    assert set(answer["results"][2]["error"]["details"]) == {
        "tracking_id",
        "status",
        "location",
        "description",
        "timestamp",
    }
    assert answer["results"][7]["data"]["checkpoint_id"] == answer["results"][0]["data"]["checkpoint_id"]
    assert Checkpoint.objects.count() == 2
    assert Shipment.objects.count() == 1


def test_repeated_batch_stores_nothing(send):
    items = [step for number in range(5) for step in way(number)]
    first, again = send(items), send(items)
    assert kinds(again) == ["repeated"] * len(items)
    ids = [[result["data"]["checkpoint_id"] for result in answer["results"]] for answer in (first, again)]
    assert ids[0] == ids[1]
    assert Checkpoint.objects.count() == len(items)


def test_ndjson_is_read_line_by_line(api):
    lines = [json.dumps(item(1)).encode(), b"{broken", b"", json.dumps(item(1, "PICKED_UP", 1)).encode(), b"\xff"]
    response = Client().post(
        URL,
        b"\n".join(lines),
        content_type="application/x-ndjson",
        headers={"X-API-Key": api.key, "Idempotency-Key": "k"},
    )
    assert response.status_code == 200
    assert kinds(response.json()) == ["stored", "refused", "stored", "refused"]


def test_files_of_windows_are_read(api):
    """A byte-order mark is ignored, and lines may end with CR LF or CR."""
    lines = [json.dumps(item(number)) for number in range(3)]
    for body, kind in ((f"{lines[0]}\r\n{lines[1]}\r{lines[2]}\r\n", "x-ndjson"), (f"[{','.join(lines)}]", "json")):
        response = Client().post(
            URL, body.encode("utf-8-sig"), content_type=f"application/{kind}", headers={"X-API-Key": api.key}
        )
        assert len(set(kinds(response.json()))) == 1 and len(response.json()["results"]) == 3, response.content
    refused = Client().post(
        URL, lines[0].encode("utf-16"), content_type="application/json", headers={"X-API-Key": api.key}
    )
    assert (refused.status_code, refused.json()["details"]) == (400, {"body": ["The body is not valid UTF-8."]})


@pytest.mark.parametrize("body", [[], {}, {"checkpoints": []}, [item()] * 1001])
def test_invalid_body_is_refused(api, body):
    refused = Client().post(URL, json.dumps(body), content_type="application/json", headers={"X-API-Key": api.key})
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == {"body"}
    assert not Checkpoint.objects.exists()


def test_batch_stores_the_same_as_its_items_one_by_one(api, send):
    """Random items over few units, many of them invalid, are stored equally one by one and in batches of any size."""
    draw = random.Random(7)
    items = [item(draw.randrange(6), draw.choice(WAY), draw.randrange(8)) for _ in range(300)]
    for one in items:
        api.post("/api/v1/checkpoints", one)
    singly = snapshot()
    assert len(singly[1]) > 15
    delete_everything()
    rest = list(items)
    while rest:
        size = draw.randrange(1, 60)
        send(rest[:size])
        rest = rest[size:]
    assert snapshot() == singly


def delete_everything():
    """Delete all units, checkpoints and events. On SQLite the triggers that refuse to are dropped first."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("TRUNCATE shipping_checkpoint, shipping_shipment, apikeys_event, apikeys_outbox CASCADE")
            return
    with connection.cursor() as cursor:
        for trigger_set in TRIGGER_SETS.values():
            for line in trigger_set.drop("sqlite"):
                cursor.execute(line)
        for table in ("apikeys_outbox", "apikeys_event", "shipping_checkpoint", "shipping_shipment"):
            cursor.execute(f"DELETE FROM {table}")
        for trigger_set in TRIGGER_SETS.values():
            for line in trigger_set.create("sqlite"):
                cursor.execute(line)


def test_posting_and_the_fold_agree(send):
    """Posting writes the same columns of a unit as the fold of its checkpoints."""
    draw = random.Random(11)
    send([item(draw.randrange(40), draw.choice(WAY), draw.randrange(12)) for _ in range(900)])
    assert Shipment.objects.count() > 20
    for unit in Shipment.objects.all():
        summary = summarize(
            CheckpointFacts(row.occurred_at, row.status, row.code, row.location) for row in unit.checkpoints.all()
        )
        assert (unit.status, unit.checkpoint_count, unit.location) == (summary.status, summary.count, summary.location)
        assert (unit.first_at, unit.last_at, unit.delivered_at) == (
            summary.first_at,
            summary.last_at,
            summary.delivered_at,
        )


def test_concurrent_writers_lose_nothing_and_do_not_deadlock(api):
    batches = [[step for number in order for step in way(number, 2)] for order in (range(20), range(19, -1, -1))] * 4

    def one(items):
        try:
            return Client().post(URL, items, content_type="application/json", headers={"X-API-Key": api.key}).json()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, batches))
    assert sum(answer["stored"] for answer in answers) == 40
    assert sum(answer["repeated"] for answer in answers) == 40 * 7
    assert Checkpoint.objects.count() == 40
    assert Shipment.objects.filter(checkpoint_count=2).count() == 20


def statements(queries):
    return [query["sql"].split()[0] for query in queries if not query["sql"].startswith(("BEGIN", "COMMIT"))]


@pytest.mark.parametrize(("status", "hour"), [("CREATED", 0), ("PICKED_UP", 1)])
def test_one_checkpoint_takes_four_statements_and_locks_the_unit_first(api, status, hour):
    api.get("/api/v1/tracking/NOBODY")
    if hour:
        api.post("/api/v1/checkpoints", item())
    with CaptureQueriesContext(connection) as queries:
        assert api.post("/api/v1/checkpoints", item(1, status, hour)).status_code == 201
    key, *rest = statements(queries)
    assert (key, rest) == ("SELECT", ["SELECT", "INSERT", "UPDATE" if hour else "INSERT", "INSERT"])
    if connection.vendor == "postgresql":
        locked = [query["sql"] for query in queries if "FOR UPDATE" in query["sql"]]
        assert len(locked) == 1


def test_number_of_statements_does_not_grow_with_the_batch(api):
    api.get("/api/v1/tracking/NOBODY")
    counts = []
    for number in (1, 5):
        items = [step for unit in range(number * 30, number * 60) for step in way(unit, 2)]
        with CaptureQueriesContext(connection) as queries:
            api.post(URL, items)
        counts.append(len(statements(queries)))
    assert counts[0] == counts[1] <= 5


def test_database_refuses_to_change_or_delete_a_checkpoint(send):
    send(way(1, 2))
    for change in ({"location": "elsewhere"}, {"status": "delivered"}, {"details": {"a": 1}}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Checkpoint.objects.update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        Checkpoint.objects.all()[0].delete()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM shipping_checkpoint")
    assert Checkpoint.objects.count() == 2


def test_only_an_unknown_status_may_be_set_later(send, merchant):
    send([item()])
    unit = Shipment.objects.get()
    row = Checkpoint.objects.create(
        merchant=merchant,
        mode="test",
        shipment=unit,
        source="carrier",
        status="unknown",
        code="QX",
        occurred_at=datetime(2024, 1, 16, tzinfo=UTC),
    )
    with pytest.raises(DatabaseError), transaction.atomic():
        Checkpoint.objects.filter(id=row.id).update(status="in_transit", code="other")
    Checkpoint.objects.filter(id=row.id).update(status="in_transit")
    with pytest.raises(DatabaseError), transaction.atomic():
        Checkpoint.objects.filter(id=row.id).update(status="delivered")


def test_another_merchants_units_do_not_change(send, merchant, client):
    send(way(1, 2))
    other = Tenant(merchant.id, "live")
    key = generate_key("live")
    store_key(other, key, name="live")
    response = client.post(URL, way(1, 1), content_type="application/json", headers={"X-API-Key": key})
    assert response.json()["results"][0]["data"]["unit_created"] is True
    assert Shipment.objects.count() == 2
