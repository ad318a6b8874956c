"""Merchants look after their accounts at carriers; nobody reads a secret, and a trial is a real log-in."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from apikeys.db.crypto import Ciphertext
from apikeys.db.tenancy import Tenant
from apikeys.models import Event, Merchant, SecurityNotice
from carriers.credentials import checks, rotation, selection, storage
from carriers.models import Breaker, CarrierCall, Credential

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]
ACCOUNT = {"client_id": "test-client-id", "client_secret": "test-secret"}
NEW = {"carrier": "Pickit", "environment": "sandbox", "credentials": ACCOUNT}
MOUNTS = pytest.mark.parametrize("mount", ["/api/v1", "/api/week3-integrations"])


@pytest.fixture
def put(client, api_key):
    return lambda path, body: client.put(path, body, content_type="application/json", headers={"X-API-Key": api_key})


@pytest.fixture
def delete(client, api_key):
    return lambda path: client.delete(path, headers={"X-API-Key": api_key})


@pytest.fixture(autouse=True)
def _unhurried(settings):
    settings.SENSITIVE_RATES = ["1000/m"]


@MOUNTS
def test_an_account_from_its_making_to_its_end(api, put, delete, mount):
    path = f"{mount}/courier-credentials"
    made = api.post(path, NEW)
    assert made.status_code == 201
    one = f"{path}/{made.json()['id']}"
    assert made.json()["stored_fields"] == ["client_id", "client_secret"]
    assert put(one, {"credentials": {"webhook_secret": "w-123456"}}).json()["stored_fields"] == [
        "client_id",
        "client_secret",
        "webhook_secret",
    ]
    assert api.post(f"{one}/test").json()["ok"] is True
    (listed,) = api.get(path).json()["credentials"]
    assert listed["last_test"]["ok"] is True
    assert listed["last_test"]["latency_ms"] >= 0
    assert delete(one).status_code == 204
    assert api.get(path).json()["credentials"] == []
    assert delete(one).status_code == 404
    assert Credential.objects.get().fields is None


def test_no_answer_and_no_event_holds_a_secret(api, put):
    made = api.post("/api/v1/courier-credentials", NEW)
    one = f"/api/v1/courier-credentials/{made.json()['id']}"
    answers = [
        made,
        put(one, {"credentials": ACCOUNT}),
        api.post(f"{one}/test"),
        api.get("/api/v1/courier-credentials"),
    ]
    told = "".join(answer.content.decode() for answer in answers) + "".join(
        str(one.data) for one in Event.objects.all()
    )
    assert "test-secret" not in told


def test_what_a_trial_brought_is_used(api, order, sandbox):
    made = api.post("/api/v1/courier-credentials", NEW).json()
    for _ in range(2):
        assert api.post(f"/api/v1/courier-credentials/{made['id']}/test").json()["ok"] is True
    assert api.post("/api/v1/quotes", order).status_code == 200
    assert len(sandbox.calls(operation="token")) == 2


def test_a_trial_with_a_wrong_secret_says_so_in_the_carriers_words(api, put):
    made = api.post(
        "/api/v1/courier-credentials", NEW | {"credentials": ACCOUNT | {"client_secret": "not-the-secret"}}
    ).json()
    trial = api.post(f"/api/v1/courier-credentials/{made['id']}/test")
    assert trial.status_code == 200
    assert (trial.json()["ok"], trial.json()["error"]) == (False, "carrier_authentication")
    assert trial.json()["message"] == "Unknown client or wrong secret"
    assert Event.objects.filter(type="credential.tested", data__ok=False).exists()


def test_a_second_account_at_one_carrier_is_a_conflict_that_names_the_first(api):
    first = api.post("/api/v1/courier-credentials", NEW).json()
    second = api.post("/api/v1/courier-credentials", NEW)
    assert second.status_code == 409
    assert second.json()["details"]["credential_id"] == [first["id"]]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_add_an_account_at_once_one_is_told_of_the_others(api_key, monkeypatch):
    both_looked, check = threading.Barrier(2), storage._check_changeable

    def checked_when_both_have_looked(*args, **kwargs):
        with suppress(threading.BrokenBarrierError):  # on SQLite one waits for the other's transaction
            both_looked.wait(1)
        return check(*args, **kwargs)

    def ask(secret):
        try:
            body, headers = NEW | {"credentials": ACCOUNT | {"client_secret": secret}}, {"X-API-Key": api_key}
            path = "/api/v1/courier-credentials"
            return Client().post(path, body, content_type="application/json", headers=headers)
        finally:
            connection.close()

    monkeypatch.setattr(storage, "_check_changeable", checked_when_both_have_looked)
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(("secret-1", "secret-2"), pool.map(ask, ("secret-1", "secret-2")), strict=True))
    assert sorted(answer.status_code for answer in answers.values()) == [201, 409]
    ((stored, made),) = [one for one in answers.items() if one[1].status_code == 201]
    (refused,) = [one for one in answers.values() if one.status_code == 409]
    assert refused.json()["details"]["credential_id"] == [made.json()["id"]]
    assert Credential.objects.get().fields["client_secret"] == stored


def test_the_same_post_again_under_its_key_is_answered_from_the_first(api):
    headers = {"Idempotency-Key": "account"}
    first, again = [api.post("/api/v1/courier-credentials", NEW, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"client_id": "x"}, "credentials.client_secret"),
        (ACCOUNT | {"client_id": " "}, "credentials.client_id"),
        (ACCOUNT | {"password": "x"}, "credentials.password"),
        (ACCOUNT | {"client_secret": "short"}, "credentials.client_secret"),
        (ACCOUNT | {"client_secret": "x" * 501}, "credentials.client_secret"),
    ],
)
def test_a_field_that_the_carriers_schema_refuses_is_named_without_its_value(api, fields, named):
    refused = api.post("/api/v1/courier-credentials", NEW | {"credentials": fields})
    assert refused.status_code == 400
    assert named in refused.json()["details"] or "credentials" in refused.json()["details"]
    assert not Credential.objects.exists()


def test_a_choice_is_one_of_those_that_there_are(api):
    fields = {"username": "+910000000000", "password": "test-secret", "authorization_scheme": "digest"}
    refused = api.post("/api/v1/courier-credentials", NEW | {"carrier": "velocity", "credentials": fields})
    assert refused.json()["details"] == {"credentials.authorization_scheme": ["One of these is expected: raw, bearer"]}


def test_another_merchants_account_is_not_found(api, put, delete):
    other = Merchant.objects.create(name="Other", slug="other", plan_id="enterprise")
    row = storage.save_credential(
        tenant=Tenant(other.id, "test"), mode="test", carrier="pickit", environment="sandbox", fields=ACCOUNT
    )
    path = f"/api/v1/courier-credentials/{row.id}"
    assert api.get("/api/v1/courier-credentials").json()["credentials"] == []
    assert (put(path, {"credentials": ACCOUNT}).status_code, delete(path).status_code) == (404, 404)
    assert api.post(f"{path}/test").status_code == 404


def test_what_was_booked_with_a_deleted_account_says_that_it_cannot_be_opened(api, order, delete):
    made = api.post("/api/v1/courier-credentials", NEW).json()
    label = api.post("/api/v1/labels", order).json()
    delete(f"/api/v1/courier-credentials/{made['id']}")
    refused = api.post(f"/api/v1/shipments/{label['shipment_id']}/cancel", {})
    assert (refused.status_code, refused.json()["error"]) == (502, "carrier_authentication")
    assert refused.json()["message"] == "The credential that this was booked with was deleted."
    assert api.get(f"/api/v1/shipments/{label['shipment_id']}").status_code == 200
    asked = {"carrier": "pickit", "tracking_number": label["tracking_number"]}
    stored = api.post("/api/v1/tracking", asked).json()
    assert (stored["metadata"]["stale"], [one["status"] for one in stored["events"]]) == (True, ["created"])


def test_carriers_are_listed_with_what_they_can_and_how_they_are(api, credential, order):
    before = {one["carrier"]: one for one in api.get("/api/v1/carriers").json()["carriers"]}
    assert set(before) >= {"pickit", "velocity"}
    assert (before["pickit"]["credential"], before["velocity"]["credential"]) == ("own", "none")
    assert before["pickit"]["health"] | {"calls": 0, "status": "unknown"} == before["pickit"]["health"]
    assert "create_return" in before["velocity"]["capabilities"]
    assert "create_return" not in before["pickit"]["capabilities"]
    api.post("/api/v1/quotes", order)
    health = api.get("/api/v1/carriers/pickit").json()["health"]
    assert (health["status"], health["error_rate"]) == ("up", 0)
    assert health["last_success_at"]
    now = timezone.now()
    opened = {"operation": "quote", "failures": 5, "opened_at": now}
    breaker = Breaker.objects.create(credential=credential, retry_at=now + timedelta(minutes=1), **opened)
    health = api.get("/api/v1/carriers/Pickit").json()["health"]
    assert (health["status"], health["open_breakers"]) == ("down", ["quote"])
    Breaker.objects.update(retry_at=now)  # its rest is over: the next request is let through
    assert api.get("/api/v1/carriers/pickit").json()["health"]["status"] == "up"

    platforms = storage.save_credential(
        tenant=None, mode="test", carrier="pickit", environment="sandbox", fields=credential.fields
    )
    breaker.delete()
    Breaker.objects.create(credential=platforms, retry_at=now + timedelta(minutes=1), **opened)
    shown = api.get("/api/v1/carriers/pickit").json()
    assert (shown["credential"], shown["health"]["open_breakers"]) == ("own", [])


def test_a_last_success_is_the_newest_of_the_merchants_own_in_this_mode(api, credential, merchant):
    def called(at, outcome="ok", **other):
        whose = {"merchant_id": merchant.id, "mode": "test", "credential": credential, "carrier": "pickit"} | other
        whose |= {"attempt": 1, "duration_ms": 1}
        CarrierCall.objects.create(operation="quote", method="POST", url="/", outcome=outcome, created_at=at, **whose)

    def shown():
        return api.get("/api/v1/carriers/pickit").json()["health"]["last_success_at"]

    now = timezone.now().replace(microsecond=0)
    other = Merchant.objects.create(name="Other", slug="other")
    called(now, merchant_id=other.id)
    called(now, mode="live")
    called(now, carrier="velocity")
    called(now, outcome="refused")
    assert shown() is None
    called(now - timedelta(days=3))
    called(now - timedelta(days=2))
    assert datetime.fromisoformat(shown()) == now - timedelta(days=2)


def test_a_carrier_is_found_by_its_display_name_too(api):
    assert api.get("/api/v1/carriers/Velocity%20Shipfast").json()["carrier"] == "velocity"
    nobodys = api.post("/api/v1/serviceability", {"carrier": "Velocity Shipfast", "origin": IN, "destination": IN})
    assert "/api/v1/carriers/velocity/credentials" in nobodys.json()["details"]["carrier"][0]


IN = {"postal_code": "110001", "country": "IN"}


def test_another_merchants_calls_do_not_count(api, credential, order):
    api.post("/api/v1/quotes", order)
    Merchant.objects.create(name="Other", slug="other", plan_id="enterprise")
    other = Tenant(Merchant.objects.get(slug="other").id, "test")
    from_others = storage.save_credential(
        tenant=other, mode="test", carrier="velocity", environment="sandbox", fields=VELOCITY
    )
    assert from_others.merchant_id != credential.merchant_id
    shown = {one["carrier"]: one for one in api.get("/api/v1/carriers").json()["carriers"]}
    assert shown["velocity"]["credential"] == "none"


VELOCITY = {"username": "+910000000000", "password": "test-secret"}


def test_an_accounts_fields_are_described_as_json_schema(api):
    schema = api.get("/api/v1/carriers/velocity").json()["credential_schema"]
    assert schema["required"] == ["username", "password"]
    assert schema["properties"]["password"]["writeOnly"] is True
    assert "writeOnly" not in schema["properties"]["username"]


def test_what_is_left_of_the_carriers_own_limits(api, credential, order):
    api.post("/api/v1/quotes", order)
    (limit,) = api.get("/api/v1/carriers/pickit/rate-limit").json()["limits"]
    assert (limit["limit"], limit["per"]) == (20, "second")
    assert 0 <= limit["remaining"] <= 20


def test_the_platforms_accounts_come_from_the_documented_variables(monkeypatch, merchant):
    told = StringIO()
    monkeypatch.setenv("PICKIT_CLIENT_ID", "platform-id")
    monkeypatch.setenv("PICKIT_CLIENT_SECRET", "platform-secret")
    call_command("save_platform_credentials", stdout=told)
    call_command("save_platform_credentials", stdout=told)
    assert told.getvalue().splitlines() == ["stored: Pickit production, platform", "nothing new"]
    row = Credential.objects.get()
    assert (row.merchant_id, row.mode, row.fields["client_secret"]) == (None, "live", "platform-secret")
    assert selection.select_credential(Tenant(merchant.id, "live"), "pickit").id == row.id
    Credential.objects.update(is_open=False)
    with pytest.raises(Exception, match="not valid"):
        selection.select_credential(Tenant(merchant.id, "live"), "pickit")
    monkeypatch.setenv("VELOCITY_USERNAME", "half-an-account")
    with pytest.raises(CommandError, match=r"not stored\nVELOCITY_PASSWORD: This field is required\."):
        call_command("save_platform_credentials", stdout=told)


def test_a_variable_s_secret_does_not_replace_one_that_the_carrier_made_since(monkeypatch, settings, sandbox):
    settings.CARRIER_BASE_URLS |= {("pickit", "production"): f"{sandbox.url}/pickit/v2"}

    def fill(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"PICKIT_{name}", value)
        call_command("save_platform_credentials", stdout=StringIO())
        return Credential.objects.get().fields

    fill(CLIENT_ID="pickit-platform", CLIENT_SECRET="test-secret")
    try:
        made = [rotation.rotate_secret(Credential.objects.get()).fields["client_secret"] for _ in range(2)][-1]
        assert fill()["client_secret"] == made
        assert fill(WEBHOOK_SECRET="of-the-webhooks") == {
            "client_id": "pickit-platform",
            "client_secret": made,
            "webhook_secret": "of-the-webhooks",
        }
        assert fill(CLIENT_SECRET="made-by-hand")["client_secret"] == "made-by-hand"
        assert fill(CLIENT_ID="another", CLIENT_SECRET="test-secret")["client_secret"] == "test-secret"
    finally:
        sandbox.control("PUT", "/_sandbox/accounts/pickit-platform", {"secret": "test-secret"})


def test_variables_switch_no_account_on_again(monkeypatch):
    monkeypatch.setenv("PICKIT_CLIENT_ID", "platform-id")
    monkeypatch.setenv("PICKIT_CLIENT_SECRET", "first-secret")
    call_command("save_platform_credentials", stdout=StringIO())
    Credential.objects.update(is_active=False)
    monkeypatch.setenv("PICKIT_CLIENT_SECRET", "second-secret")
    call_command("save_platform_credentials", stdout=StringIO())
    assert not Credential.objects.get().is_active


def test_what_staff_have_switched_off_a_merchant_does_not_switch_on(api, put, delete):
    row_id = api.post("/api/v1/courier-credentials", NEW).json()["id"]
    Credential.objects.update(is_active=False)
    refused = api.post("/api/v1/courier-credentials", NEW)
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    again = api.post("/api/v1/carriers/pickit/credentials", {"environment": "sandbox", "credentials": ACCOUNT})
    assert again.status_code == 409
    row = Credential.objects.get(id=row_id)
    Credential.objects.update(fields=Ciphertext("v1.gone.AAAA.AAAA"))
    assert api.post("/api/v1/courier-credentials", NEW).status_code == 409
    row.save()
    assert not Credential.objects.get(id=row_id).is_active
    Credential.objects.update(is_active=True)
    delete(f"/api/v1/courier-credentials/{row_id}")
    assert api.post("/api/v1/courier-credentials", NEW).status_code == 201


def test_the_platforms_account_does_not_stand_in_for_one_that_is_switched_off(api, delete):
    row_id = api.post("/api/v1/courier-credentials", NEW).json()["id"]
    platform = {"client_id": "pickit-platform", "client_secret": "test-secret"}
    storage.save_credential(tenant=None, mode="test", carrier="pickit", environment="sandbox", fields=platform)
    point = "/api/v1/pickit/pickup-points/PP-12345"

    def used():
        return next(
            one["credential"] for one in api.get("/api/v1/carriers").json()["carriers"] if one["carrier"] == "pickit"
        )

    Credential.objects.filter(id=row_id).update(is_active=False)
    refused = api.get(point)
    assert (refused.status_code, list(refused.json()["details"]), used()) == (400, ["carrier"], "none")
    Credential.objects.filter(id=row_id).update(is_active=True)
    delete(f"/api/v1/courier-credentials/{row_id}")
    assert (api.get(point).status_code, used()) == (200, "platform")


def test_unknown_ids_are_not_found(api, put, delete):
    path = f"/api/v1/courier-credentials/{uuid.uuid4()}"
    assert {put(path, {}).status_code, delete(path).status_code, api.post(f"{path}/test").status_code} == {404}


def test_a_changed_account_was_not_tried_yet(api, put):
    path = f"/api/v1/courier-credentials/{api.post('/api/v1/courier-credentials', NEW).json()['id']}"
    assert api.post(f"{path}/test").json()["ok"] is True
    put(path, {"credentials": {"client_secret": "another"}})
    (shown,) = api.get("/api/v1/courier-credentials").json()["credentials"]
    assert shown["last_test"] is None


def test_the_health_of_an_account_is_asked_for_real(api, credential, sandbox, settings):
    answer = api.get("/api/v1/pickit/health")
    assert answer.status_code == 200
    assert answer.json()["healthy"] is True
    assert set(answer.json()["checks"]) == {"authentication", "api_connectivity", "webhook_endpoint", "database"}
    settings.CARRIER_MAX_RETRIES = 0
    fault = {"kind": "status", "status": 503, "operation": "find_by_reference", "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)
    sick = api.get("/api/v1/carriers/pickit/health")
    assert sick.status_code == 503
    assert sick.json()["checks"] == {
        "authentication": True,
        "api_connectivity": False,
        "webhook_endpoint": True,
        "database": True,
    }


@pytest.fixture
def own_client(sandbox):
    """An account at the carrier that no other test uses: its secret will change."""
    name = f"rotating-{uuid.uuid4().hex[:8]}"
    sandbox.control("PUT", f"/_sandbox/accounts/{name}", {"secret": "first-secret"})
    return {"client_id": name, "client_secret": "first-secret"}


@MOUNTS
def test_the_carrier_makes_a_new_secret_that_nobody_sees_and_that_works(api, own_client, mount):
    made = api.post(f"{mount}/courier-credentials", NEW | {"credentials": own_client}).json()
    one = f"{mount}/courier-credentials/{made['id']}"
    answer = api.post(f"{one}/rotate")
    assert answer.status_code == 200
    fresh = Credential.objects.get().fields["client_secret"]
    assert fresh != "first-secret"
    assert api.post(f"{one}/test").json()["ok"] is True
    assert fresh not in answer.content.decode()
    bodies = CarrierCall.objects.values_list("request_body", "response_body")
    assert fresh not in str(list(bodies))
    (event,) = Event.objects.filter(type="credential.rotated")
    assert event.data["changed"] == ["client_secret"]
    assert fresh not in str(event.data)
    assert SecurityNotice.objects.filter(event=event).exists()


def test_a_rotation_whose_answer_got_lost_is_mended_by_asking_again(api, sandbox, own_client):
    made = api.post("/api/v1/courier-credentials", NEW | {"credentials": own_client}).json()
    one = f"/api/v1/courier-credentials/{made['id']}"
    fault = {"operation": "rotate_credentials", "kind": "reset", "after": True, "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)
    assert api.post(f"{one}/rotate").status_code == 504
    assert Credential.objects.get().fields["client_secret"] == "first-secret"
    assert api.post(f"{one}/rotate").status_code == 200
    assert api.post(f"{one}/test").json()["ok"] is True


def test_two_rotations_at_once_are_one(api, own_client):
    made = api.post("/api/v1/courier-credentials", NEW | {"credentials": own_client}).json()
    Credential.objects.update(rotating_until=timezone.now() + timedelta(seconds=30))
    refused = api.post(f"/api/v1/courier-credentials/{made['id']}/rotate")
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    Credential.objects.update(rotating_until=timezone.now() - timedelta(seconds=1))
    assert api.post(f"/api/v1/courier-credentials/{made['id']}/rotate").status_code == 200


def test_a_carrier_that_cannot_rotate_says_so(api):
    account = {"username": "+910000000000", "password": "test-secret"}
    made = api.post("/api/v1/courier-credentials", NEW | {"carrier": "Velocity", "credentials": account}).json()
    refused = api.post(f"/api/v1/courier-credentials/{made['id']}/rotate")
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_operation")


def test_a_refused_account_is_shown_as_such(api, own_client):
    made = api.post(
        "/api/v1/courier-credentials", NEW | {"credentials": own_client | {"client_secret": "not-the-secret"}}
    ).json()
    assert made["refused_at"] is None
    assert api.post(f"/api/v1/courier-credentials/{made['id']}/test").json()["ok"] is False
    (shown,) = api.get("/api/v1/courier-credentials").json()["credentials"]
    assert shown["refused_at"]
    assert shown["refusal"].startswith("INVALID_CLIENT")
    assert api.get("/api/v1/carriers/pickit").json()["credential_refused_at"] == shown["refused_at"]


def test_a_trial_of_what_the_account_was_before_flags_nothing(api, put, own_client, order):
    made = api.post(
        "/api/v1/courier-credentials", NEW | {"credentials": own_client | {"client_secret": "not-the-secret"}}
    ).json()
    before = Credential.objects.get()
    put(f"/api/v1/courier-credentials/{made['id']}", {"credentials": own_client})
    assert checks.check_login(before)["ok"] is False
    (shown,) = api.get("/api/v1/courier-credentials").json()["credentials"]
    assert (shown["refused_at"], shown["last_test"]) == (None, None)
    assert api.post("/api/v1/quotes", order).status_code == 200


def test_a_trial_of_what_the_account_was_before_takes_no_flag_off(api, put, own_client):
    made = api.post("/api/v1/courier-credentials", NEW | {"credentials": own_client}).json()
    one = f"/api/v1/courier-credentials/{made['id']}"
    before = Credential.objects.get()
    put(one, {"credentials": {"client_secret": "not-the-secret"}})
    assert api.post(f"{one}/test").json()["ok"] is False
    assert checks.check_login(before)["ok"] is True
    (shown,) = api.get("/api/v1/courier-credentials").json()["credentials"]
    assert shown["refused_at"]


@pytest.mark.django_db(transaction=True)
def test_an_account_that_is_changed_while_it_is_rotated_keeps_the_change(api, put, sandbox, own_client):
    made = api.post("/api/v1/courier-credentials", NEW | {"credentials": own_client}).json()
    one = f"/api/v1/courier-credentials/{made['id']}"
    fault = {"operation": "rotate_credentials", "kind": "slow", "delay_s": 2, "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)

    def rotate():
        try:
            return type(api)(Client(), api.key).post(f"{one}/rotate")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        rotating = pool.submit(rotate)
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up and not sandbox.calls(operation="rotate_credentials"):
            pass
        put(one, {"credentials": {"webhook_secret": "w-123456"}})
        refused = rotating.result()
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert Credential.objects.get().fields == own_client | {"webhook_secret": "w-123456"}
    assert not Event.objects.filter(type="credential.rotated").exists()
    assert api.post(f"{one}/rotate").status_code == 200
