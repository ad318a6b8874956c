"""The documented Pickit requests return the documented keys and types."""

import pytest

from shipping.tests.pickit import advance as advance
from shipping.tests.pickit import number as number

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("credential", "sandbox")]

CASH = {"payment_method": "cod", "cod_amount": 55.5}


@pytest.mark.parametrize("path", ["/api/v1/labels", "/api/v1/quotes"])
def test_cash_on_delivery_is_refused_without_a_call(api, order, sandbox, path):
    refused = api.post(path, order | CASH)
    assert (refused.status_code, refused.json()["error"]) == (400, "validation_error")
    assert refused.json()["details"] == {"payment_method": ["Pickit collects no cash on delivery."]}
    assert not sandbox.calls()


def test_serviceability_follows_the_carriers_coverage(api):
    places = {
        "origin": {"postal_code": "11201", "country": "US"},
        "destination": {"postal_code": "10001", "city": "New York", "country": "US"},
    }
    request = {"carrier": "pickit", **places}
    answer = api.post("/api/v1/serviceability", request).json()
    assert answer["is_serviceable"] is True
    with_cash = api.post("/api/v1/serviceability", request | CASH).json()
    assert (with_cash["is_serviceable"], with_cash["services"]) == (False, [])
    assert with_cash["reason"] == "Pickit collects no cash on delivery."
    nameless = api.post("/api/v1/serviceability", request | {"destination": {"postal_code": "10001", "country": "US"}})
    assert list(nameless.json()["details"]) == ["destination.city"]
    nowhere = {"postal_code": "99901", "city": "Nowhere", "country": "US"}
    assert api.post("/api/v1/serviceability", request | {"origin": nowhere}).json()["is_serviceable"] is False


@pytest.mark.parametrize("path", ["/api/v1/pickit/pickup-points?", "/api/v1/pickup-points?carrier=Pickit&"])
def test_pickup_points_near_a_location(api, path):
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
def test_search_outside_its_bounds_is_refused(api, query, field):
    response = api.get(f"/api/v1/pickit/pickup-points?{query}")
    assert response.status_code == 400
    assert set(response.json()["details"]) == {field}


def test_single_pickup_point_has_all_details(api):
    point = api.get("/api/v1/pickit/pickup-points/PP-12345").json()["pickup_point"]
    assert point["accessibility"] == {"wheelchair": True, "parking": True, "public_transport": True}
    assert point["instructions"]
    assert len(point["images"]) == 2


def test_unknown_pickup_point_is_not_found(api):
    response = api.get("/api/v1/pickit/pickup-points/PP-NOPE")
    assert response.status_code == 404
    assert response.json()["carrier_code"] == "PICKUP_POINT_NOT_FOUND"


def test_quote_has_the_documented_keys(api, order):
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


def test_coverage_uses_the_default_country(api):
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


def test_coverage_needs_a_postal_code_where_the_country_has_them(api):
    path = "/api/v1/service-coverage?carrier=pickit&city=Kowloon"
    assert api.get(f"{path}&country=HK").json()["coverage"]["service_available"] is True
    response = api.get(f"{path}&country=DE")
    assert (response.status_code, list(response.json()["details"])) == (400, ["postal_code"])


def test_tracking_returns_the_carriers_scans(api, sandbox, number):
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


def test_stored_track_is_returned_if_the_carrier_does_not_answer(api, sandbox, number, settings):
    settings.CARRIER_TIMEOUT_S = 1.0
    sandbox.control("POST", "/_sandbox/faults", {"carrier": "pickit", "operation": "track", "kind": "timeout"})
    track = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number})
    assert track.status_code == 200
    assert track.json()["metadata"]["stale"] is True


def test_proof_of_delivery_exists_after_delivery_only(api, sandbox, number):
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


def test_number_of_another_merchant_is_not_tracked(api, sandbox):
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
def test_invalid_credential_names_the_field(api, change, field):
    body = {"environment": "sandbox", "credentials": {"client_id": "a", "client_secret": "test-secret"}} | change
    response = api.post("/api/v1/carriers/pickit/credentials", body)
    assert response.status_code == 400
    assert field in response.json()["details"]
