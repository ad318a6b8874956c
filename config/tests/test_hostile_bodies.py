"""Hostile request bodies: none is a server error, a refusal names the field, and what is accepted is not lost."""

import copy
import itertools
import json
import random

import pytest
from django.test import Client

from apikeys.http.text import normalize_text
from carriers.models import Credential
from shipping.models import Checkpoint, Pickup, Shipment

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("credential", "sandbox")]

VALUES = (
    None, True, False, 0, -1, 1.5, 1e308, -0.0, 2**63, 10**400, "", " ", "\u200b", "\ufeff", "\u202e", "\u3164",
    "x" * 5000, "1_000", "١٢", "NaN", "Infinity", "2024-W03-1", "0001-01-01", "9999-12-31T23:59:59-14:00", [], [[]],
    [None], {}, {"a": {"b": []}}, "'; DROP TABLE x; --", "<script>", "%00", "../..", "\U0001f4e6", "ﬀ", "e\u0301" * 200,
    "a\x00b", "\ud800", "constructor", "^XZ~JA",
)  # fmt: skip
NAMES = ("__proto__", "constructor", "__class__", "toString", "", " ", "a.b", "a[0]", "$ref", "x" * 300, "\u202e", "ﬀ")
# Bodies that are no valid JSON object, or say a thing twice, and the fields that the refusal names.
RAW = (
    "NaN", '{"status": NaN}', '{"a": Infinity, "b": -Infinity}', '{"a": 1e999}', "[" * 100_000, '{"a":' * 20_000,
    "[" * 400 + "]" * 400, '{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 2}}', '{"a": "\\ud800"}', '{"a": "\\u0000"}',
    '"text"', "null", "1", "true", "", " ", "{", "{}{}", '{"a": 01}', "{'a': 1}", '{"a": 1,}', '{"a": "\x01"}',
    '{"a": ' + "9" * 50_000 + "}", '{"a": 0.' + "1" * 50_000 + "}", "//", b"{}\xff", "<xml/>", "a=1&b=2", "{}\x00",
)  # fmt: skip
CHECKPOINT = {
    "tracking_id": "UNIT-000001",
    "status": "CREATED",
    "location": "Bogotá",
    "description": "Paquete creado",
    "timestamp": "2024-01-15T09:00:00Z",
}
PICKUP = {
    "carrier": "Pickit",
    "pickup_date": "2099-12-16T10:00:00Z",
    "pickup_window_start": "10:00",
    "pickup_window_end": "14:00",
    "contact_name": "Warehouse Manager",
    "packages_count": 1,
    "total_weight_kg": 2.5,
    "special_instructions": "Ring twice",
    "shipment_ids": [],
}


@pytest.fixture
def endpoints(order, settings):
    """Valid bodies by endpoint. Rate limits are off."""
    settings.RATE_LIMITS_ENABLED = False
    settings.CARRIER_BREAKER_FAILURES = 10**6
    return {
        "labels": order | {"items": [{"name": "Mug", "quantity": 1}], "billing_address": dict(order["destination"])},
        "quotes": order,
        "tracking": {"carrier": "pickit", "tracking_number": "PKT-1234567890"},
        "checkpoints": CHECKPOINT,
        "pickups": PICKUP | {"address": order["origin"]},
    }


def send(api, endpoint, raw):
    headers = {"X-API-Key": api.key}
    return Client().post(f"/api/v1/{endpoint}", raw, content_type="application/json", headers=headers)


def paths(body, path=()):
    for key, value in body.items() if isinstance(body, dict) else enumerate(body):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))


def change(body, path, value):
    """Return the body with one value changed or added."""
    changed = copy.deepcopy(body)
    *parents, last = path
    box = changed
    for key in parents:
        box = box[key]
    box[last] = value
    return changed


def show(path):
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def is_kept(endpoint, value):
    """Return whether the newest rows have a text as it was sent, without what nobody sees."""
    models = {"labels": [Shipment], "checkpoints": [Shipment, Checkpoint], "pickups": [Pickup]}[endpoint]
    rows = [model.objects.order_by("id").values().last() for model in models]
    return normalize_text(value) in json.dumps(rows, default=str, ensure_ascii=False)


def is_refused_by(answer, field):
    return any(name.startswith(field) or field.startswith(name) or name == "body" for name in answer["details"])


def test_hostile_values_are_refused_by_field_or_kept(api, endpoints, full_size):
    cases = [
        (endpoint, path, value) for endpoint, body in endpoints.items() for path in paths(body) for value in VALUES
    ]
    for number, (endpoint, path, value) in enumerate(cases if full_size else random.Random(12).sample(cases, 200)):
        identity = {"labels": "order_id", "checkpoints": "tracking_id"}.get(endpoint)
        body = endpoints[endpoint] | ({identity: f"HOSTILE-{number}"} if identity else {})
        response = send(api, endpoint, json.dumps(change(body, path, value)))
        answer, field = json.loads(response.content), show(path)
        assert response.status_code < 500, (answer, field, value)
        if response.status_code in (400, 422):
            # A number or text that no JSON reader takes is named by its position.
            assert is_refused_by(answer, "" if value in (10**400, "\ud800") else field), (answer, field, value)
        elif isinstance(value, str) and endpoint not in ("quotes", "tracking"):
            assert response.status_code in (200, 201), answer
            assert is_kept(endpoint, value), (answer, field, value)
    assert Credential.objects.count() == 1


def test_hostile_names_are_warned_of(api, endpoints):
    for endpoint, body in endpoints.items():
        response = send(api, endpoint, json.dumps(body | {name: {"a": 1} for name in NAMES}))
        if endpoint != "tracking":  # an unknown number
            warnings = [one for one in response.json()["warnings"] if one["code"] == "unknown_field"]
            assert {one["field"] for one in warnings} >= set(NAMES)


def test_unreadable_bodies_are_refused_by_field(api, endpoints):
    for endpoint, raw in itertools.product(("labels", "checkpoints"), RAW):
        response = send(api, endpoint, raw)
        assert response.status_code == 400, (response.content, raw[:50])
        assert all(response.json()["details"].values())
    assert not Shipment.objects.exists()
    assert not Checkpoint.objects.exists()
