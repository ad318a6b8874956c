"""The whole system as processes: killed workers, hanging carriers, the demo and the examples of the documents."""

import json
import os
import secrets
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from config.secrets import DEMO_SECRETS
from deploy.tests import things
from deploy.tests.system import ROOT, System

pytestmark = pytest.mark.system


@pytest.fixture
def system():
    """A function that starts an installation of its own."""
    systems = []

    def start(*names, **environment):
        systems.append(System(**environment))
        return systems[-1].start(*names)

    yield start
    for started in systems:
        started.close()


@pytest.fixture(scope="module")
def shared():
    """An installation for tests that do not depend on each other's data."""
    started = System().start("sandbox", "web", "worker")
    yield started
    started.close()


class Receiver:
    """A merchant's server that stores the ids of the webhooks it receives."""

    def __init__(self, port):
        self.ids = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                receiver.ids.append(self.headers["webhook-id"])
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


def test_killed_worker_loses_no_delivery(system):
    started = system("sandbox", "web", WEBHOOK_LEASE_S="2")
    receiver = Receiver(started.receiver_port)
    for number in range(30):
        assert started.api("POST", "/api/v1/checkpoints", checkpoint(f"UNIT-{number:04}")).status_code == 201
    # Two events for each, and the two of the seeded unit.
    for _ in range(3):
        received = len(receiver.ids)
        started.start("worker")
        started.wait_for(lambda received=received: len(receiver.ids) > received + 3)
        started.kill("worker")
    started.start("worker")
    started.wait_for(lambda: len(set(receiver.ids)) == 62)
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.mark.once
def test_hanging_carrier_does_not_block_reads_and_health(system):
    started = system("sandbox", "web", CARRIER_TIMEOUT_S="6", REQUEST_DEADLINE_S="7")
    for operation, calls in (("token", 1), ("quote", 10)):
        fault = {"operation": operation, "kind": "timeout", "count": 99, "delay_s": 60}
        started.control("POST", "/_sandbox/faults", fault)
        assert_served_while_carrier_hangs(started, operation, calls)
        started.control("DELETE", "/_sandbox/faults")
        started.api("GET", "/api/v1/pickit/pickup-points?latitude=1&longitude=1")  # logs in


def assert_served_while_carrier_hangs(system, operation, calls):
    with ThreadPoolExecutor(25) as pool:
        hanging = [pool.submit(system.api, "POST", "/api/v1/quotes", things.order()) for _ in range(25)]
        system.wait_for(lambda: len(system.control("GET", f"/_sandbox/calls?operation={operation}")) >= calls)
        assert requests.get(f"{system.web}/health", timeout=5).status_code == 200
        read = requests.get(
            f"{system.web}/api/v1/tracking/TEST123456", headers={"X-API-Key": "test-api-key"}, timeout=5
        )
        assert read.status_code == 200
        assert not any(future.done() and future.result().status_code == 200 for future in hanging)
    assert {future.result().status_code for future in hanging} <= {503, 504}
    assert all(future.result().json()["error"].startswith("carrier_") for future in hanging)


def run_demo(system, *carrier):
    command = [sys.executable, "-m", "deploy.demo", *carrier]
    environment = system.environment | {"DEMO_PATIENCE_S": "15"}
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.once
def test_demo_runs_twice_and_names_the_step_that_fails(system):
    started = system("sandbox", "web", "worker")
    first = run_demo(started)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "none yet" in first.stdout
    started.kill("sandbox")
    started.start("sandbox")
    again = run_demo(started)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "DELIVERED" in again.stdout
    for carrier in ("ups", "ups", "bring"):
        other = run_demo(started, carrier)
        assert other.returncode == 0, other.stdout + other.stderr
    started.kill("sandbox")
    broken = run_demo(started)
    assert broken.returncode == 1
    assert "FAILED at «A quote»" in broken.stderr
    assert "the carrier is Pickit" in broken.stderr
    assert "Error" not in broken.stderr.split("«")[1]


def examples_of(document):
    """Return each bash block of a document, in order."""
    text = (ROOT / document).read_text()
    return [block.split("```")[0] for block in text.split("```bash\n")[1:]]


@pytest.mark.once
@pytest.mark.parametrize(
    ("document", "least"),
    [
        ("README.md", 5),
        ("docs/access.md", 3),
        ("docs/tracking-numbers.md", 2),
        ("docs/lists.md", 3),
        ("docs/orders.md", 6),
    ],
)
def test_every_example_of_a_document_runs(shared, document, least):
    examples = examples_of(document)
    assert len(examples) >= least
    for example in examples:
        script = example.replace("localhost:8000", f"127.0.0.1:{shared.port}").replace(
            "localhost:8010", f"127.0.0.1:{shared.sandbox_port}"
        )
        script = script.replace("curl ", "curl -s ").replace(".venv/bin/python", sys.executable)
        done = subprocess.run(
            ["bash", "-euc", script], env=shared.environment, cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        decoder, rest = json.JSONDecoder(), done.stdout if "curl" in example else ""
        while rest:
            answer, end = decoder.raw_decode(rest)
            rest = rest[end:].lstrip()
            assert "error" not in answer or "tracking_id" in answer["details"], answer


@pytest.mark.once
def test_production_refuses_to_start_on_missing_or_demo_secrets():
    own = {
        "DEBUG": "false",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ENCRYPTION_KEYS": "k1:b3duLWtleS1vd24ta2V5LW93bi1rZXktb3duLWtleSE=",
        "API_KEY_PEPPER": "own-pepper",
        "TRACKING_NUMBER_SECRETS": "1:own-secret",
    }

    def run(*command, **changes):
        environment = os.environ | own | changes
        return subprocess.run([sys.executable, *command], env=environment, cwd=ROOT, capture_output=True, text=True)

    check = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert run(*check).returncode == 0
    name, demo_secret = next(iter(DEMO_SECRETS.items()))
    refused = run(*check, **{name: demo_secret})
    assert refused.returncode != 0
    assert name in refused.stderr
    # Every process imports the settings first.
    for name, demo_secret in DEMO_SECRETS.items():
        for value in ("", demo_secret):
            refused = run("-c", "import config.settings", **{name: value})
            assert refused.returncode != 0
            assert name in refused.stderr


@pytest.mark.once
def test_chunked_body_is_read_like_any_other(shared):
    headers = {"X-API-Key": "test-api-key", "Content-Type": "application/json"}
    url = f"{shared.web}/api/v1/checkpoints"
    body = iter([json.dumps(checkpoint("CHUNK-0001")).encode()])
    assert requests.post(url, data=body, headers=headers, timeout=30).status_code == 201
    large = iter([b"x" * 500_000] * 4)
    assert requests.post(url, data=large, headers=headers, timeout=30).status_code == 413


def checkpoint(tracking_id):
    return {
        "tracking_id": tracking_id,
        "status": "CREATED",
        "location": "Bogotá",
        "description": "Paquete creado",
        "timestamp": "2024-01-15T09:00:00Z",
    }
