"""The documents' requests, sent to a running system, return the documented keys, types and statuses.

They run twice, because readers of the documents try them more than once.
"""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests

from carriers.sandbox.testing import find_differences
from deploy.tests.system import System

pytestmark = [pytest.mark.system, pytest.mark.once]
TEXT, NUMERIC, FLAG, LIST, OBJECT, NOTHING = str, (int, float), bool, list, dict, type(None)

LABEL = {
    "carrier": TEXT,
    "tracking_number": TEXT,
    "label_url": TEXT,
    "label_data": TEXT,
    "label_format": TEXT,
    "shipment_id": TEXT,
    "metadata": {"barcode": TEXT, "qr_code": TEXT, "estimated_delivery": TEXT},
}
UNIT = {
    "id": TEXT,
    "tracking_id": TEXT,
    "status": TEXT,
    "location": TEXT,
    "delivery_time": (TEXT, NOTHING),
    "total_checkpoints": int,
    "created_at": TEXT,
    "updated_at": TEXT,
}
ERROR = {"error": TEXT, "message": TEXT, "details": OBJECT, "correlation_id": TEXT}


def has_shape(value, shape, path="$"):
    """Check that every key of the shape exists with its type; other keys may exist."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), path
        for key, inner in shape.items():
            assert key in value, f"{path}.{key} is missing in {sorted(value)}"
            has_shape(value[key], inner, f"{path}.{key}")
    else:
        flags_apart = isinstance(value, bool) and shape is not FLAG
        assert isinstance(value, shape) and not flags_apart, f"{path} is {value!r}"


@pytest.fixture(scope="module")
def one():
    system = System()
    yield system.start("sandbox", "web", "worker")
    system.close()


@pytest.fixture
def ask(one):
    """``ask(status, shape, method, path, body)`` sends a request with the demo key. Without it API paths return 401."""

    def send(status, shape, method, path, body=None):
        response = one.api(method, path, body)
        assert response.status_code == status, response.text
        has_shape(response.json(), shape)
        if path.startswith("/api/"):
            keyless = requests.request(method, one.web + path, json=body, timeout=30)
            assert keyless.status_code == 401
            assert keyless.json()["error"] == "invalid_api_key"
        return response.json()

    return send


def documented(name):
    """Return a request and response of the Pickit document, with other values."""
    return json.loads((Path(__file__).parent / "documented" / f"pickit_{name}.json").read_text())


def fits(ask, name, **changes):
    """Send a request; check that the response has each documented key with its type, and return it."""
    example = documented(name)
    request = example["request"]
    path = request["path"] + (f"?{urlencode(request['query'])}" if "query" in request else "")
    body = request["body"] | changes if "body" in request else None
    answer = ask(example["status"], {}, request["method"], path, body)
    assert find_differences(example["response"], answer) == []
    return answer


def test_requests_of_the_pickit_document_get_its_responses(ask):
    for time in ("first", "second"):
        fits(ask, "points_near")
        fits(ask, "point")
        assert fits(ask, "quote")["total_price"] == 12.5
        fits(ask, "label", order_id=f"LAMP {time}")
        fits(ask, "track")
        fits(ask, "proof_of_delivery")
        fits(ask, "pickup")
        fits(ask, "coverage")
    for _ in range(2):
        fits(ask, "cancel")
    pickup = documented("pickup")["request"]
    refused = ask(400, ERROR, "POST", pickup["path"], pickup["body"])  # no pickup of cancelled shipments
    assert set(refused["details"]) == {"shipment_ids[0]"}


def test_end_to_end_test_of_the_pickit_document_passes(ask):
    for first in (True, False):
        credentials = {"client_id": "test-client", "client_secret": "test-secret"}
        saved = {"environment": "sandbox", "credentials": credentials}
        ask(200, {"status": TEXT, "carrier": TEXT}, "POST", "/api/v1/carriers/Pickit/credentials", saved)
        near = "/api/v1/pickit/pickup-points?latitude=40.7128&longitude=-74.0060"
        point = ask(200, {}, "GET", near)["pickup_points"][0]
        origin = {"postal_code": "11201", "city": "Brooklyn", "country": "US"}
        destination = {"postal_code": "10001", "city": "Manhattan", "country": "US"}
        box = {"weight_kg": 2, "length_cm": 30, "width_cm": 20, "height_cm": 15}
        route = {"carrier": "Pickit", "origin": origin, "destination": destination, "packages": [box]}
        quote = ask(200, {}, "POST", "/api/v1/quotes", route | {"metadata": {"pickup_point_id": point["id"]}})
        assert quote["carrier"] == "Pickit"
        assert quote["total_price"] > 0
        order = route | {
            "order_id": "TEST-001" if first else "TEST-002",
            "origin": origin | {"street": "123 Test St"},
            "destination": destination | {"street": "456 Test Ave"},
        }
        number = ask(200, LABEL, "POST", "/api/v1/labels", order)["tracking_number"]
        track = ask(200, {}, "POST", "/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number})
        assert track["tracking_number"] == number


def checkpoint(tracking_id, status, location, text, time):
    return {"tracking_id": tracking_id, "status": status, "location": location, "description": text, "timestamp": time}


def test_scenarios_of_the_tracking_document_get_its_responses(ask):
    for first in (True, False):
        data = {
            "tracking_id": TEXT,
            "checkpoint_id": TEXT,
            "status": TEXT,
            "location": TEXT,
            "description": TEXT,
            "timestamp": TEXT,
            "unit_created": FLAG,
        }
        stored = {"success": FLAG, "message": TEXT, "data": data}
        created = checkpoint("NEW123456", "CREATED", "Bogotá, Colombia", "Paquete creado", "2024-01-15T09:00:00Z")
        fetched = checkpoint("NEW123456", "PICKED_UP", "Almacén Central, Bogotá", "Recogido", "2024-01-15T10:30:00Z")
        known = checkpoint("TEST123456", "PICKED_UP", "Medellín, Colombia", "Recogido", "2024-01-15T11:30:00Z")
        for body in (created, fetched, known):
            ask(201 if first else 200, stored, "POST", "/api/v1/checkpoints", body)
        history = {
            "success": FLAG,
            "tracking_id": TEXT,
            "current_status": TEXT,
            "delivery_time": (TEXT, NOTHING),
            "checkpoints": LIST,
            "total_checkpoints": int,
            "created_at": TEXT,
            "updated_at": TEXT,
        }
        found = ask(200, history, "GET", "/api/v1/tracking/NEW123456")
        assert [row["status"] for row in found["checkpoints"]] == ["CREATED", "PICKED_UP"]
        pages = {"total": int, "limit": int, "offset": int, "has_more": FLAG}
        listing = {"success": FLAG, "units": LIST, "pagination": pages, "filters": {"status": TEXT}}
        units = ask(200, listing, "GET", "/api/v1/shipments?status=PICKED_UP")["units"]
        has_shape(units[0], UNIT)
        ask(200, listing, "GET", "/api/v1/shipments?status=CREATED&limit=10&offset=20")
        named = ("CREATED", "PICKED_UP", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED", "EXCEPTION")
        figures = {
            "total_units": int,
            "units_by_status": dict.fromkeys(named, int),
            "total_checkpoints": int,
            "avg_delivery_time": (str, NOTHING),
        }
        ask(200, figures, "GET", "/metrics/business")
        services = {"database": TEXT, "redis": TEXT, "celery": TEXT}
        health = ask(200, {"status": TEXT, "timestamp": TEXT, "services": services}, "GET", "/health")
        assert health["status"] == "healthy"


def test_errors_of_the_tracking_document_are_returned(ask, one):
    bad = checkpoint("123", "INVALID", "", "", "invalid-date")
    error = ask(400, ERROR, "POST", "/api/v1/checkpoints", bad)
    assert error["error"] == "validation_error"
    assert set(error["details"]) == set(bad)
    assert ask(404, ERROR, "GET", "/api/v1/tracking/NONEXISTENT123")["error"] == "tracking_not_found"
    assert ask(400, ERROR, "GET", "/api/v1/shipments?status=GONE")["details"]["status"]
    url, body = (
        one.web + "/api/v1/checkpoints",
        checkpoint("TEST123", "CREATED", "Test", "Test", "2024-01-15T10:30:00Z"),
    )
    refused = requests.post(url, json=body, headers={"X-API-Key": "invalid-key"}, timeout=30)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_api_key")


def test_request_of_the_tracking_number_document_gets_its_response(ask):
    query = (
        "origin_country_id=MY&destination_country_id=ID&weight=1.234&created_at=2018-11-20T19:29:32%2B08:00"
        "&customer_id=de619854-b59b-425e-9db4-943979e1bd49&customer_name=RedBox%20Logistics&customer_slug=redbox-logistics"
    )
    metadata = {"origin_country": TEXT, "destination_country": TEXT, "weight_kg": TEXT, "customer_slug": TEXT}
    shape = {"tracking_number": TEXT, "created_at": TEXT, "correlation_id": TEXT, "request_metadata": metadata}
    assert ask(200, shape, "GET", f"/next-tracking-number?{query}")["tracking_number"].startswith("MYID")


def signed(one, event, path="/webhooks/pickit/events"):
    raw, sent_at = json.dumps(event).encode(), datetime.now(UTC).isoformat()
    signature = hmac.new(b"test-secret", sent_at.encode() + b"." + raw, hashlib.sha256).hexdigest()
    headers = {"X-Pickit-Signature": signature, "X-Pickit-Timestamp": sent_at, "Content-Type": "application/json"}
    return requests.post(one.web + path, data=raw, headers=headers, timeout=30)


def test_webhooks_of_the_pickit_document_are_applied(one):
    event = {
        "event_type": "shipment.at_pickup_point",
        "timestamp": "2024-01-17T10:00:00Z",
        "data": {
            "tracking_number": "PKT-1234567892",
            "pickup_point": {"id": "PP-12345", "name": "Downtown Locker Station", "type": "LOCKER"},
            "pickup_code": "PICKUP-123456",
            "locker_number": "A-15",
            "hold_until": "2024-01-24T23:59:59Z",
        },
    }
    for _ in range(2):
        answer = signed(one, event)
        assert answer.status_code == 200
        assert answer.json() == {"status": "success", "message": "Event processed"}
    history = one.api("GET", "/api/v1/tracking/PKT-1234567892").json()
    assert history["current_status"] == "AT_PICKUP_POINT"
    assert history["checkpoints"][-1]["details"]["locker_number"] == "A-15"
    unsigned = requests.post(f"{one.web}/webhooks/pickit/events", json=event, timeout=30)
    assert unsigned.status_code == 401


def test_metrics_have_the_documented_names(one):
    one.api("GET", "/api/v1/pickit/pickup-points?latitude=40.7128&longitude=-74.0060")
    counters = requests.get(f"{one.web}/metrics", timeout=30).text
    for name in (
        "pickit_api_requests_total",
        "pickit_api_request_duration_seconds",
        "pickit_pickup_points_searched_total",
    ):
        assert name in counters
