"""The simulated Velocity: routes, request limits, authentication and accounts."""

from __future__ import annotations

import math
from typing import Any

from carriers.sandbox import faults
from carriers.sandbox.carrier import Handler, Route, SimulatedCarrier
from carriers.sandbox.messages import Answer, Refusal, Request
from carriers.sandbox.velocity import auth, couriers, errors, files, orders, reports, scans, warehouses, webhooks
from carriers.sandbox.velocity.errors import TOO_MANY

SECRET = "test-secret"  # noqa: S105 a documented test value
# Rate limits by operation: name, requests, seconds. Operations with the same name share a limit.
LIMITS = {
    "token": ("token", 10, 3600),
    "create_label": ("orders", 100, 60),
    "create_return": ("orders", 100, 60),
    "update_order": ("orders", 100, 60),
    "track": ("track", 100, 60),
    "cancel": ("cancel", 50, 60),
    "quote": ("quote", 200, 60),
    "register_warehouse": ("register_warehouse", 20, 60),
    "reports": ("reports", 100, 60),
    "find_by_reference": ("reports", 100, 60),
}
# Magic pincodes of the recipient. Faults can also be requested by magic words.
PINCODE_FAULTS = {
    "999408": faults.ORDER_FAULTS["SANDBOX-TIMEOUT"],
    "999504": faults.ORDER_FAULTS["SANDBOX-HANG-AFTER"],
    "999500": faults.ORDER_FAULTS["SANDBOX-500"],
    "999429": faults.ORDER_FAULTS["SANDBOX-429"],
    "999401": faults.ORDER_FAULTS["SANDBOX-401"],
    "999400": faults.ORDER_FAULTS["SANDBOX-REJECT"],
}
_API = "/custom/api/v1"
_ROLES = ("billing", "shipping", "pickup")


class Velocity(SimulatedCarrier):
    """Velocity's API as documented in ``docs/carriers/velocity.md``."""

    name = "velocity"
    shipment_kind = "velocity_order"
    prefix = "/velocity"
    accounts = ("+910000000000", "velocity-platform")
    # rate_limit 0: no limits. limits: other numbers than the documented ones, like {"quote": 5}.
    new_account = {
        "secret": SECRET,
        "webhook_url": "",
        "webhook_secret": SECRET,
        "rate_limit": 1,
        "limits": {},
    }
    routes = (
        Route("POST", rf"{_API}/auth-token", "token", auth.issue_token),
        Route("POST", rf"{_API}/forward-order", "create_label", orders.book),
        Route("POST", rf"{_API}/forward-order-shipment", "create_label", orders.book_with_courier),
        Route("POST", rf"{_API}/reverse-order", "create_return", orders.book_return),
        Route("POST", rf"{_API}/reverse-order-shipment", "create_return", orders.book_return_with_courier),
        Route("POST", rf"{_API}/order-update", "update_order", orders.update),
        Route("POST", rf"{_API}/order-tracking", "track", orders.track),
        Route("POST", rf"{_API}/cancel-order", "cancel", orders.cancel),
        Route("POST", rf"{_API}/serviceability", "quote", couriers.list_serving),
        Route("POST", rf"{_API}/warehouse", "register_warehouse", warehouses.save),
        Route("GET", rf"{_API}/reports", "reports", reports.show),
        Route("GET", r"/api/(label|manifest)/(\d+)\.pdf", "documents", files.download),
    )
    sign = staticmethod(webhooks.sign)

    def find_route(self, request: Request) -> tuple[str, Handler] | None:
        found = super().find_route(request)
        if found and found[0] == "reports" and request.query.get("order_id"):
            return "find_by_reference", found[1]
        return found

    def admit(self, request: Request, operation: str) -> None:
        account = self.store.get("account", request.account) or {"rate_limit": 1}
        if operation in LIMITS and account["rate_limit"]:
            name, documented, seconds = LIMITS[operation]
            limit = account.get("limits", {}).get(name, documented)
            wait = self.seconds_over_limit((request.account, name), limit, seconds)
            if wait is not None:
                raise Refusal(429, {"message": TOO_MANY}, **{"Retry-After": str(max(1, math.ceil(wait)))})
        if operation not in ("token", "documents"):
            auth.authenticate(self, request)

    def unreadable(self, message: str) -> Answer:
        return Answer(400, {"message": message})

    def error_body(self, status: int, message: str = "", operation: str = "") -> dict[str, Any]:
        return errors.error_body(status, message, operation)

    def account_of(self, request: Request) -> str:
        token = self.store.get("velocity_token", request.token)
        if token:
            return token["account"]
        try:
            return str(request.json().get("username", ""))
        except ValueError:
            return ""

    def order_fault(self, request: Request, operation: str) -> dict[str, Any] | None:
        if operation not in ("create_label", "create_return"):
            return None
        try:
            body = request.json()
        except ValueError:
            return None
        texts = [body.get("order_id"), *(body.get(f"{role}_customer_name") for role in _ROLES)]
        pincodes = (str(body.get(f"{role}_pincode")) for role in _ROLES)
        by_pincode = next((PINCODE_FAULTS[pincode] for pincode in pincodes if pincode in PINCODE_FAULTS), None)
        return faults.find_order_fault(texts) or by_pincode

    def advance(self, number: str, change: dict[str, Any]) -> dict[str, Any]:
        return scans.advance(self, number, change)

    def remit(self, number: str) -> dict[str, Any]:
        return reports.remit(self, number)
