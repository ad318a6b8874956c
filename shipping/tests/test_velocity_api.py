"""What a merchant does with Velocity through the public API, against the simulated carrier over real HTTP."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant, Store
from carriers.adapters.velocity import VelocityAdapter
from carriers.models import CarrierCall, Credential
from carriers.types import BookedLabel
from shipping.checkpoints import polling
from shipping.labels import documents, reconciliation
from shipping.models import Label, Parcel, Pickup, Shipment
from shipping.tests.velocity import BUYER, DEPOT, bought
from shipping.tests.velocity import account as account
from shipping.tests.velocity import on_the_platforms as on_the_platforms
from shipping.tests.velocity import order as order
from shipping.tests.velocity import put as put
from shipping.tests.velocity import sent as sent
from shipping.tests.velocity import warehouse as warehouse

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("account", "sandbox")]


def later(**span):
    return time_machine.travel(timezone.now() + timedelta(**span), tick=True)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"currency": "USD"}, "currency"),
        ({"packages": [{"weight_kg": 1, "declared_value": 20, "currency": "EUR"}]}, "packages[0].currency"),
        ({"service_type": "express"}, "service_type"),
        ({"destination": BUYER | {"country": "US"}}, "destination.country"),
        ({"metadata": {"pickup_point_id": "PP-1"}}, "metadata.pickup_point_id"),
    ],
)
def test_what_velocity_would_take_for_something_else_is_refused_before_anything_is_bought(
    api, order, sandbox, changes, field
):
    for path in ("/api/v1/labels", "/api/v1/quotes"):
        refused = api.post(path, order | changes)
        assert (refused.status_code, refused.json()["error"]) == (400, "validation_error")
        assert list(refused.json()["details"]) == [field]
    assert not sandbox.calls(carrier="velocity", operation="create_label")
    assert not Shipment.objects.exists()


def test_a_change_that_nobody_lived_to_store_has_the_label_drawn_anew(api, order):
    bought(api, order)
    label = Label.objects.get()
    Shipment.objects.update(changing_until=timezone.now() - timedelta(seconds=1))
    assert documents.fetch_missing() == 1
    assert Label.objects.get().file.name != label.file.name
    assert Shipment.objects.get().changing_until is None


def test_a_change_that_is_under_way_is_left_alone_by_the_worker(api, order):
    bought(api, order)
    until = timezone.now() + timedelta(seconds=30)
    Shipment.objects.update(changing_until=until)
    assert documents.fetch_missing() == 0
    assert Shipment.objects.get().changing_until == until


def test_a_label_is_bought_with_all_that_the_order_says(api, order, warehouse, sent):
    label = bought(api, order)
    assert label["carrier"] == "Velocity Shipfast"
    assert label["label_data"].startswith("JVBERi0")
    assert label["metadata"]["courier_name"] == "Delhivery Surface"
    (asked,) = sent("create_label")
    shipment = Shipment.objects.get(id=label["shipment_id"])
    assert asked["order_id"] == shipment.reference
    assert asked["billing_phone"] == "9000000001"
    assert (asked["billing_customer_name"], asked["billing_last_name"]) == ("Asha", "Rao")
    assert (asked["payment_method"], asked["cod_collectible"], asked["sub_total"]) == ("COD", 990, 990)
    assert asked["warehouse_id"] == warehouse["registrations"][0]["carrier_warehouse_id"]
    stored = Label.objects.get(shipment=shipment)
    assert default_storage.open(stored.manifest.name).read().startswith(b"%PDF")


@pytest.mark.parametrize("mount", ["/api/v1", "/api/week3-integrations"])
def test_the_manifest_is_read_where_the_answers_say(api, order, mount):
    label = bought(api, order)
    assert label["manifest_url"].endswith(f"/api/v1/shipments/{label['shipment_id']}/manifest")
    assert api.get(f"/api/v1/shipments/{label['shipment_id']}").json()["manifest_url"] == label["manifest_url"]
    for name in (label["shipment_id"], label["tracking_number"]):
        file = api.get(f"{mount}/shipments/{name}/manifest")
        assert (file.status_code, file["Content-Type"]) == (200, "application/pdf")
        assert file["Cache-Control"] == "private, no-store"
        assert f"{label['tracking_number']}-manifest.pdf" in file["Content-Disposition"]
        stored = Label.objects.get(shipment_id=label["shipment_id"])
        assert b"".join(file.streaming_content) == default_storage.open(stored.manifest.name).read()


def test_another_merchants_manifest_is_not_found(api, client, order):
    label = bought(api, order)
    key = generate_key("test")
    store_key(Tenant(Merchant.objects.create(name="Other", slug="other").id, "test"), key, name="other")
    path = f"/api/v1/shipments/{label['shipment_id']}/manifest"
    refused = client.get(path, headers={"X-API-Key": key})
    assert (refused.status_code, refused.json()["error"]) == (404, "shipment_not_found")
    assert client.get(path).status_code == 401


def test_a_way_back_has_a_manifest_of_its_own(api, order):
    label = bought(api, order)
    back = api.post("/api/v1/returns", {"shipment_id": label["shipment_id"]}).json()
    assert back["manifest_url"].endswith(f"/api/v1/shipments/{back['shipment_id']}/manifest")
    assert api.get(f"/api/v1/shipments/{back['shipment_id']}/manifest").status_code == 200


def test_a_manifest_that_cannot_be_had_yet_is_not_found_until_it_is_here(api, order, sandbox, settings):
    settings.CARRIER_MAX_RETRIES = 0
    fault = {"kind": "status", "status": 503, "carrier": "velocity", "operation": "label_file", "count": 2}
    sandbox.control("POST", "/_sandbox/faults", fault)
    label = bought(api, order)
    path = f"/api/v1/shipments/{label['shipment_id']}/manifest"
    assert label["manifest_url"].endswith(path)
    missing = api.get(path)
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
    assert missing.json()["message"] == "This shipment has no manifest."
    assert documents.fetch_missing() == 1
    assert api.get(path).status_code == 200


def test_cash_on_delivery_needs_its_amount_and_prepaid_has_none(api, order):
    del order["cod_amount"]
    assert set(api.post("/api/v1/labels", order).json()["details"]) == {"cod_amount"}
    prepaid = api.post("/api/v1/labels", order | {"payment_method": "prepaid", "cod_amount": 5})
    assert set(prepaid.json()["details"]) == {"cod_amount"}


def test_without_a_warehouse_nothing_departs_from_a_strangers(api, order):
    del order["warehouse_id"]
    refused = api.post("/api/v1/labels", order)
    assert (refused.status_code, refused.json()["error"]) == (404, "warehouse_not_found")
    (told,) = refused.json()["details"]["warehouse_id"]
    assert "/api/v1/warehouses" in told


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"destination": BUYER | {"contact_phone": "12345"}}, "destination.contact_phone"),
        ({"destination": BUYER | {"postal_code": "56010"}}, "destination.postal_code"),
        ({"packages": [{"weight_kg": 31, "length_cm": 1, "width_cm": 1, "height_cm": 1}]}, "packages"),
        ({"packages": [{"weight_kg": 1}]}, "packages[0].length_cm"),
    ],
)
def test_what_the_carrier_refuses_names_our_field(api, order, change, field):
    refused = api.post("/api/v1/labels", order | change)
    assert (refused.status_code, refused.json()["error"]) == (400, "carrier_rejected")
    assert field in refused.json()["details"]


def test_the_buyer_may_live_elsewhere(api, order, sent):
    bought(api, order | {"billing_address": BUYER | {"contact_name": "Ravi Rao", "city": "Chennai"}})
    (asked,) = sent("create_label")
    assert asked["shipping_is_billing"] is False
    assert (asked["billing_city"], asked["shipping_city"]) == ("Chennai", "Bangalore")


def test_a_chosen_offer_is_bought_from_its_courier(api, order):
    quote = api.post("/api/v1/quotes", {key: order[key] for key in ("carrier", "origin", "destination", "packages")})
    offers = quote.json()["offers"]
    assert [offer["total_price"] for offer in offers] == sorted(offer["total_price"] for offer in offers)
    chosen = next(offer for offer in offers if offer["metadata"]["courier_name"] == "DTDC Express")
    label = bought(api, order | {"service_type": chosen["service_type"]})
    assert label["metadata"]["courier_name"] == "DTDC Express"


def test_serviceability_always_answers(api):
    asked = {"carrier": "velocity", "origin": {"postal_code": "560102", "country": "IN"}}
    there = api.post("/api/v1/serviceability", asked | {"destination": {"postal_code": "400001", "country": "IN"}})
    assert there.json()["is_serviceable"] is True
    assert there.json()["services"][0]["price"] == 45
    cod = {"payment_method": "cod", "cod_amount": 100, "destination": {"postal_code": "400001", "country": "IN"}}
    assert all(
        one["metadata"]["cod_available"] for one in api.post("/api/v1/serviceability", asked | cod).json()["services"]
    )
    abroad = api.post("/api/v1/serviceability", asked | {"destination": {"postal_code": "10001", "country": "US"}})
    assert (abroad.json()["is_serviceable"], abroad.json()["reason"]) == (False, "Velocity Shipfast serves only: IN.")
    nowhere = api.post("/api/v1/serviceability", asked | {"destination": {"postal_code": "999999", "country": "IN"}})
    assert nowhere.status_code == 200
    assert nowhere.json() == {
        "carrier": "Velocity Shipfast",
        "is_serviceable": False,
        "services": [],
        "reason": "No carriers service this pincode",
    }


def test_a_weight_that_the_carrier_refuses_is_named_as_it_was_asked(api):
    place = {"postal_code": "560102", "country": "IN"}
    asked = {"carrier": "velocity", "origin": place, "destination": place, "weight_kg": 5000}
    refused = api.post("/api/v1/serviceability", asked)
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["weight_kg"])


def test_a_place_that_nobody_serves_is_not_bought_for(api, order):
    refused = api.post("/api/v1/labels", order | {"destination": BUYER | {"postal_code": "999999"}})
    assert (refused.status_code, refused.json()["error"]) == (422, "not_serviceable")


def advance(sandbox, number, **wish):
    return sandbox.control("POST", f"/_sandbox/velocity/shipments/{number}/advance", wish)


def test_tracking_reads_indias_time(api, order, sandbox):
    number = bought(api, order)["tracking_number"]
    advance(sandbox, number, to="PKP", at="2026-01-15 10:00:00")
    track = api.post("/api/v1/tracking", {"carrier": "velocity", "tracking_number": number}).json()
    assert track["status"] in ("picked_up", "created")
    scan = Shipment.objects.get(tracking_number=number).checkpoints.get(code="PKP")
    assert scan.occurred_at.isoformat() == "2026-01-15T04:30:00+00:00"
    assert (scan.occurred_text, scan.tz_assumed) == ("2026-01-15 10:00:00", True)


def pushed(sandbox, number):
    return [row["state"] for row in sandbox.control("GET", "/_sandbox/webhooks") if row["subject"] == number]


def test_a_signed_event_becomes_the_same_scan_as_tracking_shows(api, order, sandbox, account, live_server):
    url = f"{live_server.url}/webhooks/velocity/events/{account.id}"
    sandbox.control("PUT", "/_sandbox/accounts/+910000000000", {"webhook_url": url})
    number = bought(api, order)["tracking_number"]
    advance(sandbox, number, to="NDR")
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up and pushed(sandbox, number) != ["delivered", "delivered"]:
        pass
    shipment = Shipment.objects.get(tracking_number=number)
    assert shipment.status == "ndr"
    details = shipment.checkpoints.get(code="NDR").details
    assert (details["ndr_reason"], details["attempts"]) == ("CUSTOMER_NOT_AVAILABLE", 1)
    api.post("/api/v1/tracking", {"carrier": "velocity", "tracking_number": number})
    assert shipment.checkpoints.filter(code="NDR").count() == 1


def test_a_cancellation_is_one_scan(api, order):
    label = bought(api, order)
    path = f"/api/v1/shipments/{label['shipment_id']}"
    cancelled = api.post(f"{path}/cancel", {}).json()
    api.post("/api/v1/tracking", {"carrier": "velocity", "tracking_number": label["tracking_number"]})
    (scan,) = [one for one in api.get(path).json()["checkpoints"] if one["status"] == "cancelled"]
    assert scan["timestamp"] in str(cancelled)


@pytest.mark.parametrize("status", [401, 429])
def test_an_order_that_velocity_has_already_was_bought(api, order, sandbox, status):
    api.post("/api/v1/quotes", order)
    Credential.objects.update(token_fetched_at=timezone.now() - timedelta(minutes=10))
    fault = {"kind": "status", "status": status, "after": True, "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault | {"carrier": "velocity", "operation": "create_label"})
    assert api.post("/api/v1/labels", order).status_code == 202
    assert reconciliation.reconcile() == {"booked": 1}
    assert Shipment.objects.get().booking_state == "booked"


def test_a_carrier_without_pickups_leaves_none_behind(api):
    window = {"pickup_window_start": "10:00", "pickup_window_end": "12:00", "packages_count": 1}
    asked = {"carrier": "velocity", "pickup_date": "2030-01-05T00:00:00Z", "address": DEPOT, **window}
    refused = api.post("/api/v1/pickups", asked)
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_operation")
    assert not Pickup.objects.exists()


def test_cancelling_is_left_to_the_carrier(api, order, sandbox):
    label = bought(api, order)
    advance(sandbox, label["tracking_number"], to="OFD", webhook=False)
    refused = api.post(f"/api/v1/shipments/{label['shipment_id']}/cancel", {"reason": "late"})
    assert (refused.status_code, refused.json()["error"]) == (409, "cannot_cancel")
    other = bought(api, order | {"order_id": "ANOTHER"})
    cancelled = api.post(f"/api/v1/velocity/shipments/{other['tracking_number']}/cancel", {})
    assert cancelled.status_code == 200
    assert Shipment.objects.get(id=other["shipment_id"]).status == "cancelled"


def test_a_return_is_a_shipment_of_its_own_bought_once(api, order, sandbox, warehouse, sent):
    first = bought(api, order)
    headers = {"Idempotency-Key": "return-1"}
    body = {"shipment_id": first["tracking_number"], "reason": "Does not fit"}
    answers = [api.post("/api/v1/returns", body, headers=headers) for _ in range(2)]
    back, again = [answer.json() for answer in answers]
    assert answers[0].status_code == 200, back
    assert back == again
    assert back["return_of"] == first["shipment_id"]
    assert back["tracking_number"] != first["tracking_number"]
    (asked,) = sent("create_return")
    assert (asked["original_awb"], asked["return_reason"]) == (first["tracking_number"], "Does not fit")
    assert (asked["pickup_city"], asked["shipping_city"]) == ("Bangalore", "Mumbai")
    assert asked["warehouse_id"] == warehouse["registrations"][0]["carrier_warehouse_id"]
    assert asked["payment_method"] == "PREPAID"
    assert "cod_collectible" not in asked


@pytest.mark.parametrize("switch", ["is_open", "is_active"])
def test_nothing_is_bought_back_with_an_account_that_takes_no_orders(api, on_the_platforms, order, sent, switch):
    first = bought(api, order)
    Credential.objects.filter(id=on_the_platforms.id).update(**{switch: False})
    refused = api.post("/api/v1/returns", {"shipment_id": first["shipment_id"]})
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["shipment_id"])
    assert not sent("create_return")


def test_nothing_comes_back_of_what_was_called_off(api, order, sent):
    first = bought(api, order)
    api.post(f"/api/v1/shipments/{first['shipment_id']}/cancel")
    refused = api.post("/api/v1/returns", {"shipment_id": first["shipment_id"]})
    assert (refused.status_code, refused.json()["error"]) == (400, "business_error")
    assert not sent("create_return")


def test_a_second_return_is_bought_only_where_the_merchant_says_so(api, order, sent):
    body = {"shipment_id": bought(api, order)["shipment_id"]}
    first = api.post("/api/v1/returns", body).json()
    refused = api.post("/api/v1/returns", body)
    assert (refused.status_code, refused.json()["details"]["return_id"]) == (409, [first["shipment_id"]])
    assert len(sent("create_return")) == 1
    assert api.post("/api/v1/returns", body | {"additional": True}).status_code == 200
    api.post(f"/api/v1/shipments/{first['shipment_id']}/cancel", {})


@pytest.mark.django_db(transaction=True)
def test_eight_requests_at_once_buy_one_return(api, order, sent, api_key):
    body = {"shipment_id": bought(api, order)["shipment_id"]}

    def ask(_number):
        try:
            headers = {"X-API-Key": api_key}
            return Client().post("/api/v1/returns", body, content_type="application/json", headers=headers).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(ask, range(8)))
    assert statuses == [200, *[409] * 7]
    assert len(sent("create_return")) == 1


def test_a_way_back_does_not_serve_the_order(api, order):
    first = bought(api, order)
    assert api.post("/api/v1/returns", {"shipment_id": first["shipment_id"]}).status_code == 200
    refused = api.post("/api/v1/labels", order)
    assert (refused.status_code, refused.json()["details"]["shipment_id"]) == (409, [first["shipment_id"]])
    api.post(f"/api/v1/shipments/{first['shipment_id']}/cancel", {})
    anew = bought(api, order)
    assert api.post("/api/v1/labels", order).json()["details"]["shipment_id"] == [anew["shipment_id"]]
    rows = Shipment.objects.filter(frees_order=False).order_by("sequence")
    assert [row.sequence for row in rows] == [1, 2]
    bought(api, order | {"additional": True})


def test_an_odd_place_and_an_odd_change_are_taken_and_warned_of_unless_muted(api, put, patch, order, merchant):
    atlantis = DEPOT | {"state": "Atlantis"}

    def fields(answer):
        assert answer.status_code < 300, answer.content
        return [one["field"] for one in answer.json()["warnings"]]

    place = api.post("/api/v1/warehouses", {"name": "Delhi", "address": atlantis, "return_address": DEPOT})
    path, shipment = (
        f"/api/v1/warehouses/{place.json()['id']}",
        f"/api/v1/shipments/{bought(api, order)['shipment_id']}",
    )
    body = {"name": "Delhi", "address": DEPOT, "return_address": atlantis}
    change = {"destination": BUYER | {"state": "Atlantis"}}
    assert [fields(place), fields(put(path, body)), fields(patch(shipment, change))] == [
        ["address.state"],
        ["return_address.state"],
        ["destination.state"],
    ]
    Merchant.objects.filter(id=merchant.id).update(mute_warnings=True)
    assert [fields(put(path, body)), fields(patch(shipment, change))] == [[], []]


@pytest.mark.parametrize(
    ("of_order", "of_return", "warned"), [(False, False, True), (True, False, False), (False, True, False)]
)
def test_a_return_warns_unless_it_or_what_comes_back_was_muted(api, order, of_order, of_return, warned):
    order["destination"] |= {"state": "Atlantis"}
    label = bought(api, order | {"mute_warnings": of_order})
    back = api.post("/api/v1/returns", {"shipment_id": label["shipment_id"], "mute_warnings": of_return}).json()
    assert ("origin.state" in [one["field"] for one in back["warnings"]]) is warned


def test_a_return_that_holds_the_orders_first_number_lets_it_be_bought(api, order):
    first = bought(api, order)
    back = api.post("/api/v1/returns", {"shipment_id": first["shipment_id"]}).json()
    api.post(f"/api/v1/shipments/{first['shipment_id']}/cancel", {})
    Shipment.objects.filter(id=back["shipment_id"]).update(sequence=1)
    assert Shipment.objects.get(id=bought(api, order)["shipment_id"]).sequence == 2


def test_a_return_belongs_to_the_store_of_what_comes_back(api, merchant, client, order):
    store = Store.objects.create(merchant=merchant, name="North", code="north")
    key = generate_key("test")
    store_key(Tenant(merchant.id, "test", store.id), key, name="North")
    north = type(api)(client, key)
    place = north.post("/api/v1/warehouses", {"name": "North", "address": DEPOT, "carriers": ["velocity"]}).json()
    first = bought(north, order | {"warehouse_id": place["id"]})
    back = api.post("/api/v1/returns", {"shipment_id": first["shipment_id"]}).json()
    assert north.get(f"/api/v1/shipments/{back['shipment_id']}").status_code == 200
    again = north.post("/api/v1/returns", {"shipment_id": first["shipment_id"]})
    assert (again.status_code, again.json()["details"]["return_id"]) == (409, [back["shipment_id"]])
    bought(api, order)  # the whole merchant's order of that number is another one


def test_an_order_is_changed_at_the_carrier_and_then_here(api, client, api_key, order, sandbox):
    label = bought(api, order)
    path = f"/api/v1/shipments/{label['shipment_id']}"
    change = {"destination": BUYER | {"street": "14 Example Road"}, "packages": [{"weight_kg": 2}]}
    answer = client.patch(path, change, content_type="application/json", headers={"X-API-Key": api_key})
    assert answer.status_code == 200, answer.content
    assert answer.json()["destination"]["street"] == "14 Example Road"
    assert [package["weight_kg"] for package in answer.json()["packages"]] == [2]
    stored = sandbox.control("GET", f"/_sandbox/velocity/shipments?reference={answer.json()['reference']}")
    assert stored[0]["body"]["shipping_address"] == "14 Example Road"
    advance(sandbox, label["tracking_number"], to="OFD", webhook=False)
    late = client.patch(path, change, content_type="application/json", headers={"X-API-Key": api_key})
    assert (late.status_code, late.json()["error"]) == (400, "carrier_rejected")
    assert late.json()["carrier_message"] == "Cannot update order in current status"
    assert Shipment.objects.get(id=label["shipment_id"]).destination["street"] == "14 Example Road"


@pytest.fixture
def patch(client, api_key):
    return lambda path, body: client.patch(path, body, content_type="application/json", headers={"X-API-Key": api_key})


@pytest.mark.parametrize(
    ("change", "field"),
    [({"payment_method": "cod", "cod_amount": 500}, "cod_amount"), ({"cod_amount": 500}, "cod_amount")],
)
def test_nobody_collects_cash_for_a_return(api, patch, order, sent, change, field):
    back = api.post("/api/v1/returns", {"shipment_id": bought(api, order)["shipment_id"]}).json()
    refused = patch(f"/api/v1/shipments/{back['shipment_id']}", change)
    assert (refused.status_code, list(refused.json()["details"])) == (400, [field])
    assert not sent("update_order")


def test_what_is_not_said_of_a_parcel_stays_here_and_at_the_carrier(api, patch, order, sandbox):
    goods = {"declared_value": 400, "currency": "INR", "description": "Shirts"}
    two = [order["packages"][0] | goods, {"weight_kg": 1, "length_cm": 30, "width_cm": 60, "height_cm": 5}]
    label = bought(api, order | {"packages": two})
    path = f"/api/v1/shipments/{label['shipment_id']}"
    changed = patch(path, {"packages": [{"weight_kg": 2}, {"weight_kg": 1, "height_cm": 7}]}).json()
    told = [{name: value for name, value in one.items() if value is not None} for one in changed["packages"]]
    expected = [two[0] | {"weight_kg": 2}, two[1] | {"height_cm": 7}]
    assert [{name: one[name] for name in wanted} for one, wanted in zip(told, expected, strict=True)] == expected
    there = sandbox.control("GET", f"/_sandbox/velocity/shipments?reference={changed['reference']}")[0]["body"]
    assert {name: there[name] for name in ("weight", "length", "breadth", "height")} == {
        "weight": 3,
        "length": 100,
        "breadth": 60,
        "height": 17,
    }
    refused = patch(path, {"packages": [{"weight_kg": 4, "length_cm": 100}]})
    assert list(refused.json()["details"]) == ["packages[0].width_cm", "packages[0].height_cm"]
    one = {"weight_kg": 4, "length_cm": 40, "width_cm": 50, "height_cm": 10}
    (left,) = patch(path, {"packages": [one]}).json()["packages"]
    assert (left["declared_value"], left["description"]) == (None, "")  # of a parcel that went
    advance(sandbox, label["tracking_number"], to="DEL")
    back = api.post("/api/v1/returns", {"shipment_id": label["shipment_id"]})
    assert back.status_code == 200, back.content
    assert Parcel.objects.get(shipment=back.json()["shipment_id"]).height_cm == 10


@pytest.mark.django_db(transaction=True)
def test_the_label_of_a_changed_order_is_the_carriers_new_one(api, patch, order, sandbox):
    path = f"/api/v1/shipments/{bought(api, order)['shipment_id']}"
    before, stored = api.get(f"{path}/label").getvalue(), Label.objects.get().file.name
    assert patch(path, {"destination": BUYER | {"contact_name": "Zed Zulu", "city": "Pune"}}).status_code == 200
    assert api.get(f"{path}/label").getvalue() != before
    assert not default_storage.exists(stored)

    sandbox.control(
        "POST", "/_sandbox/faults", {"operation": "label_file", "kind": "status", "status": 404, "count": 9}
    )
    patch(path, {"destination": BUYER | {"contact_name": "Yan Yule"}})
    assert api.get(f"{path}/label").status_code == 404  # rather none than another's
    sandbox.control("DELETE", "/_sandbox/faults")
    Label.objects.update(fetch_at=timezone.now())
    assert documents.fetch_missing() == 1
    assert api.get(f"{path}/label").status_code == 200


def test_what_is_collected_is_changed_as_a_whole_and_shown(api, patch, order, sandbox):
    label = bought(api, {name: order[name] for name in order if name not in ("payment_method", "cod_amount")})
    path = f"/api/v1/shipments/{label['shipment_id']}"
    for change in ({"cod_amount": 77}, {"payment_method": "cod"}):
        refused = patch(path, change)
        assert (refused.status_code, list(refused.json()["details"])) == (400, ["cod_amount"])
    assert patch(path, {"payment_method": "cod", "cod_amount": 77}).json()["payment"]["cod_amount"] == 77
    assert patch(path, {"cod_amount": 78}).json()["payment"] == {
        "method": "cod",
        "cod_amount": 78,
        "currency": "INR",
    }
    assert patch(path, {"payment_method": "prepaid"}).json()["payment"]["cod_amount"] is None
    (there,) = sandbox.control("GET", f"/_sandbox/velocity/shipments?reference={Shipment.objects.get().reference}")
    assert (there["body"]["payment_method"], there["body"]["cod_collectible"]) == ("PREPAID", 0)


def test_who_receives_it_stays_where_only_the_place_changes(api, patch, order, sandbox):
    path = f"/api/v1/shipments/{bought(api, order)['shipment_id']}"
    place = {name: BUYER[name] for name in ("city", "state", "postal_code", "country")} | {"street": "1 New Road"}
    changed = patch(path, {"destination": place}).json()
    assert changed["destination"] == BUYER | {"street": "1 New Road"}
    (there,) = sandbox.control("GET", f"/_sandbox/velocity/shipments?reference={changed['reference']}")
    assert (there["body"]["shipping_customer_name"], there["body"]["shipping_phone"]) == ("Asha", "9000000001")


def test_a_change_without_an_answer_may_be_sent_again(api, patch, order, sandbox, settings):
    settings.CARRIER_MAX_RETRIES = 0
    path = f"/api/v1/shipments/{bought(api, order)['shipment_id']}"
    sandbox.control("POST", "/_sandbox/faults", {"operation": "update_order", "kind": "cut", "count": 1})
    lost = patch(path, {"packages": [{"weight_kg": 2}]})
    assert (lost.status_code, lost.json()["error"], lost.json()["retryable"]) == (504, "carrier_timeout", True)
    assert patch(path, {"packages": [{"weight_kg": 2}]}).status_code == 200


def test_a_second_change_waits_for_the_first_to_end(patch, order, api, sandbox, monkeypatch):
    path = f"/api/v1/shipments/{bought(api, order)['shipment_id']}"
    change, answers = VelocityAdapter.update_order, []

    def change_while_another_asks(adapter, update):
        done = change(adapter, update)
        answers.append(patch(path, {"destination": BUYER | {"street": "2 Second Street"}}))
        return done

    monkeypatch.setattr(VelocityAdapter, "update_order", change_while_another_asks)
    first = patch(path, {"destination": BUYER | {"street": "1 First Street"}})
    assert (first.status_code, first.json()["destination"]["street"]) == (200, "1 First Street")
    (second,) = answers
    assert (second.status_code, second.json()["error"], second["Retry-After"]) == (409, "in_progress", "2")
    monkeypatch.undo()
    assert patch(path, {"destination": BUYER | {"street": "2 Second Street"}}).status_code == 200
    (there,) = sandbox.control("GET", f"/_sandbox/velocity/shipments?reference={first.json()['reference']}")
    assert there["body"]["shipping_address"] == Shipment.objects.get().destination["street"] == "2 Second Street"


def test_a_change_whose_process_died_lets_others_in_after_a_while(api, patch, order):
    path = f"/api/v1/shipments/{bought(api, order)['shipment_id']}"
    Shipment.objects.update(changing_until=timezone.now() + timedelta(seconds=30))
    assert patch(path, {"packages": [{"weight_kg": 2}]}).status_code == 409
    with later(seconds=31):
        assert patch(path, {"packages": [{"weight_kg": 2}]}).status_code == 200


def test_after_a_change_without_an_answer_the_label_is_fetched_anew(api, patch, order, sandbox):
    path = f"/api/v1/shipments/{bought(api, order)['shipment_id']}"
    before = api.get(f"{path}/label").getvalue()
    fault = {"operation": "update_order", "kind": "status", "status": 500, "count": 1, "after": True}
    sandbox.control("POST", "/_sandbox/faults", fault)
    assert patch(path, {"destination": BUYER | {"contact_name": "Zed Zulu"}}).status_code == 504
    assert api.get(f"{path}/label").status_code == 404  # rather none than one that shows another name
    assert documents.fetch_missing() == 1
    assert api.get(f"{path}/label").getvalue() != before


def test_the_carriers_reports_are_passed_on(api, order):
    label = bought(api, order)
    today = timezone.now().date()
    days = {"since": str(today - timedelta(days=1)), "until": str(today + timedelta(days=1))}
    report = api.get("/api/v1/reports", carrier="velocity", kind="orders", **days).json()
    assert label["tracking_number"] in [row["awb"] for row in report["rows"]]
    assert api.get("/api/v1/velocity/reports", kind="orders", **days).status_code == 200
    unknown = api.get("/api/v1/reports", carrier="velocity", kind="gossip", **days)
    assert set(unknown.json()["details"]) == {"kind"}


def test_a_report_on_an_account_that_others_use_is_nobodys(api, on_the_platforms, sent):
    days = {"since": "2026-01-01", "until": "2026-01-31"}
    refused = api.get("/api/v1/reports", carrier="velocity", kind="orders", **days)
    assert (refused.status_code, refused.json()["error"]) == (403, "permission_denied")
    assert not sent("reports")


def test_a_report_on_the_whole_account_is_not_for_a_stores_key(merchant, client):
    store = Store.objects.create(merchant=merchant, name="North", code="north")
    key = generate_key("test")
    store_key(Tenant(merchant.id, "test", store.id), key, name="North")
    days = {"since": "2026-01-01", "until": "2026-01-31"}
    query = {"carrier": "velocity", "kind": "orders", **days}
    assert client.get("/api/v1/reports", query, headers={"X-API-Key": key}).status_code == 403


def test_a_lost_answer_is_found_by_our_reference_and_nothing_is_bought_again(api, order, sandbox, settings, sent):
    settings.CARRIER_TIMEOUT_S = 1
    fault = {"kind": "hang_after", "carrier": "velocity", "operation": "create_label", "count": 1, "delay_s": 2}
    sandbox.control("POST", "/_sandbox/faults", fault)
    answer = api.post("/api/v1/labels", order)
    assert answer.status_code == 202
    settings.CARRIER_TIMEOUT_S = 10
    assert reconciliation.reconcile() == {"booked": 1}
    shipment = Shipment.objects.get(id=answer.json()["shipment_id"])
    assert shipment.tracking_number.startswith("SHPHYB")
    assert len(sent("create_label")) == 1
    assert documents.fetch_missing() == 1
    assert api.get(f"/api/v1/shipments/{shipment.id}/label").status_code == 200


def test_a_file_that_was_fetched_while_its_order_was_changed_is_not_kept(api, order, sandbox, monkeypatch):
    path = f"/api/v1/shipments/{bought(api, order)['shipment_id']}"
    Label.objects.update(file="", fetch_at=timezone.now())
    fetch = VelocityAdapter.label_file

    def changed_meanwhile(adapter, url):
        content = fetch(adapter, url)
        documents.discard_files(Shipment.objects.get())
        return content

    with monkeypatch.context() as patched:
        patched.setattr(VelocityAdapter, "label_file", changed_meanwhile)
        assert documents.fetch_missing() == 0
    assert api.get(f"{path}/label").status_code == 404
    assert documents.fetch_missing() == 1
    assert api.get(f"{path}/label").status_code == 200


@pytest.mark.parametrize(("length", "kept"), [(2000, True), (2001, False)])
def test_a_files_address_is_kept_whole_or_not_at_all(length, kept):
    url = "https://labels.example/".ljust(length, "x")
    booked = BookedLabel(
        reference="WB1",
        tracking_number="SHPHYB1",
        carrier_shipment_id="1",
        content=b"",
        label_format="PDF",
        label_size="4x6",
        created_at=timezone.now(),
        carrier_label_url=url,
    )
    made = documents.build_label(uuid.uuid4(), booked)
    assert (made.carrier_url, made.fetch_at is not None) == (url if kept else "", kept)


def test_a_label_whose_file_cannot_be_had_is_booked_and_completed_later(api, order, sandbox, settings):
    settings.CARRIER_MAX_RETRIES = 0
    fault = {"kind": "status", "status": 503, "carrier": "velocity", "operation": "label_file", "count": 2}
    sandbox.control("POST", "/_sandbox/faults", fault)
    label = bought(api, order)
    assert label["label_data"] is None
    assert label["status"] == "created"
    assert documents.fetch_missing() == 1
    file = api.get(f"/api/v1/shipments/{label['shipment_id']}/label")
    assert b"".join(file.streaming_content).startswith(b"%PDF")


def test_many_silent_shipments_are_asked_for_in_one_call(api, order, sandbox):
    numbers = [bought(api, order | {"order_id": f"ORDER-{n}"})["tracking_number"] for n in range(3)]
    for number in numbers:
        advance(sandbox, number, to="IT", webhook=False)
    with later(hours=7):
        assert polling.poll()["asked"] == 3
    assert CarrierCall.objects.filter(operation="track").count() == 1
    assert set(Shipment.objects.values_list("status", flat=True)) == {"in_transit"}


def test_a_return_to_a_warehouse_that_the_account_does_not_know_is_told_before_anything_is_bought(api, order, sent):
    place = api.post("/api/v1/warehouses", {"name": "Delhi", "address": DEPOT}).json()
    body = {"shipment_id": bought(api, order)["shipment_id"], "warehouse_id": place["id"]}
    refused = api.post("/api/v1/returns", body)
    assert (refused.status_code, refused.json()["error"]) == (400, "validation_error")
    assert list(refused.json()["details"]) == ["warehouse_id"]
    assert not sent("create_return")
    api.post(f"/api/v1/warehouses/{place['id']}/registrations", {"carrier": "velocity"})
    assert api.post("/api/v1/returns", body).status_code == 200


def test_a_quote_with_cash_on_delivery_offers_only_couriers_that_collect(api, order):
    asked = {key: order[key] for key in ("carrier", "origin", "destination", "packages")}
    cash = {"payment_method": "cod", "cod_amount": 990}
    couriers = [
        {offer["metadata"]["courier_name"]: offer["metadata"]["cod_available"] for offer in quote.json()["offers"]}
        for quote in (api.post("/api/v1/quotes", asked), api.post("/api/v1/quotes", asked | cash))
    ]
    assert couriers == [
        {"Delhivery Surface": True, "DTDC Express": True, "Xpressbees Air": False},
        {"Delhivery Surface": True, "DTDC Express": True},
    ]
