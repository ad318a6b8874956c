"""Rotation of a credential's secret at the carrier."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.models import Event, SecurityNotice
from carriers.adapters.pickit import PickitAdapter
from carriers.models import CarrierCall, Credential
from carriers.tests.samples import MOUNTS, NEW, VELOCITY

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox", "relaxed_rates")]


@MOUNTS
def test_rotated_secret_works_and_is_not_shown_or_logged(api, own_client, mount):
    created = api.post(f"{mount}/courier-credentials", NEW | {"credentials": own_client}).json()
    url = f"{mount}/courier-credentials/{created['id']}"
    answer = api.post(f"{url}/rotate")
    assert answer.status_code == 200
    rotated = Credential.objects.get().fields["client_secret"]
    assert rotated != "first-secret"
    assert api.post(f"{url}/test").json()["ok"] is True
    assert rotated not in answer.content.decode()
    bodies = CarrierCall.objects.values_list("request_body", "response_body")
    assert rotated not in str(list(bodies))
    (event,) = Event.objects.filter(type="credential.rotated")
    assert event.data["changed"] == ["client_secret"]
    assert rotated not in str(event.data)
    assert SecurityNotice.objects.filter(event=event).exists()


def test_rotation_is_repeated_after_a_lost_answer(api, sandbox, own_client):
    created = api.post("/api/v1/courier-credentials", NEW | {"credentials": own_client}).json()
    url = f"/api/v1/courier-credentials/{created['id']}"
    fault = {"operation": "rotate_credentials", "kind": "reset", "after": True, "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)
    assert api.post(f"{url}/rotate").status_code == 504
    assert Credential.objects.get().fields["client_secret"] == "first-secret"
    assert api.post(f"{url}/rotate").status_code == 200
    assert api.post(f"{url}/test").json()["ok"] is True


def test_second_rotation_conflicts_while_one_runs(api, own_client):
    created = api.post("/api/v1/courier-credentials", NEW | {"credentials": own_client}).json()
    Credential.objects.update(rotating_until=timezone.now() + timedelta(seconds=30))
    refused = api.post(f"/api/v1/courier-credentials/{created['id']}/rotate")
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    Credential.objects.update(rotating_until=timezone.now() - timedelta(seconds=1))
    assert api.post(f"/api/v1/courier-credentials/{created['id']}/rotate").status_code == 200


def test_rotation_without_support_is_refused(api):
    created = api.post("/api/v1/courier-credentials", NEW | {"carrier": "Velocity", "credentials": VELOCITY}).json()
    refused = api.post(f"/api/v1/courier-credentials/{created['id']}/rotate")
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_operation")


def test_change_during_rotation_is_kept(api, put, own_client, monkeypatch):
    created = api.post("/api/v1/courier-credentials", NEW | {"credentials": own_client}).json()
    url = f"/api/v1/courier-credentials/{created['id']}"
    rotate = PickitAdapter.rotate_credentials

    def rotate_and_change(adapter):
        issued = rotate(adapter)
        put(url, {"credentials": {"webhook_secret": "w-123456"}})
        return issued

    with monkeypatch.context() as patch:
        patch.setattr(PickitAdapter, "rotate_credentials", rotate_and_change)
        refused = api.post(f"{url}/rotate")
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert Credential.objects.get().fields == own_client | {"webhook_secret": "w-123456"}
    assert not Event.objects.filter(type="credential.rotated").exists()
    assert api.post(f"{url}/rotate").status_code == 200
