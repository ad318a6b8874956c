"""A carrier with scripted answers, and fixtures for tests of credentials."""

import uuid

import pytest

from carriers.adapters.registry import ADAPTERS
from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport
from carriers.tests.server import Carrier


@pytest.fixture
def carrier(settings):
    """A scripted carrier, to which the sandbox of every API points."""
    one = Carrier()
    settings.CARRIER_BASE_URLS = {
        (slug, "sandbox", api): one.url for slug, adapter in ADAPTERS.items() for api in adapter.apis
    }
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def send(credential, carrier):
    """A function that sends a request to the scripted carrier."""

    def send_request(operation="quote", *, method="POST", path="/x", **kwargs):
        transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
        return transport.send(operation, method, carrier.url + path, **kwargs)

    return send_request


@pytest.fixture
def put(client, api_key):
    return lambda path, body: client.put(path, body, content_type="application/json", headers={"X-API-Key": api_key})


@pytest.fixture
def delete(client, api_key):
    return lambda path: client.delete(path, headers={"X-API-Key": api_key})


@pytest.fixture
def relaxed_rates(settings):
    settings.SENSITIVE_RATES = ["1000/m"]


@pytest.fixture
def own_client(sandbox):
    """Fields of a login at the simulated Pickit that no other test uses, so that its secret can change."""
    name = f"rotating-{uuid.uuid4().hex[:8]}"
    sandbox.control("PUT", f"/_sandbox/accounts/{name}", {"secret": "first-secret"})
    return {"client_id": name, "client_secret": "first-secret"}
