"""The counts stay exact while several processes write and some are killed."""

import json
import os
import signal
import subprocess
import sys

import pytest

from deploy.tests.system import ROOT, System

pytestmark = pytest.mark.system
STATUSES = ("CREATED", "PICKED_UP", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED")
UNITS = 1500
FIRST_DELIVERED = """
    SELECT count(*) FROM shipping_shipment WHERE tracking_number LIKE 'FIRST%' AND status = 'delivered'
"""


@pytest.fixture
def system():
    one = System(RATE_LIMITS_ENABLED="false", SQLITE_TIMEOUT_S="120")
    # Deliveries to a merchant change no count.
    one.database.execute("UPDATE webhooks_webhookendpoint SET is_active = false")
    yield one
    one.close()


def write_checkpoints(directory, name):
    """Write a file of checkpoints: units with this prefix, from created to delivered."""
    file = directory / f"{name}.ndjson"
    with file.open("w") as out:
        for number in range(UNITS):
            for day, status in enumerate(STATUSES, start=10):
                row = {"tracking_id": f"{name}-{number:05}", "status": status, "location": "Bogotá", "description": "-"}
                out.write(json.dumps(row | {"timestamp": f"2024-01-{day}T09:00:00Z"}) + "\n")
    return file


def start_import(system, file):
    command = [sys.executable, "manage.py", "import_checkpoints", str(file), "--merchant", "demo", "--mode", "test"]
    return subprocess.Popen(
        command, cwd=ROOT, env=system.environment, stderr=subprocess.DEVNULL, start_new_session=True
    )


def units(system):
    return system.api("GET", "/metrics/business").json()["units_by_status"]["DELIVERED"]


def test_counts_are_exact_after_imports_and_workers_are_killed(system):
    system.start("web", "worker")
    before = units(system)
    files = [write_checkpoints(system.directory, name) for name in ("FIRST", "SECOND", "THIRD")]
    running = [start_import(system, file) for file in files]
    try:
        # Read from the database: a busy web process might answer when the import has ended.
        system.wait_for(lambda: system.database.rows(FIRST_DELIVERED)[0][0] > 20, 60)
        os.killpg(running[0].pid, signal.SIGKILL)
        system.kill("worker")
        assert "differ" not in system.manage("recount", "--check")
        running.append(start_import(system.start("worker"), files[0]))
        assert [one.wait(120) for one in running] == [-signal.SIGKILL, 0, 0, 0]
    finally:
        for one in running:
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)
    system.manage("recount", "--check")
    assert units(system) == before + 3 * UNITS
    assert system.api("GET", "/api/v1/shipments?status=delivered&limit=1").json()["pagination"]["total"] == units(
        system
    )
