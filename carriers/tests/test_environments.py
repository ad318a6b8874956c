"""A test credential never causes a purchase in production, and a live one never buys in a sandbox."""

import itertools

import pytest

from carriers.adapters.apis import Form, Json
from carriers.adapters.operations import OPERATIONS, Effect
from carriers.adapters.registry import ADAPTERS
from carriers.credentials import opening, storage
from carriers.http import environments
from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport
from carriers.models import CarrierCall, Credential
from carriers.tests.heron import FIELDS, HeronAdapter
from carriers.types.errors import CarrierRejected

TEST, LIVE = Json({"test": True}), Json({"test": False})
MODES = {"sandbox": "test", "production": "live"}


@pytest.fixture
def heron(monkeypatch, settings):
    """Register the carrier; its test environment is called, not a simulated one."""
    monkeypatch.setitem(ADAPTERS, "heron", HeronAdapter)
    settings.CARRIER_SIMULATED, settings.CARRIER_BASE_URLS = False, {}


def is_sent(environment, url, operation="track", body=None, slug="heron"):
    try:
        environments.check_request(Credential(carrier=slug, mode=MODES[environment]), operation, url, body)
    except CarrierRejected as refused:
        assert refused.carrier_code == "wrong_environment"
        return False
    return True


def test_base_urls_are_the_settings_or_the_simulated_carrier_or_the_carriers(heron, settings):
    settings.CARRIER_SANDBOX_URL = "http://127.0.0.1:9999/"
    simulated = {"main": "/v1/test", "booking": "", "tracking": ""}
    simulated = {name: f"http://127.0.0.1:9999/heron{path}" for name, path in simulated.items()}
    real = {name: api.sandbox for name, api in HeronAdapter.apis.items()} | {"tracking": simulated["tracking"]}
    assert environments.base_urls(HeronAdapter, "sandbox") == real
    production = {name: api.production for name, api in HeronAdapter.apis.items()}
    settings.CARRIER_SIMULATED = True
    assert environments.base_urls(HeronAdapter, "sandbox") == simulated
    assert environments.base_urls(HeronAdapter, "production") == production
    settings.CARRIER_BASE_URLS = {("heron", "production", "main"): "https://proxy.example/heron/"}
    assert environments.base_urls(HeronAdapter, "production") == production | {"main": "https://proxy.example/heron"}
    assert environments.base_urls(HeronAdapter, "sandbox") == simulated


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.heron.example/v1/test/labels", {"sandbox"}),
        ("https://api.heron.example/v1/test", {"sandbox"}),
        ("https://API.heron.example:443/v1/test/labels?a=../x", {"sandbox"}),
        ("https://api.heron.example/v1/labels", {"production"}),
        ("https://api.heron.example/v1/tests", {"production"}),
        ("https://track.heron.example/events", {"production"}),
        ("https://book.heron.example/labels", {"sandbox", "production"}),
        ("https://api.heron.example/v1/test/../labels", set()),
        ("https://api.heron.example/v1/test/%2e%2E/labels", set()),
        ("https://api.heron.example/v1/test/..%2Flabels", set()),
        ("https://api.heron.example/v2/labels", set()),
        ("http://api.heron.example/v1/test/labels", set()),
        ("https://api.heron.example:8443/v1/test/labels", set()),
        ("https://api.heron.example@evil.example/v1/test/labels", set()),
        ("https://x:y@api.heron.example/v1/test/labels", set()),
        ("https://evil.example/v1/test/labels", set()),
    ],
)
def test_url_is_of_the_environment_with_the_longest_base_url(heron, url, expected):
    assert {environment for environment in MODES if is_sent(environment, url)} == expected


def test_write_is_sent_only_if_it_is_a_test_in_the_sandbox_and_none_in_production(heron):
    url = "https://book.heron.example/labels"
    purchases = [name for name, effect in OPERATIONS.items() if effect is Effect.PURCHASE]
    writes = [name for name, effect in OPERATIONS.items() if effect is Effect.WRITE and name != "cancel"]
    for operation, environment in itertools.product(purchases + writes, MODES):
        assert is_sent(environment, url, operation, TEST) is (environment == "sandbox")
        for body in (LIVE, Json({"test": "true"}), Form({"test": "True"}), None):
            assert is_sent(environment, url, operation, body) is (environment == "production")
    # Reads, and a write for which the carrier has no flag, are sent in both.
    for operation, environment in itertools.product(("quote", "token", "cancel"), MODES):
        assert is_sent(environment, url, operation, None)


def test_purchase_without_a_flag_is_no_test(heron, monkeypatch):
    monkeypatch.setattr(HeronAdapter, "is_test", classmethod(lambda *_: None))
    assert not is_sent("sandbox", "https://book.heron.example/labels", "create_label", TEST)
    assert is_sent("sandbox", "https://book.heron.example/labels", "unsubscribe", None)


def test_sandbox_set_to_productions_url_sends_no_writes(heron, settings, monkeypatch):
    """Neither a wrong setting nor a wrong table of the adapter lets a test credential buy."""
    monkeypatch.setattr(HeronAdapter, "test_flag", False)
    for wrong in ("https://api.heron.example", "https://api.heron.example/v1"):
        settings.CARRIER_BASE_URLS = {("heron", "sandbox", "main"): wrong}
        assert not is_sent("sandbox", "https://api.heron.example/v1/labels", "create_label", TEST)
        assert not is_sent("sandbox", "https://api.heron.example/v1/labels", "cancel", None)
    # The carrier's own base URL stays production's if production is set to another.
    settings.CARRIER_BASE_URLS |= {("heron", "production", "main"): "https://proxy.example"}
    assert not is_sent("sandbox", "https://api.heron.example/v1/labels", "create_label", TEST)
    assert not is_sent("sandbox", "https://book.heron.example/labels", "create_label", TEST)
    assert is_sent("sandbox", "https://book.heron.example/labels", "track", None)
    settings.CARRIER_BASE_URLS = {("pickit", "sandbox", "main"): "https://api.pickit.net/v2"}
    assert not is_sent("sandbox", "https://api.pickit.net/v2/shipments", "create_label", LIVE, slug="pickit")


@pytest.mark.django_db
def test_refused_request_is_neither_sent_nor_logged(heron, carrier, tenant, settings):
    settings.CARRIER_BASE_URLS = {
        ("heron", environment, api): carrier.url for environment in MODES for api in HeronAdapter.apis
    }
    for environment, mode in MODES.items():
        row = Credential(merchant_id=tenant.merchant_id, mode=mode, carrier="heron", fields=FIELDS)
        transport = HttpTransport(Caller(row, tenant.merchant_id, "Heron"))
        wrong = LIVE if environment == "sandbox" else TEST
        with pytest.raises(CarrierRejected):
            transport.send("create_label", "POST", f"{carrier.url}/labels", body=wrong)
        with pytest.raises(CarrierRejected):
            transport.send("track", "GET", "https://evil.example/labels")
    assert carrier.requests == []
    assert not CarrierCall.objects.exists()


@pytest.mark.django_db
def test_adapter_of_a_test_credential_cannot_buy_in_production(heron, tenant, monkeypatch):
    """Also an adapter that has been given production's URLs and says that it is in production."""
    row = storage.save_credential(tenant=tenant, mode="test", carrier="heron", environment="sandbox", fields=FIELDS)
    adapter = opening.open_adapter(row)
    monkeypatch.setattr("carriers.http.exchange._session.send", lambda *_args, **_more: pytest.fail("sent"))
    adapter.tokens = None
    adapter.environment = "production"
    adapter.urls = {name: api.production for name, api in HeronAdapter.apis.items()}
    for body in ({}, {"test": False}):
        with pytest.raises(CarrierRejected):
            adapter.create_label(body)
    with pytest.raises(CarrierRejected):
        adapter._request("create_label", "POST", "/labels", body=TEST, api="main")
