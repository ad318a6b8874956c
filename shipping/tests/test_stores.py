"""A store key reads and writes the data of its store only."""

import pytest

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Store
from conftest import ApiClient
from shipping.models import Shipment

pytestmark = pytest.mark.django_db


@pytest.fixture
def stores(merchant):
    return [Store.objects.create(merchant=merchant, name=name, code=name) for name in ("north", "south")]


@pytest.fixture
def bound(merchant, stores, client):
    """An API client for each store."""

    def one(store):
        key = generate_key("test")
        store_key(Tenant(merchant.id, "test", store.id), key, name=store.name)
        return ApiClient(client, key)

    return [one(store) for store in stores]


def checkpoint(number="UNIT-000001", **changes):
    return {
        "tracking_id": number,
        "status": "CREATED",
        "location": "Bogotá",
        "description": "Paquete creado",
        "timestamp": "2024-01-15T09:00:00Z",
    } | changes


def test_only_the_store_and_the_whole_merchant_see_its_units(bound, api):
    north, south = bound
    assert north.post("/api/v1/checkpoints", checkpoint()).status_code == 201
    for client, status, units in ((north, 200, 1), (api, 200, 1), (south, 404, 0)):
        assert client.get("/api/v1/tracking/UNIT-000001").status_code == status
        assert client.get("/api/v1/shipments/UNIT-000001").status_code == status
        assert client.get("/api/v1/shipments").json()["pagination"]["total"] == units


def test_store_cannot_post_on_anothers_unit(bound, api):
    north, south = bound
    north.post("/api/v1/checkpoints", checkpoint())
    refused = south.post("/api/v1/checkpoints", checkpoint(status="PICKED_UP", timestamp="2024-01-15T10:00:00Z"))
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert "tracking_id" in refused.json()["details"]
    assert Shipment.objects.get().checkpoints.count() == 1
    whole = api.post("/api/v1/checkpoints", checkpoint(status="PICKED_UP", timestamp="2024-01-15T10:00:00Z"))
    assert whole.status_code == 201


def test_same_order_id_in_two_stores_is_two_orders(bound, order, sandbox, credential):
    north, south = bound
    bought = [client.post("/api/v1/labels", order) for client in (north, south)]
    assert [response.status_code for response in bought] == [200, 200]
    assert bought[0].json()["shipment_id"] != bought[1].json()["shipment_id"]
    assert north.post("/api/v1/labels", order).status_code == 409
    for path in ("", "/label", "/manifest", "/events", "/proof-of-delivery"):
        assert south.get(f"/api/v1/shipments/{bought[0].json()['shipment_id']}{path}").status_code == 404
    cancel = f"/api/v1/pickit/shipments/{bought[0].json()['shipment_id']}/cancel"
    assert south.post(cancel, {"reason": "not mine"}).status_code == 404


def test_pickup_belongs_to_its_store(bound, api, sandbox, credential, order):
    north, south = bound
    place = order["origin"]
    body = {
        "carrier": "Pickit",
        "pickup_date": "2030-12-16T10:00:00Z",
        "pickup_window_start": "10:00",
        "pickup_window_end": "14:00",
        "address": place,
        "packages_count": 1,
    }
    booked = north.post("/api/v1/pickups", body)
    assert booked.status_code == 200, booked.content
    path = f"/api/v1/pickups/{booked.json()['pickup_id']}"
    assert (north.get(path).status_code, api.get(path).status_code, south.get(path).status_code) == (200, 200, 404)


def test_idempotency_key_is_per_store(bound):
    north, south = bound
    key = {"Idempotency-Key": "k"}
    assert north.post("/api/v1/checkpoints", checkpoint(), headers=key).status_code == 201
    assert south.post("/api/v1/checkpoints", checkpoint(), headers=key).status_code == 422
