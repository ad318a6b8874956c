from concurrent.futures import ThreadPoolExecutor

import pytest

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
