"""The documented Pickit requests, answered with the documented keys and types."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.models import Event
from carriers.credentials import storage
from carriers.models import Credential
from carriers.types import ReportedPickup
from shipping.models import Pickup, Shipment
from shipping.pickups import pickups

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("credential", "sandbox")]


@pytest.fixture
def number(api, order):
    return api.post("/api/v1/labels", order).json()["tracking_number"]


CASH = {"payment_method": "cod", "cod_amount": 55.5}


@pytest.mark.parametrize("path", ["/api/v1/labels", "/api/v1/quotes"])
def test_a_carrier_that_collects_no_cash_is_not_asked_to(api, order, sandbox, path):
    refused = api.post(path, order | CASH)
    assert (refused.status_code, refused.json()["error"]) == (400, "validation_error")
    assert refused.json()["details"] == {"payment_method": ["Pickit collects no cash on delivery."]}
    assert not sandbox.calls()


def test_serviceability_by_what_pickit_covers(api):
    places = {
        "origin": {"postal_code": "11201", "country": "US"},
        "destination": {"postal_code": "10001", "city": "New York", "country": "US"},
    }
    asked = {"carrier": "pickit", **places}
    there = api.post("/api/v1/serviceability", asked).json()
    assert there["is_serviceable"] is True
    for_cash = api.post("/api/v1/serviceability", asked | CASH).json()
    assert (for_cash["is_serviceable"], for_cash["services"]) == (False, [])
    assert for_cash["reason"] == "Pickit collects no cash on delivery."
    nameless = api.post("/api/v1/serviceability", asked | {"destination": {"postal_code": "10001", "country": "US"}})
    assert list(nameless.json()["details"]) == ["destination.city"]
    nowhere = {"postal_code": "99901", "city": "Nowhere", "country": "US"}
    assert api.post("/api/v1/serviceability", asked | {"origin": nowhere}).json()["is_serviceable"] is False


def advance(sandbox, number, **body):
    return sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", body)


@pytest.mark.parametrize("path", ["/api/v1/pickit/pickup-points?", "/api/v1/pickup-points?carrier=Pickit&"])
def test_pickup_points_near_a_place(api, path):
    body = api.get(path + "latitude=40.7128&longitude=-74.0060&radius_km=5").json()
    assert body["status"] == "success"
    assert body["count"] == len(body["pickup_points"]) > 0
    point = next(point for point in body["pickup_points"] if point["id"] == "PP-12345")
    assert point["name"] == "Downtown Locker Station"
    assert set(point) >= {
        "id",
        "name",
        "code",
        "type",
        "address",
        "location",
        "distance_km",
        "opening_hours",
        "services",
        "capacity",
    }
    assert point["location"] == {"latitude": 40.7128, "longitude": -74.006}
    distances = [point["distance_km"] for point in body["pickup_points"]]
    assert distances == sorted(distances)
    assert max(distances) <= 5


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("longitude=1", "latitude"),
        ("latitude=91&longitude=1", "latitude"),
        ("latitude=-90.01&longitude=1", "latitude"),
        ("latitude=1&longitude=180.5", "longitude"),
        ("latitude=nan&longitude=1", "latitude"),
        ("latitude=1&longitude=1&radius_km=0.05", "radius_km"),
        ("latitude=1&longitude=1&radius_km=50.1", "radius_km"),
        ("latitude=1&longitude=1&limit=0", "limit"),
        ("latitude=1&longitude=1&limit=101", "limit"),
        ("latitude=%ff&longitude=1", "latitude"),
    ],
)
def test_the_bounds_of_the_search_hold(api, query, field):
    response = api.get(f"/api/v1/pickit/pickup-points?{query}")
    assert response.status_code == 400
    assert set(response.json()["details"]) == {field}


def test_one_pickup_point_with_everything(api):
    point = api.get("/api/v1/pickit/pickup-points/PP-12345").json()["pickup_point"]
    assert point["accessibility"] == {"wheelchair": True, "parking": True, "public_transport": True}
    assert point["instructions"]
    assert len(point["images"]) == 2


def test_an_unknown_pickup_point_is_not_found(api):
    response = api.get("/api/v1/pickit/pickup-points/PP-NOPE")
    assert response.status_code == 404
    assert response.json()["carrier_code"] == "PICKUP_POINT_NOT_FOUND"


def test_a_quote_as_documented(api, order):
    response = api.post("/api/v1/quotes", order)
    assert response.status_code == 200
    quote = response.json()
    assert quote["total_price"] == 12.5
    assert quote["breakdown"] == {
        "base_rate": 10.0,
        "fuel_surcharge": 1.5,
        "insurance": 0.5,
        "handling_fee": 0.5,
        "pickup_point_fee": 0.0,
    }
    assert set(quote["metadata"]) >= {"quote_id", "service_level", "pickup_point_available"}
    assert quote["offers"][0]["total_price"] == 12.5


def test_coverage_with_the_default_country(api):
    body = api.get("/api/v1/pickit/service-coverage?postal_code=10001&city=New York").json()
    assert body["status"] == "success"
    assert body["coverage"]["country"] == "US"
    assert set(body["coverage"]) == {
        "postal_code",
        "city",
        "country",
        "service_available",
        "service_types",
        "estimated_transit_days",
        "nearby_pickup_points",
        "coverage_quality",
        "restrictions",
        "surcharges",
    }


def test_tracking_reads_what_the_carrier_knows(api, sandbox, number):
    advance(sandbox, number, to="picked_up")
    advance(sandbox, number, to="in_transit")
    track = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number}).json()
    assert set(track) >= {
        "carrier",
        "tracking_number",
        "status",
        "events",
        "estimated_delivery",
        "current_location",
        "metadata",
    }
    assert track["status"] == "in_transit"
    assert [event["status"] for event in track["events"]] == ["created", "picked_up", "in_transit"]
    assert track["metadata"]["stale"] is False


def test_a_silent_carrier_leaves_the_stored_track(api, sandbox, number, settings):
    settings.CARRIER_TIMEOUT_S = 1.0
    sandbox.control("POST", "/_sandbox/faults", {"carrier": "pickit", "operation": "track", "kind": "timeout"})
    track = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number})
    assert track.status_code == 200
    assert track.json()["metadata"]["stale"] is True


def test_proof_of_delivery_after_delivery_only(api, sandbox, number):
    path = f"/api/v1/pickit/shipments/{number}/proof-of-delivery"
    early = api.post(path)
    assert early.status_code == 404
    assert early.json()["carrier_code"] == "POD_NOT_AVAILABLE"
    advance(sandbox, number, to="delivered")
    proof = api.post(path).json()["proof_of_delivery"]
    assert set(proof) == {
        "tracking_number",
        "delivered_at",
        "signed_by",
        "signature_image",
        "delivery_photo",
        "location",
        "pickup_code_used",
        "delivery_type",
        "coordinates",
        "notes",
    }
    assert proof["signature_image"].startswith("data:image/png;base64,")
    assert api.get(f"/api/v1/shipments/{number}/proof-of-delivery").json()["proof_of_delivery"] == proof


def pickup(number, **changes):
    return {
        "carrier": "Pickit",
        "pickup_date": "2026-12-16T10:00:00Z",
        "pickup_window_start": "10:00",
        "pickup_window_end": "14:00",
        "address": {"street": "456 Warehouse Ave", "city": "Brooklyn", "postal_code": "11201", "country": "US"},
        "contact_name": "Warehouse Manager",
        "contact_phone": "+1234567890",
        "packages_count": 1,
        "total_weight_kg": 25.5,
        "shipment_ids": [number],
    } | changes


def test_a_pickup_is_booked_once(api, sandbox, number):
    headers = {"Idempotency-Key": "p1"}
    first = api.post("/api/v1/pickups", pickup(number), headers=headers)
    assert first.status_code == 200
    body = first.json()
    assert set(body) >= {
        "carrier",
        "pickup_id",
        "confirmation_number",
        "scheduled_date",
        "pickup_window_start",
        "pickup_window_end",
        "status",
        "metadata",
    }
    assert body["status"] == "scheduled"
    assert api.post("/api/v1/pickups", pickup(number), headers=headers).json() == body
    assert len(sandbox.calls(operation="schedule_pickup")) == 1
    assert api.get(f"/api/v1/pickups/{body['pickup_id']}").json() == body


def test_a_pickup_is_called_off_once_however_often_it_is_asked(api, sandbox, number):
    name = api.post("/api/v1/pickups", pickup(number)).json()["pickup_id"]
    first = api.post(f"/api/v1/pickups/{name}/cancel", {"reason": "no parcels today"})
    assert first.status_code == 200
    body = first.json()
    assert (body["status"], body["cancel_reason"]) == ("cancelled", "no parcels today")
    assert body["cancelled_at"]
    assert api.post(f"/api/v1/pickups/{body['confirmation_number']}/cancel", {}).json() == body
    assert len(sandbox.calls(operation="cancel_pickup")) == 1
    assert Event.objects.filter(type="pickup.cancelled", subject_id=name).count() == 1


def test_a_pickup_whose_cancellation_got_lost_is_called_off_by_asking_again(api, sandbox, number):
    name = api.post("/api/v1/pickups", pickup(number)).json()["pickup_id"]
    fault = {"carrier": "pickit", "operation": "cancel_pickup", "kind": "reset", "after": True, "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)
    lost = api.post(f"/api/v1/pickups/{name}/cancel", {"reason": "no parcels today"})
    assert (lost.status_code, lost.json()["error"]) == (504, "carrier_timeout")
    assert api.get(f"/api/v1/pickups/{name}").json()["status"] == "scheduled"
    assert api.post(f"/api/v1/pickups/{name}/cancel", {}).json()["status"] == "cancelled"


def test_a_van_that_came_cannot_be_called_off(api, sandbox, number):
    booked = api.post("/api/v1/pickups", pickup(number)).json()
    carriers_id = booked["metadata"]["carrier_pickup_id"]
    sandbox.control("POST", f"/_sandbox/pickit/pickups/{carriers_id}/complete")
    refused = api.post(f"/api/v1/pickups/{carriers_id}/cancel", {})
    assert (refused.status_code, refused.json()["error"]) == (409, "cannot_cancel")
    assert refused.json()["carrier_code"] == "CANNOT_CANCEL"


@pytest.mark.parametrize(
    ("state", "error"), [("completed", "cannot_cancel"), ("failed", "cannot_cancel"), ("needs_review", "conflict")]
)
def test_what_is_over_or_not_confirmed_is_not_called_off(api, sandbox, number, state, error):
    name = api.post("/api/v1/pickups", pickup(number)).json()["pickup_id"]
    Pickup.objects.update(state=state)
    refused = api.post(f"/api/v1/pickups/{name}/cancel", {})
    assert (refused.status_code, refused.json()["error"]) == (409, error)
    assert sandbox.calls(operation="cancel_pickup") == []


def test_pickups_are_listed_by_state_carrier_and_day(api, number, django_assert_max_num_queries):
    names = [api.post("/api/v1/pickups", pickup(number)).json()["pickup_id"] for _ in range(3)]
    Pickup.objects.filter(id=names[0]).update(state="completed", scheduled_date="2026-12-18T10:00:00Z")

    def listed(query=""):
        body = api.get(f"/api/v1/pickups?{query}").json()
        return [one["pickup_id"] for one in body["pickups"]]

    assert listed() == names[::-1]
    assert listed("status=completed") == listed("scheduled_from=2026-12-17") == [names[0]]
    assert listed("scheduled_to=2026-12-16&carrier=PICKIT") == names[:0:-1]
    assert listed("carrier=velocity") == []
    first = api.get("/api/v1/pickups?limit=2").json()
    assert first["pagination"]["has_more"] is True
    assert listed(f"cursor={first['pagination']['next_cursor']}") == [names[0]]
    with django_assert_max_num_queries(12):
        listed()
    assert set(api.get("/api/v1/pickups?status=late").json()["details"]) == {"status"}


def test_a_pickup_for_an_unknown_shipment_names_it(api, number):
    response = api.post("/api/v1/pickups", pickup(number, shipment_ids=[number, "PKT-NOBODY"]))
    assert response.status_code == 400
    assert set(response.json()["details"]) == {"shipment_ids[1]"}


def test_a_pickup_goes_by_the_account_of_its_shipments_and_collects_no_others(api, sandbox, credential, order):
    storage.delete_credential(credential)
    fields = {"client_id": "pickit-platform", "client_secret": "test-secret"}
    storage.save_credential(tenant=None, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    theirs = api.post("/api/v1/labels", order).json()["tracking_number"]
    fields = {"client_id": "test-client-id", "client_secret": "test-secret"}
    storage.save_credential(
        tenant=Tenant(credential.merchant_id, "test"),
        mode="test",
        carrier="pickit",
        environment="sandbox",
        fields=fields,
    )
    ours = api.post("/api/v1/labels", order | {"order_id": "OURS"}).json()["tracking_number"]
    refused = api.post("/api/v1/pickups", pickup(ours, shipment_ids=[ours, theirs]))
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["shipment_ids[1]"])
    assert not sandbox.calls(operation="schedule_pickup")
    for number, account in ((ours, "test-client-id"), (theirs, "pickit-platform")):
        assert api.post("/api/v1/pickups", pickup(number)).status_code == 200
        assert sandbox.calls(operation="schedule_pickup")[-1]["account"] == account
    Credential.objects.filter(merchant=None).update(is_open=False)
    closed = api.post("/api/v1/pickups", pickup(theirs))
    assert (closed.status_code, list(closed.json()["details"])) == (400, ["shipment_ids[0]"])


def test_a_pickup_says_of_a_shipment_of_another_account_that_it_is_one(api, number, order):
    fields = {"client_id": "pickit-platform", "client_secret": "test-secret"}
    platform = storage.save_credential(tenant=None, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    theirs = api.post("/api/v1/labels", order | {"order_id": "THEIRS"}).json()["tracking_number"]
    Shipment.objects.filter(tracking_number=theirs).update(credential=platform)
    refused = api.post("/api/v1/pickups", pickup(number, shipment_ids=[number, theirs]))
    text = "Booked with another credential than this pickup, which collects only what its own credential booked."
    assert (refused.status_code, refused.json()["details"]) == (400, {"shipment_ids[1]": [text]})


def test_a_pickup_is_found_by_the_carriers_id_whatever_that_looks_like(api, number):
    booked = api.post("/api/v1/pickups", pickup(number)).json()
    theirs = str(uuid.uuid4())
    Pickup.objects.update(carrier_pickup_id=theirs)
    assert api.get(f"/api/v1/pickups/{theirs}").json()["pickup_id"] == booked["pickup_id"]
    assert api.get(f"/api/v1/pickups/{uuid.uuid4()}").status_code == 404


def test_a_window_that_ends_before_it_starts_is_refused(api, number):
    response = api.post("/api/v1/pickups", pickup(number, pickup_window_end="09:00"))
    assert set(response.json()["details"]) == {"pickup_window_end"}


def test_a_number_that_is_not_the_merchants_is_not_tracked(api, sandbox):
    response = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": "PKT-1234567890"})
    assert response.status_code == 404
    assert sandbox.calls(operation="track") == []


def test_credentials_are_changed_in_place_and_never_shown(api, credential):
    body = {"environment": "sandbox", "credentials": {"client_id": "test-client", "client_secret": "test-secret"}}
    response = api.post("/api/v1/carriers/Pickit/credentials", body)
    assert response.status_code == 200
    assert response.json()["id"] == str(credential.id)
    assert response.json()["stored_fields"] == ["client_id", "client_secret", "webhook_secret"]
    assert b"test-secret" not in response.content


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"environment": "production"}, "environment"),
        ({"environment": "moon"}, "environment"),
        ({"credentials": {"client_id": 5, "client_secret": "x"}}, "credentials.client_id"),
        ({"credentials": []}, "credentials"),
    ],
)
def test_bad_credentials_name_the_field(api, change, field):
    body = {"environment": "sandbox", "credentials": {"client_id": "a", "client_secret": "test-secret"}} | change
    response = api.post("/api/v1/carriers/pickit/credentials", body)
    assert response.status_code == 400
    assert field in response.json()["details"]


@pytest.mark.django_db(transaction=True)
def test_a_van_that_came_while_it_was_called_off_stays_a_fact(api, sandbox, number, credential):
    booked = api.post("/api/v1/pickups", pickup(number)).json()
    fault = {"carrier": "pickit", "operation": "cancel_pickup", "kind": "slow", "delay_s": 2, "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)

    def call_off():
        try:
            return type(api)(Client(), api.key).post(f"/api/v1/pickups/{booked['pickup_id']}/cancel")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        calling_off = pool.submit(call_off)
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up and not sandbox.calls(operation="cancel_pickup"):
            pass
        name = booked["metadata"]["carrier_pickup_id"]
        came = ReportedPickup(carrier_pickup_id=name, status="completed", occurred_at=timezone.now())
        assert pickups.store_report(credential.id, came)
        assert (calling_off.result().status_code, calling_off.result().json()["error"]) == (409, "cannot_cancel")
    assert Pickup.objects.get().state == "completed"
    assert not Event.objects.filter(type="pickup.cancelled").exists()


def test_a_pickup_whose_request_died_before_the_answer_goes_to_a_person(api, number):
    lost, fresh, booked = [api.post("/api/v1/pickups", pickup(number)).json()["pickup_id"] for _ in range(3)]
    Pickup.objects.exclude(id=booked).update(state="pending")
    Pickup.objects.exclude(id=fresh).update(created_at=timezone.now() - timedelta(minutes=11))
    assert pickups.review_interrupted() == 1
    states = {name: api.get(f"/api/v1/pickups/{name}").json()["status"] for name in (lost, fresh, booked)}
    assert states == {lost: "needs_review", fresh: "pending", booked: "scheduled"}
    assert pickups.review_interrupted() == 0
    assert Event.objects.filter(type="pickup.needs_review", subject_id=lost).count() == 1


def test_lost_pickups_are_found_by_an_index(credential):
    kept = {"merchant_id": credential.merchant_id, "mode": "test", "carrier": "pickit", "credential": credential}
    kept |= {"scheduled_date": timezone.now(), "packages_count": 1}
    Pickup.objects.bulk_create(
        Pickup(**kept, state="completed", carrier_pickup_id=str(number)) for number in range(1000)
    )
    with CaptureQueriesContext(connection) as captured:
        pickups.review_interrupted()
    (sql,) = [one["sql"] for one in captured if 'FROM "shipping_pickup"' in one["sql"]]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
        plan = str(cursor.fetchall())
    assert "pickup_pending" in plan, plan


def test_a_parcel_is_collected_once_however_often_it_is_listed(api, sandbox, number):
    shipment_id = api.get(f"/api/v1/shipments/{number}").json()["shipment_id"]
    assert api.post("/api/v1/pickups", pickup(number, shipment_ids=[number, shipment_id, number])).status_code == 200
    assert sandbox.calls(operation="schedule_pickup")[-1]["body"]["shipment_ids"] == [number]


def test_what_is_cancelled_is_not_collected(api, number):
    api.post(f"/api/v1/shipments/{number}/cancel")
    refused = api.post("/api/v1/pickups", pickup(number))
    assert refused.json()["details"] == {"shipment_ids[0]": ["This shipment is cancelled."]}
