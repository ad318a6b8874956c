"""The day of a pickup, and shipments that an open pickup collects already."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apikeys.db.tenancy import Mode, Tenant
from apikeys.http.errors import Conflict, ValidationFailed
from apikeys.http.fields import MomentField
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Event
from carriers.credentials import storage
from conftest import ApiClient
from shipping.models import Pickup, Shipment
from shipping.pickups import pickups

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def check_date(text, country="US", mode=Mode.LIVE):
    order = {"address": {"country": country}, "pickup_date": MomentField().run_validation(text)}
    return [one["code"] for one in pickups._check_date(Tenant(uuid.uuid4(), mode), order)]


@pytest.mark.parametrize(
    ("country", "text"),
    [
        ("IN", "2026-06-15"),
        ("US", "2026-06-14T23:00:00-10:00"),
        ("XX", "2026-06-14"),
        ("IN", "2026-06-15T00:30:00+05:30"),
    ],
)
def test_day_counts_where_the_parcels_are(clock, country, text):
    clock.move_to("2026-06-15T05:00:00Z", tick=False)  # still the 14th in Hawaii
    assert check_date(text, country) == []


def test_day_in_the_past_is_refused_for_a_live_key_and_a_warning_for_a_test_key(clock):
    clock.move_to("2026-06-15T12:00:00Z", tick=False)
    for text in ("2024-01-16T10:00:00Z", "2026-06-14"):
        assert check_date(text, "IN", Mode.TEST) == ["date_in_past"]
        with pytest.raises(ValidationFailed) as refused:
            check_date(text, "IN")
        assert list(refused.value.details) == ["pickup_date"]


def pickup(shipment_ids=(), **changes):
    return {
        "carrier": "Pickit",
        "pickup_date": "2030-12-16T10:00:00Z",
        "pickup_window_start": "10:00",
        "pickup_window_end": "14:00",
        "address": {"street": "1 MG Road", "city": "Mumbai", "postal_code": "400069", "country": "IN"},
        "contact_name": "Dock",
        "contact_phone": "+912212345678",
        "packages_count": 1,
        "shipment_ids": list(shipment_ids),
    } | changes


@pytest.mark.usefixtures("credential")
@pytest.mark.parametrize("text", ["2030-12-16T00:30:00+05:30", "2030-12-16T23:30:00-05:00", "2030-12-16"])
def test_day_is_the_written_one_at_the_carrier_and_in_answers(api, sandbox, text):
    booked = api.post("/api/v1/pickups", pickup(pickup_date=text))
    assert booked.status_code == 200, booked.content
    sent = sandbox.calls(operation="schedule_pickup")[0]["body"]["pickup_date"]
    assert sent == (text if "T" in text else f"{text}T00:00:00Z")
    assert booked.json()["scheduled_day"] == "2030-12-16"
    assert datetime.fromisoformat(booked.json()["scheduled_date"]) == MomentField().run_validation(text).at
    event = Event.objects.get(type="pickup.scheduled", subject_id=booked.json()["pickup_id"])
    assert event.data["scheduled_day"] == "2030-12-16"
    for day, count in (("2030-12-15", 0), ("2030-12-16", 1), ("2030-12-17", 0)):
        listed = api.get("/api/v1/pickups", scheduled_from=day, scheduled_to=day).json()["pickups"]
        assert len(listed) == count, day


@pytest.mark.parametrize(
    ("confirmed", "requested", "day"),
    [
        ("2026-12-15T19:00:00+00:00", "2026-12-16T00:30:00+05:30", 16),  # the same instant
        ("2026-12-17T02:00:00+00:00", "2026-12-16T20:00:00-05:00", 16),  # another instant, in UTC
        ("2026-12-17T00:00:00+00:00", "2026-12-16T20:00:00-05:00", 17),  # a date without a time
        ("2026-12-17T01:00:00+05:30", "2026-12-16T01:00:00+00:00", 17),
    ],
)
def test_day_that_the_carrier_confirms(confirmed, requested, day):
    assert pickups._local_day(datetime.fromisoformat(confirmed), datetime.fromisoformat(requested)).day == day


@pytest.fixture
def live_api(client, tenant, settings, sandbox):
    production = {("pickit", "production", "main"): f"{sandbox.url}/pickit/v2"}
    settings.CARRIER_BASE_URLS = settings.CARRIER_BASE_URLS | production
    live, key = Tenant(tenant.merchant_id, "live"), generate_key("live")
    fields = {"client_id": "test-client-id", "client_secret": "test-secret"}
    storage.save_credential(tenant=live, mode="live", carrier="pickit", environment="production", fields=fields)
    store_key(live, key, name="live")
    return ApiClient(client, key)


def test_live_key_is_refused_what_a_test_key_is_warned_of(api, live_api, credential, order):
    past = "2024-01-16T10:00:00Z"
    for one, status in ((live_api, 400), (api, 200)):
        answer = one.post("/api/v1/pickups", pickup(pickup_date=past))
        assert answer.status_code == status, answer.content
        named = list(answer.json().get("details", ())) or [one["field"] for one in answer.json()["warnings"]]
        assert named == ["pickup_date"]
    for one, status in ((live_api, 409), (api, 200)):
        number = one.post("/api/v1/labels", order).json()["tracking_number"]
        first = one.post("/api/v1/pickups", pickup([number]))
        assert (first.status_code, first.json().get("warnings")) == (200, None)
        answer = one.post("/api/v1/pickups", pickup([number]))
        assert answer.status_code == status, answer.content
        body = answer.json()
        if status == 409:
            assert body["details"]["pickup_id"] == [first.json()["pickup_id"]]
        else:
            assert [warning["code"] for warning in body["warnings"]] == ["already_in_pickup"]
            assert first.json()["pickup_id"] in str(body["warnings"])
        more = one.post("/api/v1/pickups", pickup([number], additional=True))
        assert (more.status_code, more.json().get("warnings")) == (200, None)


@pytest.mark.usefixtures("credential")
def test_shipment_is_in_one_open_pickup_unless_it_is_additional(tenant, credential):
    made = {"merchant_id": tenant.merchant_id, "mode": tenant.mode, "carrier": "pickit", "credential": credential}
    shipment = Shipment.objects.create(**made, tracking_number="PKT-1", reference="R1")
    pickup = Pickup.objects.create(
        **made, scheduled_date=timezone.now() + timedelta(1), window_start="10:00", window_end="12:00", packages_count=1
    )
    pickup.shipments.set([shipment])
    live = Tenant(tenant.merchant_id, Mode.LIVE)

    def check(owner, additional=False):
        return [one["field"] for one in pickups._check_open_pickups(owner, {"additional": additional}, [shipment])]

    with pytest.raises(Conflict) as refused:
        check(live)
    assert refused.value.details["pickup_id"] == [str(pickup.id)]
    assert check(live, additional=True) == []
    assert check(Tenant(tenant.merchant_id, Mode.TEST)) == ["shipment_ids"]
    Pickup.objects.update(state="cancelled")
    assert check(live) == []


@pytest.mark.django_db(transaction=True)
def test_one_of_several_simultaneous_pickups_collects_a_shipment(tenant, credential):
    live = Tenant(tenant.merchant_id, Mode.LIVE)
    made = {"merchant_id": tenant.merchant_id, "mode": "live", "carrier": "pickit", "credential": credential}
    shipment = Shipment.objects.create(**made, tracking_number="PKT-1", reference="R1")
    day = MomentField().run_validation((timezone.now() + timedelta(days=1)).isoformat())
    window = {"pickup_window_start": "10:00", "pickup_window_end": "12:00"}
    order = {"pickup_date": day, "address": {}, "packages_count": 1, "additional": False, **window}

    def reserve(_):
        try:
            return pickups._reserve(live, credential, order, [shipment])
        except Conflict as refused:
            return refused.details["pickup_id"]
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(reserve, range(6)))
    assert Pickup.objects.count() == 1
    assert outcomes.count([str(Pickup.objects.get().id)]) == 5
