"""A day is closed at its carrier, with all its open shipments or with chosen ones; its manifest stays."""

from datetime import UTC, datetime

import pytest

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Event, Merchant
from carriers.adapters.registry import ADAPTERS
from carriers.credentials import storage
from shipping.models import BookingState, Manifest, Parcel, Shipment
from shipping.tests.osprey import FILES, OspreyAdapter

pytestmark = pytest.mark.django_db
DAY = "2026-12-01"
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def osprey(monkeypatch, tenant):
    monkeypatch.setitem(ADAPTERS, "osprey", OspreyAdapter)
    monkeypatch.setattr(OspreyAdapter, "requests", [])
    return storage.save_credential(
        tenant=tenant, mode="test", carrier="osprey", environment="sandbox", fields={"key": "a-secret"}
    )


@pytest.fixture
def shipments(tenant, osprey):
    """Booked shipments: two of the day, one ordered for it, and those that no manifest of the day may have."""
    place = {"country": "NO"}
    request = {"origin": place, "destination": place, "packages": [{"weight_kg": "1"}]}
    late = "2026-12-02T00:30:00+02:00"  # on the second, and on the first in UTC
    kinds = {
        "OS-1": {},
        "OS-2": {},
        "OS-3": {"created_at": datetime(2026, 11, 20, tzinfo=UTC), "ship_at": NOON, "at": "2026-12-01T13:00:00+01:00"},
        "OS-LATE": {"ship_at": datetime.fromisoformat(late), "at": late},
        "OS-CANCELLED": {"status": "cancelled"},
        "OS-EARLIER": {"created_at": datetime(2026, 11, 30, 12, tzinfo=UTC)},
        "OS-PENDING": {"booking_state": BookingState.PENDING},
    }
    made = {}
    for number, fields in kinds.items():
        ordered = {"ship_at": fields.pop("at")} if "at" in fields else {}
        made[number] = Shipment.objects.create(
            merchant_id=tenant.merchant_id,
            mode=tenant.mode,
            carrier="osprey",
            credential=osprey,
            tracking_number=number,
            reference=number,
            request=request | ordered,
            **{"booking_state": BookingState.BOOKED, "status": "created", "created_at": NOON} | fields,
        )
    for number in (1, 2):
        box = f"OS-2-BOX-{number}"
        Parcel.objects.create(shipment=made["OS-2"], number=number, weight_kg=1, tracking_number=box)
    return made


def ids(shipments, *numbers):
    return sorted(str(shipments[number].id) for number in numbers)


def test_open_shipments_of_the_day_are_closed_once(api, shipments):
    answer = api.post("/api/v1/manifests", {"carrier": "osprey", "day": DAY})
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["carrier"], body["day"]) == ("Osprey Freight", DAY)
    assert body["shipment_ids"] == ids(shipments, "OS-1", "OS-2", "OS-3")
    (event,) = Event.objects.filter(type="manifest.created")
    assert (event.visibility, event.data["manifest_id"]) == ("public", body["manifest_id"])
    again = api.post("/api/v1/manifests", {"carrier": "osprey", "day": DAY})
    assert (again.status_code, set(again.json()["details"])) == (400, {"day"})
    shown = api.get(f"/api/v1/manifests/{body['manifest_id']}").json()
    assert shown == body
    listed = api.get(f"/api/v1/manifests?carrier=Osprey Freight&day={DAY}").json()
    assert listed["manifests"] == [body]
    assert api.get("/api/v1/manifests?day=2026-12-02").json()["manifests"] == []


def test_files_are_downloaded_by_their_merchant_only(api, shipments):
    body = api.post("/api/v1/manifests", {"carrier": "osprey", "day": DAY}).json()
    other = Merchant.objects.create(name="Other", slug="other", plan_id="enterprise")
    key = generate_key("test")
    store_key(Tenant(other.id, "test"), key, name="other")
    for document in body["documents"]:
        path = document["url"].partition("testserver")[2]
        file = api.get(path)
        assert b"".join(file.streaming_content) == FILES[document["format"]]
        assert file["Content-Type"].startswith({"PDF": "application/pdf", "HTML": "text/html"}[document["format"]])
        is_saved = file["Content-Disposition"].startswith("attachment")
        assert is_saved == (document["format"] == "HTML")
        assert file["Content-Security-Policy"] == "sandbox"
        assert api.client.get(path, headers={"X-API-Key": key}).status_code == 404


def test_chosen_shipments_are_closed_and_others_are_refused_by_their_position(api, shipments):
    body = {"carrier": "osprey", "day": DAY, "shipment_ids": ["OS-2", "OS-CANCELLED", "UNKNOWN"]}
    refused = api.post("/api/v1/manifests", body)
    assert set(refused.json()["details"]) == {"shipment_ids[1]", "shipment_ids[2]"}
    assert not OspreyAdapter.requests
    closed = api.post("/api/v1/manifests", body | {"shipment_ids": ["OS-2", "OS-EARLIER"]}).json()
    assert closed["shipment_ids"] == ids(shipments, "OS-2", "OS-EARLIER")


def test_request_without_an_answer_stores_nothing_and_may_be_repeated(api, shipments, monkeypatch):
    monkeypatch.setattr(OspreyAdapter, "is_silent", True)
    send = {"carrier": "osprey", "day": DAY}
    lost = api.post("/api/v1/manifests", send, headers={"Idempotency-Key": "close-1"})
    assert (lost.status_code, lost.json()["error"], lost.json()["retryable"]) == (504, "carrier_timeout", True)
    assert not Manifest.objects.exists()
    monkeypatch.setattr(OspreyAdapter, "is_silent", False)
    answers = [api.post("/api/v1/manifests", send, headers={"Idempotency-Key": "close-1"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert len(OspreyAdapter.requests) == 2
