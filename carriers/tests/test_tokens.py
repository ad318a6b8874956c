"""Access tokens: one login for all waiting callers, and never a token of other fields."""

import json
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apikeys.models import Event, SecurityNotice
from carriers.credentials import checks, opening, refresh, storage, tokens
from carriers.models import Credential, CredentialToken
from carriers.types import PointSearch
from carriers.types.errors import CarrierAuthentication, CarrierUnavailable

pytestmark = pytest.mark.django_db


def points(credential):
    adapter = opening.open_adapter(Credential.objects.get(id=credential.id))
    return adapter.pickup_points(PointSearch(country="US", latitude=40.7, longitude=-74.0, radius_km=5, limit=1))


def refuse_logins(sandbox):
    """Have the carrier refuse each login."""
    fault = {"operation": "token", "kind": "status", "status": 401, "count": 99}
    sandbox.control("POST", "/_sandbox/faults", fault)


def logins(sandbox):
    return len(sandbox.calls(operation="token"))


def test_token_is_fetched_once_and_reused(sandbox, credential):
    points(credential)
    points(credential)
    assert logins(sandbox) == 1
    row = CredentialToken.objects.get()
    assert row.token
    assert row.token not in CredentialToken.objects.values_list("token", flat=True)[0]


@pytest.mark.django_db(transaction=True)
def test_concurrent_callers_log_in_once(sandbox, credential, monkeypatch):
    monkeypatch.setattr("carriers.http.slots._MAX_WAIT_S", 30)  # there are fewer slots than callers

    def one(_):
        try:
            return len(points(credential))
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(one, range(24))) == {1}
    assert logins(sandbox) == 1


def test_token_is_renewed_a_minute_before_expiry(sandbox, credential):
    points(credential)
    now = timezone.now()
    CredentialToken.objects.update(expires_at=now + timedelta(seconds=59), fetched_at=now - timedelta(minutes=59))
    points(credential)
    assert logins(sandbox) == 2


def test_short_lived_token_is_used_for_half_of_its_life(credential, carrier, settings):
    settings.CARRIER_BASE_URLS = {("pickit", "sandbox", "main"): carrier.url}
    carrier.answers = [(200, b'{"access_token": "token-1", "expires_in": 40}', {})]

    def token_after(after_s):
        with time_machine.travel(started + timedelta(seconds=after_s)):
            return opening.open_adapter(Credential.objects.get(id=credential.id)).tokens.current()

    started = timezone.now()
    assert {token_after(0), token_after(1), token_after(18)} == {"token-1"}
    assert len(carrier.requests) == 1
    token_after(22)
    assert len(carrier.requests) == 2


def test_refused_token_is_renewed_once(sandbox, credential):
    points(credential)
    row = CredentialToken.objects.get()
    CredentialToken.objects.update(
        token=CredentialToken._meta.get_field("token").encrypt_for(row.id, "revoked-by-the-carrier"),
        fetched_at=timezone.now() - timedelta(minutes=10),
    )
    assert points(credential)
    assert logins(sandbox) == 2


def test_refused_new_token_causes_no_more_logins(sandbox, credential):
    fault = {"operation": "pickup_points", "kind": "status", "status": 401, "count": 99}
    sandbox.control("POST", "/_sandbox/faults", fault)
    for _ in range(3):
        with pytest.raises(CarrierAuthentication):
            points(credential)
    assert logins(sandbox) <= 2


def test_clock_set_back_blocks_no_login(sandbox, credential):
    day = timedelta(days=1)
    with time_machine.travel(timezone.now() + day):
        points(credential)
    fault = {"operation": "pickup_points", "kind": "status", "status": 401, "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)
    assert points(credential)
    assert logins(sandbox) == 2
    # An old login lease or pause does not either.
    CredentialToken.objects.update(token=None, lease_until=timezone.now() + day, login_after=timezone.now() + day)
    assert points(credential)
    assert logins(sandbox) == 3


def test_changed_credential_discards_the_old_token(sandbox, credential, tenant):
    points(credential)
    fields = {"client_id": "test-client", "client_secret": "test-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    points(credential)
    assert [call["body"]["client_id"] for call in sandbox.calls(operation="token")] == ["test-client-id", "test-client"]


def test_credential_changed_during_a_call_gets_no_old_token(sandbox, credential, tenant):
    opened = opening.open_adapter(Credential.objects.get())
    storage.save_credential(
        tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields={"webhook_secret": "another"}
    )
    with pytest.raises(CarrierUnavailable, match="not available"):
        opened.tokens.current()
    assert logins(sandbox) == 0
    assert points(credential)


def test_login_of_a_killed_process_is_taken_over(sandbox, credential):
    tokens.find_token(credential.id, "main")
    CredentialToken.objects.update(lease_until=timezone.now() - timedelta(seconds=1), fence=3)
    assert points(credential)


def test_slow_login_cannot_write_after_its_lease(sandbox, credential):
    adapter = opening.open_adapter(credential)
    original = adapter.tokens.fetch

    def slow(kind):
        token = original(kind)
        CredentialToken.objects.update(fence=9)
        return token

    adapter.tokens.fetch = slow
    assert adapter.tokens.current()
    assert CredentialToken.objects.get().token is None


def test_late_refusal_does_not_mark_a_changed_credential(sandbox, credential, tenant):
    adapter = opening.open_adapter(credential)

    def change_and_refuse(kind):
        storage.save_credential(
            tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields={"webhook_secret": "another"}
        )
        raise CarrierAuthentication(carrier="Pickit")

    adapter.tokens.fetch = change_and_refuse
    with pytest.raises(CarrierAuthentication):
        adapter.tokens.current()
    row = Credential.objects.get()
    assert (row.refused_at, CredentialToken.objects.get().login_after) == (None, None)
    assert points(row)


def test_wrong_secret_raises_and_releases_the_lease(sandbox, credential, tenant):
    fields = {"client_secret": "not-the-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    for _ in range(2):
        with pytest.raises(CarrierAuthentication) as refusal:
            points(credential)
    assert refusal.value.carrier_code == "INVALID_CLIENT"
    assert CredentialToken.objects.get().lease_until is None


def test_refused_login_is_recorded_once_and_not_repeated(sandbox, credential, tenant):
    refuse_logins(sandbox)
    for _ in range(3):
        with pytest.raises(CarrierAuthentication) as refusal:
            points(credential)
    assert "INVALID_CLIENT: " in Credential.objects.get().refusal
    assert refusal.value.carrier_message
    assert logins(sandbox) == 1
    assert list(Event.objects.filter(type__startswith="credential.").order_by("id").values_list("type", flat=True)) == [
        "credential.saved",
        "credential.refused",
    ]
    assert SecurityNotice.objects.filter(event__type="credential.refused").count() == 1


def test_waiting_caller_does_not_repeat_a_refused_login(sandbox, credential, monkeypatch):
    refuse_logins(sandbox)
    during_login = []
    adapter = opening.open_adapter(Credential.objects.get())
    original = adapter.tokens.fetch

    def fetch(kind):
        during_login.append(tokens.find_token(credential.id, "main"))
        return original(kind)

    adapter.tokens.fetch = fetch
    with pytest.raises(CarrierAuthentication):
        adapter.tokens.current()

    rows = [*during_login, tokens.find_token(credential.id, "main")]  # the rows that the second caller reads
    monkeypatch.setattr(tokens, "find_token", lambda *_: rows.pop(0))
    with pytest.raises(CarrierAuthentication):
        adapter.tokens.current()
    assert logins(sandbox) == 1


def test_login_is_repeated_after_the_pause_and_clears_the_refusal(sandbox, credential):
    refuse_logins(sandbox)
    with pytest.raises(CarrierAuthentication):
        points(credential)
    sandbox.control("DELETE", "/_sandbox/faults")
    CredentialToken.objects.update(login_after=timezone.now())
    assert points(credential)
    assert logins(sandbox) == 2
    row, token = Credential.objects.get(), CredentialToken.objects.get()
    assert (row.refused_at, row.refusal, token.refusal, token.login_after) == (None, None, None, None)
    assert Event.objects.filter(type="credential.accepted", subject_id=credential.id).count() == 1


def test_new_fields_log_in_at_once(sandbox, credential, tenant):
    refuse_logins(sandbox)
    with pytest.raises(CarrierAuthentication):
        points(credential)
    sandbox.control("DELETE", "/_sandbox/faults")
    fields = {"client_id": "test-client", "client_secret": "test-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    assert points(credential)
    assert Credential.objects.get().refused_at is None


def test_valid_token_is_used_after_a_refused_login(sandbox, credential):
    points(credential)
    refuse_logins(sandbox)
    call_command("refresh_carrier_tokens", stdout=StringIO(), stderr=StringIO())
    assert checks.check_login(credential)["ok"] is False
    assert Credential.objects.get().refused_at
    assert points(credential)


def test_command_renews_expiring_tokens(sandbox, credential):
    points(credential)
    out = StringIO()
    call_command("refresh_carrier_tokens", stdout=out)
    assert "0 tokens renewed" in out.getvalue()
    now = timezone.now()
    CredentialToken.objects.update(expires_at=now + timedelta(seconds=90), fetched_at=now - timedelta(minutes=58))
    call_command("refresh_carrier_tokens", stdout=out)
    assert "1 tokens renewed, 0 failed" in out.getvalue()
    assert logins(sandbox) == 2


@pytest.mark.parametrize("value", [" canary-1", "canary-1 ", "canary 1", "canary\r\nX: 1", "canary-\u00e9"])
@pytest.mark.parametrize(
    ("slug", "fields", "answer"),
    [
        ("pickit", {"client_id": "test-client-id", "client_secret": "test-secret"}, {"expires_in": 3600}),
        ("velocity", {"username": "+910000000000", "password": "test-secret"}, {}),
    ],
)
def test_token_that_is_no_valid_header_value_is_refused(tenant, carrier, settings, slug, fields, answer, value):
    settings.CARRIER_BASE_URLS = {(slug, "sandbox", "main"): carrier.url}
    row = storage.save_credential(tenant=tenant, mode="test", carrier=slug, environment="sandbox", fields=fields)
    carrier.answers = [(200, json.dumps(answer | {"token": value, "access_token": value}).encode(), {})]
    with pytest.raises(CarrierUnavailable) as refusal:
        opening.open_adapter(row).check_api()
    assert "the token is not usable" in refusal.value.carrier_message
    assert "canary" not in "".join(traceback.format_exception(refusal.value))
    assert CredentialToken.objects.get().token is None


@pytest.mark.parametrize(("hours", "renewed"), [(22.9, 0), (22.97, 1), (23.5, 1), (24.5, 1), (25.1, 0)])
def test_token_is_renewed_ahead_of_the_carriers_margin(tenant, carrier, settings, hours, renewed):
    """A token of Velocity is valid for a day, and not used in its last hour."""
    settings.CARRIER_BASE_URLS = {("velocity", "sandbox", "main"): carrier.url}
    fields = {"username": "+910000000000", "password": "test-secret"}
    row = storage.save_credential(tenant=tenant, mode="test", carrier="velocity", environment="sandbox", fields=fields)
    carrier.answers = [(200, b'{"token": "token-1"}', {})]
    opening.open_adapter(row).tokens.current()
    CredentialToken.objects.update(used_at=timezone.now() + timedelta(hours=2))
    with time_machine.travel(timezone.now() + timedelta(hours=hours)):
        assert refresh.refresh_tokens() == (renewed, [])
    assert len(carrier.requests) == 1 + renewed


def test_tokens_of_unused_credentials_are_not_renewed(sandbox, credential):
    points(credential)
    start = timezone.now()
    for hours in range(40):
        with time_machine.travel(start + timedelta(hours=hours, minutes=59)):
            CredentialToken.objects.update(expires_at=timezone.now(), fetched_at=start)
            refresh.refresh_tokens()
    assert logins(sandbox) == 1 + 24


def test_use_is_recorded_hourly_and_not_by_renewals(sandbox, credential):
    points(credential)
    first = CredentialToken.objects.get().used_at
    points(credential)
    assert CredentialToken.objects.get().used_at == first
    long_ago = timezone.now() - timedelta(hours=2)
    CredentialToken.objects.update(
        used_at=long_ago, expires_at=timezone.now(), fetched_at=timezone.now() - timedelta(hours=1)
    )
    assert refresh.refresh_tokens() == (1, [])
    assert CredentialToken.objects.get().used_at == long_ago
    points(credential)
    assert CredentialToken.objects.get().used_at > first


def test_very_short_lived_token_is_not_renewed_ahead(credential, carrier, settings):
    settings.CARRIER_BASE_URLS = {("pickit", "sandbox", "main"): carrier.url}
    carrier.answers = [(200, b'{"access_token": "token-1", "expires_in": 60}', {})]
    opening.open_adapter(credential).tokens.current()
    assert refresh.refresh_tokens() == (0, [])
