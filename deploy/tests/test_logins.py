"""Many processes and threads that need a carrier's token at the same moment cause one login."""

import json
import os
import subprocess
import sys

import pytest

from config.management.commands.seed_demo import OWN_CREDENTIAL
from deploy.tests.system import ROOT, System

pytestmark = pytest.mark.system

PROCESSES, THREADS = 4, 50
# On PostgreSQL longer than a thread may wait for a connection of the pool: waiting callers must hold none.
SLOW_LOGIN_S = 16 if os.environ.get("DATABASE_URL", "").startswith("postgres") else 3
EXPIRE_TOKENS = "UPDATE carriers_credentialtoken SET expires_at = '2000-01-01 00:00:00', lease_until = NULL"


@pytest.fixture(scope="module")
def installation():
    # More threads than a web process has, and as many slots for calls.
    started = System(CARRIER_CONCURRENCY=str(THREADS + 10), DJANGO_SETTINGS_MODULE="config.settings").start("sandbox")
    yield started
    started.close()


@pytest.fixture
def system(installation):
    installation.control("DELETE", "/_sandbox/faults")
    installation.control("DELETE", "/_sandbox/calls")
    installation.database.execute(EXPIRE_TOKENS)
    installation.database.execute("DELETE FROM carriers_breaker")
    return installation


def request_tokens(system, **environment):
    """Return the report of each process; all threads of all processes start at the same moment."""
    command = [sys.executable, "-m", "deploy.tests.token_requests", str(OWN_CREDENTIAL), str(PROCESSES), str(THREADS)]
    done = subprocess.run(
        command, env=system.environment | environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=240
    )
    return json.loads(done.stdout)


def logins(system):
    return len(system.control("GET", "/_sandbox/calls?operation=token"))


@pytest.mark.parametrize("delay_s", [0, SLOW_LOGIN_S], ids=["fast", "slow"])
def test_200_callers_in_4_processes_log_in_once(system, delay_s):
    if delay_s:
        fault = {"carrier": "pickit", "operation": "token", "kind": "slow", "delay_s": delay_s}
        system.control("POST", "/_sandbox/faults", fault)
    reports = request_tokens(system)
    results = [(report["tokens"], report["received"], report["failed"]) for report in reports]
    assert results == [(1, THREADS, [])] * PROCESSES
    assert logins(system) == 1


def test_callers_wait_a_bounded_time_for_a_login_that_hangs(system):
    fault = {"carrier": "pickit", "operation": "token", "kind": "timeout", "delay_s": 60, "count": 99}
    system.control("POST", "/_sandbox/faults", fault)
    reports = request_tokens(system, CARRIER_TIMEOUT_S="2", CARRIER_CONCURRENCY="10")
    assert [report["tokens"] for report in reports] == [0] * PROCESSES
    assert all(len(report["failed"]) == THREADS for report in reports)
    reasons = {reason.partition(":")[0] for report in reports for reason in report["failed"]}
    assert max(report["seconds"] for report in reports) < 30
    assert reasons <= {"carrier_timeout", "carrier_unavailable"}
