"""Admin pages: processing webhooks again, replaying deliveries, creating endpoints with a secret shown once."""

import json

import pytest
from django.urls import reverse

from apikeys.audit import events
from apikeys.db.crypto import Ciphertext
from apikeys.models import User
from shipping.models import BookingState, Checkpoint, Shipment
from shipping.models.event_types import SHIPMENT_BOOKED
from webhooks.inbound import service
from webhooks.models import Attempt, Delivery, InboundWebhook, WebhookEndpoint

pytestmark = pytest.mark.django_db
NUMBER = "PKT-0000000001"


def run_action(client, path, action, *rows):
    form = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(f"/admin/webhooks/{path}/", form, follow=True)


@pytest.fixture
def shipment(credential):
    return Shipment.objects.create(
        merchant_id=credential.merchant_id,
        mode="test",
        carrier="pickit",
        credential=credential,
        booking_state=BookingState.BOOKED,
        tracking_number=NUMBER,
        reference="REF-1",
    )


@pytest.fixture
def delivery(merchant, tenant, shipment):
    owner = {"merchant": merchant, "mode": "test"}
    endpoint = WebhookEndpoint.objects.create(**owner, url="https://shop.example.com/hook", secret="whsec_AAAA")
    event = events.record(SHIPMENT_BOOKED, tenant=tenant, subject_id=shipment.pk)
    row = Delivery.objects.create(
        **owner, endpoint=endpoint, event=event, subject_id=shipment.pk, body=b"{}", state="dead", attempt_count=9
    )
    for number in range(1, 6):
        Attempt.objects.create(delivery=row, number=number, outcome="http_error", status=500 + number, duration_ms=5)
    return row


def store_failed(credential, body):
    return InboundWebhook.objects.create(
        carrier="pickit", credential=credential, digest=str(hash(body)), body=body, state="failed", error="a bug"
    )


def test_failed_webhook_is_processed_again(admin_client, credential, shipment):
    head = {"event_type": "shipment.in_transit", "timestamp": "2024-01-16T08:00:00Z"}
    good = store_failed(credential, json.dumps(head | {"data": {"tracking_number": NUMBER}}).encode())
    bad = store_failed(credential, b"{not json")
    page = run_action(admin_client, "inboundwebhook", "run_again", good, bad)
    assert "1 failed, 1 processed" in page.content.decode()
    assert Checkpoint.objects.get().shipment == shipment
    good.refresh_from_db()
    assert good.state == "processed"


def test_failure_of_one_webhook_does_not_stop_the_others(admin_client, credential, shipment, monkeypatch):
    first, second = store_failed(credential, b"{}"), store_failed(credential, b"{not json")
    real_process = service.process

    def process(inbound_id):
        if inbound_id == first.id:
            raise RuntimeError("a bug")
        return real_process(inbound_id)

    monkeypatch.setattr(service, "process", process)
    page = run_action(admin_client, "inboundwebhook", "run_again", first, second)
    assert "1 error (RuntimeError), 1 failed" in page.content.decode()


@pytest.mark.parametrize("state", ["dead", "delivered", "pending"])
def test_delivery_is_replayed_in_any_state(admin_client, delivery, state):
    Delivery.objects.update(state=state)
    page = run_action(admin_client, "delivery", "send_again", delivery)
    assert "1 deliveries are sent again" in page.content.decode()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempt_count) == ("pending", 0)


def test_viewer_cannot_replay_deliveries(client, delivery):
    user = User.objects.create(username="viewer", is_staff=True)
    permissions = User._meta.get_field("user_permissions").related_model.objects
    user.user_permissions.set(permissions.filter(codename__in=["view_delivery", "view_inboundwebhook"]))
    client.force_login(user)
    assert client.get("/admin/webhooks/delivery/").status_code == 200
    run_action(client, "delivery", "send_again", delivery)
    delivery.refresh_from_db()
    assert delivery.state == "dead"


def test_shipment_page_shows_deliveries_with_their_last_attempts(admin_client, delivery, shipment):
    page = admin_client.get(reverse("admin:shipping_shipment_change", args=[shipment.pk]))
    text = page.content.decode()
    assert "https://shop.example.com/hook" in text
    assert "given up" in text
    assert text.index("(505)") < text.index("(503)")
    assert "(502)" not in text


def test_delivery_page_shows_attempts_and_shipment(admin_client, delivery, shipment):
    text = admin_client.get(reverse("admin:webhooks_delivery_change", args=[delivery.pk])).content.decode()
    assert "(501)" in text
    assert reverse("admin:shipping_shipment_change", args=[shipment.pk]) in text


def add_endpoint(client, merchant, **changes):
    form = {"merchant": str(merchant.id), "mode": "test", "url": "https://shop.example.com/hook", "description": ""}
    return client.post(
        "/admin/webhooks/webhookendpoint/add/", form | {"event_types": "", "is_active": "on"} | changes, follow=True
    )


def test_secret_of_a_new_endpoint_is_shown_once(admin_client, merchant):
    page = add_endpoint(admin_client, merchant, event_types="shipment.*\r\npickup.completed")
    row = WebhookEndpoint.objects.get()
    assert row.event_types == ["shipment.*", "pickup.completed"]
    assert row.secret.startswith("whsec_")
    assert row.secret in page.content.decode()
    url = reverse("admin:webhooks_webhookendpoint_change", args=[row.pk])
    for response in (admin_client.get(url), admin_client.get("/admin/webhooks/webhookendpoint/")):
        assert row.secret not in response.content.decode()


def test_changed_endpoint_keeps_its_secret_and_owner(admin_client, merchant):
    add_endpoint(admin_client, merchant)
    before = WebhookEndpoint.objects.get()
    form = {"url": "https://shop.example.com/other", "description": "new", "event_types": "shipment.*", "mode": "live"}
    admin_client.post(reverse("admin:webhooks_webhookendpoint_change", args=[before.pk]), form)
    row = WebhookEndpoint.objects.get()
    assert (row.url, row.event_types, row.is_active) == ("https://shop.example.com/other", ["shipment.*"], False)
    assert (row.secret, row.mode) == (before.secret, "test")


@pytest.mark.parametrize(
    "url", ["http://shop.example.com/hook", "https://10.0.0.1/", "https://169.254.169.254/", "https://a:b@example.com/"]
)
def test_forbidden_url_is_refused(admin_client, merchant, url):
    page = add_endpoint(admin_client, merchant, url=url)
    assert page.context["adminform"].form.errors["url"]
    assert not WebhookEndpoint.objects.exists()


def test_endpoint_with_an_undecryptable_secret_is_shown(admin_client, delivery):
    WebhookEndpoint.objects.update(secret=Ciphertext("v1.gone.AAAA.AAAA"))
    row = WebhookEndpoint.objects.get()
    url = reverse("admin:webhooks_webhookendpoint_change", args=[row.pk])
    assert "cannot be decrypted" in admin_client.get(url).content.decode()
    form = {"url": row.url, "description": "", "event_types": ""}
    assert admin_client.post(url, form).status_code == 302
    assert not WebhookEndpoint.objects.get().is_active
    assert admin_client.get("/admin/webhooks/delivery/").status_code == 200
