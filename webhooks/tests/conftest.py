from concurrent.futures import ThreadPoolExecutor

import pytest

from apikeys.db.tenancy import Tenant
from apikeys.models import Merchant
from carriers.credentials import storage
from webhooks.models import WebhookEndpoint
from webhooks.outbound import signing
from webhooks.tests.helpers import WebhookReceiver


@pytest.fixture
def receiver():
    server = WebhookReceiver()
    yield server
    server.close()


@pytest.fixture
def endpoint(tenant, receiver):
    return WebhookEndpoint.objects.create(
        merchant_id=tenant.merchant_id, mode="test", url=receiver.url, secret=signing.new_secret()
    )


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as executor:
        yield executor


@pytest.fixture
def other_credential(db):
    """A Pickit credential of another merchant."""
    other = Merchant.objects.create(name="Other", slug="other")
    return storage.save_credential(
        tenant=Tenant(other.id, "test"),
        mode="test",
        carrier="pickit",
        environment="sandbox",
        fields={"client_id": "o", "client_secret": "o-secret", "webhook_secret": "other-secret"},
    )
