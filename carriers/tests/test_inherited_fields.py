"""Fields of the platform's credential that a merchant's credential uses without showing or changing them."""

import json
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.http.errors import ValidationFailed
from apikeys.models import Event, Merchant
from carriers.adapters.pickit import PickitAdapter
from carriers.adapters.registry import ADAPTERS
from carriers.credentials import checks, opening, rotation, selection, storage
from carriers.http import rate_limits
from carriers.models import CarrierCall, Credential, CredentialToken
from carriers.tests.heron import HeronAdapter
from carriers.types.errors import CarrierRejected, CarrierUnavailable, CarrierUnsupported, CredentialUnreadable

pytestmark = pytest.mark.django_db
PLATFORM = {"user": "canary-user", "secret": "canary-secret", "number": "1", "key": "canary-key"}
TOKEN = (200, b'{"access_token": "canary-token", "expires_in": "3600"}', {})
PATH = "/api/v1/courier-credentials"


@pytest.fixture(autouse=True)
def _heron(monkeypatch, settings, carrier):
    monkeypatch.setitem(ADAPTERS, "heron", HeronAdapter)
    settings.CARRIER_BASE_URLS |= {("heron", "sandbox", api): carrier.url for api in HeronAdapter.apis}
    settings.CARRIER_MAX_RETRIES = 0


def save(tenant, mode="test", **fields):
    environment = {"test": "sandbox", "live": "production"}[mode]
    return storage.save_credential(tenant=tenant, mode=mode, carrier="heron", environment=environment, fields=fields)


@pytest.fixture
def platform(db):
    return save(None, **PLATFORM)


@pytest.fixture
def own(platform, tenant):
    """A merchant's credential that leaves the inherited fields empty."""
    return save(tenant, number="77")


def reload(row):
    return Credential.objects.get(id=row.id)


def test_empty_fields_are_the_platforms(own, carrier):
    adapter = opening.open_adapter(reload(own))
    # A field that is not inherited stays absent.
    assert adapter.fields == {"user": "canary-user", "secret": "canary-secret", "number": "77"}
    assert reload(own).fields == {"number": "77"}
    with pytest.raises(CarrierUnsupported):
        adapter.need("track")


def test_own_fields_are_used_before_the_platforms(platform, tenant):
    own = save(tenant, user="own-user", secret="own-secret", number="77")
    assert opening.open_adapter(own).fields == {"user": "own-user", "secret": "own-secret", "number": "77"}


def test_only_the_active_platform_credential_of_the_mode_is_inherited(tenant):
    with pytest.raises(ValidationFailed) as refused:
        save(tenant, number="77")
    assert set(refused.value.details) == {"credentials.user", "credentials.secret"}
    save(None, mode="live", **PLATFORM)
    other = Tenant(Merchant.objects.create(name="Other", slug="other", plan_id="enterprise").id, "test")
    save(other, **PLATFORM)
    with pytest.raises(ValidationFailed):
        save(tenant, number="77")
    platform = save(None, **PLATFORM)
    Credential.objects.filter(id=platform.id).update(is_open=False)
    own = save(tenant, number="77")
    assert selection.select_credential(tenant, "heron") == own
    Credential.objects.filter(id=platform.id).update(is_active=False)
    for use in (lambda: selection.select_credential(tenant, "heron"), lambda: opening.open_adapter(reload(own))):
        with pytest.raises(CredentialUnreadable):
            use()


def test_platform_inherits_nothing(platform, tenant):
    save(tenant, user="own-user", secret="own-secret", number="77")
    storage.delete_credential(platform)
    with pytest.raises(ValidationFailed):
        save(None, number="1")


def test_api_and_admin_show_inherited_fields_by_name_only(own, api, admin_client):
    shown = api.get(f"{PATH}/{own.id}").json()
    assert (shown["stored_fields"], shown["inherited_fields"]) == (["number"], ["secret", "user"])
    listed = api.get(PATH).json()
    assert listed["credentials"][0]["inherited_fields"] == ["secret", "user"]
    page = admin_client.get(f"/admin/carriers/credential/{own.id}/change/").content.decode()
    assert "secret: inherited" in page
    assert "user: inherited" in page
    assert "canary" not in json.dumps([shown, listed]) + page
    assert "canary" not in json.dumps(list(Event.objects.values_list("data", flat=True)))


def test_merchant_cannot_change_the_platforms_fields(own, platform, tenant, api, put):
    save(tenant, user="own-user")
    put(f"{PATH}/{own.id}", {"credentials": {"secret": "own-secret"}})
    assert reload(platform).fields == PLATFORM
    assert reload(own).fields == {"user": "own-user", "secret": "own-secret", "number": "77"}
    for path in (f"{PATH}/{platform.id}", f"{PATH}/{platform.id}/rotate", f"{PATH}/{platform.id}/test"):
        assert api.get(path).status_code in (404, 405)
        assert api.post(path).status_code in (404, 405)
    storage.delete_credential(own)
    assert reload(platform).fields == PLATFORM


def test_credential_with_the_platforms_secret_is_not_rotated(own, monkeypatch):
    monkeypatch.setattr(HeronAdapter, "rotate_credentials", lambda _self: pytest.fail("rotated"))
    with pytest.raises(CarrierUnsupported):
        rotation.rotate_secret(reload(own))


def test_inherited_values_are_masked_in_answers_and_logs(own, carrier):
    body = json.dumps({"message": "user canary-user, secret canary-secret, token canary-token"}).encode()
    carrier.answers = [TOKEN, (400, body, {}), (200, body, {})]
    adapter = opening.open_adapter(reload(own))
    with pytest.raises(CarrierRejected) as refused:
        adapter.quote(None)
    assert "canary" not in json.dumps(refused.value.body(), default=str)
    adapter.quote(None)
    calls = CarrierCall.objects.all()
    assert calls.count() == 3
    assert not [call for call in calls if "canary" in call.request_body + call.response_body + call.url + call.error]


def test_limits_of_the_key_are_those_of_its_owner(own, platform, tenant, carrier):
    carrier.answers = [TOKEN, (200, b"{}", {})]
    opening.open_adapter(reload(own)).quote(None)
    (used,) = rate_limits.read_rates(platform)
    assert (used.limit, used.per, used.remaining) == (250, "day", 248)
    assert rate_limits.read_rates(own)[0].remaining == 250
    # The calls are the merchant's all the same.
    assert set(CarrierCall.objects.values_list("credential_id", "merchant_id")) == {(own.id, tenant.merchant_id)}
    save(tenant, user="own-user", secret="own-secret")
    carrier.answers = [TOKEN, (200, b"{}", {})]
    opening.open_adapter(reload(own)).quote(None)
    assert (rate_limits.read_rates(platform)[0].remaining, rate_limits.read_rates(own)[0].remaining) == (248, 248)


def test_shown_limits_are_those_of_the_owner(tenant, carrier, api, monkeypatch, clock):
    """With Pickit: the API's paths have the carriers that were registered at the start."""
    monkeypatch.setattr(PickitAdapter, "inherited_fields", ("client_secret",))
    key = {"mode": "test", "carrier": "pickit", "environment": "sandbox"}
    storage.save_credential(tenant=None, **key, fields={"client_id": "platform", "client_secret": "canary-secret"})
    own = storage.save_credential(tenant=tenant, **key, fields={"client_id": "own"})
    carrier.answers = [TOKEN]
    opening.open_adapter(own).tokens.current()
    shown = api.get("/api/v1/carriers/pickit/rate-limit").json()
    assert (shown["credential_id"], shown["limits"][0]["remaining"]) == (str(own.id), 19)


def test_changed_platform_secret_discards_the_merchants_tokens(own, platform, carrier):
    carrier.answers = [TOKEN]
    before = opening.open_adapter(reload(own))
    before.tokens.current()
    save(None, number="2")
    assert CredentialToken.objects.get(credential=own).token
    save(None, secret="new-secret")
    assert CredentialToken.objects.get(credential=own).token is None
    with pytest.raises(CarrierUnavailable):  # it has the old secret
        before.tokens.current()
    opening.open_adapter(reload(own)).tokens.current()
    assert len(carrier.requests) == 2


def test_each_kind_of_token_has_its_own_login_and_refusal(platform, carrier):
    carrier.answers = [TOKEN]
    tokens = opening.open_adapter(platform).tokens
    assert {tokens.current(kind) for kind in ("main", "booking", "main", "booking")} == {"canary-token"}
    assert [body for _path, _headers, body in carrier.requests] == [
        b"grant_type=client_credentials&scope=main",
        b"grant_type=client_credentials&scope=booking",
    ]
    CredentialToken.objects.update(fetched_at=F("fetched_at") - timedelta(hours=1), expires_at=timezone.now())
    carrier.answers = [(401, b"{}", {})]
    with pytest.raises(Exception, match="credential"):
        tokens.current("booking")
    assert reload(platform).refused_at
    assert not CredentialToken.objects.get(kind="main").login_after
    carrier.answers = [TOKEN]
    tokens.current("main")  # is not paused, and does not clear the refusal of the other kind
    assert reload(platform).refused_at
    CredentialToken.objects.update(login_after=timezone.now())
    tokens.current("booking")
    assert reload(platform).refused_at is None
    assert len(carrier.requests) == 5


def test_tested_credential_keeps_its_token(own, carrier):
    carrier.answers = [TOKEN, (200, b"{}", {})]
    assert checks.check_login(reload(own))["ok"]
    opening.open_adapter(reload(own)).quote(None)
    assert [path for path, _headers, _body in carrier.requests] == ["/token", "/quote?q=a+b"]
