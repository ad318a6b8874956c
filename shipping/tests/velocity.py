"""Fixtures of several test modules: a credential for Velocity's sandbox, a registered warehouse and an order."""

import uuid
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from carriers.credentials import storage

DEPOT = {
    "contact_name": "Warehouse Manager",
    "contact_phone": "+91 98765 43210",
    "contact_email": "warehouse@example.com",
    "street": "123 Main Street, Andheri East",
    "city": "Mumbai",
    "state": "Maharashtra",
    "postal_code": "400069",
    "country": "IN",
}


BUYER = {
    "contact_name": "Asha Rao",
    "contact_phone": "+919000000001",
    "contact_email": "buyer@example.com",
    "street": "12 Example Road",
    "city": "Bangalore",
    "state": "Karnataka",
    "postal_code": "560102",
    "country": "IN",
}


@pytest.fixture
def velocity_credential(tenant):
    return storage.save_credential(
        tenant=tenant,
        mode="test",
        carrier="velocity",
        environment="sandbox",
        fields={"username": "+910000000000", "password": "test-secret", "webhook_secret": "test-secret"},
    )


@pytest.fixture
def warehouse(api):
    body = {"name": f"Mumbai {uuid.uuid4().hex[:6]}", "address": DEPOT, "carriers": ["Velocity Shipfast"]}
    made = api.post("/api/v1/warehouses", body)
    assert made.status_code == 201, made.content
    return made.json()


@pytest.fixture
def order(warehouse):
    return {
        "carrier": "velocity",
        "order_id": f"ORDER-{uuid.uuid4().hex[:12]}",
        "origin": DEPOT,
        "destination": BUYER,
        "packages": [{"weight_kg": 0.5, "length_cm": 100, "width_cm": 50, "height_cm": 10}],
        "items": [{"name": "T-shirt Round Neck", "sku": "t-shirt-1", "quantity": 2, "unit_price": 500, "discount": 10}],
        "payment_method": "COD",
        "cod_amount": 990,
        "currency": "INR",
        "warehouse_id": warehouse["id"],
    }


@pytest.fixture
def put(client, api_key):
    return lambda path, body: client.put(path, body, content_type="application/json", headers={"X-API-Key": api_key})


@pytest.fixture
def sent_bodies(sandbox):
    """Return the bodies of the requests to Velocity, by operation."""
    return lambda operation: [call["body"] for call in sandbox.calls(carrier="velocity", operation=operation)]


def buy(api, order):
    answer = api.post("/api/v1/labels", order)
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.fixture
def platform_credential(velocity_credential):
    """The merchant uses the platform's credential, as other merchants do."""
    storage.delete_credential(velocity_credential)
    fields = {"username": "+910000000000", "password": "test-secret"}
    return storage.save_credential(tenant=None, mode="test", carrier="velocity", environment="sandbox", fields=fields)


@pytest.fixture
def patch(client, api_key):
    return lambda path, body: client.patch(path, body, content_type="application/json", headers={"X-API-Key": api_key})


def later(**span):
    return time_machine.travel(timezone.now() + timedelta(**span), tick=True)


def advance(sandbox, number, **changes):
    return sandbox.control("POST", f"/_sandbox/velocity/shipments/{number}/advance", changes)


def switch_login(sandbox, tenant):
    sandbox.control("PUT", "/_sandbox/accounts/+910000000077", {"carrier": "velocity", "secret": "test-secret"})
    fields = {"username": "+910000000077", "password": "test-secret"}
    return storage.save_credential(tenant=tenant, mode="test", carrier="velocity", environment="sandbox", fields=fields)
