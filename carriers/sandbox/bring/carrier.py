"""The simulated Bring: routes, request limits, key headers and accounts."""

from __future__ import annotations

import hmac
import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from carriers.sandbox import faults
from carriers.sandbox.bring import (
    booking,
    errors,
    files,
    guide,
    pickups,
    places,
    points,
    scans,
    subscriptions,
    tracking,
)
from carriers.sandbox.bring.errors import BringRefusal
from carriers.sandbox.bring.validation import as_list
from carriers.sandbox.carrier import Handler, Route, SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.store import Store
from carriers.sandbox.webhooks import WebhookSender

SECRET = "test-secret"  # noqa: S105 a test value
# Requests a second by operation. Operations with the same name share a limit. That of pickup orders is assumed, and no
# paper states one for tracking.
LIMITS = {
    **dict.fromkeys(("create_label", "create_return", "check_credential", "error_codes"), ("booking", 18)),
    "schedule_pickup": ("pickups", 18),
    "quote": ("guide", 120),
    **dict.fromkeys(("pickup_points", "pickup_point"), ("points", 80)),
    "coverage": ("postal_codes", 300),
    **dict.fromkeys(("track", "proof_of_delivery"), ("tracking", math.inf)),
}
# Requests of a user at the same time.
CONCURRENT = {**dict.fromkeys(errors.SUBSCRIPTIONS, ("subscriptions", 50)), "test_subscription": ("test_webhooks", 10)}
_ID, _COUNTRY = r"([0-9a-fA-F-]{36})", "(NO|SE|DK|FI)"
_POINTS, _CAST = "/pickuppoint/api/pickuppoint", "/event-cast"
_CODE, _DEGREES = "([0-9 ]{3,6})", r"(-?[0-9]{1,3}(?:\.[0-9]+)?)"


class Bring(SimulatedCarrier):
    """Bring's APIs at ``https://api.bring.com``, which serve tests and production alike."""

    name = "bring"
    prefix = "/bring"
    accounts = ("test@bring.example", "platform@bring.example")
    # rate_limit 0: no limits. limits: other numbers than the documented ones, like {"guide": 5}.
    # tracking_error_status 0: the error's own code.
    new_account = {
        "secret": SECRET,
        "customers": ["5", "6", "7", "20012345678"],
        "rate_limit": 1,
        "limits": {},
        "max_misses": 10,
        "booking_error_status": 400,
        "tracking_error_status": 200,
        "forget_tests": False,
        "storage_host": "",
    }
    shipment_kind = "bring_shipment"
    webhook_retries_s = subscriptions.RETRIES_S
    sign = staticmethod(subscriptions.sign)
    routes = (
        Route("GET", r"/booking/api/customers(?:\.json)?", "check_credential", booking.list_customers),
        Route("GET", r"/booking/api/errors(?:\.json)?", "error_codes", booking.list_errors),
        Route("POST", r"/booking/api/booking(?:\.json)?", "create_label", booking.create),
        Route("POST", r"/booking/api/pickupOrder(?:\.json)?", "schedule_pickup", pickups.order),
        Route("POST", r"/shippingguide/api/v2/products", "quote", guide.list_products),
        Route("GET", rf"/labels/id/{_ID}\.(pdf|zpl)", "label_file", files.redirect),
        Route("GET", rf"/storage/labels/{_ID}\.(pdf|zpl)", "label_file", files.download),
        Route("GET", rf"/labels/qr/{_ID}/([0-9]{{1,2}})\.png", "label_file", files.show_qr),
        Route("GET", r"/tracking/api/(?:v2/)?tracking\.json", "track", tracking.search),
        Route("GET", r"/tracking/api/signature/([0-9A-Z]+)\.png", "proof_of_delivery", files.show_signature),
        Route("GET", rf"{_POINTS}/NO/postalCode/{_CODE}/default(?:\.json)?", "pickup_points", points.show_default),
        Route(
            "GET", rf"{_POINTS}/{_COUNTRY}/postalCode/{_CODE}(?:\.json)?", "pickup_points", points.search_by_postal_code
        ),
        Route(
            "GET",
            rf"{_POINTS}/{_COUNTRY}/location/{_DEGREES},{_DEGREES}(?:\.json)?",
            "pickup_points",
            points.search_by_location,
        ),
        Route("GET", rf"{_POINTS}/{_COUNTRY}/id/([0-9A-Za-z]+)(?:\.json)?", "pickup_point", points.show),
        Route("GET", rf"{_POINTS}/{_COUNTRY}/all(?:\.json)?", "pickup_points", points.list_all),
        Route("GET", rf"/address/api/([A-Za-z]{{2}})/postal-codes/{_CODE}", "coverage", places.show),
        Route(
            "GET",
            rf"/pickuppoint/api/postalCode/([A-Z]{{2}})/getCityAndType/{_CODE}\.json",
            "coverage",
            places.show_deprecated,
        ),
        Route("POST", rf"{_CAST}/api/v1/webhooks/?", "subscribe", subscriptions.create),
        Route("POST", rf"{_CAST}/batch/api/v1/webhooks/?", "subscribe", subscriptions.create_batch),
        Route("GET", rf"{_CAST}/api/v1/webhooks/?", "list_subscriptions", subscriptions.list_webhooks),
        Route("GET", rf"{_CAST}/api/v1/webhooks/{_ID}", "list_subscriptions", subscriptions.show),
        Route("DELETE", rf"{_CAST}/api/v1/webhooks/{_ID}", "unsubscribe", subscriptions.delete),
        Route("POST", rf"{_CAST}/api/v1/webhooks/{_ID}/test", "test_subscription", subscriptions.send_test),
    )

    def __init__(self, store: Store, sender: WebhookSender) -> None:
        super().__init__(store, sender)
        self._running: Counter[tuple[str, str]] = Counter()
        self._running_lock = threading.Lock()
        tracking.create_examples(self)

    def find_route(self, request: Request) -> tuple[str, Handler] | None:
        found = super().find_route(request)
        if found and found[0] == "create_label" and booking.is_return(request.masked_body()):
            return "create_return", found[1]
        return found

    def handle(self, request: Request, operation: str, handler: Handler) -> Answer:
        def work() -> Answer:
            try:
                return handler()
            except ValueError as error:
                raise BringRefusal(400, operation, f"The body cannot be read: {error}") from error

        with self._count_running(request.account, operation) as is_allowed:
            if not is_allowed:
                return Answer(429, errors.error_body(429, operation=operation))
            return super().handle(request, operation, work)

    def admit(self, request: Request, operation: str) -> None:
        if operation == "label_file":  # assumed: the address of a label is its own secret
            return
        account = self.store.get("account", request.account)
        key = request.headers.get("x-mybring-api-key", "")
        if not account or not hmac.compare_digest(account["secret"].encode(), key.encode()):
            raise BringRefusal(401, operation)
        if not request.headers.get("x-bring-client-url"):  # required; the status is assumed
            raise BringRefusal(400, operation, "X-Bring-Client-URL is required")
        if operation in LIMITS and account["rate_limit"]:
            name, documented = LIMITS[operation]
            limit = account["limits"].get(name, documented)
            if self.seconds_over_limit((request.account, name), limit, 1) is not None:
                raise BringRefusal(429, operation)

    def unreadable(self, message: str) -> Answer:
        return Answer(400, errors.error_body(400, message))

    def error_body(self, status: int, message: str = "", operation: str = "") -> dict[str, Any] | str:
        return errors.error_body(status, message, operation)

    def account_of(self, request: Request) -> str:
        name = request.headers.get("x-mybring-api-uid", "")
        return name if self.store.get("account", name) else ""

    def describe_call(self, request: Request) -> tuple[Any, str]:
        """Return the body, with the header values of a subscription masked, and the reference of a booking."""
        body = request.masked_body()
        configuration = body.get("configuration") if isinstance(body, dict) else None
        if isinstance(configuration, dict) and isinstance(configuration.get("headers"), list):
            headers = [{"key": one.get("key"), "value": "***"} for one in as_list(configuration["headers"])]
            body = body | {"configuration": configuration | {"headers": headers}}
        return body, booking.find_reference(body)

    def order_fault(self, request: Request, operation: str) -> dict[str, Any] | None:
        if operation not in errors.BOOKINGS:
            return None
        body = request.masked_body()
        return faults.find_order_fault(booking.magic_texts(body)) if isinstance(body, dict) else None

    def advance(self, number: str, change: dict[str, Any]) -> dict[str, Any]:
        return scans.advance(self, number, change)

    @contextmanager
    def _count_running(self, account: str, operation: str) -> Iterator[bool]:
        """Count a request to Event Cast while it runs; yield whether the user may make it."""
        row = self.store.get("account", account)
        if operation not in CONCURRENT or not row or not row["rate_limit"]:
            yield True
            return
        name, documented = CONCURRENT[operation]
        key = (account, name)
        with self._running_lock:
            self._running[key] += 1
            running = self._running[key]
        try:
            yield running <= row["limits"].get(name, documented)
        finally:
            with self._running_lock:
                self._running[key] -= 1
