"""The simulated Pickit: authentication, validation, limits, shipments, pickup points and webhooks."""

import base64
import hashlib
import hmac
import io
import json

import pytest
import requests
from PIL import Image

from carriers.sandbox.pickit.scans import ORDER_SCANS, STATUSES
from carriers.sandbox.testing import SandboxProcess
from carriers.sandbox.tests.pickit_client import ADDRESS, ORDER, PickitClient, error_code
from carriers.tests import recorded

RECORDED = recorded.examples("pickit")


def test_wrong_secret_or_missing_token_is_refused(process, pickit):
    wrong = {"client_id": "test-client", "client_secret": "wrong"}
    assert error_code(pickit("POST", "/auth/token", wrong)) == (401, "INVALID_CLIENT")
    assert error_code(requests.get(f"{process.url}/pickit/v2/pickup-points")) == (401, "INVALID_TOKEN")


def test_documented_quote_has_the_documented_price(pickit):
    quote = pickit("POST", "/shipments/quote", ORDER).json()
    assert quote["total_price"] == 12.5
    parts = ("base_rate", "fuel_surcharge", "insurance", "handling_fee", "pickup_point_fee")
    assert [quote[name] for name in parts] == [10.0, 1.5, 0.5, 0.5, 0.0]
    assert (quote["currency"], quote["estimated_transit_days"]) == ("USD", 2)


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"destination": ADDRESS | {"postal_code": "00000"}}, 422, "NOT_SERVICEABLE", "destination.postal_code"),
        ({"origin": {"city": "x"}}, 400, "VALIDATION_ERROR", "origin.postal_code"),
        ({"packages": []}, 400, "VALIDATION_ERROR", "packages"),
        ({"packages": [{"weight_kg": 31}]}, 400, "VALIDATION_ERROR", "packages[0].weight_kg"),
        ({"service_type": "teleport"}, 400, "VALIDATION_ERROR", "service_type"),
        ({"label": {"format": "DOCX"}}, 400, "VALIDATION_ERROR", "label.format"),
        ({"label": {"format": "ZPL", "size": "A4"}}, 400, "VALIDATION_ERROR", "label.size"),
        ({"pickup_point_id": "PP-NOPE"}, 422, "PICKUP_POINT_UNAVAILABLE", "pickup_point_id"),
    ],
)
def test_invalid_order_is_refused_with_its_field(pickit, change, status, code, field):
    response = pickit("POST", "/shipments", ORDER | change)
    assert error_code(response) == (status, code)
    assert response.json()["error"]["field"] == field


def test_country_without_postal_codes_is_served(pickit):
    address = {"street": "1 Nathan Road", "city": "Kowloon", "country": "HK", "contact_name": "陳大文"}
    for changes in ({"destination": address}, {"destination": address | {"postal_code": ""}}, {"origin": address}):
        assert pickit("POST", "/shipments/quote", ORDER | changes).status_code == 200
        assert pickit("POST", "/shipments", ORDER | changes).status_code == 201
    coverage = pickit("GET", "/service-coverage", city="Kowloon", country="HK")
    assert coverage.json()["data"]["service_available"] is True
    assert error_code(pickit("GET", "/service-coverage", city="Munich", country="DE")) == (400, "VALIDATION_ERROR")


def test_same_reference_twice_makes_two_purchases(pickit):
    one, other = pickit.buy(reference="TWICE"), pickit.buy(reference="TWICE")
    assert one["tracking_number"] != other["tracking_number"]
    found = pickit("GET", "/shipments", reference="TWICE").json()["data"]
    assert [item["tracking_number"] for item in found] == [one["tracking_number"], other["tracking_number"]]
    assert base64.b64decode(found[0]["label"]["data"]).startswith(b"%PDF")


def test_shipment_of_another_account_is_not_found(process, pickit):
    number = pickit.buy()["tracking_number"]
    other = PickitClient(process, "test-client-id")
    assert error_code(other("GET", f"/shipments/{number}/tracking")) == (404, "SHIPMENT_NOT_FOUND")
    assert other("GET", "/shipments", reference="REF-1").json()["data"] == []


def test_requests_over_the_rate_limit_get_429(process):
    pickit = PickitClient(process, "limited")
    pickit.configure(rate_limit=20)
    answers = [pickit("GET", "/service-coverage", postal_code="10001", city="New York") for _ in range(40)]
    assert {answer.status_code for answer in answers} == {200, 429}
    limited = next(answer for answer in answers if answer.status_code == 429)
    assert limited.headers["Retry-After"] == "1"
    assert limited.json() == RECORDED["refused_too_many_requests"]["response"]


def test_shipment_advances_to_delivery_with_proof(process, pickit):
    number = pickit.buy()["tracking_number"]
    proof = f"/shipments/{number}/proof-of-delivery"
    assert error_code(pickit("GET", proof)) == (404, "POD_NOT_AVAILABLE")
    for _ in range(4):
        process.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {})
    track = pickit("GET", f"/shipments/{number}/tracking").json()
    assert [event["status"] for event in track["events"]] == [
        "created",
        "picked_up",
        "in_transit",
        "out_for_delivery",
        "delivered",
    ]
    found = pickit("GET", proof).json()
    assert found["signed_by"] == "Jane Smith"
    for name, image_format in (("signature_image", "PNG"), ("delivery_photo", "JPEG")):
        picture = base64.b64decode(found[name].partition(",")[2])
        assert Image.open(io.BytesIO(picture)).format == image_format
    assert error_code(pickit("POST", f"/shipments/{number}/cancel", {"reason": "x"})) == (409, "CANNOT_CANCEL")


def test_pickup_points_are_sorted_by_distance_and_constant(pickit):
    def search(**more):
        return pickit("GET", "/pickup-points", **{"lat": 40.7128, "lng": -74.006, "radius": 5} | more).json()["data"]

    found = search()
    assert found[0]["id"] == "PP-12345"
    assert found == search()
    assert [point["distance"] for point in found] == sorted(point["distance"] for point in found)
    assert max(point["distance"] for point in found) <= 5
    assert len(search(limit=3)) == 3
    for area in ({"lat": 90, "lng": 180}, {"lat": -90, "lng": -180}, {"lat": 0, "lng": 0, "radius": 50}):
        assert all(pickit("GET", f"/pickup-points/{point['id']}").ok for point in search(**area, limit=3))


@pytest.fixture
def configured_receiver(process, pickit, receiver):
    changes = {"webhook_url": receiver.url, "webhook_secret": "hook-secret"}
    process.control("PUT", "/_sandbox/accounts/test-client", changes)
    return receiver


def test_scans_are_sent_as_signed_webhooks_in_order(process, pickit, configured_receiver):
    bought = pickit.buy()
    number = bought["tracking_number"]
    for status in ("picked_up", "in_transit", "out_for_delivery", "exception", "at_pickup_point", "delivered"):
        process.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": status})
    events = configured_receiver.wait_for(6)
    assert [event["event_type"] for event in events] == [
        "shipment.created",
        "shipment.picked_up",
        "shipment.in_transit",
        "shipment.failed",
        "shipment.at_pickup_point",
        "shipment.delivered",
    ]
    assert events[0]["timestamp"] == bought["created_at"]
    assert events[4]["data"]["pickup_code"].startswith("PICKUP-")
    for headers, body in configured_receiver.received:
        signed = headers["X-Pickit-Timestamp"].encode() + b"." + body
        expected = hmac.new(b"hook-secret", signed, hashlib.sha256).hexdigest()
        assert headers["X-Pickit-Signature"] == expected
        assert headers["X-Pickit-Event"] == json.loads(body)["event_type"]


def test_completed_pickup_names_its_shipments(process, pickit, configured_receiver):
    number = pickit.buy()["tracking_number"]
    body = {
        "pickup_date": "2026-12-01T10:00:00Z",
        "window": {"start": "10:00", "end": "14:00"},
        "address": ADDRESS,
        "packages_count": 1,
        "shipment_ids": [number],
    }
    pickup = pickit("POST", "/pickups", body).json()
    process.control("POST", f"/_sandbox/pickit/pickups/{pickup['pickup_id']}/complete")
    events = {event["event_type"]: event["data"] for event in configured_receiver.wait_for(3)}
    assert events["pickup.completed"]["shipment_ids"] == [number]
    assert events["pickup.scheduled"]["confirmation_number"] == pickup["confirmation_number"]


def test_recorded_calls_contain_no_secret(process, pickit):
    PickitClient(process)
    assert "test-secret" not in json.dumps(process.calls())


def test_state_survives_a_kill(pickit):
    sandbox = SandboxProcess()
    try:
        client = PickitClient(sandbox)
        number = client.buy()["tracking_number"]
        sandbox.kill()
        sandbox.restart()
        assert client("GET", f"/shipments/{number}/tracking").json()["status"] == "created"
    finally:
        sandbox.stop()


@pytest.mark.parametrize("word", ORDER_SCANS)
def test_magic_word_sets_the_status(pickit, word):
    number = pickit.buy(destination=ORDER["destination"] | {"contact_name": word})["tracking_number"]
    assert pickit("GET", f"/shipments/{number}/tracking").json()["status"] == ORDER_SCANS[word][-1]


def test_every_status_has_a_magic_word():
    assert {scans[-1] for scans in ORDER_SCANS.values()} == STATUSES - {"created"} | {"held_at_customs"}
