"""Warehouses are stored here and registered at the carriers that keep a list of them (Velocity)."""

import pytest

from carriers.adapters.velocity import VelocityAdapter
from carriers.credentials import storage
from shipping.models import Warehouse
from shipping.tests.velocity import DEPOT, buy
from shipping.tests.velocity import order as order
from shipping.tests.velocity import platform_credential as platform_credential
from shipping.tests.velocity import put as put
from shipping.tests.velocity import sent_bodies as sent_bodies
from shipping.tests.velocity import switch_login as switch_login
from shipping.tests.velocity import velocity_credential as velocity_credential
from shipping.tests.velocity import warehouse as warehouse
from shipping.warehouses import registrations, warehouses

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("velocity_credential", "sandbox")]


def test_new_warehouse_is_registered_at_the_named_carrier(warehouse):
    (registration,) = warehouse["registrations"]
    assert (registration["carrier"], registration["credential"]) == ("Velocity Shipfast", "own")
    assert registration["state"] == "registered"
    assert registration["carrier_warehouse_id"].startswith("WH")


def test_changed_warehouse_is_sent_under_its_carrier_id(api, client, api_key, warehouse, sent_bodies):
    body = {"name": warehouse["name"], "address": DEPOT | {"street": "124 Main Street"}}
    path = f"/api/v1/warehouses/{warehouse['id']}"
    changed = client.put(path, body, content_type="application/json", headers={"X-API-Key": api_key})
    assert changed.json()["registrations"] == warehouse["registrations"]
    first, second = sent_bodies("register_warehouse")
    assert "warehouse_id" not in first
    assert second["warehouse_id"] == warehouse["registrations"][0]["carrier_warehouse_id"]
    assert (second["address"], second["phone"]) == ("124 Main Street", "9876543210")


def test_warehouse_can_be_changed_after_its_credential_was_deleted(
    api, client, api_key, warehouse, velocity_credential, sent_bodies
):
    storage.delete_credential(velocity_credential)
    body = {"name": warehouse["name"], "address": DEPOT | {"street": "124 Main Street"}}
    path = f"/api/v1/warehouses/{warehouse['id']}"
    changed = client.put(path, body, content_type="application/json", headers={"X-API-Key": api_key})
    assert (changed.status_code, changed.json()["address"]["street"]) == (200, "124 Main Street")
    assert len(sent_bodies("register_warehouse")) == 1
    assert changed.json()["registrations"] == []  # no credential is left to order with


def test_refused_warehouse_is_stored_with_the_carriers_words(api):
    body = {"name": "Nowhere", "address": DEPOT | {"postal_code": "4000"}, "carriers": ["velocity"]}
    (registration,) = api.post("/api/v1/warehouses", body).json()["registrations"]
    assert registration["state"] == "failed"
    assert registration["failure"]["details"] == {"address.postal_code": ["Invalid pincode format"]}


@pytest.mark.parametrize("change", [{"postal_code": "40006"}, {"country": "US"}])
def test_refused_address_cannot_be_used_for_orders_or_returns(api, put, warehouse, order, sent_bodies, change):
    first = buy(api, order)
    path = f"/api/v1/warehouses/{warehouse['id']}"
    (registration,) = put(path, {"name": warehouse["name"], "address": DEPOT | change}).json()["registrations"]
    assert (registration["state"], registration["carrier_warehouse_id"][:2]) == ("failed", "WH")
    for path_of, body in (
        ("/api/v1/labels", order | {"order_id": "SECOND"}),
        ("/api/v1/returns", {"shipment_id": first["shipment_id"]}),
    ):
        refused = api.post(path_of, body)
        assert (refused.status_code, list(refused.json()["details"])) == (400, ["warehouse_id"])
        assert f"PUT {path}," in refused.json()["details"]["warehouse_id"][0]
    assert len(sent_bodies("create_label")) == 1
    assert not sent_bodies("create_return")
    fixed = {"name": warehouse["name"], "address": DEPOT | {"street": "124 Main Street"}}
    assert put(path, fixed).json()["registrations"] == warehouse["registrations"]
    buy(api, order | {"order_id": "SECOND"})


def test_warehouse_changed_without_a_credential_must_be_registered_again(
    api, put, warehouse, velocity_credential, order, tenant
):
    storage.delete_credential(velocity_credential)
    path = f"/api/v1/warehouses/{warehouse['id']}"
    put(path, {"name": warehouse["name"], "address": DEPOT | {"street": "124 Main Street"}})
    fields = {"username": "+910000000000", "password": "test-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="velocity", environment="sandbox", fields=fields)
    assert list(api.post("/api/v1/labels", order).json()["details"]) == ["warehouse_id"]
    requests = api.post(f"{path}/registrations", {"carrier": "velocity"}).json()
    # As a new warehouse: the deleted credential may have had another account.
    assert (requests["state"], requests["carrier_warehouse_id"][:2]) == ("registered", "WH")
    buy(api, order)


def test_carrier_receives_the_last_of_overlapping_changes_last(put, warehouse, sent_bodies, monkeypatch):
    path = f"/api/v1/warehouses/{warehouse['id']}"
    register, streets = VelocityAdapter.register_warehouse, iter(["Second Street"])

    def register_meanwhile(adapter, request):
        for street in streets:
            put(path, {"name": warehouse["name"], "address": DEPOT | {"street": street}})
        return register(adapter, request)

    monkeypatch.setattr(VelocityAdapter, "register_warehouse", register_meanwhile)
    put(path, {"name": warehouse["name"], "address": DEPOT | {"street": "First Street"}})
    assert [body["address"] for body in sent_bodies("register_warehouse")][-3:] == [
        "Second Street",
        "First Street",
        "Second Street",
    ]


def test_change_is_compared_with_the_stored_row(warehouse, sent_bodies):
    row, behind = (Warehouse.objects.get(id=warehouse["id"]) for _ in range(2))
    created = {"name": row.name, "address": DEPOT}
    warehouses.update(row, created | {"address": DEPOT | {"street": "99 New Road"}})
    warehouses.update(behind, created)
    assert (
        sent_bodies("register_warehouse")[-1]["address"] == DEPOT["street"] == Warehouse.objects.get().address["street"]
    )


def test_order_is_refused_until_an_unsent_change_is_sent(api, warehouse, order, sent_bodies, monkeypatch):
    created = {"name": warehouse["name"]}
    register, requests = VelocityAdapter.register_warehouse, []

    def register_meanwhile(adapter, request):
        if requests:  # when the second change is sent too
            raise KeyboardInterrupt
        requests.append(register(adapter, request))
        with monkeypatch.context() as patched:
            patched.setattr(registrations, "send_pending", lambda row: None)
            warehouses.update(Warehouse.objects.get(), created | {"address": DEPOT | {"street": "Second Street"}})
        return requests[0]

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(VelocityAdapter, "register_warehouse", register_meanwhile)
        warehouses.update(Warehouse.objects.get(), created | {"address": DEPOT | {"street": "First Street"}})
    assert list(api.post("/api/v1/labels", order).json()["details"]) == ["warehouse_id"]
    warehouses.resume(Warehouse.objects.get().tenant, Warehouse.objects.get().id)
    assert sent_bodies("register_warehouse")[-1]["address"] == "Second Street"
    buy(api, order)


def test_unchanged_warehouse_is_usable_while_the_carrier_is_unavailable(api, put, sandbox, warehouse, order, settings):
    settings.CARRIER_MAX_RETRIES = 0
    fault = {"carrier": "velocity", "operation": "register_warehouse", "kind": "status", "status": 503, "count": 9}
    sandbox.control("POST", "/_sandbox/faults", fault)
    put(f"/api/v1/warehouses/{warehouse['id']}", {"name": warehouse["name"], "address": DEPOT})
    buy(api, order)


def test_warehouse_is_registered_again_with_another_login(api, sandbox, warehouse, order, tenant):
    switch_login(sandbox, tenant)
    assert api.get(f"/api/v1/warehouses/{warehouse['id']}").json()["registrations"] == []
    assert list(api.post("/api/v1/labels", order).json()["details"]) == ["warehouse_id"]
    requests = api.post(f"/api/v1/warehouses/{warehouse['id']}/registrations", {"carrier": "velocity"}).json()
    assert requests["state"] == "registered"
    buy(api, order | {"order_id": "ORDER-AGAIN"})


def test_name_that_the_carrier_does_not_know_is_deleted_after_a_change(api, put, warehouse, sent_bodies):
    path = f"/api/v1/warehouses/{warehouse['id']}"
    api.post(f"{path}/registrations", {"carrier": "velocity", "carrier_warehouse_id": "WHNOPE"})
    changed = {"name": warehouse["name"], "address": DEPOT | {"street": "Second Street"}}
    (refused,) = put(path, changed).json()["registrations"]
    assert refused["state"] == "failed"
    (requests,) = put(path, changed).json()["registrations"]
    assert requests["state"] == "registered"
    assert ["warehouse_id" in body for body in sent_bodies("register_warehouse")][-2:] == [True, False]


def test_warehouse_that_the_carrier_does_not_know_is_registered_again(api, warehouse, order):
    path = f"/api/v1/warehouses/{warehouse['id']}/registrations"
    api.post(path, {"carrier": "velocity", "carrier_warehouse_id": "WHNOPE"})
    refused = api.post("/api/v1/labels", order)
    assert (refused.status_code, refused.json()["error"]) == (404, "warehouse_not_found")
    assert api.post(path, {"carrier": "velocity"}).json()["state"] == "registered"
    buy(api, order | {"order_id": "ORDER-AGAIN"})


def test_carriers_without_a_credential_are_named_by_their_index(api):
    body = {"name": "Mumbai", "address": DEPOT, "carriers": ["nobody", "velocity", "pickit"]}
    refused = api.post("/api/v1/warehouses", body)
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["carriers[0]", "carriers[2]"])


def test_carrier_that_is_named_repeatedly_is_called_once(api, sent_bodies):
    body = {"name": "Mumbai", "address": DEPOT, "carriers": ["velocity", "VELOCITY", "Velocity Shipfast"]}
    assert len(api.post("/api/v1/warehouses", body).json()["registrations"]) == 1
    assert len(sent_bodies("register_warehouse")) == 1


class Killed(BaseException):
    pass


@pytest.fixture
def interrupted_creation(api, monkeypatch):
    def killed(*_):
        raise Killed

    body = {"name": "Mumbai", "address": DEPOT, "carriers": ["velocity"]}
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(registrations, "_send", killed)
        api.post("/api/v1/warehouses", body, headers={"Idempotency-Key": "w1"})
    (created,) = api.get("/api/v1/warehouses").json()["warehouses"]
    assert [one["state"] for one in created["registrations"]] == ["pending"]
    return body, f"/api/v1/warehouses/{created['id']}"


def test_repeated_request_resumes_an_interrupted_registration(api, interrupted_creation, sent_bodies):
    body, path = interrupted_creation
    for _time in range(2):
        repeated = api.post("/api/v1/warehouses", body, headers={"Idempotency-Key": "w1"})
        assert (repeated.status_code, repeated.json()) == (201, api.get(path).json() | {"warnings": []})
        assert [one["state"] for one in repeated.json()["registrations"]] == ["registered"]
    assert len(sent_bodies("register_warehouse")) == 1


def test_change_or_registration_resumes_an_interrupted_one(api, put, interrupted_creation, sent_bodies):
    body, path = interrupted_creation
    (changed,) = put(path, {"name": body["name"], "address": DEPOT}).json()["registrations"]
    assert changed["state"] == "registered"
    assert api.post(f"{path}/registrations", {"carrier": "velocity"}).json() == changed


def test_unregistered_warehouse_is_refused_before_the_purchase(api, order, sent_bodies):
    created = api.post("/api/v1/warehouses", {"name": "Delhi", "address": DEPOT}).json()
    refused = api.post("/api/v1/labels", order | {"warehouse_id": created["id"]})
    assert refused.status_code == 400
    assert set(refused.json()["details"]) == {"warehouse_id"}
    known = {"carrier": "velocity", "carrier_warehouse_id": "WHMINE"}
    assert api.post(f"/api/v1/warehouses/{created['id']}/registrations", known).json()["state"] == "registered"
    refused = api.post("/api/v1/labels", order | {"warehouse_id": created["id"]})
    assert refused.json()["error"] == "warehouse_not_found"  # Velocity does not know it either
    assert sent_bodies("create_label")[-1]["warehouse_id"] == "WHMINE"


def test_foreign_warehouse_is_not_registered(api, sent_bodies):
    body = {"name": "Brooklyn", "address": DEPOT | {"country": "US"}, "carriers": ["velocity"]}
    (registration,) = api.post("/api/v1/warehouses", body).json()["registrations"]
    assert (registration["state"], list(registration["failure"]["details"])) == ("failed", ["address.country"])
    assert not sent_bodies("register_warehouse")


def test_warehouse_with_a_foreign_return_address_is_not_registered(api, sent_bodies):
    body = {"name": "Mumbai", "address": DEPOT, "return_address": DEPOT | {"country": "US"}, "carriers": ["velocity"]}
    (registration,) = api.post("/api/v1/warehouses", body).json()["registrations"]
    assert (registration["state"], list(registration["failure"]["details"])) == ("failed", ["return_address.country"])
    assert not sent_bodies("register_warehouse")


def test_refused_return_address_is_named(api):
    body = {"name": "Mumbai", "address": DEPOT, "return_address": DEPOT | {"postal_code": "12"}}
    (registration,) = api.post("/api/v1/warehouses", body | {"carriers": ["velocity"]}).json()["registrations"]
    assert list(registration["failure"]["details"]) == ["return_address.postal_code"]
