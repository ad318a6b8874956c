"""The documented checkpoint endpoints: a merchant posts, reads and lists its own units."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Event, Outbox, Store
from shipping.models import Checkpoint, Shipment

pytestmark = pytest.mark.django_db


def checkpoint(status="CREATED", hour=9, **changes):
    return {
        "tracking_id": "NEW123456",
        "status": status,
        "location": "Bogotá, Colombia",
        "description": "Paquete creado en sistema",
        "timestamp": f"2024-01-15T{hour:02}:00:00Z",
    } | changes


def post(api, *args, **changes):
    return api.post("/api/v1/checkpoints", checkpoint(*args, **changes))


def test_new_unit_starts_with_created(api):
    response = post(api)
    assert response.status_code == 201
    body = response.json()
    assert body["success"] is True
    assert set(body["data"]) == {
        "tracking_id",
        "checkpoint_id",
        "status",
        "location",
        "description",
        "timestamp",
        "unit_created",
    }
    assert body["data"]["unit_created"] is True
    assert body["data"]["status"] == "CREATED"
    assert body["data"]["timestamp"] == "2024-01-15T09:00:00Z"


def test_documented_sequence_from_created_to_delivered(api):
    for hour, status in enumerate(
        ["created", "PICKED_UP", "In_Transit", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"]
    ):
        assert post(api, status, hour).status_code == 201, status
    history = api.get("/api/v1/tracking/NEW123456").json()
    assert history["current_status"] == "DELIVERED"
    assert history["delivery_time"] == "2024-01-15T05:00:00Z"
    assert history["total_checkpoints"] == 6 == len(history["checkpoints"])
    assert history["created_at"] == "2024-01-15T00:00:00Z"
    assert history["updated_at"] == "2024-01-15T05:00:00Z"
    assert set(history["checkpoints"][0]) >= {"id", "status", "location", "description", "timestamp"}


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ([], "PICKED_UP"),
        (["CREATED"], "IN_TRANSIT"),
        (["CREATED"], "CREATED"),
        (["CREATED", "PICKED_UP"], "DELIVERED"),
        (["CREATED", "EXCEPTION"], "PICKED_UP"),
        (["CREATED", "EXCEPTION"], "EXCEPTION"),
        (["CREATED", "PICKED_UP", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"], "EXCEPTION"),
    ],
)
def test_status_out_of_order_is_refused(api, before, then):
    for hour, status in enumerate(before):
        assert post(api, status, hour).status_code == 201
    response = post(api, then, len(before))
    assert response.status_code == 400
    assert response.json()["error"] == "business_error"
    assert Checkpoint.objects.count() == len(before)
    assert Shipment.objects.count() == (1 if before else 0)


def test_time_before_the_last_checkpoint_is_refused(api):
    post(api, hour=9)
    response = post(api, "PICKED_UP", 8)
    assert response.status_code == 400
    assert response.json()["error"] == "business_error"
    assert "timestamp" in response.json()["details"]


def test_repeated_checkpoint_returns_the_first_id(api):
    first = post(api).json()
    again = post(api)
    assert again.status_code == 200
    assert again.json()["data"]["checkpoint_id"] == first["data"]["checkpoint_id"]
    assert again.json()["data"]["unit_created"] is False
    assert Checkpoint.objects.count() == 1


def test_new_checkpoint_and_status_are_one_event_each(api):
    post(api)
    post(api)
    post(api, "PICKED_UP", 10)
    types = list(Event.objects.order_by("id").values_list("type", flat=True))
    assert types == ["shipment.checkpoint", "shipment.status_changed"] * 2
    assert Outbox.objects.count() == 4


def test_invalid_data_names_every_field(api):
    body = {"tracking_id": "123", "status": "INVALID", "location": "", "description": "", "timestamp": "invalid-date"}
    response = api.post("/api/v1/checkpoints", body)
    assert response.status_code == 400
    answer = response.json()
    assert answer["error"] == "validation_error"
    assert set(answer["details"]) == set(body)
    assert answer["correlation_id"]
    assert not Shipment.objects.exists()


@pytest.mark.parametrize("name", ["UNIT/0001", "UNIT\t0001", "UNIT%0001", "UNIT?0001", "UNIT#0001", "UNIT\\0001"])
def test_tracking_id_with_path_characters_is_refused(api, name):
    response = post(api, tracking_id=name)
    assert response.status_code == 400
    assert set(response.json()["details"]) == {"tracking_id"}


def test_blanks_of_a_tracking_id_are_not_stored(api):
    assert post(api, tracking_id=" 1Z 999\u00a0AA1 ").status_code == 201
    assert set(post(api, tracking_id="1 2 3 4").json()["details"]) == {"tracking_id"}
    assert Shipment.objects.get().tracking_number == "1Z999AA1"


def test_unknown_field_is_ignored(api):
    assert post(api, unheard_of={"a": 1}).status_code == 201


def test_time_without_offset_is_utc_and_marked(api):
    post(api, timestamp="2024-01-15T09:00:00")
    row = Checkpoint.objects.get()
    assert row.tz_assumed is True
    assert row.occurred_text == "2024-01-15T09:00:00"


def test_time_in_the_future_is_refused(api):
    response = post(api, timestamp="2999-01-01T00:00:00Z")
    assert response.status_code == 400
    assert "timestamp" in response.json()["details"]


def test_unknown_tracking_id_is_404_with_its_own_code(api):
    response = api.get("/api/v1/tracking/NONEXISTENT123")
    assert response.status_code == 404
    assert response.json()["error"] == "tracking_not_found"


def test_units_are_listed_by_status_with_pagination(api):
    for number in range(3):
        post(api, tracking_id=f"UNIT-{number}")
    post(api, "PICKED_UP", 10, tracking_id="UNIT-0")
    page = api.get("/api/v1/shipments", status="CREATED", limit=1).json()
    assert [unit["tracking_id"] for unit in page["units"]] == ["UNIT-2"]
    assert set(page["units"][0]) >= {
        "id",
        "tracking_id",
        "status",
        "location",
        "delivery_time",
        "total_checkpoints",
        "created_at",
        "updated_at",
    }
    assert page["pagination"]["total"] == 2
    assert page["pagination"]["has_more"] is True
    assert page["filters"] == {"status": "CREATED"}
    rest = api.get("/api/v1/shipments", status="created", limit=1, offset=1).json()
    assert [unit["tracking_id"] for unit in rest["units"]] == ["UNIT-1"]
    assert rest["pagination"]["has_more"] is False


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"offset": -1}, {"status": "GONE"}])
def test_list_parameters_outside_their_bounds_are_refused(api, query):
    response = api.get("/api/v1/shipments", **query)
    assert response.status_code == 400
    assert set(response.json()["details"]) == set(query)


def test_number_of_queries_does_not_grow_with_the_history(api, django_assert_num_queries):
    for hour, status in enumerate(["CREATED", "PICKED_UP", *["IN_TRANSIT"] * 10]):
        post(api, status, hour)
    with django_assert_num_queries(2):  # the key, the unit with its checkpoints
        api.get("/api/v1/tracking/NEW123456")
    with django_assert_num_queries(3):  # the key, the page, the count
        api.get("/api/v1/shipments")


def test_checkpoint_is_posted_on_the_unit_with_its_spelling(api, tenant, merchant):
    """Older versions made two units of such numbers."""
    store = Store.objects.create(merchant=merchant, name="south", code="south")
    for number, owner in (("1ZPAIR01", store), ("1zpair01", None)):
        unit = {"status": "created", "store": owner, "reference": number}
        Shipment.objects.create(merchant=merchant, mode="test", tracking_number=number, **unit)
    key = generate_key("test")
    store_key(Tenant(merchant.id, "test", store.id), key, name="south")
    answer = post(type(api)(Client(), key), "PICKED_UP", tracking_id="1ZPAIR01")
    assert (answer.status_code, answer.json()["data"]["unit_created"]) == (201, False)
    assert post(api, "PICKED_UP", 10, tracking_id="1zpair01").status_code == 201
    assert sorted(Checkpoint.objects.values_list("shipment__tracking_number", flat=True)) == ["1ZPAIR01", "1zpair01"]


@pytest.mark.django_db(transaction=True)
def test_concurrent_posts_of_one_checkpoint_store_it_once(api):
    def one(_):
        try:
            return type(api)(Client(), api.key).post("/api/v1/checkpoints", checkpoint())
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(16)))
    assert sorted({answer.status_code for answer in answers}) == [200, 201]
    assert len({answer.json()["data"]["checkpoint_id"] for answer in answers}) == 1
    assert Checkpoint.objects.count() == 1 == Shipment.objects.count()
