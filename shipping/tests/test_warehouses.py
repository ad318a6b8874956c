"""Places of departure, and what a carrier that keeps a list of them (Velocity) is told, over real HTTP."""

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
from shipping.tests.velocity import velocity_credential as velocity_credential
from shipping.tests.velocity import warehouse as warehouse
from shipping.warehouses import registrations, warehouses

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("velocity_credential", "sandbox")]


def test_a_warehouse_is_registered_where_it_is_made(warehouse):
    (registration,) = warehouse["registrations"]
    assert (registration["carrier"], registration["credential"]) == ("Velocity Shipfast", "own")
    assert registration["state"] == "registered"
    assert registration["carrier_warehouse_id"].startswith("WH")


def test_a_changed_warehouse_is_changed_at_the_carrier_under_its_id(api, client, api_key, warehouse, sent_bodies):
    body = {"name": warehouse["name"], "address": DEPOT | {"street": "124 Main Street"}}
    path = f"/api/v1/warehouses/{warehouse['id']}"
    changed = client.put(path, body, content_type="application/json", headers={"X-API-Key": api_key})
    assert changed.json()["registrations"] == warehouse["registrations"]
    first, second = sent_bodies("register_warehouse")
    assert "warehouse_id" not in first
    assert second["warehouse_id"] == warehouse["registrations"][0]["carrier_warehouse_id"]
    assert (second["address"], second["phone"]) == ("124 Main Street", "9876543210")


def test_a_warehouse_can_be_changed_when_its_carriers_account_is_gone(
    api, client, api_key, warehouse, velocity_credential, sent_bodies
):
    storage.delete_credential(velocity_credential)
    body = {"name": warehouse["name"], "address": DEPOT | {"street": "124 Main Street"}}
    path = f"/api/v1/warehouses/{warehouse['id']}"
    changed = client.put(path, body, content_type="application/json", headers={"X-API-Key": api_key})
    assert (changed.status_code, changed.json()["address"]["street"]) == (200, "124 Main Street")
    assert len(sent_bodies("register_warehouse")) == 1
    assert changed.json()["registrations"] == []  # nothing can be sold from there


def test_a_warehouse_that_the_carrier_refuses_stays_and_shows_the_carriers_words(api):
    body = {"name": "Nowhere", "address": DEPOT | {"postal_code": "4000"}, "carriers": ["velocity"]}
    (registration,) = api.post("/api/v1/warehouses", body).json()["registrations"]
    assert registration["state"] == "failed"
    assert registration["failure"]["details"] == {"address.postal_code": ["Invalid pincode format"]}


@pytest.mark.parametrize("change", [{"postal_code": "40006"}, {"country": "US"}])
def test_nothing_departs_from_or_comes_back_to_an_address_that_the_carrier_refused(
    api, put, warehouse, order, sent_bodies, change
):
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
    mended = {"name": warehouse["name"], "address": DEPOT | {"street": "124 Main Street"}}
    assert put(path, mended).json()["registrations"] == warehouse["registrations"]
    buy(api, order | {"order_id": "SECOND"})


def test_a_place_changed_while_its_account_was_gone_is_told_again_first(
    api, put, warehouse, velocity_credential, order, tenant
):
    storage.delete_credential(velocity_credential)
    path = f"/api/v1/warehouses/{warehouse['id']}"
    put(path, {"name": warehouse["name"], "address": DEPOT | {"street": "124 Main Street"}})
    fields = {"username": "+910000000000", "password": "test-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="velocity", environment="sandbox", fields=fields)
    assert list(api.post("/api/v1/labels", order).json()["details"]) == ["warehouse_id"]
    told = api.post(f"{path}/registrations", {"carrier": "velocity"}).json()
    # As a new place, for nobody remembers whether the deleted account was this one.
    assert (told["state"], told["carrier_warehouse_id"][:2]) == ("registered", "WH")
    buy(api, order)


def test_the_last_change_of_a_place_is_the_last_that_the_carrier_hears(put, warehouse, sent_bodies, monkeypatch):
    path = f"/api/v1/warehouses/{warehouse['id']}"
    telling, streets = VelocityAdapter.register_warehouse, iter(["Second Street"])

    def overtaken(adapter, request):
        for street in streets:
            put(path, {"name": warehouse["name"], "address": DEPOT | {"street": street}})
        return telling(adapter, request)

    monkeypatch.setattr(VelocityAdapter, "register_warehouse", overtaken)
    put(path, {"name": warehouse["name"], "address": DEPOT | {"street": "First Street"}})
    assert [body["address"] for body in sent_bodies("register_warehouse")][-3:] == [
        "Second Street",
        "First Street",
        "Second Street",
    ]


def test_a_change_that_was_read_before_another_one_is_a_change_all_the_same(warehouse, sent_bodies):
    row, behind = (Warehouse.objects.get(id=warehouse["id"]) for _ in range(2))
    place = {"name": row.name, "address": DEPOT}
    warehouses.update(row, place | {"address": DEPOT | {"street": "99 New Road"}})
    warehouses.update(behind, place)
    assert (
        sent_bodies("register_warehouse")[-1]["address"] == DEPOT["street"] == Warehouse.objects.get().address["street"]
    )


def test_nothing_departs_from_a_place_whose_last_change_nobody_lived_to_tell(
    api, warehouse, order, sent_bodies, monkeypatch
):
    place = {"name": warehouse["name"]}
    telling, told = VelocityAdapter.register_warehouse, []

    def overtaken(adapter, request):
        if told:  # as it sets out to tell the carrier of the second change too
            raise KeyboardInterrupt
        told.append(telling(adapter, request))
        with monkeypatch.context() as patched:
            patched.setattr(registrations, "send_pending", lambda row: None)
            warehouses.update(Warehouse.objects.get(), place | {"address": DEPOT | {"street": "Second Street"}})
        return told[0]

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(VelocityAdapter, "register_warehouse", overtaken)
        warehouses.update(Warehouse.objects.get(), place | {"address": DEPOT | {"street": "First Street"}})
    assert list(api.post("/api/v1/labels", order).json()["details"]) == ["warehouse_id"]
    warehouses.resume(Warehouse.objects.get().tenant, Warehouse.objects.get().id)
    assert sent_bodies("register_warehouse")[-1]["address"] == "Second Street"
    buy(api, order)


def test_a_place_that_did_not_change_sells_on_while_its_carrier_is_away(api, put, sandbox, warehouse, order, settings):
    settings.CARRIER_MAX_RETRIES = 0
    fault = {"carrier": "velocity", "operation": "register_warehouse", "kind": "status", "status": 503, "count": 9}
    sandbox.control("POST", "/_sandbox/faults", fault)
    put(f"/api/v1/warehouses/{warehouse['id']}", {"name": warehouse["name"], "address": DEPOT})
    buy(api, order)


def other_account(sandbox, tenant):
    sandbox.control("PUT", "/_sandbox/accounts/+910000000077", {"carrier": "velocity", "secret": "test-secret"})
    fields = {"username": "+910000000077", "password": "test-secret"}
    return storage.save_credential(tenant=tenant, mode="test", carrier="velocity", environment="sandbox", fields=fields)


def test_a_place_is_told_anew_to_another_account(api, sandbox, warehouse, order, tenant):
    other_account(sandbox, tenant)
    assert api.get(f"/api/v1/warehouses/{warehouse['id']}").json()["registrations"] == []
    assert list(api.post("/api/v1/labels", order).json()["details"]) == ["warehouse_id"]
    told = api.post(f"/api/v1/warehouses/{warehouse['id']}/registrations", {"carrier": "velocity"}).json()
    assert told["state"] == "registered"
    buy(api, order | {"order_id": "ORDER-AGAIN"})


def test_a_name_that_the_carrier_does_not_know_is_forgotten_when_it_says_so_of_a_change(
    api, put, warehouse, sent_bodies
):
    path = f"/api/v1/warehouses/{warehouse['id']}"
    api.post(f"{path}/registrations", {"carrier": "velocity", "carrier_warehouse_id": "WHNOPE"})
    changed = {"name": warehouse["name"], "address": DEPOT | {"street": "Second Street"}}
    (refused,) = put(path, changed).json()["registrations"]
    assert refused["state"] == "failed"
    (told,) = put(path, changed).json()["registrations"]
    assert told["state"] == "registered"
    assert ["warehouse_id" in body for body in sent_bodies("register_warehouse")][-2:] == [True, False]


def test_a_place_that_the_carrier_does_not_know_by_its_name_is_told_anew(api, warehouse, order):
    path = f"/api/v1/warehouses/{warehouse['id']}/registrations"
    api.post(path, {"carrier": "velocity", "carrier_warehouse_id": "WHNOPE"})
    refused = api.post("/api/v1/labels", order)
    assert (refused.status_code, refused.json()["error"]) == (404, "warehouse_not_found")
    assert api.post(path, {"carrier": "velocity"}).json()["state"] == "registered"
    buy(api, order | {"order_id": "ORDER-AGAIN"})


def test_carriers_without_an_account_are_named_by_their_places_in_the_list(api):
    body = {"name": "Mumbai", "address": DEPOT, "carriers": ["nobody", "velocity", "pickit"]}
    refused = api.post("/api/v1/warehouses", body)
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["carriers[0]", "carriers[2]"])


def test_a_carrier_is_told_once_however_often_it_is_named(api, sent_bodies):
    body = {"name": "Mumbai", "address": DEPOT, "carriers": ["velocity", "VELOCITY", "Velocity Shipfast"]}
    assert len(api.post("/api/v1/warehouses", body).json()["registrations"]) == 1
    assert len(sent_bodies("register_warehouse")) == 1


class Killed(BaseException):
    pass


@pytest.fixture
def killed_before_the_carrier_was_told(api, monkeypatch):
    def killed(*_):
        raise Killed

    body = {"name": "Mumbai", "address": DEPOT, "carriers": ["velocity"]}
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(registrations, "_send", killed)
        api.post("/api/v1/warehouses", body, headers={"Idempotency-Key": "w1"})
    (place,) = api.get("/api/v1/warehouses").json()["warehouses"]
    assert [one["state"] for one in place["registrations"]] == ["pending"]
    return body, f"/api/v1/warehouses/{place['id']}"


def test_what_a_dead_request_left_untold_is_told_by_its_repetition(
    api, killed_before_the_carrier_was_told, sent_bodies
):
    body, path = killed_before_the_carrier_was_told
    for _time in range(2):
        repeated = api.post("/api/v1/warehouses", body, headers={"Idempotency-Key": "w1"})
        assert (repeated.status_code, repeated.json()) == (201, api.get(path).json() | {"warnings": []})
        assert [one["state"] for one in repeated.json()["registrations"]] == ["registered"]
    assert len(sent_bodies("register_warehouse")) == 1


def test_or_by_a_change_or_a_registration(api, put, killed_before_the_carrier_was_told, sent_bodies):
    body, path = killed_before_the_carrier_was_told
    (changed,) = put(path, {"name": body["name"], "address": DEPOT}).json()["registrations"]
    assert changed["state"] == "registered"
    assert api.post(f"{path}/registrations", {"carrier": "velocity"}).json() == changed


def test_a_warehouse_that_the_carrier_does_not_know_is_told_before_anything_is_bought(api, order, sent_bodies):
    place = api.post("/api/v1/warehouses", {"name": "Delhi", "address": DEPOT}).json()
    refused = api.post("/api/v1/labels", order | {"warehouse_id": place["id"]})
    assert refused.status_code == 400
    assert set(refused.json()["details"]) == {"warehouse_id"}
    known = {"carrier": "velocity", "carrier_warehouse_id": "WHMINE"}
    assert api.post(f"/api/v1/warehouses/{place['id']}/registrations", known).json()["state"] == "registered"
    refused = api.post("/api/v1/labels", order | {"warehouse_id": place["id"]})
    assert refused.json()["error"] == "warehouse_not_found"  # nor does Velocity know that one
    assert sent_bodies("create_label")[-1]["warehouse_id"] == "WHMINE"


def test_a_place_abroad_is_not_registered_as_one_in_india(api, sent_bodies):
    body = {"name": "Brooklyn", "address": DEPOT | {"country": "US"}, "carriers": ["velocity"]}
    (registration,) = api.post("/api/v1/warehouses", body).json()["registrations"]
    assert (registration["state"], list(registration["failure"]["details"])) == ("failed", ["address.country"])
    assert not sent_bodies("register_warehouse")


def test_nor_is_a_place_whose_goods_come_back_abroad(api, sent_bodies):
    body = {"name": "Mumbai", "address": DEPOT, "return_address": DEPOT | {"country": "US"}, "carriers": ["velocity"]}
    (registration,) = api.post("/api/v1/warehouses", body).json()["registrations"]
    assert (registration["state"], list(registration["failure"]["details"])) == ("failed", ["return_address.country"])
    assert not sent_bodies("register_warehouse")


def test_an_address_of_returns_that_the_carrier_refuses_is_named(api):
    body = {"name": "Mumbai", "address": DEPOT, "return_address": DEPOT | {"postal_code": "12"}}
    (registration,) = api.post("/api/v1/warehouses", body | {"carriers": ["velocity"]}).json()["registrations"]
    assert list(registration["failure"]["details"]) == ["return_address.postal_code"]


def test_at_an_account_that_others_use_nobody_claims_a_warehouse_by_its_name(api, platform_credential, sent_bodies):
    place = api.post("/api/v1/warehouses", {"name": "Delhi", "address": DEPOT}).json()
    path = f"/api/v1/warehouses/{place['id']}/registrations"
    refused = api.post(path, {"carrier": "velocity", "carrier_warehouse_id": "WHOTHERS"})
    assert list(refused.json()["details"]) == ["carrier_warehouse_id"]
    assert not sent_bodies("register_warehouse")
    registered = api.post(path, {"carrier": "velocity"}).json()
    assert (registered["state"], registered["credential"]) == ("registered", "platform")
    assert sent_bodies("register_warehouse")[0]["name"] == f"Delhi {place['id'].replace('-', '')[-6:]}"  # nobody else's


def test_a_place_at_the_carrier_is_one_place_here(api, client, api_key, warehouse, order):
    taken = {"carrier": "velocity", "carrier_warehouse_id": warehouse["registrations"][0]["carrier_warehouse_id"]}
    path = f"/api/v1/warehouses/{api.post('/api/v1/warehouses', {'name': 'Delhi', 'address': DEPOT}).json()['id']}"
    refused = api.post(f"{path}/registrations", taken)
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["carrier_warehouse_id"])
    buy(api, order)
    client.delete(f"/api/v1/warehouses/{warehouse['id']}", headers={"X-API-Key": api_key})
    assert api.post(f"{path}/registrations", taken).json()["state"] == "registered"


def test_a_place_that_the_carrier_takes_for_another_one_is_not_registered(api, warehouse, order, monkeypatch):
    known = RegisteredWarehouse(carrier_id=warehouse["registrations"][0]["carrier_warehouse_id"], name="", active=True)
    told = []
    monkeypatch.setattr(VelocityAdapter, "register_warehouse", lambda _self, wanted: told.append(wanted) or known)
    body = {"name": "Delhi", "address": DEPOT, "carriers": ["velocity"]}
    (registration,) = api.post("/api/v1/warehouses", body).json()["registrations"]
    assert (registration["state"], registration["failure"]["error"]) == ("failed", "conflict")
    # The other one's address is put right before anything departs from it.
    assert [one.warehouse.name for one in told] == ["Delhi", warehouse["name"]]
    buy(api, order)


@pytest.fixture
def meanwhile(monkeypatch):
    """``meanwhile(happens)``: something happens once after the carrier was told, or ``before`` that fails."""
    tell = VelocityAdapter.register_warehouse

    def arrange(happens, before=None):
        def told(self, wanted):
            monkeypatch.setattr(VelocityAdapter, "register_warehouse", tell)
            known = None if before else tell(self, wanted)
            happens()
            if before:
                raise before
            return known

        monkeypatch.setattr(VelocityAdapter, "register_warehouse", told)

    return arrange


NO_ANSWER = CarrierUnavailable(carrier="Velocity Shipfast")


def test_two_places_that_a_carrier_mixes_up_are_not_told_for_ever(api, put, warehouse, monkeypatch):
    body = {"name": "Delhi", "address": DEPOT, "carriers": ["velocity"]}
    other = api.post("/api/v1/warehouses", body).json()
    names = [place["registrations"][0]["carrier_warehouse_id"] for place in (warehouse, other)]
    told = []

    def mixed_up(_self, wanted):
        told.append(wanted.warehouse.carrier_id)
        return RegisteredWarehouse(carrier_id=names[told[-1] == names[0]], name="")

    monkeypatch.setattr(VelocityAdapter, "register_warehouse", mixed_up)
    answer = put(f"/api/v1/warehouses/{other['id']}", body | {"address": DEPOT | {"street": "9 New Road"}})
    assert (answer.status_code, answer.json()["registrations"][0]["state"]) == (200, "failed")
    assert len(told) < 4


def test_a_failure_does_not_make_a_former_accounts_name_the_new_ones(
    api, put, sandbox, warehouse, tenant, sent_bodies, meanwhile
):
    path = f"/api/v1/warehouses/{warehouse['id']}"
    meanwhile(lambda: other_account(sandbox, tenant), before=NO_ANSWER)
    put(path, {"name": warehouse["name"], "address": DEPOT | {"street": "9 New Road"}})
    assert api.post(f"{path}/registrations", {"carrier": "velocity"}).json()["state"] == "registered"
    assert "warehouse_id" not in sent_bodies("register_warehouse")[-1]


def test_a_new_webhook_secret_costs_no_place_its_name(put, warehouse, tenant, meanwhile):
    velocity_credential = {"tenant": tenant, "mode": "test", "carrier": "velocity", "environment": "sandbox"}
    meanwhile(lambda: storage.save_credential(**velocity_credential, fields={"webhook_secret": "another-secret"}))
    body = {"name": warehouse["name"], "address": DEPOT | {"street": "9 New Road"}}
    assert put(f"/api/v1/warehouses/{warehouse['id']}", body).json()["registrations"] == warehouse["registrations"]


def test_a_place_that_was_closed_and_replaced_meanwhile_does_not_come_back(
    api, client, api_key, put, warehouse, sent_bodies, meanwhile
):
    place = api.post("/api/v1/warehouses", {"name": "Delhi", "address": DEPOT}).json()
    known = {"carrier": "velocity", "carrier_warehouse_id": warehouse["registrations"][0]["carrier_warehouse_id"]}

    def replaced():
        client.delete(f"/api/v1/warehouses/{warehouse['id']}", headers={"X-API-Key": api_key})
        api.post(f"/api/v1/warehouses/{place['id']}/registrations", known)

    meanwhile(replaced, before=NO_ANSWER)
    body = {"name": warehouse["name"], "address": DEPOT | {"street": "9 New Road"}}
    assert put(f"/api/v1/warehouses/{warehouse['id']}", body).status_code == 200
    (registration,) = api.get(f"/api/v1/warehouses/{place['id']}").json()["registrations"]
    assert (registration["state"], registration["carrier_warehouse_id"]) == (
        "registered",
        known["carrier_warehouse_id"],
    )
    assert sent_bodies("register_warehouse")[-1]["name"] == "Delhi"  # told again: the other address may be there


def test_what_a_former_account_called_a_place_is_free_at_the_next(api, sandbox, warehouse, tenant):
    known = {"carrier": "velocity", "carrier_warehouse_id": warehouse["registrations"][0]["carrier_warehouse_id"]}
    other_account(sandbox, tenant)
    place = api.post("/api/v1/warehouses", {"name": "Delhi", "address": DEPOT}).json()
    assert api.post(f"/api/v1/warehouses/{place['id']}/registrations", known).json()["state"] == "registered"


def test_another_merchants_closed_place_keeps_its_name(api, client, platform_credential, monkeypatch):
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


def test_the_longest_name_fits_at_the_platforms_account(api, platform_credential, sent_bodies):
    body = {"name": "N" * 100, "address": DEPOT, "carriers": ["velocity"]}
    (registration,) = api.post("/api/v1/warehouses", body).json()["registrations"]
    assert (registration["state"], len(sent_bodies("register_warehouse")[-1]["name"])) == ("registered", 100)


def test_a_stores_key_claims_no_place_at_the_merchants_account(api, merchant, client):
    key = generate_key("test")
    store_key(Tenant(merchant.id, "test", Store.objects.create(merchant=merchant, code="north").id), key, name="N")
    north = type(api)(client, key)
    place = north.post("/api/v1/warehouses", {"name": "North", "address": DEPOT}).json()
    known = {"carrier": "velocity", "carrier_warehouse_id": "WHOTHERS"}
    refused = north.post(f"/api/v1/warehouses/{place['id']}/registrations", known)
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["carrier_warehouse_id"])


@pytest.fixture
def names_may_be_shared():
    """As the database was before names were one place's."""
    once = next(one for one in WarehouseRegistration._meta.constraints if one.name == "carrier_warehouse_once")
    with connection.schema_editor() as editor:
        editor.remove_constraint(WarehouseRegistration, once)
    yield
    WarehouseRegistration.objects.all().delete()
    with connection.schema_editor() as editor:
        editor.add_constraint(WarehouseRegistration, once)


@pytest.mark.django_db(transaction=True)
def test_of_places_that_shared_a_name_an_open_one_that_the_carrier_took_keeps_it(
    tenant, velocity_credential, names_may_be_shared
):
    places = (("closed", False, "registered"), ("refused", True, "failed"), ("taken", True, "registered"))
    for name, is_active, state in (*places, ("taken later", True, "registered")):
        place = Warehouse.objects.create(merchant_id=tenant.merchant_id, mode="test", name=name, is_active=is_active)
        place.registrations.create(credential=velocity_credential, state=state, carrier_warehouse_id="WH1")
    import_module("shipping.migrations.0016_carrier_warehouse_once").keep_one(apps, None)
    left = WarehouseRegistration.objects.values_list("warehouse__name", "state", "carrier_warehouse_id")
    assert {one for one in left if one[2]} == {("taken", "registered", "WH1")}
    assert [state for name, state, _known_as in left if name != "taken"] == ["failed"] * 3
