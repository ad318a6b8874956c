"""Alarms for bursts of unknown API keys."""

import pytest
from prometheus_client import REGISTRY

from apikeys.access import unknown_keys  # noqa: F401 registers the metrics
from apikeys.db.redis_client import RedisUnavailable
from apikeys.keys.format import generate_key
from apikeys.models import Event, SecurityNotice

# With the clock stopped, no window ends during a test.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def guess(client, settings):
    settings.RATE_LIMITS_ENABLED = False  # the alarm does not depend on the limits
    settings.UNKNOWN_KEYS_ALARM, settings.UNKNOWN_KEYS_TOTAL_ALARM = ["3/10m"], ["5/10m"]

    def send(address, key="no-such-key"):
        answer = client.get("/api/v1/events", headers={"X-API-Key": key}, REMOTE_ADDR=address)
        assert answer.status_code == 401

    return send


def alarms():
    return [event.data["network"] for event in Event.objects.filter(type="api_key.unknown_burst").order_by("id")]


def test_alarm_is_raised_once_per_network_and_once_for_all(guess, caplog):
    bursts = REGISTRY.get_sample_value("waybill_unknown_api_key_bursts_total")
    for number in range(4):
        guess(f"2001:db8::{number}", generate_key("live"))  # of one customer
    assert alarms() == ["2001:db8::/64"]
    guess("192.0.2.1")
    guess("192.0.2.2")
    assert alarms() == ["2001:db8::/64", None]
    event = Event.objects.get(data__network="2001:db8::/64")
    assert (event.data["requests"], event.data["seconds"], event.address) == (3, 600, "2001:db8::2")
    assert SecurityNotice.objects.count() == 2
    assert REGISTRY.get_sample_value("waybill_unknown_api_key_bursts_total") == bursts + 2
    assert [record.network for record in caplog.records if "unknown API keys" in record.message] == alarms()


def test_known_keys_and_missing_keys_are_not_counted(guess, api, client):
    before = REGISTRY.get_sample_value("waybill_unknown_api_keys_total")
    api.get("/api/v1/events")
    client.get("/api/v1/events")
    guess("192.0.2.1", "")
    assert REGISTRY.get_sample_value("waybill_unknown_api_keys_total") == before


def test_request_is_answered_while_the_counters_are_down(guess, monkeypatch):
    def unavailable(_):
        raise RedisUnavailable

    monkeypatch.setattr("apikeys.db.counters.count", unavailable)
    guess("192.0.2.1")
    assert alarms() == []
