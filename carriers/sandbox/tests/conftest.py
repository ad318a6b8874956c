import pytest

from carriers.sandbox.testing import SandboxProcess
from carriers.sandbox.tests.bring_client import BringClient
from carriers.sandbox.tests.pickit_client import PickitClient
from carriers.sandbox.tests.receiver import WebhookReceiver
from carriers.sandbox.tests.velocity_client import VelocityClient


@pytest.fixture(scope="module")
def process():
    sandbox = SandboxProcess()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def pickit(process):
    process.control("DELETE", "/_sandbox/faults")
    process.clear()
    return PickitClient(process)


@pytest.fixture
def velocity(process):
    return VelocityClient(process)


@pytest.fixture
def bring(process):
    process.control("DELETE", "/_sandbox/faults")
    process.clear()
    return BringClient(process)


@pytest.fixture
def receiver():
    server = WebhookReceiver()
    yield server
    server.close()
