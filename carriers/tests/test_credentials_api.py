"""The credentials API: secrets are write-only, and a test login calls the carrier."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apikeys.access import usage
from apikeys.db.crypto import Ciphertext
from apikeys.db.tenancy import Tenant
from apikeys.models import Event, Merchant
from carriers.credentials import checks, storage
from carriers.models import CarrierCall, Credential
from carriers.tests.samples import FIELDS, MOUNTS, NEW

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("sandbox", "relaxed_rates")]


@MOUNTS
def test_credential_is_created_changed_tested_and_deleted(api, put, delete, mount):
    path = f"{mount}/courier-credentials"
    created = api.post(path, NEW)
    assert created.status_code == 201
    url = f"{path}/{created.json()['id']}"
    assert created.json()["stored_fields"] == ["client_id", "client_secret"]
    assert put(url, {"credentials": {"webhook_secret": "w-123456"}}).json()["stored_fields"] == [
        "client_id",
        "client_secret",
        "webhook_secret",
    ]
    assert api.post(f"{url}/test").json()["ok"] is True
    (listed,) = api.get(path).json()["credentials"]
    assert listed["last_test"]["ok"] is True
    assert listed["last_test"]["latency_ms"] >= 0
    assert delete(url).status_code == 204
    assert api.get(path).json()["credentials"] == []
    assert delete(url).status_code == 404
    assert Credential.objects.get().fields is None


def test_responses_and_events_contain_no_secret(api, put):
    created = api.post("/api/v1/courier-credentials", NEW)
    url = f"/api/v1/courier-credentials/{created.json()['id']}"
    answers = [
        created,
        put(url, {"credentials": FIELDS}),
        api.post(f"{url}/test"),
        api.get("/api/v1/courier-credentials"),
    ]
    contents = [answer.content.decode() for answer in answers] + [str(event.data) for event in Event.objects.all()]
    assert "test-secret" not in "".join(contents)


def test_token_of_a_test_login_is_used(api, order, sandbox):
    created = api.post("/api/v1/courier-credentials", NEW).json()
    for _ in range(2):
        assert api.post(f"/api/v1/courier-credentials/{created['id']}/test").json()["ok"] is True
    assert api.post("/api/v1/quotes", order).status_code == 200
    assert len(sandbox.calls(operation="token")) == 2


def test_test_login_with_wrong_secret_returns_the_carriers_message(api, put):
    created = api.post(
        "/api/v1/courier-credentials", NEW | {"credentials": FIELDS | {"client_secret": "not-the-secret"}}
    ).json()
    result = api.post(f"/api/v1/courier-credentials/{created['id']}/test")
    assert result.status_code == 200
    assert (result.json()["ok"], result.json()["error"]) == (False, "carrier_authentication")
    assert result.json()["message"] == "Unknown client or wrong secret"
    assert Event.objects.filter(type="credential.tested", data__ok=False).exists()


def test_second_credential_for_a_carrier_conflicts_and_names_the_first(api):
    first = api.post("/api/v1/courier-credentials", NEW).json()
    second = api.post("/api/v1/courier-credentials", NEW)
    assert second.status_code == 409
    assert second.json()["details"]["credential_id"] == [first["id"]]


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_create_one_credential(api_key, monkeypatch):
    both_selected, check = threading.Barrier(2), storage._check_changeable

    def check_after_both_selected(*args, **kwargs):
        with suppress(threading.BrokenBarrierError):  # on SQLite one request waits for the other's transaction
            both_selected.wait(1)
        return check(*args, **kwargs)

    def create(secret):
        try:
            body, headers = NEW | {"credentials": FIELDS | {"client_secret": secret}}, {"X-API-Key": api_key}
            path = "/api/v1/courier-credentials"
            return Client().post(path, body, content_type="application/json", headers=headers)
        finally:
            connection.close()

    monkeypatch.setattr(storage, "_check_changeable", check_after_both_selected)
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(("secret-1", "secret-2"), pool.map(create, ("secret-1", "secret-2")), strict=True))
    assert sorted(answer.status_code for answer in answers.values()) == [201, 409]
    ((secret, created),) = [item for item in answers.items() if item[1].status_code == 201]
    (refused,) = [answer for answer in answers.values() if answer.status_code == 409]
    assert refused.json()["details"]["credential_id"] == [created.json()["id"]]
    assert Credential.objects.get().fields["client_secret"] == secret


def test_repeated_request_returns_first_response(api):
    headers = {"Idempotency-Key": "credential"}
    first, second = [api.post("/api/v1/courier-credentials", NEW, headers=headers) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"client_id": "x"}, "credentials.client_secret"),
        (FIELDS | {"client_id": " "}, "credentials.client_id"),
        (FIELDS | {"password": "x"}, "credentials.password"),
        (FIELDS | {"client_secret": "short"}, "credentials.client_secret"),
        (FIELDS | {"client_secret": "x" * 501}, "credentials.client_secret"),
    ],
)
def test_invalid_fields_are_named_without_their_value(api, fields, named):
    refused = api.post("/api/v1/courier-credentials", NEW | {"credentials": fields})
    assert refused.status_code == 400
    assert named in refused.json()["details"] or "credentials" in refused.json()["details"]
    assert not Credential.objects.exists()


def test_invalid_choice_lists_the_valid_ones(api):
    fields = {"username": "+910000000000", "password": "test-secret", "authorization_scheme": "digest"}
    refused = api.post("/api/v1/courier-credentials", NEW | {"carrier": "velocity", "credentials": fields})
    assert refused.json()["details"] == {"credentials.authorization_scheme": ["One of these is expected: raw, bearer"]}


def test_another_merchants_credential_is_not_found(api, put, delete):
    other = Merchant.objects.create(name="Other", slug="other", plan_id="enterprise")
    row = storage.save_credential(
        tenant=Tenant(other.id, "test"), mode="test", carrier="pickit", environment="sandbox", fields=FIELDS
    )
    path = f"/api/v1/courier-credentials/{row.id}"
    assert api.get("/api/v1/courier-credentials").json()["credentials"] == []
    assert (put(path, {"credentials": FIELDS}).status_code, delete(path).status_code) == (404, 404)
    assert api.post(f"{path}/test").status_code == 404


def test_cancelling_with_deleted_credential_names_the_reason(api, order, delete):
    created = api.post("/api/v1/courier-credentials", NEW).json()
    label = api.post("/api/v1/labels", order).json()
    delete(f"/api/v1/courier-credentials/{created['id']}")
    refused = api.post(f"/api/v1/shipments/{label['shipment_id']}/cancel", {})
    assert (refused.status_code, refused.json()["error"]) == (502, "carrier_authentication")
    assert refused.json()["message"] == "The credential that this was booked with was deleted."
    assert api.get(f"/api/v1/shipments/{label['shipment_id']}").status_code == 200
    query = {"carrier": "pickit", "tracking_number": label["tracking_number"]}
    track = api.post("/api/v1/tracking", query).json()
    assert (track["metadata"]["stale"], [event["status"] for event in track["events"]]) == (True, ["created"])


def test_merchant_cannot_reactivate_a_credential_that_staff_switched_off(api, put, delete):
    row_id = api.post("/api/v1/courier-credentials", NEW).json()["id"]
    Credential.objects.update(is_active=False)
    refused = api.post("/api/v1/courier-credentials", NEW)
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    refused = api.post("/api/v1/carriers/pickit/credentials", {"environment": "sandbox", "credentials": FIELDS})
    assert refused.status_code == 409
    row = Credential.objects.get(id=row_id)
    Credential.objects.update(fields=Ciphertext("v1.gone.AAAA.AAAA"))
    assert api.post("/api/v1/courier-credentials", NEW).status_code == 409
    row.save()
    assert not Credential.objects.get(id=row_id).is_active
    Credential.objects.update(is_active=True)
    delete(f"/api/v1/courier-credentials/{row_id}")
    assert api.post("/api/v1/courier-credentials", NEW).status_code == 201


def test_platform_credential_does_not_replace_a_switched_off_one(api, delete):
    row_id = api.post("/api/v1/courier-credentials", NEW).json()["id"]
    platform = {"client_id": "pickit-platform", "client_secret": "test-secret"}
    storage.save_credential(tenant=None, mode="test", carrier="pickit", environment="sandbox", fields=platform)
    point = "/api/v1/pickit/pickup-points/PP-12345"

    def used():
        carriers = api.get("/api/v1/carriers").json()["carriers"]
        return next(one["credential"] for one in carriers if one["carrier"] == "pickit")

    Credential.objects.filter(id=row_id).update(is_active=False)
    refused = api.get(point)
    assert (refused.status_code, list(refused.json()["details"]), used()) == (400, ["carrier"], "none")
    Credential.objects.filter(id=row_id).update(is_active=True)
    delete(f"/api/v1/courier-credentials/{row_id}")
    assert (api.get(point).status_code, used()) == (200, "platform")


def test_unknown_ids_are_not_found(api, put, delete):
    path = f"/api/v1/courier-credentials/{uuid.uuid4()}"
    assert {put(path, {}).status_code, delete(path).status_code, api.post(f"{path}/test").status_code} == {404}


def test_change_clears_last_test(api, put):
    path = f"/api/v1/courier-credentials/{api.post('/api/v1/courier-credentials', NEW).json()['id']}"
    assert api.post(f"{path}/test").json()["ok"] is True
    put(path, {"credentials": {"client_secret": "another"}})
    (shown,) = api.get("/api/v1/courier-credentials").json()["credentials"]
    assert shown["last_test"] is None


def test_refused_login_is_shown(api, own_client):
    created = api.post(
        "/api/v1/courier-credentials", NEW | {"credentials": own_client | {"client_secret": "not-the-secret"}}
    ).json()
    assert created["refused_at"] is None
    assert api.post(f"/api/v1/courier-credentials/{created['id']}/test").json()["ok"] is False
    (shown,) = api.get("/api/v1/courier-credentials").json()["credentials"]
    assert shown["refused_at"]
    assert shown["refusal"].startswith("INVALID_CLIENT")
    assert api.get("/api/v1/carriers/pickit").json()["credential_refused_at"] == shown["refused_at"]


def test_failed_login_with_outdated_fields_is_not_recorded(api, put, own_client, order):
    created = api.post(
        "/api/v1/courier-credentials", NEW | {"credentials": own_client | {"client_secret": "not-the-secret"}}
    ).json()
    before = Credential.objects.get()
    put(f"/api/v1/courier-credentials/{created['id']}", {"credentials": own_client})
    assert checks.check_login(before)["ok"] is False
    (shown,) = api.get("/api/v1/courier-credentials").json()["credentials"]
    assert (shown["refused_at"], shown["last_test"]) == (None, None)
    assert api.post("/api/v1/quotes", order).status_code == 200


def test_successful_login_with_outdated_fields_does_not_clear_refusal(api, put, own_client):
    created = api.post("/api/v1/courier-credentials", NEW | {"credentials": own_client}).json()
    url = f"/api/v1/courier-credentials/{created['id']}"
    before = Credential.objects.get()
    put(url, {"credentials": {"client_secret": "not-the-secret"}})
    assert api.post(f"{url}/test").json()["ok"] is False
    assert checks.check_login(before)["ok"] is True
    (shown,) = api.get("/api/v1/courier-credentials").json()["credentials"]
    assert shown["refused_at"]


def test_use_of_a_credential_is_shown_with_one_query_for_all(api, credential, sandbox, order, merchant):
    url = f"/api/v1/courier-credentials/{credential.id}"
    assert api.get(url).json()["usage"] == {"requests": 0, "failures": 0, "last_used_at": None}
    api.post("/api/v1/quotes", order)
    usage.count("credential", credential.id, Tenant(merchant.id, "test"), failed=True)
    shown = api.get(url).json()
    calls = CarrierCall.objects.filter(credential=credential).count()
    assert (shown["usage"]["requests"], shown["usage"]["failures"]) == (calls + 1, 1)
    assert shown["usage"]["last_used_at"]
    with CaptureQueriesContext(connection) as captured:
        (listed,) = api.get("/api/v1/courier-credentials").json()["credentials"]
    assert listed == shown
    assert sum("apikeys_usageday" in query["sql"] and "SUM" in query["sql"] for query in captured) == 1
