"""What a webhook may change depends on what proves it: a signature, a secret header, or only a secret URL."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from apikeys.models import IdempotencyRecord
from carriers.models import Credential
from carriers.types import Track, WebhookReport
from carriers.types.errors import CarrierUnavailable
from shipping.checkpoints import polling
from shipping.models import Shipment
from webhooks.models import InboundWebhook, UnmatchedNumber
from webhooks.tests import kestrel

pytestmark = pytest.mark.django_db
TOKEN = {"X-Kestrel-Token": "our-secret-header"}


def send(url, body, **headers):
    return Client().post(url, json.dumps(body), content_type="application/json", headers=headers)


def scan(code, number="KP1"):
    return {"number": number, "code": code, "at": timezone.now().isoformat()}


@pytest.fixture
def credential(monkeypatch, tenant):
    kestrel.register(monkeypatch)
    return kestrel.save_credential(tenant, webhook_token="our-secret-header")


class TestSecretHeader:
    def test_right_header_is_needed_and_events_are_applied(self, credential):
        shipment = kestrel.book(credential, "KP1")
        for headers in ({}, {"X-Kestrel-Token": ""}, {"X-Kestrel-Token": "our-secret-headeR"}):
            assert send(credential.webhook_url, scan("sorted"), **headers).status_code == 401
        assert not InboundWebhook.objects.exists()
        assert (
            send(credential.webhook_url, scan("sorted"), **{"X-Kestrel-Token": "our-secret-header"}).status_code == 200
        )
        shipment.refresh_from_db()
        assert (shipment.status, shipment.reread_at) == ("in_transit", None)

    def test_carrier_must_confirm_a_final_status_soon_with_one_call_for_many_events(self, credential):
        shipments = [kestrel.book(credential, number) for number in ("KP1", "KP2")]
        first = timezone.now()
        for body in (scan("handed_over"), scan("handed_over") | {"at": first.isoformat()}, scan("sorted", "KP2")):
            assert send(credential.webhook_url, body, **TOKEN).status_code == 200
        confirmed, other = (Shipment.objects.get(id=row.id) for row in shipments)
        assert confirmed.status == "delivered"
        assert first < confirmed.poll_at <= first + timedelta(seconds=31)
        assert other.poll_at > first + timedelta(hours=1)

    def test_request_to_read_again_has_a_silent_or_final_shipment_polled(self, credential, monkeypatch):
        shipment = kestrel.book(credential, "KP1")
        Shipment.objects.filter(id=shipment.id).update(status="delivered", poll_at=None)
        calls = []

        def track(self, refs):
            calls.append(refs)
            return {"KP1": Track(tracking_number="KP1", scans=())}

        monkeypatch.setattr(kestrel.HookedKestrel, "track", track)
        assert send(credential.webhook_url, {"reread": "KP1"}, **TOKEN).status_code == 200
        assert polling.poll()["asked"] == 1
        assert len(calls) == 1
        shipment.refresh_from_db()
        assert shipment.reread_at is None
        assert polling.poll()["asked"] == 0

    def test_request_during_a_poll_is_not_lost(self, credential, monkeypatch):
        kestrel.book(credential, "KP1")
        send(credential.webhook_url, {"reread": "KP1"}, **TOKEN)

        def track(self, refs):
            send(credential.webhook_url, {"reread": "KP1", "again": True}, **TOKEN)
            return {"KP1": Track(tracking_number="KP1", scans=())}

        monkeypatch.setattr(kestrel.HookedKestrel, "track", track)
        assert polling.poll()["asked"] == 1
        assert polling.poll()["asked"] == 1

    def test_request_is_kept_for_a_day_when_polls_fail(self, credential, monkeypatch):
        def fail(self, refs):
            raise CarrierUnavailable(carrier=self.name)

        shipment = kestrel.book(credential, "KP1")
        send(credential.webhook_url, scan("handed_over"), **TOKEN)
        for track, hours, asked in (
            (fail, 1, 1),  # a final status of a webhook, not confirmed yet
            (lambda self, refs: {}, 2, 1),  # the carrier does not have the number yet
            (fail, 30, 1),
            (fail, 31, 0),
        ):
            monkeypatch.setattr(kestrel.HookedKestrel, "track", track)
            with time_machine.travel(timezone.now() + timedelta(hours=hours)):
                Shipment.objects.update(poll_at=timezone.now())
                assert polling.poll()["asked"] == asked, hours
        shipment.refresh_from_db()
        assert (shipment.poll_at, shipment.reread_at) == (None, None)

    def test_number_that_is_unknown_yet_is_read_again_when_it_is_booked(self, credential):
        assert send(credential.webhook_url, {"reread": "KP9"}, **TOKEN).status_code == 200
        assert InboundWebhook.objects.get().state == InboundWebhook.State.UNMATCHED

    def test_webhook_with_very_many_numbers_is_listed_and_stores_none_of_them(self, credential, monkeypatch):
        def parse(self, body):
            return WebhookReport(event_type="list", reread=tuple(json.loads(body)))

        monkeypatch.setattr(kestrel.HookedKestrel, "parse_webhook", parse)
        for count, waiting in ((6_000, 0), (20, 20)):
            assert send(credential.webhook_url, [f"KP{one}" for one in range(count)], **TOKEN).status_code == 200
            assert UnmatchedNumber.objects.count() == waiting
        states = dict(InboundWebhook.objects.values_list("state", "error"))
        assert states["failed"] == "ValueError: it names more than 5000 shipments and pickups"

    def test_validation_call_is_answered_without_proof(self, credential):
        answer = send(credential.webhook_url, {"challenge": 1}, **{"X-Kestrel-Challenge": "1"})
        assert (answer.status_code, json.loads(answer.content)) == (200, {"challenge": 1})
        assert not InboundWebhook.objects.exists()


class TestSecretUrl:
    def test_only_the_url_with_the_key_is_accepted_and_only_requests_a_poll(self, monkeypatch, tenant):
        kestrel.register(monkeypatch, kestrel.OpenKestrel)
        credential = kestrel.save_credential(tenant)
        shipment = kestrel.book(credential, "KP1")
        bare = f"/webhooks/kestrel/events/{credential.id}"
        for url in ("/webhooks/kestrel/events", bare, f"{bare}/{'0' * 64}"):
            assert send(url, scan("handed_over")).status_code == 401
        assert credential.webhook_url.startswith(f"{bare}/")
        assert send(credential.webhook_url, scan("handed_over")).status_code == 200
        shipment.refresh_from_db()
        assert (shipment.status, shipment.checkpoint_count) == ("created", 0)
        assert shipment.poll_at <= timezone.now()


def test_token_is_made_by_waybill_and_shown_once(api, monkeypatch, settings):
    kestrel.register(monkeypatch)
    settings.CARRIER_CALLBACK_URL = "https://waybill.example"
    body = {"carrier": "kestrel", "environment": "sandbox", "credentials": {"key": "kestrel-key"}}
    path = "/api/v1/courier-credentials"
    created = api.post(path, body)
    assert created.status_code == 201, created.content
    first = created.json()
    assert first["webhook_url"] == f"https://waybill.example/webhooks/kestrel/events/{first['id']}"
    token = first["webhook_token"]
    assert len(token) >= 40
    assert api.get(f"{path}/{first['id']}").json()["webhook_token"] is None
    assert token not in api.get(path).content.decode()
    sent = send(f"/webhooks/kestrel/events/{first['id']}", {"reread": "KP1"}, **{"X-Kestrel-Token": token})
    assert sent.status_code == 200
    changed = api.client.put(
        f"{path}/{first['id']}",
        {"credentials": {"key": "another-key"}},
        content_type="application/json",
        headers={"X-API-Key": api.key},
    )
    assert (changed.status_code, changed.json()["webhook_token"]) == (200, None)
    assert (
        send(f"/webhooks/kestrel/events/{first['id']}", {"reread": "K2"}, **{"X-Kestrel-Token": token}).status_code
        == 200
    )


def test_repeated_request_does_not_show_the_token_and_no_response_is_stored_with_it(api):
    fields = {"client_id": "ups-client", "client_secret": "test-secret", "account_number": "A1B2C3"}
    body = {"carrier": "ups", "environment": "sandbox", "credentials": fields}
    for path in ("/api/v1/carriers/ups/credentials", "/api/v1/courier-credentials"):
        Credential.objects.all().delete()
        first, repeated = (api.post(path, body, headers={"Idempotency-Key": path}) for _ in range(2))
        token = first.json()["webhook_token"]
        assert len(token) >= 40
        assert repeated.headers["Idempotent-Replayed"] == "true"
        assert repeated.status_code == first.status_code
        assert repeated.json() == first.json() | {"webhook_token": None}
        stored = IdempotencyRecord.objects.get(key=path)
        assert token.encode() not in bytes(stored.response_body or b"")
