"""The simulated Pickit: routes, request limit, authentication and accounts."""

from __future__ import annotations

import math
from typing import Any

from carriers.sandbox import faults
from carriers.sandbox.carrier import Route, SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.pickit import auth, errors, examples, pickups, points, quotes, scans, shipments, webhooks
from carriers.sandbox.pickit.errors import RATE_LIMIT, Invalid, PickitRefusal
from carriers.sandbox.store import Store
from carriers.sandbox.webhooks import WebhookSender

SECRET = "test-secret"  # noqa: S105 of the document's own examples


class Pickit(SimulatedCarrier):
    """Pickit's API as documented in ``docs/carriers/pickit.md``."""

    name = "pickit"
    shipment_kind = "shipment"
    prefix = "/pickit/v2"
    accounts = ("test-client-id", "test-client", "pickit-platform")
    new_account = {
        "secret": SECRET,
        "previous": [],
        "webhook_url": "",
        "webhook_secret": SECRET,
        "rate_limit": RATE_LIMIT,
        "suspended": False,
    }
    routes = (
        Route("POST", r"/auth/token", "token", auth.issue_token),
        Route("POST", r"/auth/rotate", "rotate_credentials", auth.rotate_secret),
        Route("GET", r"/pickup-points", "pickup_points", points.search),
        Route("GET", r"/pickup-points/([^/]+)", "pickup_point", points.show),
        Route("POST", r"/shipments/quote", "quote", quotes.quote),
        Route("POST", r"/shipments", "create_label", shipments.create),
        Route("GET", r"/shipments", "find_by_reference", shipments.list_by_reference),
        Route("GET", r"/shipments/([^/]+)/tracking", "track", shipments.track),
        Route("POST", r"/shipments/([^/]+)/cancel", "cancel", shipments.cancel),
        Route("GET", r"/shipments/([^/]+)/proof-of-delivery", "proof_of_delivery", shipments.show_proof_of_delivery),
        Route("POST", r"/pickups", "schedule_pickup", pickups.schedule),
        Route("POST", r"/pickups/([^/]+)/cancel", "cancel_pickup", pickups.cancel),
        Route("GET", r"/service-coverage", "coverage", quotes.show_coverage),
    )
    sign = staticmethod(webhooks.sign)

    def __init__(self, store: Store, sender: WebhookSender) -> None:
        super().__init__(store, sender)
        examples.create_shipments(self)

    def admit(self, request: Request, operation: str) -> None:
        if operation == "token":
            return
        limit = (self.store.get("account", request.account) or {}).get("rate_limit", RATE_LIMIT)
        if self.seconds_over_limit(request.account, limit or math.inf, 1) is not None:
            raise PickitRefusal(429, "RATE_LIMITED", f"At most {limit} requests a second", **{"Retry-After": "1"})
        auth.authenticate(self, request)

    def unreadable(self, message: str) -> Answer:
        return Invalid(message).answer

    def error_body(self, status: int, message: str = "", operation: str = "") -> dict[str, Any]:
        return errors.error_body(status, message, operation)

    def account_of(self, request: Request) -> str:
        return (self.store.get("token", request.token) or {}).get("account", "")

    def order_fault(self, request: Request, operation: str) -> dict[str, Any] | None:
        if operation != "create_label":
            return None
        try:
            return faults.find_order_fault(shipments.magic_texts(request.json()))
        except (ValueError, AttributeError):
            return None

    def advance(self, number: str, change: dict[str, Any]) -> dict[str, Any]:
        return scans.advance(self, number, change)

    def complete_pickup(self, name: str) -> dict[str, Any]:
        return pickups.complete(self, name)
