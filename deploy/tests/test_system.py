"""The whole system as processes: killed, hung and raced, it buys nothing twice and loses nothing."""

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

from config.settings import DEMO_SECRETS
from deploy.tests import things
from deploy.tests.system import ROOT, System

pytestmark = pytest.mark.system


@pytest.fixture
def system():
    systems = []

    def make(*names, **environment):
        systems.append(System(**environment))
        return systems[-1].start(*names)

    yield make
    for one in systems:
        one.close()


class Receiver:
    """A merchant's server that keeps the ids of what it was sent."""

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


def test_a_killed_worker_loses_no_delivery(system):
    one = system("sandbox", "web", WEBHOOK_LEASE_S="2")
    receiver = Receiver(one.receiver_port)
    for number in range(30):
        body = {
            "tracking_id": f"UNIT-{number:04}",
            "status": "CREATED",
            "location": "Bogotá",
            "description": "Paquete creado",
            "timestamp": "2024-01-15T09:00:00Z",
        }
        assert one.api("POST", "/api/v1/checkpoints", body).status_code == 201
    # Two events for each, and the two of the seeded unit.
    for _ in range(3):
        told = len(receiver.ids)
        one.start("worker")
        one.wait_for(lambda told=told: len(receiver.ids) > told + 3)
        one.kill("worker")
    one.start("worker")
    one.wait_for(lambda: len(set(receiver.ids)) == 62)
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.mark.parametrize(("operation", "calls"), [("quote", 10), ("token", 1)])
def test_hanging_carriers_leave_reads_and_health_alone(system, operation, calls):
    one = system("sandbox", "web", CARRIER_TIMEOUT_S="6", REQUEST_DEADLINE_S="7")
    if operation != "token":
        one.api("GET", "/api/v1/pickit/pickup-points?latitude=1&longitude=1")  # logs in
    one.world("POST", "/_sandbox/faults", {"operation": operation, "kind": "timeout", "count": 99, "delay_s": 5})
    with ThreadPoolExecutor(25) as pool:
        hanging = [pool.submit(one.api, "POST", "/api/v1/quotes", things.order()) for _ in range(25)]
        one.wait_for(lambda: len(one.world("GET", f"/_sandbox/calls?operation={operation}")) >= calls)
        assert requests.get(f"{one.web}/health", timeout=2).status_code == 200
        read = requests.get(f"{one.web}/api/v1/tracking/TEST123456", headers={"X-API-Key": "test-api-key"}, timeout=2)
        assert read.status_code == 200
        assert not any(future.done() and future.result().status_code == 200 for future in hanging)
    assert {future.result().status_code for future in hanging} <= {503, 504}
    assert all(future.result().json()["error"].startswith("carrier_") for future in hanging)


def demo(one):
    environment = one.environment | {"DEMO_PATIENCE_S": "15"}
    return subprocess.run(
        [sys.executable, "deploy/demo.py"], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_the_demo_tells_its_story_twice_and_says_what_fails(system):
    one = system("sandbox", "web", "worker")
    first = demo(one)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "none yet" in first.stdout
    one.kill("sandbox")
    one.start("sandbox")
    again = demo(one)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "DELIVERED" in again.stdout
    one.kill("sandbox")
    broken = demo(one)
    assert broken.returncode == 1
    assert "FAILED at «A quote»" in broken.stderr
    assert "the carrier is Pickit" in broken.stderr
    assert "Error" not in broken.stderr.split("«")[1]


def examples_of(document):
    """Each bash block of a document, in order."""
    text = (ROOT / document).read_text()
    return [block.split("```")[0] for block in text.split("```bash\n")[1:]]


@pytest.mark.parametrize(
    ("document", "least"),
    [("README.md", 5), ("docs/access.md", 3), ("docs/tracking-numbers.md", 2), ("docs/lists.md", 3)],
)
def test_every_example_of_a_document_runs(system, document, least):
    one = system("sandbox", "web", "worker")
    examples = examples_of(document)
    assert len(examples) >= least
    for example in examples:
        script = example.replace("localhost:8000", f"127.0.0.1:{one.port}").replace(
            "localhost:8010", f"127.0.0.1:{one.sandbox_port}"
        )
        script = script.replace("curl ", "curl -s ").replace(".venv/bin/python", sys.executable)
        done = subprocess.run(["bash", "-euc", script], env=one.environment, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        decoder, rest = json.JSONDecoder(), done.stdout if "curl" in example else ""
        while rest:
            answer, end = decoder.raw_decode(rest)
            rest = rest[end:].lstrip()
            assert "error" not in answer or "tracking_id" in answer["details"], answer


def test_production_refuses_to_start_on_missing_or_demo_secrets():

    own = {
        "DEBUG": "false",
        "SECRET_KEY": "own-secret-key",
        "ENCRYPTION_KEYS": "k1:b3duLWtleS1vd24ta2V5LW93bi1rZXktb3duLWtleSE=",
        "API_KEY_PEPPER": "own-pepper",
        "TRACKING_NUMBER_SECRETS": "1:own-secret",
    }

    def check(*options, **changes):
        environment = os.environ | own | changes
        return subprocess.run(
            [sys.executable, "manage.py", "check", *options], env=environment, cwd=ROOT, capture_output=True, text=True
        )

    assert check().returncode == 0
    assert check("--deploy", "--fail-level", "WARNING", SECRET_KEY=secrets.token_urlsafe(50)).returncode == 0
    for name, demo_secret in DEMO_SECRETS.items():
        for given in ("", demo_secret):
            refused = check(**{name: given})
            assert refused.returncode != 0
            assert name in refused.stderr


def test_a_body_in_chunks_is_read_like_any_other(system):
    one = system("web")
    body = {
        "tracking_id": "CHUNK-0001",
        "status": "CREATED",
        "location": "Bogotá",
        "description": "Paquete creado",
        "timestamp": "2024-01-15T09:00:00Z",
    }
    headers = {"X-API-Key": "test-api-key", "Content-Type": "application/json"}
    url = f"{one.web}/api/v1/checkpoints"
    assert requests.post(url, data=iter([json.dumps(body).encode()]), headers=headers, timeout=30).status_code == 201
    large = iter([b"x" * 500_000] * 4)
    assert requests.post(url, data=large, headers=headers, timeout=30).status_code == 413
