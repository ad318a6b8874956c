"""However many processes and threads need a token at one moment, the carrier is asked for one."""

import json
import subprocess
import sys

import pytest

from config.management.commands.seed_demo import OWN_CREDENTIAL
from deploy.tests.system import ROOT, System

pytestmark = pytest.mark.system

PROCESSES, THREADS = 4, 50
EXPIRE = """
from datetime import timedelta
from django.utils import timezone
from carriers.models import Breaker, Credential
Credential.objects.update(token_expires_at=timezone.now() - timedelta(minutes=1), token_lease_until=None)
Breaker.objects.all().delete()
"""


@pytest.fixture(scope="module")
def building():
    # So many threads are more than a web process has; the slots are as many.
    one = System(CARRIER_CONCURRENCY=str(THREADS + 10), DJANGO_SETTINGS_MODULE="config.settings").start("sandbox")
    yield one
    one.close()


@pytest.fixture
def house(building):
    building.world("DELETE", "/_sandbox/faults")
    building.world("DELETE", "/_sandbox/calls")
    building.manage("shell", "--verbosity", "0", "-c", EXPIRE)
    return building


def all_at_once(house, **environment):
    """What 4 processes of 50 threads each report; the token that they have has expired."""
    start, ready = house.place / "start", [house.place / f"ready-{number}" for number in range(PROCESSES)]
    start.unlink(missing_ok=True)
    for file in ready:
        file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "deploy.tests.asking", str(OWN_CREDENTIAL), str(THREADS)]
    asking = [
        subprocess.Popen(
            [*command, str(file), str(start)],
            env=house.environment | environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for file in ready
    ]
    house.wait_for(lambda: all(file.exists() for file in ready), 60)
    start.touch()
    return [json.loads(one.communicate(timeout=90)[0]) for one in asking]


def logins(house):
    return len(house.world("GET", "/_sandbox/calls?operation=token"))


@pytest.mark.parametrize("delay_s", [0, 15], ids=["at once", "slow"])
def test_200_callers_in_4_processes_log_in_once(house, delay_s):
    if delay_s:
        fault = {"carrier": "pickit", "operation": "token", "kind": "slow", "delay_s": delay_s}
        house.world("POST", "/_sandbox/faults", fault)
    reports = all_at_once(house)
    came = [(report["tokens"], report["asked"], report["failed"]) for report in reports]
    assert came == [(1, THREADS, [])] * PROCESSES
    assert logins(house) == 1


def test_a_log_in_that_hangs_is_waited_for_in_bounded_time(house):
    fault = {"carrier": "pickit", "operation": "token", "kind": "timeout", "delay_s": 20, "count": 99}
    house.world("POST", "/_sandbox/faults", fault)
    reports = all_at_once(house, CARRIER_TIMEOUT_S="2", CARRIER_CONCURRENCY="10")
    assert [report["tokens"] for report in reports] == [0] * PROCESSES
    assert all(len(report["failed"]) == THREADS for report in reports)
    reasons = {reason.partition(":")[0] for report in reports for reason in report["failed"]}
    assert max(report["seconds"] for report in reports) < 20
    assert reasons <= {"carrier_timeout", "carrier_unavailable"}
