"""The carriers API: capabilities, credential, health and rate limits."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.models import Merchant
from carriers.credentials import storage
from carriers.models import Breaker, CarrierCall
from carriers.tests.samples import VELOCITY

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox", "relaxed_rates")]


def test_carriers_are_listed_with_capabilities_and_health(api, credential, order):
    before = {one["carrier"]: one for one in api.get("/api/v1/carriers").json()["carriers"]}
    assert set(before) >= {"pickit", "velocity"}
    assert (before["pickit"]["credential"], before["velocity"]["credential"]) == ("own", "none")
    assert before["pickit"]["health"] | {"calls": 0, "status": "unknown"} == before["pickit"]["health"]
    assert "create_return" in before["velocity"]["capabilities"]
    assert "create_return" not in before["pickit"]["capabilities"]
    api.post("/api/v1/quotes", order)
    health = api.get("/api/v1/carriers/pickit").json()["health"]
    assert (health["status"], health["error_rate"]) == ("up", 0)
    assert health["last_success_at"]
    now = timezone.now()
    opened = {"operation": "quote", "failures": 5, "opened_at": now}
    breaker = Breaker.objects.create(credential=credential, retry_at=now + timedelta(minutes=1), **opened)
    health = api.get("/api/v1/carriers/Pickit").json()["health"]
    assert (health["status"], health["open_breakers"]) == ("down", ["quote"])
    Breaker.objects.update(retry_at=now)  # half-open: the next call is let through
    assert api.get("/api/v1/carriers/pickit").json()["health"]["status"] == "up"

    platform = storage.save_credential(
        tenant=None, mode="test", carrier="pickit", environment="sandbox", fields=credential.fields
    )
    breaker.delete()
    Breaker.objects.create(credential=platform, retry_at=now + timedelta(minutes=1), **opened)
    shown = api.get("/api/v1/carriers/pickit").json()
    assert (shown["credential"], shown["health"]["open_breakers"]) == ("own", [])


def test_last_success_is_the_merchants_newest_in_this_mode(api, credential, merchant):
    def log_call(at, outcome="ok", **changes):
        values = {"merchant_id": merchant.id, "mode": "test", "credential": credential, "carrier": "pickit"} | changes
        values |= {"operation": "quote", "method": "POST", "url": "/", "attempt": 1, "duration_ms": 1}
        CarrierCall.objects.create(outcome=outcome, created_at=at, **values)

    def last_success():
        return api.get("/api/v1/carriers/pickit").json()["health"]["last_success_at"]

    now = timezone.now().replace(microsecond=0)
    other = Merchant.objects.create(name="Other", slug="other")
    log_call(now, merchant_id=other.id)
    log_call(now, mode="live")
    log_call(now, carrier="velocity")
    log_call(now, outcome="refused")
    assert last_success() is None
    log_call(now - timedelta(days=3))
    log_call(now - timedelta(days=2))
    assert datetime.fromisoformat(last_success()) == now - timedelta(days=2)


def test_carrier_is_found_by_display_name(api):
    assert api.get("/api/v1/carriers/Velocity%20Shipfast").json()["carrier"] == "velocity"
    place = {"postal_code": "110001", "country": "IN"}
    route = {"carrier": "Velocity Shipfast", "origin": place, "destination": place}
    refused = api.post("/api/v1/serviceability", route)
    assert "/api/v1/carriers/velocity/credentials" in refused.json()["details"]["carrier"][0]


def test_another_merchants_credential_is_not_shown(api, credential, order):
    api.post("/api/v1/quotes", order)
    Merchant.objects.create(name="Other", slug="other", plan_id="enterprise")
    other = Tenant(Merchant.objects.get(slug="other").id, "test")
    theirs = storage.save_credential(
        tenant=other, mode="test", carrier="velocity", environment="sandbox", fields=VELOCITY
    )
    assert theirs.merchant_id != credential.merchant_id
    shown = {one["carrier"]: one for one in api.get("/api/v1/carriers").json()["carriers"]}
    assert shown["velocity"]["credential"] == "none"


def test_credential_fields_are_described_as_json_schema(api):
    schema = api.get("/api/v1/carriers/velocity").json()["credential_schema"]
    assert schema["required"] == ["username", "password"]
    assert schema["properties"]["password"]["writeOnly"] is True
    assert "writeOnly" not in schema["properties"]["username"]


def test_rate_limit_shows_the_unused_part(api, credential, order):
    api.post("/api/v1/quotes", order)
    (limit,) = api.get("/api/v1/carriers/pickit/rate-limit").json()["limits"]
    assert (limit["limit"], limit["per"]) == (20, "second")
    assert 0 <= limit["remaining"] <= 20


def test_health_calls_the_carrier(api, credential, sandbox, settings):
    answer = api.get("/api/v1/pickit/health")
    assert answer.status_code == 200
    assert answer.json()["healthy"] is True
    assert set(answer.json()["checks"]) == {"authentication", "api_connectivity", "webhook_endpoint", "database"}
    settings.CARRIER_MAX_RETRIES = 0
    fault = {"kind": "status", "status": 503, "operation": "pickup_points", "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)
    unhealthy = api.get("/api/v1/carriers/pickit/health")
    assert unhealthy.status_code == 503
    assert unhealthy.json()["checks"] == {
        "authentication": True,
        "api_connectivity": False,
        "webhook_endpoint": True,
        "database": True,
    }
