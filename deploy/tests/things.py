"""Real things of a running installation, for tests that need their ids: bought, posted and booked over its API."""

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
OWN_ACCOUNT = {"client_id": "test-client-id", "client_secret": "test-secret", "webhook_secret": "test-secret"}
INDIAN_ACCOUNT = {"username": "+910000000000", "password": "test-secret", "webhook_secret": "test-secret"}
INDIAN_PLACE = {
    "contact_name": "Jane Smith",
    "contact_phone": "9000000001",
    "street": "12 Example Road",
    "city": "Mumbai",
    "state": "Maharashtra",
    "postal_code": "400069",
    "country": "IN",
}
PERSON = {"email": "admin", "password": ADMIN_PASSWORD}
# What must have been posted before a status may be.
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


class Things:
    """Makes things, and remembers some of each kind for requests that do not use them up."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.kept: dict[Callable[[Things], str], list[str]] = {}
        self.count = itertools.count()
        self.members: list[str] = []

    def some(self, make: Callable[[Things], str], *, fresh: bool = False) -> str:
        """The id of a thing: one of three that stay, in turn, or one that nobody else uses."""
        if fresh:
            return make(self)
        kept = self.kept.setdefault(make, [])
        if len(kept) < 3:
            kept.append(make(self))
            return kept[-1]
        return kept[next(self.count) % len(kept)]

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """What the API answers; it must be a success."""
        response = self.system.api(method, path, body)
        assert response.ok, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    def restore_account(self) -> None:
        """The merchant's account at the carrier as it was, whatever was saved over it."""
        body = {"environment": "sandbox", "credentials": OWN_ACCOUNT}
        self.ask("POST", f"/api/v1/carriers/{CARRIER}/credentials", body)


def order(**changes: Any) -> dict[str, Any]:
    """What a label is bought for."""
    return {
        "carrier": CARRIER,
        "order_id": f"ORDER-{uuid.uuid4().hex[:12]}",
        "origin": PLACE,
        "destination": PLACE | {"postal_code": "10001", "contact_name": "Jane Smith"},
        "packages": [{"weight_kg": 2}],
    } | changes


def label(things: Things) -> dict[str, Any]:
    """A bought label."""
    return things.ask("POST", "/api/v1/labels", order())


def warehouse(things: Things, *carriers: str) -> str:
    """The id of a place of departure in India."""
    body = {"name": f"Warehouse {uuid.uuid4().hex[:12]}", "address": INDIAN_PLACE, "carriers": list(carriers)}
    return things.ask("POST", "/api/v1/warehouses", body)["id"]


def indian_warehouse(things: Things) -> str:
    """One that stays in India, whatever becomes of the others."""
    return warehouse(things)


def indian_order(warehouse_id: str, **changes: Any) -> dict[str, Any]:
    """What a label is bought for at the carrier that knows warehouses."""
    return {
        "carrier": "velocity",
        "order_id": f"ORDER-{uuid.uuid4().hex[:12]}",
        "origin": INDIAN_PLACE,
        "destination": INDIAN_PLACE | {"postal_code": "560102", "city": "Bangalore"},
        "packages": [{"weight_kg": 1, "length_cm": 10, "width_cm": 10, "height_cm": 10}],
        "warehouse_id": warehouse_id,
    } | changes


def indian_shipment(things: Things) -> str:
    """A shipment bought at the carrier that takes returns and changes."""
    return things.ask("POST", "/api/v1/labels", indian_order(warehouse(things, "velocity")))["shipment_id"]


def indian_account(things: Things) -> str:
    """The id of an account of the merchant's own that nothing else is done with."""
    there = things.ask("GET", "/api/v1/courier-credentials")["credentials"]
    for account in there:
        if account["carrier"] == "Velocity Shipfast":
            return account["id"]
    body = {"carrier": "velocity", "environment": "sandbox", "credentials": INDIAN_ACCOUNT}
    return things.ask("POST", "/api/v1/courier-credentials", body)["id"]


def shipment(things: Things) -> str:
    """A bought shipment, by our id or by its tracking number in turn."""
    return label(things)[("shipment_id", "tracking_number")[next(things.count) % 2]]


def tracking_number(things: Things) -> str:
    """The number of a bought shipment."""
    return label(things)["tracking_number"]


def delivered(things: Things) -> str:
    """A shipment that the carrier has delivered."""
    number = tracking_number(things)
    things.system.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "delivered"})
    return number


def unit(things: Things, *, before: str = "picked_up") -> str:
    """A unit of the merchant's own that may take the status ``before`` next."""
    name = f"UNIT-{uuid.uuid4().hex[:12]}"
    for status in BEFORE[before]:
        body = {"tracking_id": name, "status": status.upper(), "location": "Bogota", "description": "Seen"}
        things.ask("POST", "/api/v1/checkpoints", body | {"timestamp": "1960-01-01T00:00:00Z"})
    return name


def pickup(things: Things) -> str:
    """A collection that is booked."""
    body = {
        "carrier": CARRIER,
        "pickup_date": "2030-01-16T10:00:00Z",
        "pickup_window_start": "10:00",
        "pickup_window_end": "14:00",
        "address": PLACE,
        "packages_count": 1,
    }
    return things.ask("POST", "/api/v1/pickups", body)["pickup_id"]


def api_key(things: Things) -> str:
    """The id of a key that nothing is called with."""
    return things.ask("POST", "/api/v1/api-keys", {"name": "A key to try things on"})["id"]


def access_token(things: Things) -> str:
    """What an owner of the merchant who has just signed in shows."""
    return things.ask("POST", "/api/v1/auth/token", PERSON)["access"]


def member(things: Things) -> str:
    """The id of a membership that nobody else was given."""
    if not things.members:
        things.members = json.loads(things.system.manage("shell", "--verbosity", "0", "-c", MEMBERS))
    return things.members.pop()


def refresh_token(things: Things) -> str:
    """The refresh token of a person who has just signed in."""
    return things.ask("POST", "/api/v1/auth/token", PERSON)["refresh"]


def signature(body: bytes) -> dict[str, str]:
    """The headers with which the carrier proves that a webhook is its own."""
    return sign(body, OWN_ACCOUNT["webhook_secret"], "shipment.in_transit")
