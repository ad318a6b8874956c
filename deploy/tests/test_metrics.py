"""The counts of several web processes add up, also after one of them was killed."""

import os
import signal

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.services import free_port
from deploy.tests.system import System

pytestmark = [pytest.mark.system, pytest.mark.once]
ROUTE = {"method": "GET", "route": "next-tracking-number", "status": "200"}
QUERY = {
    "origin_country_id": "MY",
    "destination_country_id": "ID",
    "weight": "1.234",
    "created_at": "2018-11-20T19:29:32Z",
    "customer_id": "de619854-b59b-425e-9db4-943979e1bd49",
    "customer_name": "RedBox Logistics",
    "customer_slug": "redbox-logistics",
}


@pytest.fixture
def system():
    port = str(free_port())
    one = System(WEB_CONCURRENCY="2", RATE_LIMITS_ENABLED="false", WORKER_METRICS_PORT=port).start("web")
    yield one
    one.close()


def counted(system):
    """Return the counts of requests and of generated numbers."""
    text = requests.get(f"{system.web}/metrics", timeout=30).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    requested = [one.value for one in samples if one.name == "waybill_http_requests_total" and one.labels == ROUTE]
    numbers = [one.value for one in samples if one.name == "waybill_tracking_numbers_total"]
    return sum(requested), sum(numbers)


def test_counts_of_two_processes_add_up_and_outlive_them(system):
    sent, workers = 0, []

    def get_number():
        nonlocal sent
        response = requests.get(f"{system.web}/next-tracking-number", QUERY, timeout=30)
        assert response.status_code == 200
        sent += 1
        workers.append(int(response.headers["X-Worker"]))
        return len(set(workers))

    system.wait_for(lambda: get_number() == 2)
    assert counted(system) == (sent, sent)
    os.kill(workers[-1], signal.SIGKILL)
    system.wait_for(lambda: replaced(system, workers))
    assert counted(system) == (sent, sent)
    system.wait_for(lambda: get_number() == 3)
    assert counted(system) == (sent, sent)


def replaced(system, workers):
    """Return whether another process than these answers."""
    try:
        response = requests.get(f"{system.web}/health", timeout=30)
    except requests.ConnectionError:  # the killed process had accepted the connection
        return False
    return int(response.headers["X-Worker"]) not in workers


def test_worker_serves_its_counts_at_a_port_of_its_own(system):
    system.start("worker")

    def read():
        try:
            return requests.get(
                f"http://127.0.0.1:{system.environment['WORKER_METRICS_PORT']}/metrics", timeout=30
            ).text
        except requests.ConnectionError:
            return ""

    assert "waybill_rate_limit_not_counted_total 0.0" in system.wait_for(read)
