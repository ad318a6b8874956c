"""Stored secrets that cannot be decrypted are reported in responses and in the log; other work continues.

The ciphertexts of two rows are swapped, or one bit is flipped. Both must fail to decrypt.
"""

import base64
import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.db.crypto import Ciphertext
from apikeys.db.tenancy import Tenant
from apikeys.models import IdempotencyRecord, Merchant
from carriers.credentials import refresh, storage
from carriers.credentials.fields import decrypt_fields
from carriers.models import Credential, CredentialToken
from shipping.labels.reconciliation import reconcile
from shipping.models import BookingState, Pickup, Shipment
from webhooks.models import Attempt, Delivery, WebhookEndpoint
from webhooks.tests.helpers import book, event, fan_out_and_attempt, send_webhook

pytestmark = pytest.mark.django_db
FIELDS = {"client_id": "test-client-id", "client_secret": "test-secret", "webhook_secret": "test-secret"}
ERROR_KEYS = {"error", "message", "details", "correlation_id", "carrier", "carrier_code", "carrier_message"}
PUBLIC = EventType("shipment.booked", public=True)
INVALID_TOKEN = Ciphertext("v1.demo.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")


def stored_text(row, column):
    return str(type(row).objects.filter(pk=row.pk).values_list(column, flat=True)[0])


def store_text(row, column, ciphertext):
    type(row).objects.filter(pk=row.pk).update(**{column: Ciphertext(ciphertext)})


def swap(one, other, column):
    first, second = stored_text(one, column), stored_text(other, column)
    store_text(one, column, second)
    store_text(other, column, first)


def flip(row, column):
    """Flip one bit in the middle of the ciphertext."""
    head, _dot, content = stored_text(row, column).rpartition(".")
    changed = bytearray(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    changed[len(changed) // 2] ^= 1
    store_text(row, column, f"{head}.{base64.urlsafe_b64encode(changed).decode().rstrip('=')}")


@pytest.fixture(params=["swapped", "flipped"])
def damage(request):
    """Return a function that makes a row's secret undecryptable, by a swap or a flipped bit."""

    def damage_column(row, other, column):
        return swap(row, other, column) if request.param == "swapped" else flip(row, column)

    return damage_column


@pytest.fixture
def neighbour(db):
    """Another merchant."""
    other = Merchant.objects.create(name="Other", slug="other", plan_id="enterprise")
    return Tenant(other.id, "test")


def save_credential(tenant):
    """Save a credential of a merchant, or of the platform for None."""
    return storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=FIELDS)


@pytest.fixture
def undecryptable(credential, neighbour, damage):
    damage(credential, save_credential(neighbour), "fields")
    return credential


def requests_with(order):
    pickup = {"carrier": "pickit", "shipment_ids": [], "pickup_date": "2030-01-16", "packages_count": 1}
    pickup |= {"pickup_window_start": "09:00", "pickup_window_end": "17:00", "address": order["origin"]}
    return [
        ("/api/v1/quotes", order),
        ("/api/v1/labels", order),
        ("/api/v1/pickups", pickup),
    ]


def test_api_reports_an_undecryptable_credential(api, undecryptable, order, caplog):
    for path, body in requests_with(order):
        with caplog.at_level(logging.ERROR):
            answer = api.post(path, body, headers={"Idempotency-Key": f"once-{path}"})
        assert answer.status_code == 502, path
        body = answer.json()
        assert body["error"] == "carrier_authentication"
        assert set(body) >= ERROR_KEYS
        assert "Save it again" in body["message"]
        assert not body["retryable"]
    assert api.get("/api/v1/service-coverage", carrier="pickit", postal_code="10001", city="NY").status_code == 502
    named = [record for record in caplog.records if record.message == "stored credential not readable"]
    assert {record.credential for record in named} == {str(undecryptable.id)}
    assert not [record for record in caplog.records if record.exc_info]
    # Nothing is left to finish, and the request may be repeated with the same key.
    assert not Shipment.objects.exists()
    assert not Pickup.objects.exists()
    assert not IdempotencyRecord.objects.exists()


def test_credential_works_after_it_is_saved_again(api, undecryptable, order, sandbox):
    path = "/api/v1/carriers/pickit/credentials"
    part = {"environment": "sandbox", "credentials": {"webhook_secret": "new-webhook-secret"}}
    answer = api.post(path, part)
    assert answer.status_code == 400
    assert set(answer.json()["details"]) == {"credentials.client_id", "credentials.client_secret"}
    assert api.post(path, part | {"credentials": FIELDS}).status_code == 200
    assert api.post("/api/v1/quotes", order).status_code == 200
    assert Credential.objects.get(pk=undecryptable.pk).fields == FIELDS


def test_platform_credential_does_not_replace_an_undecryptable_one(api, undecryptable, order):
    save_credential(None)
    assert api.post("/api/v1/quotes", order).status_code == 502


def test_admin_page_of_an_undecryptable_credential_accepts_new_values(admin_client, undecryptable):
    page = f"/admin/carriers/credential/{undecryptable.pk}/change/"
    assert "cannot be decrypted" in admin_client.get(page).content.decode()
    assert admin_client.get("/admin/carriers/credential/").status_code == 200
    inputs = {f"pickit__{name}": value for name, value in FIELDS.items()}
    admin_client.post(page, {"is_active": "on", "pickit__client_id": "alone"}, follow=True)
    assert decrypt_fields(Credential.objects.get(pk=undecryptable.pk)) is None
    admin_client.post(page, {"is_active": "on"} | inputs, follow=True)
    assert Credential.objects.get(pk=undecryptable.pk).fields == FIELDS


def test_carrier_repeats_a_webhook_with_an_undecryptable_secret(credential, neighbour, damage):
    intact = save_credential(neighbour)
    damage(credential, save_credential(None), "fields")
    answer = send_webhook(event(), credential)
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert send_webhook(event(), intact).status_code == 200


def test_undecryptable_platform_credential_does_not_block_the_other(credential):
    for mode, environment in (("test", "sandbox"), ("live", "production")):
        storage.save_credential(tenant=None, mode=mode, carrier="pickit", environment=environment, fields=FIELDS)
    flip(Credential.objects.get(merchant=None, mode="live"), "fields")
    book(Credential.objects.get(merchant=None, mode="test"))
    assert send_webhook(event()).status_code == 200
    assert send_webhook(event(), secret="wrong").status_code == 503


def test_undecryptable_token_is_replaced(api, credential, neighbour, order, sandbox, damage):
    other = save_credential(neighbour)
    assert api.post("/api/v1/quotes", order).status_code == 200
    another = CredentialToken.objects.create(credential=other, token="another token")
    damage(CredentialToken.objects.get(credential=credential), another, "token")
    assert api.post("/api/v1/quotes", order).status_code == 200
    assert CredentialToken.objects.get(credential=credential).token


def test_tokens_of_other_credentials_are_still_renewed(credential, neighbour, sandbox, damage):
    """The first credential cannot be decrypted, nor can the token of the second."""
    third = Tenant(Merchant.objects.create(name="Third", slug="third").id, "test")
    rows = [credential, save_credential(neighbour), save_credential(third)]
    tokens = [
        CredentialToken.objects.create(credential=row, token="old", expires_at=timezone.now(), used_at=timezone.now())
        for row in rows
    ]
    damage(rows[0], save_credential(None), "fields")
    store_text(tokens[1], "token", INVALID_TOKEN)
    fresh, failed = refresh.refresh_tokens()
    assert fresh == 2
    assert len(failed) == 1
    assert "cannot be read" in failed[0]
    assert all(CredentialToken.objects.get(pk=row.pk).token not in ("", "old") for row in tokens[1:])


def test_pending_shipment_with_an_undecryptable_credential_waits_for_review(undecryptable, merchant, caplog):
    shipment = Shipment.objects.create(
        merchant=merchant,
        mode="test",
        carrier="pickit",
        credential=undecryptable,
        booking_state=BookingState.PENDING,
        reference="WB-1",
        reconcile_at=timezone.now(),
    )
    assert reconcile() == {"error": 1}
    shipment.refresh_from_db()
    assert shipment.reconcile_at > timezone.now()
    assert not [record for record in caplog.records if record.exc_info]
    Shipment.objects.update(created_at=timezone.now() - timedelta(days=2), reconcile_at=timezone.now())
    assert reconcile() == {"review": 1}


@pytest.mark.django_db(transaction=True)
def test_delivery_with_an_undecryptable_secret_is_given_up_and_reported(
    admin_client,
    tenant,
    neighbour,
    endpoint,
    receiver,
    pool,
    damage,
    caplog,
):
    healthy = WebhookEndpoint.objects.create(
        merchant_id=tenant.merchant_id, mode="test", url=receiver.url, secret="whsec_aGVhbHRoeS1lbmRwb2ludC1zZWNyZXQ="
    )
    other = WebhookEndpoint.objects.create(
        merchant_id=neighbour.merchant_id, mode="test", url=receiver.url, secret="whsec_AAAA"
    )
    damage(endpoint, other, "secret")
    events.record(PUBLIC, tenant=tenant)
    with caplog.at_level(logging.ERROR):
        assert fan_out_and_attempt(pool) == 2
    assert Delivery.objects.get(endpoint=healthy).state == "delivered"
    dead = Delivery.objects.get(endpoint=endpoint)
    assert (dead.state, dead.lease_until) == ("dead", None)
    attempt = Attempt.objects.get(delivery=dead)
    assert (attempt.outcome, attempt.status) == ("unsigned", None)
    assert "webhooks_webhookendpoint:secret" in attempt.error
    assert "endpoint's secret not readable" in [record.message for record in caplog.records]
    assert not [record for record in caplog.records if record.exc_info]
    for page in (f"webhookendpoint/{endpoint.pk}", f"delivery/{dead.pk}", f"attempt/{attempt.pk}"):
        assert admin_client.get(f"/admin/webhooks/{page}/change/").status_code == 200
    assert "secret cannot be read" in admin_client.get(f"/admin/webhooks/attempt/{attempt.pk}/change/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_delivery_is_replayed_after_the_secret_is_restored(
    admin_client,
    tenant,
    endpoint,
    receiver,
    pool,
):
    flip(endpoint, "secret")
    events.record(PUBLIC, tenant=tenant)
    fan_out_and_attempt(pool)
    store_text(endpoint, "secret", WebhookEndpoint._meta.get_field("secret").encrypt_for(endpoint.pk, "whsec_AAAA"))
    form = {"action": "send_again", "_selected_action": [str(Delivery.objects.get().pk)]}
    admin_client.post("/admin/webhooks/delivery/", form, follow=True)
    fan_out_and_attempt(pool)
    assert Delivery.objects.get().state == "delivered"
