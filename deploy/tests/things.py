"""Objects of a running installation, for tests that need their ids; created over its API."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable
from typing import Any

from carriers.sandbox.pickit.webhooks import sign
from config.management.commands.seed_demo import ADMIN_PASSWORD
from deploy.tests.system import System

CARRIER = "pickit"
PLACE = {"street": "456 Warehouse Ave", "city": "Brooklyn", "postal_code": "11201", "country": "US"}
OWN_CREDENTIAL_FIELDS = {"client_id": "test-client-id", "client_secret": "test-secret", "webhook_secret": "test-secret"}
INDIAN_CREDENTIAL_FIELDS = {"username": "+910000000000", "password": "test-secret", "webhook_secret": "test-secret"}
INDIAN_ADDRESS = {
    "contact_name": "Jane Smith",
    "contact_phone": "9000000001",
    "street": "12 Example Road",
    "city": "Mumbai",
    "state": "Maharashtra",
    "postal_code": "400069",
    "country": "IN",
}
NORWEGIAN_ADDRESS = {
    "contact_name": "Kari Nordmann",
    "contact_phone": "+4740000000",
    "contact_email": "kari@example.com",
    "street": "Storgata 1",
    "city": "Oslo",
    "postal_code": "0155",
    "country": "NO",
}
PERSON = {"email": "admin", "password": ADMIN_PASSWORD}
# Statuses that must be posted before a status.
BEFORE = {
    "created": (),
    "picked_up": ("created",),
    "in_transit": ("created", "picked_up"),
    "out_for_delivery": ("created", "picked_up", "in_transit"),
    "delivered": ("created", "picked_up", "in_transit", "out_for_delivery"),
    "exception": ("created",),
}

MEMBERS = """
import json, uuid
from apikeys.models import Membership, Merchant, User
merchant, names = Merchant.objects.get(slug="demo"), [uuid.uuid4().hex for _ in range(100)]
people = User.objects.bulk_create(User(username=name, email=f"{name}@example.com") for name in names)
rows = Membership.objects.bulk_create(Membership(merchant=merchant, user=one, role="viewer") for one in people)
print(json.dumps([str(row.id) for row in rows]))
"""


MANIFEST = """
import json
from django.core.files.base import ContentFile
from carriers.models import Credential
from shipping.models import Manifest, ManifestFile
owner = Credential.objects.exclude(merchant=None).filter(carrier="pickit").first()
row = Manifest.objects.create(
    merchant=owner.merchant, mode="test", carrier="pickit", credential=owner, day="2026-11-30"
)
ManifestFile.objects.create(id=row.id, manifest=row, format="PDF", file=ContentFile(b"%PDF-1.4", "manifest.pdf"))
print(json.dumps(str(row.id)))
"""


class Things:
    """Creates objects, and keeps some of each kind for requests that do not delete or change them."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.kept: dict[Callable[[Things], str], list[str]] = {}
        self.count = itertools.count()
        self.members: list[str] = []
        self.documented: dict[str, Any] = {}
        self.manifest = ""

    def some(self, make: Callable[[Things], str], *, fresh: bool = False) -> str:
        """Return an id: one of three in turn, or a new one that no other request uses."""
        if fresh:
            return make(self)
        kept = self.kept.setdefault(make, [])
        if len(kept) < 3:
            kept.append(make(self))
            return kept[-1]
        return kept[next(self.count) % len(kept)]

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send a request that must succeed; return its response."""
        response = self.system.api(method, path, body)
        assert response.ok, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    def restore_credential(self) -> None:
        """Save the merchant's first credential at the carrier again."""
        body = {"environment": "sandbox", "credentials": OWN_CREDENTIAL_FIELDS}
        self.request("POST", f"/api/v1/carriers/{CARRIER}/credentials", body)


def order(**changes: Any) -> dict[str, Any]:
    """Return a request for a label."""
    return {
        "carrier": CARRIER,
        "order_id": f"ORDER-{uuid.uuid4().hex[:12]}",
        "origin": PLACE,
        "destination": PLACE | {"postal_code": "10001", "contact_name": "Jane Smith"},
        "packages": [{"weight_kg": 2}],
    } | changes


def label(things: Things) -> dict[str, Any]:
    """Buy a label."""
    return things.request("POST", "/api/v1/labels", order())


def warehouse(things: Things, *carriers: str) -> str:
    """Create a warehouse in India; return its id."""
    body = {"name": f"Warehouse {uuid.uuid4().hex[:12]}", "address": INDIAN_ADDRESS, "carriers": list(carriers)}
    return things.request("POST", "/api/v1/warehouses", body)["id"]


def indian_warehouse(things: Things) -> str:
    """Create a warehouse in India that other requests do not change."""
    return warehouse(things)


def indian_order(warehouse_id: str, **changes: Any) -> dict[str, Any]:
    """Return a request for a label of the carrier that requires warehouses."""
    return {
        "carrier": "velocity",
        "order_id": f"ORDER-{uuid.uuid4().hex[:12]}",
        "origin": INDIAN_ADDRESS,
        "destination": INDIAN_ADDRESS | {"postal_code": "560102", "city": "Bangalore"},
        "packages": [{"weight_kg": 1, "length_cm": 10, "width_cm": 10, "height_cm": 10}],
        "warehouse_id": warehouse_id,
    } | changes


def american_order(**changes: Any) -> dict[str, Any]:
    """Return a request for a label of the carrier that numbers each parcel, within the United States."""
    place = PLACE | {"state": "NY", "contact_name": "Jane Smith", "contact_phone": "+12125550100"}
    order = {
        "carrier": "ups",
        "order_id": f"ORDER-{uuid.uuid4().hex[:12]}",
        "origin": place,
        "destination": place | {"street": "789 Customer St"},
        "packages": [{"weight_kg": 1}],
        "service_type": "03",
        "label_format": "GIF",
    }
    return order | changes


def norwegian_order(**changes: Any) -> dict[str, Any]:
    """Return a request for a label of the carrier without cancellations."""
    order = {
        "carrier": "bring",
        "order_id": f"ORDER-{uuid.uuid4().hex[:12]}",
        "origin": NORWEGIAN_ADDRESS,
        "destination": NORWEGIAN_ADDRESS | {"street": "Karl Johans gate 1"},
        "packages": [{"weight_kg": 1}],
        "service_type": "5000",
    }
    return order | changes


def norwegian_credential(things: Things) -> str:
    """Create the merchant's credential at the Norwegian carrier; return its id."""
    fields = {"api_uid": "test@bring.example", "api_key": "test-secret", "customer_number": "5"}
    body = {"carrier": "bring", "environment": "sandbox", "credentials": fields}
    return things.request("POST", "/api/v1/courier-credentials", body)["id"]


def indian_shipment(things: Things) -> str:
    """Buy a shipment of the carrier that supports returns and changes; return its id."""
    return things.request("POST", "/api/v1/labels", indian_order(warehouse(things, "velocity")))["shipment_id"]


def indian_credential(things: Things) -> str:
    """Return the id of the merchant's credential at the Indian carrier; create it if needed."""
    there = things.request("GET", "/api/v1/courier-credentials")["credentials"]
    for account in there:
        if account["carrier"] == "Velocity Shipfast":
            return account["id"]
    body = {"carrier": "velocity", "environment": "sandbox", "credentials": INDIAN_CREDENTIAL_FIELDS}
    return things.request("POST", "/api/v1/courier-credentials", body)["id"]


def shipment(things: Things) -> str:
    """Buy a shipment; return its id or its tracking number in turn."""
    return label(things)[("shipment_id", "tracking_number")[next(things.count) % 2]]


def documented_shipment(things: Things) -> str:
    """Return the id of the shipment that ``document`` is of."""
    things.documented = things.documented or label(things)
    return things.documented["shipment_id"]


def document(things: Things) -> str:
    """Return the id of a document."""
    documented_shipment(things)
    return things.documented["documents"][0]["id"]


def manifest(things: Things) -> str:
    """Create a manifest, since no simulated carrier needs one; its file has the same id."""
    things.manifest = things.manifest or json.loads(
        things.system.manage("shell", "--verbosity", "0", "-c", MANIFEST).strip().splitlines()[-1]
    )
    return things.manifest


def tracking_number(things: Things) -> str:
    """Buy a shipment; return its tracking number."""
    return label(things)["tracking_number"]


def delivered(things: Things) -> str:
    """Buy a shipment and let it be delivered; return its tracking number."""
    number = tracking_number(things)
    things.system.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "delivered"})
    return number


def unit(things: Things, *, before: str = "picked_up") -> str:
    """Create a self-tracked unit that may take the status ``before`` next; return its tracking id."""
    name = f"UNIT-{uuid.uuid4().hex[:12]}"
    for status in BEFORE[before]:
        body = {"tracking_id": name, "status": status.upper(), "location": "Bogota", "description": "Seen"}
        things.request("POST", "/api/v1/checkpoints", body | {"timestamp": "2000-01-01T00:00:00Z"})
    return name


def pickup(things: Things) -> str:
    """Book a pickup; return its id."""
    body = {
        "carrier": CARRIER,
        "pickup_date": "2030-01-16T10:00:00Z",
        "pickup_window_start": "10:00",
        "pickup_window_end": "14:00",
        "address": PLACE,
        "packages_count": 1,
    }
    return things.request("POST", "/api/v1/pickups", body)["pickup_id"]


def api_key(things: Things) -> str:
    """Create an API key; return its id."""
    return things.request("POST", "/api/v1/api-keys", {"name": "Key for tests"})["id"]


def access_token(things: Things) -> str:
    """Sign in as an owner of the merchant; return the access token."""
    return things.request("POST", "/api/v1/auth/token", PERSON)["access"]


def carrier_call(things: Things) -> str:
    """Return the id of a call to a carrier."""
    things.some(shipment)
    return things.request("GET", "/api/v1/carrier-calls")["carrier_calls"][0]["id"]


def platform_key(things: Things) -> str:
    """Create a key of the platform's operator."""
    command = ("create_api_key", "demo", "--name", "siem", "--scope", "audit:export")
    return things.system.manage(*command).strip().splitlines()[-1]


def member(things: Things) -> str:
    """Return the id of an unused membership."""
    if not things.members:
        things.members = json.loads(things.system.manage("shell", "--verbosity", "0", "-c", MEMBERS))
    return things.members.pop()


def refresh_token(things: Things) -> str:
    """Sign in; return the refresh token."""
    return things.request("POST", "/api/v1/auth/token", PERSON)["refresh"]


def signature(body: bytes) -> dict[str, str]:
    """Return the headers with the carrier's signature of a webhook."""
    return sign(body, OWN_CREDENTIAL_FIELDS["webhook_secret"], "shipment.in_transit")
