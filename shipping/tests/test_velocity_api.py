"""Requests for Velocity through the public API, against the sandbox over HTTP."""

import time
from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant, Store
from carriers.models import CarrierCall, CredentialToken
from shipping.checkpoints import polling
from shipping.labels import documents, reconciliation
from shipping.models import Document, Pickup, Shipment
from shipping.tests.velocity import BUYER, DEPOT, buy
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
def test_fields_outside_the_carriers_limits_are_refused_before_the_purchase(api, order, sandbox, changes, field):
    for path in ("/api/v1/labels", "/api/v1/quotes"):
        refused = api.post(path, order | changes)
        assert (refused.status_code, refused.json()["error"]) == (400, "validation_error")
        assert list(refused.json()["details"]) == [field]
    assert not sandbox.calls(carrier="velocity", operation="create_label")
    assert not Shipment.objects.exists()


def test_label_is_bought_with_all_fields_of_the_order(api, order, warehouse, sent_bodies):
    label = buy(api, order)
    assert label["carrier"] == "Velocity Shipfast"
    assert label["label_data"].startswith("JVBERi0")
    assert label["metadata"]["courier_name"] == "Delhivery Surface"
    (asked,) = sent_bodies("create_label")
    shipment = Shipment.objects.get(id=label["shipment_id"])
    assert asked["order_id"] == shipment.reference
    assert asked["billing_phone"] == "9000000001"
    assert (asked["billing_customer_name"], asked["billing_last_name"]) == ("Asha", "Rao")
    assert (asked["payment_method"], asked["cod_collectible"], asked["sub_total"]) == ("COD", 990, 990)
    assert asked["warehouse_id"] == warehouse["registrations"][0]["carrier_warehouse_id"]
    stored = Document.objects.get(shipment=shipment, kind="manifest")
    assert default_storage.open(stored.file.name).read().startswith(b"%PDF")


def test_cash_on_delivery_needs_an_amount_and_prepaid_has_none(api, order):
    del order["cod_amount"]
    assert set(api.post("/api/v1/labels", order).json()["details"]) == {"cod_amount"}
    prepaid = api.post("/api/v1/labels", order | {"payment_method": "prepaid", "cod_amount": 5})
    assert set(prepaid.json()["details"]) == {"cod_amount"}


def test_order_needs_a_warehouse_of_the_merchant(api, order):
    del order["warehouse_id"]
    refused = api.post("/api/v1/labels", order)
    assert (refused.status_code, refused.json()["error"]) == (404, "warehouse_not_found")
    (text,) = refused.json()["details"]["warehouse_id"]
    assert "/api/v1/warehouses" in text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"destination": BUYER | {"contact_phone": "12345"}}, "destination.contact_phone"),
        ({"destination": BUYER | {"postal_code": "56010"}}, "destination.postal_code"),
        ({"packages": [{"weight_kg": 31, "length_cm": 1, "width_cm": 1, "height_cm": 1}]}, "packages"),
        ({"packages": [{"weight_kg": 1}]}, "packages[0].length_cm"),
    ],
)
def test_carrier_refusal_names_our_field(api, order, change, field):
    refused = api.post("/api/v1/labels", order | change)
    assert (refused.status_code, refused.json()["error"]) == (400, "carrier_rejected")
    assert field in refused.json()["details"]


def test_billing_address_may_differ_from_the_destination(api, order, sent_bodies):
    buy(api, order | {"billing_address": BUYER | {"contact_name": "Ravi Rao", "city": "Chennai"}})
    (asked,) = sent_bodies("create_label")
    assert asked["shipping_is_billing"] is False
    assert (asked["billing_city"], asked["shipping_city"]) == ("Chennai", "Bangalore")


def test_chosen_offer_is_bought_from_its_courier(api, order):
    quote = api.post("/api/v1/quotes", {key: order[key] for key in ("carrier", "origin", "destination", "packages")})
    offers = quote.json()["offers"]
    assert [offer["total_price"] for offer in offers] == sorted(offer["total_price"] for offer in offers)
    chosen = next(offer for offer in offers if offer["metadata"]["courier_name"] == "DTDC Express")
    label = buy(api, order | {"service_type": chosen["service_type"]})
    assert label["metadata"]["courier_name"] == "DTDC Express"


def test_serviceability_returns_200_for_every_route(api):
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


def test_refused_weight_is_named_as_in_the_request(api):
    place = {"postal_code": "560102", "country": "IN"}
    asked = {"carrier": "velocity", "origin": place, "destination": place, "weight_kg": 5000}
    refused = api.post("/api/v1/serviceability", asked)
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["weight_kg"])


def test_unserved_route_is_not_bought(api, order):
    refused = api.post("/api/v1/labels", order | {"destination": BUYER | {"postal_code": "999999"}})
    assert (refused.status_code, refused.json()["error"]) == (422, "not_serviceable")


def test_track_times_are_read_in_indian_time(api, order, sandbox):
    number = buy(api, order)["tracking_number"]
    advance(sandbox, number, to="PKP", at="2026-01-15 10:00:00")
    track = api.post("/api/v1/tracking", {"carrier": "velocity", "tracking_number": number}).json()
    assert track["status"] in ("picked_up", "created")
    scan = Shipment.objects.get(tracking_number=number).checkpoints.get(code="PKP")
    assert scan.occurred_at.isoformat() == "2026-01-15T04:30:00+00:00"
    assert (scan.occurred_text, scan.tz_assumed) == ("2026-01-15 10:00:00", True)


def pushed(sandbox, number):
    return [row["state"] for row in sandbox.control("GET", "/_sandbox/webhooks") if row["subject"] == number]


def test_webhook_and_track_store_the_same_scan(api, order, sandbox, velocity_credential, live_server):
    url = f"{live_server.url}/webhooks/velocity/events/{velocity_credential.id}"
    sandbox.control("PUT", "/_sandbox/accounts/+910000000000", {"webhook_url": url})
    number = buy(api, order)["tracking_number"]
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


def test_cancellation_is_stored_as_one_scan(api, order):
    label = buy(api, order)
    path = f"/api/v1/shipments/{label['shipment_id']}"
    cancelled = api.post(f"{path}/cancel", {}).json()
    api.post("/api/v1/tracking", {"carrier": "velocity", "tracking_number": label["tracking_number"]})
    (scan,) = [one for one in api.get(path).json()["checkpoints"] if one["status"] == "cancelled"]
    assert scan["timestamp"] in str(cancelled)


@pytest.mark.parametrize("status", [401, 429])
def test_order_that_the_carrier_has_already_is_looked_up(api, order, sandbox, status):
    api.post("/api/v1/quotes", order)
    CredentialToken.objects.update(fetched_at=timezone.now() - timedelta(minutes=10))
    fault = {"kind": "status", "status": status, "after": True, "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault | {"carrier": "velocity", "operation": "create_label"})
    assert api.post("/api/v1/labels", order).status_code == 202
    assert reconciliation.reconcile() == {"booked": 1}
    assert Shipment.objects.get().booking_state == "booked"


def test_carrier_without_pickups_stores_no_pickup(api):
    window = {"pickup_window_start": "10:00", "pickup_window_end": "12:00", "packages_count": 1}
    asked = {"carrier": "velocity", "pickup_date": "2030-01-05T00:00:00Z", "address": DEPOT, **window}
    refused = api.post("/api/v1/pickups", asked)
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_operation")
    assert not Pickup.objects.exists()


def test_carrier_decides_whether_a_shipment_can_be_cancelled(api, order, sandbox):
    label = buy(api, order)
    advance(sandbox, label["tracking_number"], to="OFD", webhook=False)
    refused = api.post(f"/api/v1/shipments/{label['shipment_id']}/cancel", {"reason": "late"})
    assert (refused.status_code, refused.json()["error"]) == (409, "cannot_cancel")
    other = buy(api, order | {"order_id": "ANOTHER"})
    cancelled = api.post(f"/api/v1/velocity/shipments/{other['tracking_number']}/cancel", {})
    assert cancelled.status_code == 200
    assert Shipment.objects.get(id=other["shipment_id"]).status == "cancelled"


def test_doubtful_warehouse_and_change_are_accepted_with_warnings_unless_muted(api, put, patch, order, merchant):
    atlantis = DEPOT | {"state": "Atlantis"}

    def fields(answer):
        assert answer.status_code < 300, answer.content
        return [one["field"] for one in answer.json()["warnings"]]

    place = api.post("/api/v1/warehouses", {"name": "Delhi", "address": atlantis, "return_address": DEPOT})
    path, shipment = (
        f"/api/v1/warehouses/{place.json()['id']}",
        f"/api/v1/shipments/{buy(api, order)['shipment_id']}",
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


def test_carrier_reports_are_returned(api, order):
    label = buy(api, order)
    today = timezone.now().date()
    days = {"since": str(today - timedelta(days=1)), "until": str(today + timedelta(days=1))}
    report = api.get("/api/v1/reports", carrier="velocity", kind="orders", **days).json()
    assert label["tracking_number"] in [row["awb"] for row in report["rows"]]
    assert api.get("/api/v1/velocity/reports", kind="orders", **days).status_code == 200
    unknown = api.get("/api/v1/reports", carrier="velocity", kind="gossip", **days)
    assert set(unknown.json()["details"]) == {"kind"}


def test_report_on_a_shared_credential_is_refused(api, platform_credential, sent_bodies):
    days = {"since": "2026-01-01", "until": "2026-01-31"}
    refused = api.get("/api/v1/reports", carrier="velocity", kind="orders", **days)
    assert (refused.status_code, refused.json()["error"]) == (403, "permission_denied")
    assert not sent_bodies("reports")


def test_report_on_the_whole_credential_is_refused_to_a_store_key(merchant, client):
    store = Store.objects.create(merchant=merchant, name="North", code="north")
    key = generate_key("test")
    store_key(Tenant(merchant.id, "test", store.id), key, name="North")
    days = {"since": "2026-01-01", "until": "2026-01-31"}
    query = {"carrier": "velocity", "kind": "orders", **days}
    assert client.get("/api/v1/reports", query, headers={"X-API-Key": key}).status_code == 403


def test_lost_answer_is_found_by_reference_and_not_bought_again(api, order, sandbox, settings, sent_bodies):
    settings.CARRIER_TIMEOUT_S = 1
    fault = {"kind": "hang_after", "carrier": "velocity", "operation": "create_label", "count": 1, "delay_s": 2}
    sandbox.control("POST", "/_sandbox/faults", fault)
    answer = api.post("/api/v1/labels", order)
    assert answer.status_code == 202
    settings.CARRIER_TIMEOUT_S = 10
    assert reconciliation.reconcile() == {"booked": 1}
    shipment = Shipment.objects.get(id=answer.json()["shipment_id"])
    assert shipment.tracking_number.startswith("SHPHYB")
    assert len(sent_bodies("create_label")) == 1
    assert documents.fetch_missing() == 1
    assert api.get(f"/api/v1/shipments/{shipment.id}/label").status_code == 200


def test_many_shipments_are_polled_in_one_call(api, order, sandbox):
    numbers = [buy(api, order | {"order_id": f"ORDER-{n}"})["tracking_number"] for n in range(3)]
    for number in numbers:
        advance(sandbox, number, to="IT", webhook=False)
    with later(hours=7):
        assert polling.poll()["asked"] == 3
    assert CarrierCall.objects.filter(operation="track").count() == 1
    assert set(Shipment.objects.values_list("status", flat=True)) == {"in_transit"}


def test_quote_with_cash_on_delivery_offers_only_couriers_that_collect(api, order):
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
