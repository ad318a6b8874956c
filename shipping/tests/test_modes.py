"""A test key never connects to a carrier's production servers, as a listening socket shows."""

import socket
import threading
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from carriers.credentials import refresh, storage
from carriers.models import Credential
from shipping.checkpoints import polling
from shipping.labels import reconciliation

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("credential", "sandbox")]
ACCOUNTS = {
    "pickit": {"client_id": "of-production", "client_secret": "of-production"},
    "velocity": {"username": "+911111111111", "password": "of-production"},
}
NEAR = "latitude=40.7128&longitude=-74.0060"


class Listener:
    """A production server that counts connections and closes them."""

    def __init__(self):
        self.connections = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                connection, _address = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()


@pytest.fixture
def production(settings, tenant):
    """A production server for every carrier, with credentials of the merchant and of the platform."""
    one = Listener()
    sides = {(carrier, "production", "main"): one.url for carrier in ACCOUNTS}
    settings.CARRIER_BASE_URLS = settings.CARRIER_BASE_URLS | sides
    for carrier, fields in ACCOUNTS.items():
        for owner in (Tenant(tenant.merchant_id, "live"), None):
            storage.save_credential(tenant=owner, mode="live", carrier=carrier, environment="production", fields=fields)
    yield one
    one.socket.close()


def run_everything(client, key, order):
    """Make every kind of request that calls carriers, and run the worker's tasks."""
    headers = {"X-API-Key": key}

    def ask(method, path, body=None):
        return client.generic(method, path, data=body or "", content_type="application/json", headers=headers)

    def post(path, body):
        return client.post(path, body, content_type="application/json", headers=headers)

    bought = post("/api/v1/labels", order)
    name = bought.json().get("shipment_id", "none")
    post("/api/v1/quotes", order)
    post("/api/v1/quotes", order | {"carrier": "velocity"})
    post("/api/v1/serviceability", {"carrier": "velocity", "origin": order["origin"], "destination": order["origin"]})
    post(
        "/api/v1/tracking", {"carrier": "Pickit", "tracking_number": bought.json().get("tracking_number", "PKT-00000")}
    )
    pickup = {"carrier": "Pickit", "pickup_date": "2026-12-16T10:00:00Z", "address": order["origin"]}
    pickup |= {"pickup_window_start": "10:00", "pickup_window_end": "14:00", "packages_count": 1}
    collected = post("/api/v1/pickups", pickup).json().get("pickup_id", "none")
    post(f"/api/v1/pickups/{collected}/cancel", {})
    for path in (
        f"pickit/pickup-points?{NEAR}",
        "pickit/pickup-points/PP-12345",
        "service-coverage?carrier=pickit&postal_code=10001&city=New York&country=US",
        "pickit/health",
        "velocity/health",
        "reports?carrier=velocity&kind=orders&since=2026-01-01&until=2026-01-31",
        f"shipments/{name}/proof-of-delivery",
    ):
        ask("GET", f"/api/v1/{path}")
    for account in ask("GET", "/api/v1/courier-credentials").json().get("credentials", []):
        ask("POST", f"/api/v1/courier-credentials/{account['id']}/test")
    post(f"/api/v1/shipments/{name}/cancel", {})
    return bought


def test_test_key_opens_no_connection_to_production(client, api_key, order, production):
    assert run_everything(client, api_key, order).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(hours=7), tick=True):
        polling.poll()
        reconciliation.reconcile()
    refresh.refresh_tokens()
    assert production.connections == 0


def test_live_key_connects_to_production(client, tenant, order, production):
    key = generate_key("live")
    store_key(Tenant(tenant.merchant_id, "live"), key, name="live")
    run_everything(client, key, order)
    assert production.connections > 5


def test_test_key_cannot_store_or_check_a_production_credential(client, api_key, production):
    headers = {"X-API-Key": api_key}
    body = {"carrier": "velocity", "environment": "production", "credentials": ACCOUNTS["velocity"]}
    refused = client.post("/api/v1/courier-credentials", body, content_type="application/json", headers=headers)
    assert (refused.status_code, set(refused.json()["details"])) == (400, {"environment"})
    theirs = Credential.objects.filter(mode="live").first()
    tried = client.post(f"/api/v1/courier-credentials/{theirs.id}/test", headers=headers)
    assert tried.status_code == 404
    assert production.connections == 0
