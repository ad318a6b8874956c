"""A carrier that answers as told, and a way to ask it."""

import pytest

from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport
from carriers.tests.server import Carrier


@pytest.fixture
def carrier():
    one = Carrier()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def send(credential, carrier):
    def one(operation="quote", *, method="POST", path="/x", **kwargs):
        transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
        return transport.send(operation, method, carrier.url + path, **kwargs)

    return one
