"""Pickups are scheduled, listed, cancelled and reported."""

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
from apikeys.http.errors import BusinessRuleViolated
from apikeys.models import Event
from carriers.adapters.pickit import PickitAdapter
from carriers.credentials import storage
from carriers.models import Credential
from carriers.types import ReportedPickup
from shipping.models import Pickup, Shipment
from shipping.pickups import pickups
from shipping.tests.pickit import number as number

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("credential", "sandbox")]


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


def test_pickup_is_scheduled_once(api, sandbox, number):
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


def test_repeated_cancellation_calls_the_carrier_once(api, sandbox, number):
    name = api.post("/api/v1/pickups", pickup(number)).json()["pickup_id"]
    first = api.post(f"/api/v1/pickups/{name}/cancel", {"reason": "no parcels today"})
    assert first.status_code == 200
    body = first.json()
    assert (body["status"], body["cancel_reason"]) == ("cancelled", "no parcels today")
    assert body["cancelled_at"]
    assert api.post(f"/api/v1/pickups/{body['confirmation_number']}/cancel", {}).json() == body
    assert len(sandbox.calls(operation="cancel_pickup")) == 1
    assert Event.objects.filter(type="pickup.cancelled", subject_id=name).count() == 1


def test_lost_cancellation_can_be_repeated(api, sandbox, number):
    name = api.post("/api/v1/pickups", pickup(number)).json()["pickup_id"]
    fault = {"carrier": "pickit", "operation": "cancel_pickup", "kind": "reset", "after": True, "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)
    lost = api.post(f"/api/v1/pickups/{name}/cancel", {"reason": "no parcels today"})
    assert (lost.status_code, lost.json()["error"]) == (504, "carrier_timeout")
    assert api.get(f"/api/v1/pickups/{name}").json()["status"] == "scheduled"
    assert api.post(f"/api/v1/pickups/{name}/cancel", {}).json()["status"] == "cancelled"


def test_completed_pickup_cannot_be_cancelled(api, sandbox, number):
    booked = api.post("/api/v1/pickups", pickup(number)).json()
    carriers_id = booked["metadata"]["carrier_pickup_id"]
    sandbox.control("POST", f"/_sandbox/pickit/pickups/{carriers_id}/complete")
    refused = api.post(f"/api/v1/pickups/{carriers_id}/cancel", {})
    assert (refused.status_code, refused.json()["error"]) == (409, "cannot_cancel")
    assert refused.json()["carrier_code"] == "CANNOT_CANCEL"


@pytest.mark.parametrize(
    ("state", "error"), [("completed", "cannot_cancel"), ("failed", "cannot_cancel"), ("needs_review", "conflict")]
)
def test_finished_or_unconfirmed_pickup_is_not_cancelled(api, sandbox, number, state, error):
    name = api.post("/api/v1/pickups", pickup(number)).json()["pickup_id"]
    Pickup.objects.update(state=state)
    refused = api.post(f"/api/v1/pickups/{name}/cancel", {})
    assert (refused.status_code, refused.json()["error"]) == (409, error)
    assert sandbox.calls(operation="cancel_pickup") == []


def test_pickups_are_listed_by_state_carrier_and_day(api, number, django_assert_max_num_queries):
    names = [api.post("/api/v1/pickups", pickup(number)).json()["pickup_id"] for _ in range(3)]
    Pickup.objects.filter(id=names[0]).update(
        state="completed", scheduled_date="2026-12-18T10:00:00Z", scheduled_day="2026-12-18"
    )

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


def test_unknown_shipment_of_a_pickup_is_named(api, number):
    response = api.post("/api/v1/pickups", pickup(number, shipment_ids=[number, "PKT-NOBODY", "1Z9"]))
    assert response.status_code == 400
    assert set(response.json()["details"]) == {"shipment_ids[1]", "shipment_ids[2]"}


def test_pickup_uses_the_credential_of_its_shipments_only(api, sandbox, credential, order):
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
    for name, account in ((ours, "test-client-id"), (theirs, "pickit-platform")):
        assert api.post("/api/v1/pickups", pickup(name)).status_code == 200
        assert sandbox.calls(operation="schedule_pickup")[-1]["account"] == account
    Credential.objects.filter(merchant=None).update(is_open=False)
    closed = api.post("/api/v1/pickups", pickup(theirs))
    assert (closed.status_code, list(closed.json()["details"])) == (400, ["shipment_ids[0]"])


def test_shipment_of_another_credential_is_named(api, number, order):
    fields = {"client_id": "pickit-platform", "client_secret": "test-secret"}
    platform = storage.save_credential(tenant=None, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    theirs = api.post("/api/v1/labels", order | {"order_id": "THEIRS"}).json()["tracking_number"]
    Shipment.objects.filter(tracking_number=theirs).update(credential=platform)
    refused = api.post("/api/v1/pickups", pickup(number, shipment_ids=[number, theirs]))
    text = "This shipment was booked with another credential. A pickup collects only shipments of its own credential."
    assert (refused.status_code, refused.json()["details"]) == (400, {"shipment_ids[1]": [text]})


def test_pickup_is_found_by_any_carrier_id(api, number):
    booked = api.post("/api/v1/pickups", pickup(number)).json()
    theirs = str(uuid.uuid4())
    Pickup.objects.update(carrier_pickup_id=theirs)
    assert api.get(f"/api/v1/pickups/{theirs}").json()["pickup_id"] == booked["pickup_id"]
    assert api.get(f"/api/v1/pickups/{uuid.uuid4()}").status_code == 404


def test_window_that_ends_before_it_starts_is_refused(api, number):
    response = api.post("/api/v1/pickups", pickup(number, pickup_window_end="09:00"))
    assert set(response.json()["details"]) == {"pickup_window_end"}


@pytest.mark.django_db(transaction=True)
def test_pickup_completed_during_its_cancellation_stays_completed(api, sandbox, number, credential):
    booked = api.post("/api/v1/pickups", pickup(number)).json()
    fault = {"carrier": "pickit", "operation": "cancel_pickup", "kind": "slow", "delay_s": 2, "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)

    def cancel():
        try:
            return type(api)(Client(), api.key).post(f"/api/v1/pickups/{booked['pickup_id']}/cancel")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        cancelling = pool.submit(cancel)
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up and not sandbox.calls(operation="cancel_pickup"):
            pass
        name = booked["metadata"]["carrier_pickup_id"]
        completed = ReportedPickup(carrier_pickup_id=name, status="completed", occurred_at=timezone.now())
        assert pickups.store_report(credential.id, completed)
        assert (cancelling.result().status_code, cancelling.result().json()["error"]) == (409, "cannot_cancel")
    assert Pickup.objects.get().state == "completed"
    assert not Event.objects.filter(type="pickup.cancelled").exists()


def test_interrupted_pickup_needs_review(api, number):
    lost, fresh, booked = [api.post("/api/v1/pickups", pickup(number)).json()["pickup_id"] for _ in range(3)]
    Pickup.objects.exclude(id=booked).update(state="pending")
    Pickup.objects.exclude(id=fresh).update(created_at=timezone.now() - timedelta(minutes=11))
    assert pickups.review_interrupted() == 1
    states = {name: api.get(f"/api/v1/pickups/{name}").json()["status"] for name in (lost, fresh, booked)}
    assert states == {lost: "needs_review", fresh: "pending", booked: "scheduled"}
    assert pickups.review_interrupted() == 0
    assert Event.objects.filter(type="pickup.needs_review", subject_id=lost).count() == 1


def test_refusal_inside_a_success_is_kept_with_the_pickup(api, number, monkeypatch):
    words, original = "Insufficient balance", PickitAdapter._request

    def refuse(self, operation, *args, **more):
        if operation == "schedule_pickup":
            return {"success": False, "code": "E7", "message": words}
        return original(self, operation, *args, **more)

    monkeypatch.setattr(PickitAdapter, "_request", refuse)
    answer = api.post("/api/v1/pickups", pickup(number))
    reason = {"carrier_code": "E7", "carrier_message": words}
    assert (answer.status_code, answer.json()["pending_reason"]) == (202, reason)
    pickups.mark_failed(Pickup.objects.get(), BusinessRuleViolated("Nothing was booked."))
    shown = api.get(f"/api/v1/pickups/{answer.json()['pickup_id']}").json()
    assert (shown["status"], shown["pending_reason"]) == ("failed", reason)


def test_interrupted_pickups_are_found_by_an_index(credential):
    kept = {"merchant_id": credential.merchant_id, "mode": "test", "carrier": "pickit", "credential": credential}
    kept |= {"scheduled_date": timezone.now(), "packages_count": 1}
    Pickup.objects.bulk_create(Pickup(**kept, state="completed", carrier_pickup_id=str(index)) for index in range(1000))
    with CaptureQueriesContext(connection) as captured:
        pickups.review_interrupted()
    (sql,) = [one["sql"] for one in captured if 'FROM "shipping_pickup"' in one["sql"]]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
        plan = str(cursor.fetchall())
    assert "pickup_pending" in plan, plan


def test_shipment_listed_repeatedly_is_collected_once(api, sandbox, number):
    shipment_id = api.get(f"/api/v1/shipments/{number}").json()["shipment_id"]
    assert api.post("/api/v1/pickups", pickup(number, shipment_ids=[number, shipment_id, number])).status_code == 200
    assert sandbox.calls(operation="schedule_pickup")[-1]["body"]["shipment_ids"] == [number]


def test_cancelled_shipment_is_not_collected(api, number):
    api.post(f"/api/v1/shipments/{number}/cancel")
    refused = api.post("/api/v1/pickups", pickup(number))
    assert refused.json()["details"] == {"shipment_ids[0]": ["This shipment is cancelled."]}
