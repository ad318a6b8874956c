"""The health check names failed services, and metrics are only for monitoring systems."""

import pytest
from django.db import OperationalError
from prometheus_client import CONTENT_TYPE_LATEST

from apikeys.access import health

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def no_addresses(settings):
    """Allow metrics to no address, only with the token."""
    settings.METRICS_ADDRESSES, settings.METRICS_TOKEN = (), "monitoring-token"


def test_health_is_public_and_never_cached(client):
    response = client.get("/health")
    assert (response.status_code, response["Cache-Control"]) == (200, "no-store")
    body = response.json()
    assert body["status"] == "healthy"
    assert body["timestamp"].endswith("Z")
    assert body["services"] == {"database": "healthy", "redis": "not_configured", "celery": "not_configured"}


@pytest.mark.parametrize(
    ("answers", "status", "redis"), [(True, "healthy", "healthy"), (False, "degraded", "unhealthy")]
)
def test_health_is_degraded_while_redis_does_not_answer(client, settings, monkeypatch, caplog, answers, status, redis):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(health.redis_client, "answers", lambda: answers)
    response = client.get("/health")
    assert (response.status_code, response.json()["status"]) == (200, status)
    assert response.json()["services"]["redis"] == redis
    assert ("Redis cannot be reached" in caplog.text) is not answers


def test_health_without_database_is_unhealthy(client, monkeypatch, caplog):
    class Down:
        def cursor(self):
            raise OperationalError("connection refused")

    monkeypatch.setattr(health, "connection", Down())
    response = client.get("/health")
    assert (response.status_code, response.json()["status"]) == (503, "unhealthy")
    assert response.json()["services"]["database"] == "unhealthy"
    assert "the database cannot be reached" in caplog.text


def test_metrics_are_refused_without_address_and_token(client, no_addresses):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}):
        response = client.get("/metrics", headers=headers)
        assert (response.status_code, response.json()["error"]) == (403, "permission_denied")


def test_empty_token_opens_no_metrics(client, no_addresses, settings):
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 403


def test_metrics_are_sent_to_token_or_address(client, no_addresses, settings):
    with_token = client.get("/metrics", headers={"Authorization": "Bearer monitoring-token"})
    assert (with_token.status_code, with_token["Content-Type"]) == (200, CONTENT_TYPE_LATEST)
    assert "# TYPE python_info gauge" in with_token.content.decode()
    settings.METRICS_ADDRESSES = ("127.0.0.1",)
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 403


def test_address_of_an_unknown_proxy_opens_no_metrics(client, settings):
    settings.METRICS_ADDRESSES = ("10.0.0.0/8",)
    for headers in (
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "10.1.1.1"},
        {"X-Forwarded-Proto": "https"},
    ):
        assert client.get("/metrics", headers=headers, REMOTE_ADDR="10.0.0.5").status_code == 403
    settings.TRUSTED_PROXIES = ["10.0.0.5"]
    for address, expected in (("203.0.113.9", 403), ("10.1.1.1", 200)):
        headers = {"X-Forwarded-For": address}
        assert client.get("/metrics", headers=headers, REMOTE_ADDR="10.0.0.5").status_code == expected


def test_metrics_of_several_processes_come_from_their_directory(client, settings, monkeypatch, tmp_path):
    settings.METRICS_ADDRESSES = ("127.0.0.1",)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    response = client.get("/metrics")
    assert response.status_code == 200
    assert "python_info" not in response.content.decode()


def test_metrics_can_only_be_read(client):
    response = client.post("/metrics")
    assert (response.status_code, response.json()["error"]) == (405, "method_not_allowed")
