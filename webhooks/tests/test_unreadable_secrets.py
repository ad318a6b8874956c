"""A stored secret that does not open is named, on the wire and in the log; all other work goes on.

Two rows' ciphertexts are swapped, or one bit is flipped: neither opens, and neither is taken for the other.
"""

import base64
import logging
from concurrent.futures import ThreadPoolExecutor
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
from carriers.models import Credential
from shipping.labels.reconciliation import reconcile
from shipping.models import BookingState, Pickup, Shipment
from webhooks.models import Attempt, Delivery, WebhookEndpoint
from webhooks.outbound import signing
from webhooks.tests.test_inbound import booked, event, push
from webhooks.tests.test_outbound import Receiver, work

pytestmark = pytest.mark.django_db(transaction=True)
ACCOUNT = {"client_id": "test-client-id", "client_secret": "test-secret", "webhook_secret": "test-secret"}
HOUSE_SHAPE = {"error", "message", "details", "correlation_id", "carrier", "carrier_code", "carrier_message"}
PUBLIC = EventType("shipment.booked", public=True)
MADE_UP = Ciphertext("v1.demo.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")


def raw(row, column):
    return str(type(row).objects.filter(pk=row.pk).values_list(column, flat=True)[0])


def put(row, column, sealed):
    type(row).objects.filter(pk=row.pk).update(**{column: Ciphertext(sealed)})


def swap(one, other, column):
    first, second = raw(one, column), raw(other, column)
    put(one, column, second)
    put(other, column, first)


def flip(row, column):
    """One bit in the middle of the ciphertext."""
    head, _dot, content = raw(row, column).rpartition(".")
    changed = bytearray(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    changed[len(changed) // 2] ^= 1
    put(row, column, f"{head}.{base64.urlsafe_b64encode(changed).decode().rstrip('=')}")


@pytest.fixture(params=["swapped", "flipped"])
def spoil(request):
    """Make a row's secret unreadable, in either way."""

    def do(row, other, column):
        return swap(row, other, column) if request.param == "swapped" else flip(row, column)

    return do


@pytest.fixture
def neighbour(db):
    """Another merchant with an account and an endpoint of its own."""
    other = Merchant.objects.create(name="Other", slug="other", plan_id="enterprise")
    return Tenant(other.id, "test")


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def endpoint(tenant, receiver):
    return WebhookEndpoint.objects.create(
        merchant_id=tenant.merchant_id, mode="test", url=receiver.url, secret=signing.new_secret()
    )


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as one:
        yield one


def account_of(tenant):
    """``None``: the platform's."""
    return storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=ACCOUNT)


@pytest.fixture
def broken(credential, neighbour, spoil):
    spoil(credential, account_of(neighbour), "fields")
    return credential


def calls(order):
    pickup = {"carrier": "pickit", "shipment_ids": [], "pickup_date": "2030-01-16", "packages_count": 1}
    pickup |= {"pickup_window_start": "09:00", "pickup_window_end": "17:00", "address": order["origin"]}
    return [
        ("/api/v1/quotes", order),
        ("/api/v1/labels", order),
        ("/api/v1/pickups", pickup),
    ]


def test_the_api_says_that_the_stored_credential_cannot_be_read(api, broken, order, caplog):
    for path, body in calls(order):
        with caplog.at_level(logging.ERROR):
            answer = api.post(path, body, headers={"Idempotency-Key": f"once-{path}"})
        assert answer.status_code == 502, path
        told = answer.json()
        assert told["error"] == "carrier_authentication"
        assert set(told) >= HOUSE_SHAPE
        assert "Save it again" in told["message"]
        assert not told["retryable"]
    assert api.get("/api/v1/service-coverage", carrier="pickit", postal_code="10001", city="NY").status_code == 502
    named = [record for record in caplog.records if record.message == "stored credential not readable"]
    assert {record.credential for record in named} == {str(broken.id)}
    assert not [record for record in caplog.records if record.exc_info]
    # Nothing was begun that somebody would have to finish, and the same request may come again.
    assert not Shipment.objects.exists()
    assert not Pickup.objects.exists()
    assert not IdempotencyRecord.objects.exists()


def test_it_works_again_once_it_is_saved_again(api, broken, order, sandbox):
    path = "/api/v1/carriers/pickit/credentials"
    part = {"environment": "sandbox", "credentials": {"webhook_secret": "new-webhook-secret"}}
    answer = api.post(path, part)
    assert answer.status_code == 400
    assert set(answer.json()["details"]) == {"credentials.client_id", "credentials.client_secret"}
    assert api.post(path, part | {"credentials": ACCOUNT}).status_code == 200
    assert api.post("/api/v1/quotes", order).status_code == 200
    assert Credential.objects.get(pk=broken.pk).fields == ACCOUNT


def test_the_platforms_account_does_not_stand_in_for_it(api, broken, order):
    account_of(None)
    assert api.post("/api/v1/quotes", order).status_code == 502


def test_the_admin_page_opens_and_takes_new_values(admin_client, broken):
    page = f"/admin/carriers/credential/{broken.pk}/change/"
    assert "cannot be decrypted" in admin_client.get(page).content.decode()
    assert admin_client.get("/admin/carriers/credential/").status_code == 200
    inputs = {f"pickit__{name}": value for name, value in ACCOUNT.items()}
    admin_client.post(page, {"is_active": "on", "pickit__client_id": "alone"}, follow=True)
    assert decrypt_fields(Credential.objects.get(pk=broken.pk)) is None
    admin_client.post(page, {"is_active": "on"} | inputs, follow=True)
    assert Credential.objects.get(pk=broken.pk).fields == ACCOUNT


def test_a_carriers_webhook_is_asked_for_again_while_its_proof_cannot_be_read(credential, neighbour, spoil):
    whole = account_of(neighbour)
    spoil(credential, account_of(None), "fields")
    answer = push(event(), credential)
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert push(event(), whole).status_code == 200


def test_one_platform_account_that_is_broken_does_not_silence_the_other(credential):
    for mode, environment in (("test", "sandbox"), ("live", "production")):
        storage.save_credential(tenant=None, mode=mode, carrier="pickit", environment=environment, fields=ACCOUNT)
    flip(Credential.objects.get(merchant=None, mode="live"), "fields")
    booked(Credential.objects.get(merchant=None, mode="test"))
    assert push(event()).status_code == 200
    assert push(event(), secret="wrong").status_code == 503


def test_a_broken_token_is_replaced_by_a_new_one(api, credential, neighbour, order, sandbox, spoil):
    other = account_of(neighbour)
    assert api.post("/api/v1/quotes", order).status_code == 200
    put(other, "token", Credential._meta.get_field("token").sealed_for(other.pk, "another token"))
    spoil(Credential.objects.get(pk=credential.pk), other, "token")
    assert api.post("/api/v1/quotes", order).status_code == 200
    assert Credential.objects.get(pk=credential.pk).token


def test_tokens_of_other_accounts_are_renewed_all_the_same(credential, neighbour, sandbox, spoil):
    """The broken ones come first: an account that cannot be read, and one whose token cannot."""
    third = Tenant(Merchant.objects.create(name="Third", slug="third").id, "test")
    rows = [credential, account_of(neighbour), account_of(third)]
    for row in rows:
        put(row, "token", Credential._meta.get_field("token").sealed_for(row.pk, "old"))
    Credential.objects.update(token_expires_at=timezone.now(), token_used_at=timezone.now())
    spoil(rows[0], account_of(None), "fields")
    put(rows[1], "token", MADE_UP)
    fresh, failed = refresh.refresh_tokens()
    assert fresh == 2
    assert len(failed) == 1
    assert "cannot be read" in failed[0]
    assert all(Credential.objects.get(pk=row.pk).token not in ("", "old") for row in rows[1:])


def test_a_booking_that_cannot_be_looked_up_waits_and_is_listed(broken, merchant, caplog):
    shipment = Shipment.objects.create(
        merchant=merchant,
        mode="test",
        carrier="pickit",
        credential=broken,
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


def test_a_delivery_whose_secret_does_not_open_is_given_up_in_sight(
    admin_client,
    tenant,
    neighbour,
    endpoint,
    receiver,
    pool,
    spoil,
    caplog,
):
    healthy = WebhookEndpoint.objects.create(
        merchant_id=tenant.merchant_id, mode="test", url=receiver.url, secret="whsec_aGVhbHRoeS1lbmRwb2ludC1zZWNyZXQ="
    )
    other = WebhookEndpoint.objects.create(
        merchant_id=neighbour.merchant_id, mode="test", url=receiver.url, secret="whsec_AAAA"
    )
    spoil(endpoint, other, "secret")
    events.record(PUBLIC, tenant=tenant)
    with caplog.at_level(logging.ERROR):
        assert work(pool) == 2
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


def test_a_delivery_is_sent_again_once_its_secret_is_new(
    admin_client,
    tenant,
    endpoint,
    receiver,
    pool,
):
    flip(endpoint, "secret")
    events.record(PUBLIC, tenant=tenant)
    work(pool)
    put(endpoint, "secret", WebhookEndpoint._meta.get_field("secret").sealed_for(endpoint.pk, "whsec_AAAA"))
    chosen = {"action": "send_again", "_selected_action": [str(Delivery.objects.get().pk)]}
    admin_client.post("/admin/webhooks/delivery/", chosen, follow=True)
    work(pool)
    assert Delivery.objects.get().state == "delivered"
