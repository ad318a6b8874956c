"""A warehouse's name at a carrier identifies one warehouse, also if requests overlap or the account changes."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant, Store
from carriers.adapters.velocity import VelocityAdapter
from carriers.credentials import storage
from carriers.types import RegisteredWarehouse
from carriers.types.errors import CarrierUnavailable
from shipping.models import Warehouse, WarehouseRegistration
from shipping.tests.velocity import DEPOT, buy
from shipping.tests.velocity import order as order
from shipping.tests.velocity import platform_credential as platform_credential
from shipping.tests.velocity import put as put
from shipping.tests.velocity import sent_bodies as sent_bodies
from shipping.tests.velocity import switch_login as switch_login
from shipping.tests.velocity import velocity_credential as velocity_credential
from shipping.tests.velocity import warehouse as warehouse

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("velocity_credential", "sandbox")]


def test_name_cannot_be_given_with_a_shared_credential(api, platform_credential, sent_bodies):
    created = api.post("/api/v1/warehouses", {"name": "Delhi", "address": DEPOT}).json()
    path = f"/api/v1/warehouses/{created['id']}/registrations"
    refused = api.post(path, {"carrier": "velocity", "carrier_warehouse_id": "WHOTHERS"})
    assert list(refused.json()["details"]) == ["carrier_warehouse_id"]
    assert not sent_bodies("register_warehouse")
    registered = api.post(path, {"carrier": "velocity"}).json()
    assert (registered["state"], registered["credential"]) == ("registered", "platform")
    assert (
        sent_bodies("register_warehouse")[0]["name"] == f"Delhi {created['id'].replace('-', '')[-6:]}"
    )  # unique among merchants


def test_name_at_the_carrier_belongs_to_one_warehouse(api, client, api_key, warehouse, order):
    taken = {"carrier": "velocity", "carrier_warehouse_id": warehouse["registrations"][0]["carrier_warehouse_id"]}
    path = f"/api/v1/warehouses/{api.post('/api/v1/warehouses', {'name': 'Delhi', 'address': DEPOT}).json()['id']}"
    refused = api.post(f"{path}/registrations", taken)
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["carrier_warehouse_id"])
    buy(api, order)
    client.delete(f"/api/v1/warehouses/{warehouse['id']}", headers={"X-API-Key": api_key})
    assert api.post(f"{path}/registrations", taken).json()["state"] == "registered"


def test_warehouse_that_the_carrier_confuses_with_another_is_not_registered(api, warehouse, order, monkeypatch):
    known = RegisteredWarehouse(carrier_id=warehouse["registrations"][0]["carrier_warehouse_id"], name="", active=True)
    requests = []
    monkeypatch.setattr(VelocityAdapter, "register_warehouse", lambda _self, request: requests.append(request) or known)
    body = {"name": "Delhi", "address": DEPOT, "carriers": ["velocity"]}
    (registration,) = api.post("/api/v1/warehouses", body).json()["registrations"]
    assert (registration["state"], registration["failure"]["error"]) == ("failed", "conflict")
    # The other warehouse is sent again before an order departs from it.
    assert [one.warehouse.name for one in requests] == ["Delhi", warehouse["name"]]
    buy(api, order)


@pytest.fixture
def during_registration(monkeypatch):
    """``during_registration(action)``: run an action once after the carrier's answer, or instead of it (``before``)."""
    register = VelocityAdapter.register_warehouse

    def arrange(action, before=None):
        def register_and_act(self, request):
            monkeypatch.setattr(VelocityAdapter, "register_warehouse", register)
            known = None if before else register(self, request)
            action()
            if before:
                raise before
            return known

        monkeypatch.setattr(VelocityAdapter, "register_warehouse", register_and_act)

    return arrange


NO_ANSWER = CarrierUnavailable(carrier="Velocity Shipfast")


def test_two_confused_warehouses_are_not_resent_without_end(api, put, warehouse, monkeypatch):
    body = {"name": "Delhi", "address": DEPOT, "carriers": ["velocity"]}
    other = api.post("/api/v1/warehouses", body).json()
    names = [created["registrations"][0]["carrier_warehouse_id"] for created in (warehouse, other)]
    requests = []

    def answer_with_other_name(_self, request):
        requests.append(request.warehouse.carrier_id)
        return RegisteredWarehouse(carrier_id=names[requests[-1] == names[0]], name="")

    monkeypatch.setattr(VelocityAdapter, "register_warehouse", answer_with_other_name)
    answer = put(f"/api/v1/warehouses/{other['id']}", body | {"address": DEPOT | {"street": "9 New Road"}})
    assert (answer.status_code, answer.json()["registrations"][0]["state"]) == (200, "failed")
    assert len(requests) < 4


def test_failed_call_stores_no_name_of_a_former_account(
    api, put, sandbox, warehouse, tenant, sent_bodies, during_registration
):
    path = f"/api/v1/warehouses/{warehouse['id']}"
    during_registration(lambda: switch_login(sandbox, tenant), before=NO_ANSWER)
    put(path, {"name": warehouse["name"], "address": DEPOT | {"street": "9 New Road"}})
    assert api.post(f"{path}/registrations", {"carrier": "velocity"}).json()["state"] == "registered"
    assert "warehouse_id" not in sent_bodies("register_warehouse")[-1]


def test_new_webhook_secret_keeps_the_names(put, warehouse, tenant, during_registration):
    owner = {"tenant": tenant, "mode": "test", "carrier": "velocity", "environment": "sandbox"}
    during_registration(lambda: storage.save_credential(**owner, fields={"webhook_secret": "another-secret"}))
    body = {"name": warehouse["name"], "address": DEPOT | {"street": "9 New Road"}}
    assert put(f"/api/v1/warehouses/{warehouse['id']}", body).json()["registrations"] == warehouse["registrations"]


def test_warehouse_replaced_during_a_call_does_not_return(
    api, client, api_key, put, warehouse, sent_bodies, during_registration
):
    created = api.post("/api/v1/warehouses", {"name": "Delhi", "address": DEPOT}).json()
    known = {"carrier": "velocity", "carrier_warehouse_id": warehouse["registrations"][0]["carrier_warehouse_id"]}

    def replace():
        client.delete(f"/api/v1/warehouses/{warehouse['id']}", headers={"X-API-Key": api_key})
        api.post(f"/api/v1/warehouses/{created['id']}/registrations", known)

    during_registration(replace, before=NO_ANSWER)
    body = {"name": warehouse["name"], "address": DEPOT | {"street": "9 New Road"}}
    assert put(f"/api/v1/warehouses/{warehouse['id']}", body).status_code == 200
    (registration,) = api.get(f"/api/v1/warehouses/{created['id']}").json()["registrations"]
    assert (registration["state"], registration["carrier_warehouse_id"]) == (
        "registered",
        known["carrier_warehouse_id"],
    )
    assert (
        sent_bodies("register_warehouse")[-1]["name"] == "Delhi"
    )  # sent again: the carrier may have the other address


def test_names_under_a_former_login_are_free(api, sandbox, warehouse, tenant):
    known = {"carrier": "velocity", "carrier_warehouse_id": warehouse["registrations"][0]["carrier_warehouse_id"]}
    switch_login(sandbox, tenant)
    created = api.post("/api/v1/warehouses", {"name": "Delhi", "address": DEPOT}).json()
    assert api.post(f"/api/v1/warehouses/{created['id']}/registrations", known).json()["state"] == "registered"


def test_another_merchants_closed_warehouse_keeps_its_name(api, client, platform_credential, monkeypatch):
    Merchant.objects.create(name="Other", slug="other")
    other_key = generate_key("test")
    store_key(Tenant(Merchant.objects.get(slug="other").id, "test"), other_key, name="other")
    other = type(api)(client, other_key)
    known = RegisteredWarehouse(carrier_id="WH-ONE", name="")
    monkeypatch.setattr(VelocityAdapter, "register_warehouse", lambda *_: known)
    body = {"name": "N" * 100, "address": DEPOT, "carriers": ["velocity"]}
    theirs = other.post("/api/v1/warehouses", body).json()
    client.delete(f"/api/v1/warehouses/{theirs['id']}", headers={"X-API-Key": other_key})
    (registration,) = api.post("/api/v1/warehouses", body).json()["registrations"]
    assert registration["state"] == "failed"
    assert Warehouse.objects.get(id=theirs["id"]).registrations.get().carrier_warehouse_id == "WH-ONE"


def test_longest_name_fits_with_the_platforms_credential(api, platform_credential, sent_bodies):
    body = {"name": "N" * 100, "address": DEPOT, "carriers": ["velocity"]}
    (registration,) = api.post("/api/v1/warehouses", body).json()["registrations"]
    assert (registration["state"], len(sent_bodies("register_warehouse")[-1]["name"])) == ("registered", 100)


def test_store_key_cannot_give_a_name(api, merchant, client):
    key = generate_key("test")
    store_key(Tenant(merchant.id, "test", Store.objects.create(merchant=merchant, code="north").id), key, name="N")
    north = type(api)(client, key)
    created = north.post("/api/v1/warehouses", {"name": "North", "address": DEPOT}).json()
    known = {"carrier": "velocity", "carrier_warehouse_id": "WHOTHERS"}
    refused = north.post(f"/api/v1/warehouses/{created['id']}/registrations", known)
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["carrier_warehouse_id"])


@pytest.fixture
def without_unique_names():
    """Drop the unique constraint, as the database was before the migration."""
    once = next(one for one in WarehouseRegistration._meta.constraints if one.name == "carrier_warehouse_once")
    with connection.schema_editor() as editor:
        editor.remove_constraint(WarehouseRegistration, once)
    yield
    WarehouseRegistration.objects.all().delete()
    with connection.schema_editor() as editor:
        editor.add_constraint(WarehouseRegistration, once)


@pytest.mark.django_db(transaction=True)
def test_migration_keeps_a_shared_name_with_an_open_registered_warehouse(
    tenant, velocity_credential, without_unique_names
):
    places = (("closed", False, "registered"), ("refused", True, "failed"), ("taken", True, "registered"))
    for name, is_active, state in (*places, ("taken later", True, "registered")):
        created = Warehouse.objects.create(merchant_id=tenant.merchant_id, mode="test", name=name, is_active=is_active)
        created.registrations.create(credential=velocity_credential, state=state, carrier_warehouse_id="WH1")
    import_module("shipping.migrations.0016_carrier_warehouse_once").keep_one(apps, None)
    left = WarehouseRegistration.objects.values_list("warehouse__name", "state", "carrier_warehouse_id")
    assert {one for one in left if one[2]} == {("taken", "registered", "WH1")}
    assert [state for name, state, _known_as in left if name != "taken"] == ["failed"] * 3
