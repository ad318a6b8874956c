"""Invalid input returns an error that names the field, and stores nothing."""

import copy
import json

import pytest
from django.test import Client

from apikeys.models import Event, IdempotencyRecord, Merchant
from carriers.models import CarrierCall, Credential
from shipping.models import Checkpoint, Manifest, Pickup, Quote, Shipment

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("credential")]

PLACE = {"street": "456 Warehouse Ave", "city": "Brooklyn", "postal_code": "11201", "country": "US"}
PACKAGE = {"weight_kg": 2.5, "length_cm": 30, "width_cm": 20, "height_cm": 15}
ROUTE = {"carrier": "Pickit", "origin": PLACE, "destination": PLACE, "packages": [PACKAGE]}
# path: (a valid body, the required fields)
ENDPOINTS = {
    "/api/v1/quotes": (ROUTE, "carrier origin destination packages origin.city origin.postal_code origin.country"),
    "/api/v1/labels": (
        ROUTE | {"order_id": "ORDER-1"},
        "carrier order_id origin destination packages origin.street destination.country packages[0].weight_kg",
    ),
    "/api/v1/tracking": ({"carrier": "Pickit", "tracking_number": "PKT-1"}, "carrier tracking_number"),
    "/api/v1/pickups": (
        {
            "carrier": "Pickit",
            "pickup_date": "2026-12-16T10:00:00Z",
            "pickup_window_start": "10:00",
            "pickup_window_end": "14:00",
            "address": PLACE,
            "packages_count": 5,
            "shipment_ids": [],
        },
        "carrier pickup_date pickup_window_start pickup_window_end address address.street packages_count",
    ),
    "/api/v1/transit-times": (ROUTE, "carrier origin destination packages packages[0].weight_kg"),
    "/api/v1/address-check": ({"carrier": "Pickit", "address": PLACE}, "carrier address address.city address.country"),
    "/api/v1/pickup-windows": (
        {"carrier": "Pickit", "pickup_date": "2026-12-16", "address": PLACE},
        "carrier pickup_date address address.street",
    ),
    "/api/v1/manifests": ({"carrier": "Pickit", "day": "2026-12-16"}, "carrier day"),
    "/api/v1/checkpoints": (
        {
            "tracking_id": "UNIT-000001",
            "status": "CREATED",
            "location": "Bogotá",
            "description": "Paquete creado",
            "timestamp": "2024-01-15T09:00:00Z",
        },
        "tracking_id status location description timestamp",
    ),
    "/api/v1/carriers/pickit/credentials": (
        {"environment": "sandbox", "credentials": {"client_id": "a", "client_secret": "test-secret"}},
        "environment credentials",
    ),
}
WRONG_TYPES = [None, [], {}, True, 1.5, "", "x" * 5000, [[1]], {"a": {"b": 1}}]


def values_of(body, path=""):
    """Yield path, container and key of every value in a body."""
    for key, value in list(body.items()) if isinstance(body, dict) else list(enumerate(body)):
        here = f"{path}[{key}]" if isinstance(body, list) else f"{path}.{key}" if path else key
        yield here, body, key
        if isinstance(value, dict | list):
            yield from values_of(value, here)


def changed(body, path, change):
    """Return a copy of the body with one field changed: ``change`` gets its container and key."""
    result = copy.deepcopy(body)
    container, key = next((container, key) for here, container, key in values_of(result) if here == path)
    change(container, key)
    return result


def stored():
    models = (Shipment, Checkpoint, Pickup, Manifest, Quote, Event, IdempotencyRecord, CarrierCall)
    return [model.objects.count() for model in models] + [str(Credential.objects.get().updated_at)]


def assert_refused(response, path):
    assert response.status_code == 400, (path, response.content)
    body = response.json()
    assert set(body) == {"error", "message", "details", "correlation_id"}
    assert body["error"] == "validation_error"
    return body["details"]


@pytest.mark.parametrize("path", ENDPOINTS)
def test_missing_field_is_named(api, path):
    good, required = ENDPOINTS[path]
    before = stored()
    for field in required.split():
        details = assert_refused(api.post(path, changed(good, field, lambda box, key: box.pop(key))), field)
        assert field in details
    assert stored() == before


@pytest.mark.parametrize("path", ENDPOINTS)
def test_wrong_type_is_named(api, path):
    good, required = ENDPOINTS[path]
    before = stored()
    for field in required.split():
        original = next(box[key] for here, box, key in values_of(good) if here == field)
        for wrong in WRONG_TYPES:
            if isinstance(original, int | float) and wrong == 1.5 and field.endswith("weight_kg"):
                continue
            body = changed(good, field, lambda box, key, wrong=wrong: box.__setitem__(key, wrong))
            details = assert_refused(api.post(path, body), (field, wrong))
            assert any(name.startswith(field.split("[")[0]) for name in details), (field, wrong, details)
    assert stored() == before


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe{}",
        b'{"carrier": "\\ud800"}',
        b'{"carrier": NaN}',
        b'{"carrier": "a\\u0000b"}',
        b'{"a": ' * 200 + b"1" + b"}" * 200,
        b"[" * 100_000,
        b'{"order_id": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda raw: raw[:20].decode("latin-1"),
)
def test_invalid_json_is_refused(api, path, raw):
    before = stored()
    response = Client().post(path, raw, content_type="application/json", headers={"X-API-Key": api.key})
    assert assert_refused(response, path)
    assert stored() == before


@pytest.mark.parametrize("path", ENDPOINTS)
def test_large_body_is_413_and_other_media_type_415(api, path, settings):
    headers = {"X-API-Key": api.key}
    large = json.dumps({"carrier": "x" * (settings.MAX_BODY_BYTES + 1)})
    response = Client().post(path, large, content_type="application/json", headers=headers)
    assert (response.status_code, response.json()["error"]) == (413, "payload_too_large")
    for kind in ("text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense"):
        response = Client().post(path, b"a=1", content_type=kind, headers=headers)
        assert (response.status_code, response.json()["error"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/nowhere", "/api/v1/shipments/a/b/c", "/api/v1/%00", "/%ff"])
def test_unknown_route_returns_a_json_error(api, path):
    response = api.get(path, headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert response.json()["error"] == "not_found"


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "trace"])
def test_wrong_method_returns_a_json_error(api, method):
    response = getattr(api.client, method)("/api/v1/labels", headers={"X-API-Key": api.key})
    assert response.status_code == 405
    assert response.json()["error"] == "method_not_allowed"
    assert "POST" in response["Allow"]
    assert Client().post("/metrics")["Allow"] == "GET, HEAD"


def test_options_lists_the_methods(api):
    methods = {
        "/api/v1/labels": "OPTIONS, POST",
        "/api/v1/shipments": "GET, HEAD, OPTIONS",
        "/api/schema/": "GET, HEAD, OPTIONS",
        "/health": "GET, HEAD, OPTIONS",
        "/webhooks/pickit/events": "OPTIONS, POST",
    }
    for path, expected in methods.items():
        response = api.client.options(path, headers={"X-API-Key": api.key})
        assert (path, response.status_code, sorted(response["Allow"].split(", "))) == (path, 204, expected.split(", "))


def test_internal_error_shows_no_details(api, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("canary of the inside")

    monkeypatch.setattr("shipping.common.lookup.find_unit", broken)
    response = api.get("/api/v1/tracking/UNIT-1")
    assert response.status_code == 500
    assert response.json()["error"] == "internal_error"
    assert b"canary" not in response.content


def test_numbers_out_of_range_are_refused(api):
    for weight in (0, -1, 1e400, 1e12, 0.0001, "NaN", "Infinity", "1e400", "2,5"):
        body = copy.deepcopy(ROUTE)
        body["packages"][0]["weight_kg"] = weight
        raw = json.dumps(body).replace("Infinity", "1e999") if weight == 1e400 else json.dumps(body)
        response = Client().post("/api/v1/quotes", raw, content_type="application/json", headers={"X-API-Key": api.key})
        assert_refused(response, weight)


def test_times_at_the_edge_of_the_calendar_are_refused(api):
    good, _required = ENDPOINTS["/api/v1/checkpoints"]
    for time in (
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2024-02-30T00:00:00Z",
        "24:00",
        "1705312200",
    ):
        assert "timestamp" in assert_refused(api.post("/api/v1/checkpoints", good | {"timestamp": time}), time)
    response = api.post("/api/v1/checkpoints", good | {"timestamp": "2024-02-30"})
    assert response.json()["details"] == {"timestamp": ["There is no such date or time."]}


def test_every_response_to_a_key_has_limit_headers(api):
    for response in (api.get("/api/v1/shipments"), api.get("/api/v1/tracking/NOBODY"), api.post("/api/v1/quotes")):
        assert int(response["X-RateLimit-Limit"]) > int(response["X-RateLimit-Remaining"]) >= 0
        assert response["X-RateLimit-Reset"].endswith("Z")


def test_request_over_the_plans_limit_is_429_with_retry_after(api, merchant, clock):
    Merchant.objects.filter(id=merchant.id).update(plan="free")
    answers = [api.get("/api/v1/tracking/NOBODY") for _ in range(101)]
    assert {answer.status_code for answer in answers[:100]} == {404}
    assert answers[100].status_code == 429
    assert answers[100].json()["error"] == "rate_limited"
    assert int(answers[100]["Retry-After"]) >= 1
    assert answers[100]["X-RateLimit-Remaining"] == "0"
