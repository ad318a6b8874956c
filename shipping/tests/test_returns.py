"""Returns are shipments of their own, buy once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Store
from carriers.models import Credential
from shipping.models import Shipment
from shipping.tests.velocity import DEPOT, buy
from shipping.tests.velocity import advance as advance
from shipping.tests.velocity import later as later
from shipping.tests.velocity import order as order
from shipping.tests.velocity import patch as patch
from shipping.tests.velocity import platform_credential as platform_credential
from shipping.tests.velocity import put as put
from shipping.tests.velocity import sent_bodies as sent_bodies
from shipping.tests.velocity import velocity_credential as velocity_credential
from shipping.tests.velocity import warehouse as warehouse

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("velocity_credential", "sandbox")]


def test_return_has_its_own_manifest(api, order):
    label = buy(api, order)
    back = api.post("/api/v1/returns", {"shipment_id": label["shipment_id"]}).json()
    assert back["manifest_url"].endswith(f"/api/v1/shipments/{back['shipment_id']}/manifest")
    assert api.get(f"/api/v1/shipments/{back['shipment_id']}/manifest").status_code == 200


def test_return_is_a_new_shipment_bought_once(api, order, sandbox, warehouse, sent_bodies):
    first = buy(api, order)
    headers = {"Idempotency-Key": "return-1"}
    body = {"shipment_id": first["tracking_number"], "reason": "Does not fit"}
    answers = [api.post("/api/v1/returns", body, headers=headers) for _ in range(2)]
    back, again = [answer.json() for answer in answers]
    assert answers[0].status_code == 200, back
    assert back == again
    assert back["return_of"] == first["shipment_id"]
    assert back["tracking_number"] != first["tracking_number"]
    (asked,) = sent_bodies("create_return")
    assert (asked["original_awb"], asked["return_reason"]) == (first["tracking_number"], "Does not fit")
    assert (asked["pickup_city"], asked["shipping_city"]) == ("Bangalore", "Mumbai")
    assert asked["warehouse_id"] == warehouse["registrations"][0]["carrier_warehouse_id"]
    assert asked["payment_method"] == "PREPAID"
    assert "cod_collectible" not in asked


@pytest.mark.parametrize("switch", ["is_open", "is_active"])
def test_return_is_refused_with_a_credential_that_accepts_no_orders(
    api, platform_credential, order, sent_bodies, switch
):
    first = buy(api, order)
    Credential.objects.filter(id=platform_credential.id).update(**{switch: False})
    refused = api.post("/api/v1/returns", {"shipment_id": first["shipment_id"]})
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["shipment_id"])
    assert not sent_bodies("create_return")


def test_return_of_a_cancelled_shipment_is_refused(api, order, sent_bodies):
    first = buy(api, order)
    api.post(f"/api/v1/shipments/{first['shipment_id']}/cancel")
    refused = api.post("/api/v1/returns", {"shipment_id": first["shipment_id"]})
    assert (refused.status_code, refused.json()["error"]) == (400, "business_error")
    assert not sent_bodies("create_return")


def test_second_return_is_bought_only_on_request(api, order, sent_bodies):
    body = {"shipment_id": buy(api, order)["shipment_id"]}
    first = api.post("/api/v1/returns", body).json()
    refused = api.post("/api/v1/returns", body)
    assert (refused.status_code, refused.json()["details"]["return_id"]) == (409, [first["shipment_id"]])
    assert len(sent_bodies("create_return")) == 1
    assert api.post("/api/v1/returns", body | {"additional": True}).status_code == 200
    api.post(f"/api/v1/shipments/{first['shipment_id']}/cancel", {})


@pytest.mark.django_db(transaction=True)
def test_eight_concurrent_requests_buy_one_return(api, order, sent_bodies, api_key):
    body = {"shipment_id": buy(api, order)["shipment_id"]}

    def request_return(_number):
        try:
            headers = {"X-API-Key": api_key}
            return Client().post("/api/v1/returns", body, content_type="application/json", headers=headers).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(request_return, range(8)))
    assert statuses == [200, *[409] * 7]
    assert len(sent_bodies("create_return")) == 1


def test_return_does_not_count_as_the_orders_shipment(api, order):
    first = buy(api, order)
    assert api.post("/api/v1/returns", {"shipment_id": first["shipment_id"]}).status_code == 200
    refused = api.post("/api/v1/labels", order)
    assert (refused.status_code, refused.json()["details"]["shipment_id"]) == (409, [first["shipment_id"]])
    api.post(f"/api/v1/shipments/{first['shipment_id']}/cancel", {})
    again = buy(api, order)
    assert api.post("/api/v1/labels", order).json()["details"]["shipment_id"] == [again["shipment_id"]]
    rows = Shipment.objects.filter(frees_order=False).order_by("sequence")
    assert [row.sequence for row in rows] == [1, 2]
    buy(api, order | {"additional": True})


@pytest.mark.parametrize(
    ("of_order", "of_return", "warned"), [(False, False, True), (True, False, False), (False, True, False)]
)
def test_return_has_warnings_unless_it_or_its_original_is_muted(api, order, of_order, of_return, warned):
    order["destination"] |= {"state": "Atlantis"}
    label = buy(api, order | {"mute_warnings": of_order})
    back = api.post("/api/v1/returns", {"shipment_id": label["shipment_id"], "mute_warnings": of_return}).json()
    assert ("origin.state" in [one["field"] for one in back["warnings"]]) is warned


def test_return_with_the_first_sequence_number_does_not_block_the_order(api, order):
    first = buy(api, order)
    back = api.post("/api/v1/returns", {"shipment_id": first["shipment_id"]}).json()
    api.post(f"/api/v1/shipments/{first['shipment_id']}/cancel", {})
    Shipment.objects.filter(id=back["shipment_id"]).update(sequence=1)
    assert Shipment.objects.get(id=buy(api, order)["shipment_id"]).sequence == 2


def test_return_belongs_to_the_store_of_its_original(api, merchant, client, order):
    store = Store.objects.create(merchant=merchant, name="North", code="north")
    key = generate_key("test")
    store_key(Tenant(merchant.id, "test", store.id), key, name="North")
    north = type(api)(client, key)
    place = north.post("/api/v1/warehouses", {"name": "North", "address": DEPOT, "carriers": ["velocity"]}).json()
    first = buy(north, order | {"warehouse_id": place["id"]})
    back = api.post("/api/v1/returns", {"shipment_id": first["shipment_id"]}).json()
    assert north.get(f"/api/v1/shipments/{back['shipment_id']}").status_code == 200
    again = north.post("/api/v1/returns", {"shipment_id": first["shipment_id"]})
    assert (again.status_code, again.json()["details"]["return_id"]) == (409, [back["shipment_id"]])
    buy(api, order)  # the order of that number without a store is another one


def test_return_to_an_unregistered_warehouse_is_refused_before_the_purchase(api, order, sent_bodies):
    place = api.post("/api/v1/warehouses", {"name": "Delhi", "address": DEPOT}).json()
    body = {"shipment_id": buy(api, order)["shipment_id"], "warehouse_id": place["id"]}
    refused = api.post("/api/v1/returns", body)
    assert (refused.status_code, refused.json()["error"]) == (400, "validation_error")
    assert list(refused.json()["details"]) == ["warehouse_id"]
    assert not sent_bodies("create_return")
    api.post(f"/api/v1/warehouses/{place['id']}/registrations", {"carrier": "velocity"})
    assert api.post("/api/v1/returns", body).status_code == 200
