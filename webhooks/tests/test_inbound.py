"""Webhooks from carriers: signatures, storage and the checkpoints that they make."""

from datetime import UTC, datetime, timedelta

import pytest

from carriers.adapters.registry import ADAPTERS
from carriers.credentials import storage
from shipping.models import Checkpoint, StatusCode
from webhooks.inbound import service
from webhooks.models import InboundWebhook
from webhooks.tests.helpers import SOON, book, event, send_webhook

pytestmark = pytest.mark.django_db


def test_signed_event_becomes_a_checkpoint(credential):
    shipment = book(credential)
    response = send_webhook(event(current_location="New York Distribution Center", route="NYC-001"), credential)
    assert response.status_code == 200
    assert response.json() == {"status": "success", "message": "Event processed"}
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"
    checkpoint = Checkpoint.objects.get()
    assert checkpoint.location == "New York Distribution Center"
    assert checkpoint.details["route"] == "NYC-001"


def test_event_with_a_mapped_code_gets_its_status(credential):
    shipment = book(credential)
    send_webhook(event("shipment.beamed"), credential)
    assert (Checkpoint.objects.get().status, StatusCode.objects.get().code) == ("unknown", "beamed")
    StatusCode.objects.update(status="out_for_delivery")
    send_webhook(event("shipment.beamed", at=SOON), credential)
    shipment.refresh_from_db()
    assert shipment.status == "out_for_delivery"


def test_spellings_of_a_carrier_are_one_series_of_the_metrics(client):
    """Without a signature a client could otherwise create any number of them."""
    for name in ("pickit", "PickIt", "pickit%20", "%20%20pickit%09", "velocity%20shipfast"):
        assert client.post(f"/webhooks/{name}/events", b"{}", content_type="application/json").status_code == 401
    counted = {sample.labels["carrier"] for metric in service.RECEIVED.collect() for sample in metric.samples}
    assert counted <= {*ADAPTERS, "kestrel"}  # other tests register this one


def test_unknown_code_is_stored_and_decides_nothing(credential):
    shipment = book(credential)
    send_webhook(event(), credential)
    send_webhook(event("shipment.abducted", at=SOON), credential)
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"
    assert list(shipment.checkpoints.values_list("code", "status")) == [
        ("in_transit", "in_transit"),
        ("abducted", "unknown"),
    ]


@pytest.mark.parametrize(
    "forged",
    [
        {"secret": "another-secret"},
        {"at": (datetime.now(UTC) - timedelta(hours=9)).isoformat()},
        {"at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
        {"at": "yesterday"},
        {"X-Pickit-Signature": ""},
        {"X-Pickit-Signature": "ä" * 64},
        {"X-Pickit-Timestamp": ""},
    ],
    ids=["secret", "old", "early", "no time", "no signature", "not ascii", "no timestamp"],
)
def test_badly_signed_or_old_event_is_refused(credential, forged):
    book(credential)
    response = send_webhook(event(), credential, **forged)
    assert response.status_code == 401
    assert response.json()["error"] == "not_authenticated"
    assert not InboundWebhook.objects.exists()
    assert not Checkpoint.objects.exists()


def test_event_within_eight_hours_is_accepted(credential):
    book(credential)
    late = (datetime.now(UTC) - timedelta(hours=7, minutes=50)).isoformat()
    assert send_webhook(event(), credential, at=late).status_code == 200


def test_bare_path_accepts_only_the_platforms_signature(credential):
    platform = storage.save_credential(
        tenant=None,
        mode="test",
        carrier="pickit",
        environment="sandbox",
        fields={"client_id": "p", "client_secret": "p-secret", "webhook_secret": "platform-secret"},
    )
    shipment = book(platform)
    assert send_webhook(event()).status_code == 401
    assert send_webhook(event(), secret="platform-secret").status_code == 200
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"


def test_event_changes_only_shipments_of_the_signing_credential(credential, other_credential):
    shipment = book(credential)
    assert send_webhook(event(), credential, secret="other-secret").status_code == 401
    assert send_webhook(event(), other_credential, secret="other-secret").status_code == 200
    shipment.refresh_from_db()
    assert shipment.status == ""
    assert not Checkpoint.objects.exists()
    assert InboundWebhook.objects.get().state == "unmatched"


@pytest.mark.parametrize(
    "path", ["/webhooks/nobody/events", f"/webhooks/pickit/events/{'0' * 8}-0000-7000-8000-{'0' * 12}"]
)
def test_unknown_carrier_or_credential_is_not_found(path):
    assert send_webhook(event(), path=path).status_code == 404


def test_inactive_credential_still_receives_events(credential):
    shipment = book(credential)
    type(credential).objects.update(is_active=False)
    assert send_webhook(event(), credential).status_code == 200
    shipment.refresh_from_db()
    assert shipment.status == "in_transit"


def test_repeated_webhook_is_accepted_and_applied_once(credential):
    book(credential)
    for _ in range(3):
        assert send_webhook(event(), credential).status_code == 200
    assert Checkpoint.objects.count() == 1 == InboundWebhook.objects.count()


@pytest.mark.parametrize(
    "body",
    [b"not json", b"[]", b"\xff\xfe", b"{}", b'{"event_type": "shipment.delivered", "timestamp": "x", "data": {}}'],
)
def test_unreadable_webhook_is_stored_and_can_be_processed_again(credential, body):
    assert send_webhook(body, credential).status_code == 200
    row = InboundWebhook.objects.get()
    assert row.state == "failed"
    assert row.error
    assert bytes(row.body) == body
    assert service.process(row.id) == "failed"
