"""A demo merchant to try Waybill out with; running it again changes nothing that is there."""

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

# The simulator reports to a path with this id, so it is the same on every installation.
OWN_CREDENTIAL = uuid.UUID("01890000-0000-7000-8000-000000000001")
ENDPOINT = uuid.UUID("01890000-0000-7000-8000-000000000002")
ENDPOINT_SECRET = "whsec_ZGVtby13ZWJob29rLXNlY3JldC1mb3ItdHJ5aW5nLW91dCE="
ADMIN_PASSWORD = "demo-admin-password"
# The carrier's document books these; the simulator knows them as well.
DOCUMENTED = ("PKT-1234567890", "PKT-1234567891", "PKT-1234567892")
_TEST123456 = [
    (Status.CREATED, "Bogotá, Colombia", "Paquete creado", "2024-01-15T10:30:00Z"),
]


class Command(BaseCommand):
    help = "Create the demo merchant (only with DEBUG=true)."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("The demo merchant has known secrets: DEBUG=true is needed.")
        with transaction.atomic():
            tenant = _merchant()
            _credentials(tenant)
            _endpoint(tenant)
            _unit(tenant)
            _documented_shipments(tenant)
            _admin(tenant)
        self._tell()

    def _tell(self) -> None:
        web = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
        self.stdout.write(
            f"""
  Waybill      {web}/health
  API docs     {web}/api/docs/
  Admin        {web}/admin/       admin / {ADMIN_PASSWORD}
  Demo key     X-API-Key: {settings.DEMO_API_KEY}
  Sandbox      {settings.CARRIER_SANDBOX_URL}/_sandbox/health
  Try it       {_demo_command()}
"""
        )


def _demo_command() -> str:
    """As it must be typed: with the ports that are not the usual ones."""
    usual = {"PORT": "8000", "SANDBOX_PORT": "8010", "RECEIVER_PORT": "8020"}
    chosen = [f"{name}={os.environ[name]}" for name, port in usual.items() if os.environ.get(name, port) != port]
    return " ".join([*chosen, "make demo"])


def _merchant() -> Tenant:
    merchant, _made = Merchant.objects.get_or_create(
        slug="demo", defaults={"name": "Demo merchant", "plan_id": "enterprise", "default_country": "US"}
    )
    tenant = Tenant(merchant.id, Mode.TEST)
    if not ApiKey.objects.filter(digest=key_digest(settings.DEMO_API_KEY)).exists():
        store_key(tenant, settings.DEMO_API_KEY, name="demo", is_demo=True)
    return tenant


def _credentials(tenant: Tenant) -> None:
    fields = {"client_secret": "test-secret", "webhook_secret": "test-secret"}
    platform = {"tenant": None, "mode": Mode.TEST, "carrier": "pickit", "environment": Environment.SANDBOX}
    if not Credential.objects.filter(merchant=None, carrier="pickit", mode=Mode.TEST).exists():
        storage.save_credential(**platform, fields=fields | {"client_id": "pickit-platform"})
    if not Credential.objects.filter(merchant=None, carrier="velocity", mode=Mode.TEST).exists():
        indian = {"username": "velocity-platform", "password": "test-secret", "webhook_secret": "test-secret"}
        storage.save_credential(**platform | {"carrier": "velocity"}, fields=indian)
    if not Credential.objects.filter(id=OWN_CREDENTIAL).exists():
        Credential.objects.create(
            id=OWN_CREDENTIAL,
            merchant_id=tenant.merchant_id,
            mode=Mode.TEST,
            carrier="pickit",
            fields=fields | {"client_id": "test-client-id"},
        )


def _endpoint(tenant: Tenant) -> None:
    receiver = f"http://127.0.0.1:{os.environ.get('RECEIVER_PORT', '8020')}/webhooks"
    endpoint, made = WebhookEndpoint.objects.get_or_create(
        id=ENDPOINT,
        defaults={
            "merchant_id": tenant.merchant_id,
            "mode": Mode.TEST,
            "url": receiver,
            "description": "The receiver that make demo starts",
            "secret": ENDPOINT_SECRET,
        },
    )
    if not made and endpoint.url != receiver:
        endpoint.url = receiver
        endpoint.save(update_fields=["url"])


def _unit(tenant: Tenant) -> None:
    if Shipment.objects.of(tenant).filter(tracking_number="TEST123456").exists():
        return
    for status, place, text, time in _TEST123456:
        moment = Moment(datetime.fromisoformat(time), time, tz_assumed=False)
        posting.post(tenant, Item("TEST123456", status, place, text, moment))


def _documented_shipments(tenant: Tenant) -> None:
    """Booked at the carrier before Waybill came; read for the first time when somebody asks."""
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


def _admin(tenant: Tenant) -> None:
    if User.objects.filter(username="admin").exists():
        return
    admin = User.objects.create_superuser("admin", "admin@example.com", ADMIN_PASSWORD)
    Membership.objects.create(merchant_id=tenant.merchant_id, user=admin, role=Membership.Role.OWNER)
