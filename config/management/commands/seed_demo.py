"""Create a demo merchant. Running the command again changes nothing that exists."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from apikeys.db.tenancy import Mode, Tenant
from apikeys.http.fields import Moment
from apikeys.keys.format import key_digest
from apikeys.keys.lifecycle import store_key
from apikeys.models import ApiKey, Membership, Merchant, User
from carriers.credentials import storage
from carriers.models import Credential, Environment
from carriers.types import Status
from shipping.checkpoints import posting
from shipping.checkpoints.posting import Item
from shipping.models import BookingState, Shipment
from webhooks.models import WebhookEndpoint

# Fixed, because the sandbox sends webhooks to a path with this id.
OWN_CREDENTIAL = uuid.UUID("01890000-0000-7000-8000-000000000001")
ENDPOINT = uuid.UUID("01890000-0000-7000-8000-000000000002")
ENDPOINT_SECRET = "whsec_ZGVtby13ZWJob29rLXNlY3JldC1mb3ItdHJ5aW5nLW91dCE="
ADMIN_PASSWORD = "demo-admin-password"
# Known to the carrier sandbox.
PLATFORM_CREDENTIALS = {
    "pickit": {"client_id": "pickit-platform", "client_secret": "test-secret", "webhook_secret": "test-secret"},
    "velocity": {"username": "velocity-platform", "password": "test-secret", "webhook_secret": "test-secret"},
    "ups": {
        "client_id": "ups-platform",
        "client_secret": "test-secret",
        "account_number": "A1B2C3",
        "webhook_token": "test-secret",
    },
    "bring": {
        "api_uid": "platform@bring.example",
        "api_key": "test-secret",
        "customer_number": "20012345678",
        "cod_account_number": "12345678903",
        "webhook_token": "test-secret",
    },
}
# Shipments of Pickit's document, which the sandbox has too.
DOCUMENTED = ("PKT-1234567890", "PKT-1234567891", "PKT-1234567892")


class Command(BaseCommand):
    help = "Create the demo merchant (only with DEBUG=true)."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("The demo merchant has known secrets: DEBUG=true is needed.")
        with transaction.atomic():
            tenant = _create_merchant()
            _create_credentials(tenant)
            _create_endpoint(tenant)
            _create_unit(tenant)
            _create_documented_shipments(tenant)
            _create_admin(tenant)
        web = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
        # The demo must run with the same ports, if they are not the default ones.
        defaults = {"PORT": "8000", "SANDBOX_PORT": "8010", "RECEIVER_PORT": "8020"}
        ports = [f"{name}={os.environ[name]}" for name, port in defaults.items() if os.environ.get(name, port) != port]
        self.stdout.write(
            f"""
  Waybill      {web}/health
  API docs     {web}/api/docs/
  Admin        {web}/admin/       admin / {ADMIN_PASSWORD}
  Demo key     X-API-Key: {settings.DEMO_API_KEY}
  Sandbox      {settings.CARRIER_SANDBOX_URL}/_sandbox/health
  Try it       {" ".join([*ports, "make demo"])}
"""
        )


def _create_merchant() -> Tenant:
    merchant, _created = Merchant.objects.get_or_create(
        slug="demo", defaults={"name": "Demo merchant", "plan_id": "enterprise", "default_country": "US"}
    )
    tenant = Tenant(merchant.id, Mode.TEST)
    if not ApiKey.objects.filter(digest=key_digest(settings.DEMO_API_KEY)).exists():
        store_key(tenant, settings.DEMO_API_KEY, name="demo", is_demo=True)
    return tenant


def _create_credentials(tenant: Tenant) -> None:
    platform = {"tenant": None, "mode": Mode.TEST, "environment": Environment.SANDBOX}
    for carrier, fields in PLATFORM_CREDENTIALS.items():
        if not Credential.objects.filter(merchant=None, carrier=carrier, mode=Mode.TEST).exists():
            storage.save_credential(**platform, carrier=carrier, fields=fields)
    if not Credential.objects.filter(id=OWN_CREDENTIAL).exists():
        Credential.objects.create(
            id=OWN_CREDENTIAL,
            merchant_id=tenant.merchant_id,
            mode=Mode.TEST,
            carrier="pickit",
            fields=PLATFORM_CREDENTIALS["pickit"] | {"client_id": "test-client-id"},
        )


def _create_endpoint(tenant: Tenant) -> None:
    receiver = f"http://127.0.0.1:{os.environ.get('RECEIVER_PORT', '8020')}/webhooks"
    endpoint, created = WebhookEndpoint.objects.get_or_create(
        id=ENDPOINT,
        defaults={
            "merchant_id": tenant.merchant_id,
            "mode": Mode.TEST,
            "url": receiver,
            "description": "The receiver that make demo starts",
            "secret": ENDPOINT_SECRET,
        },
    )
    if not created and endpoint.url != receiver:
        endpoint.url = receiver
        endpoint.save(update_fields=["url"])


def _create_unit(tenant: Tenant) -> None:
    if Shipment.objects.of(tenant).filter(tracking_number="TEST123456").exists():
        return
    time = "2024-01-15T10:30:00Z"
    moment = Moment(datetime.fromisoformat(time), time, tz_assumed=False)
    posting.post(tenant, Item("TEST123456", Status.CREATED, "Bogotá, Colombia", "Paquete creado", moment))


def _create_documented_shipments(tenant: Tenant) -> None:
    """Create shipments that were booked at the carrier before. They are tracked when they are requested."""
    platform = Credential.objects.get(merchant=None, carrier="pickit", mode=Mode.TEST)
    for number in DOCUMENTED:
        if Shipment.objects.of(tenant).filter(carrier="pickit", tracking_number=number).exists():
            continue
        Shipment.objects.create(
            merchant_id=tenant.merchant_id,
            mode=tenant.mode,
            carrier="pickit",
            credential=platform,
            booking_state=BookingState.BOOKED,
            status=Status.CREATED,
            tracking_number=number,
            reference=f"DEMO-{number}",
            service_type="standard",
            origin={"city": "Brooklyn", "state": "NY", "country": "US", "postal_code": "11201"},
            destination={"city": "Manhattan", "state": "NY", "country": "US", "postal_code": "10001"},
            created_at=datetime(2024, 1, 15, 10, tzinfo=UTC),
        )


def _create_admin(tenant: Tenant) -> None:
    if User.objects.filter(username="admin").exists():
        return
    admin = User.objects.create_superuser("admin", "admin@example.com", ADMIN_PASSWORD)
    Membership.objects.create(merchant_id=tenant.merchant_id, user=admin, role=Membership.Role.OWNER)
