"""The simulated UPS: routes, request limits, authentication and accounts."""

from __future__ import annotations

import math
import re
from typing import Any

from carriers.sandbox import faults
from carriers.sandbox.carrier import Handler, Route, SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.ups import auth, documents, errors, locations, pickups, rates, shipments, transit
from carriers.sandbox.ups.errors import FAILURES, Invalid, UpsRefusal
from carriers.sandbox.ups.track import alerts, details, quantum_view, scans

SECRET = "test-secret"  # noqa: S105 of the sandbox's own accounts
# Requests a second, of each operation. UPS publishes no numbers: assumed. It documents no Retry-After either.
RATE_LIMIT = 20
_VERSIONS = r"v(\d+)"
_TRACK = "/api/track/v1"
_ALERTS = "/api/track/v2/subscription/([a-z]+)"
_PAPERS = f"/api/paperlessdocuments/{_VERSIONS}"
_ACCESS_POINT = "PublicAccessPointID"


class Ups(SimulatedCarrier):
    """UPS's REST APIs. The login is at the root of the host, all else below ``/api``."""

    name = "ups"
    shipment_kind = "ups_shipment"
    prefix = "/ups"
    accounts = ("ups-client", "ups-platform")
    # discount: percent of the negotiated rates. token_seconds 0: tokens that are expired at once. rate_limit 0: none.
    # limits: requests and seconds of single operations, like {"quote": [5, 60]}.
    new_account = {
        "secret": SECRET,
        "shipper_numbers": ["A1B2C3"],
        "discount": 25,
        "token_seconds": auth.TOKEN_SECONDS,
        "blocked": False,
        "is_test_environment": False,
        "webhook_url": "",
        "webhook_secret": SECRET,
        "rate_limit": RATE_LIMIT,
        "limits": {},
    }
    routes = (
        Route("POST", "/security/v1/oauth/token", "token", auth.issue_token),
        Route("POST", rf"/api/rating/{_VERSIONS}/([A-Za-z]+)", "quote", rates.rate),
        Route("POST", rf"/api/shipments/{_VERSIONS}/ship", "create_label", shipments.ship),
        Route("DELETE", rf"/api/shipments/{_VERSIONS}/void/cancel/([^/]+)", "cancel", shipments.void),
        Route("POST", rf"/api/labels/{_VERSIONS}/recovery", "documents", shipments.recover),
        Route("POST", rf"/api/shipments/{_VERSIONS}/transittimes", "transit_times", transit.show_times),
        Route("GET", rf"{_TRACK}/details/([^/]+)", "track", details.track),
        Route("GET", rf"{_TRACK}/shipment/details/([^/]+)", "track", details.track_shipment),
        Route("GET", rf"{_TRACK}/reference/details/([^/]+)", "find_by_reference", details.track_reference),
        Route("POST", rf"{_ALERTS}/package", "subscribe", alerts.subscribe),
        Route("POST", rf"{_ALERTS}/account", "subscribe", alerts.subscribe_account),
        Route("DELETE", rf"{_ALERTS}/account", "unsubscribe", alerts.unsubscribe_account),
        Route("POST", rf"/api/quantumview/{_VERSIONS}/events", "quantum_view", quantum_view.list_events),
        Route("POST", rf"/api/pickupcreation/{_VERSIONS}/pickup", "schedule_pickup", pickups.create),
        Route("DELETE", rf"/api/shipments/{_VERSIONS}/pickup/(0[12])", "cancel_pickup", pickups.cancel),
        Route("GET", rf"/api/shipments/{_VERSIONS}/pickup/(oncall|smart|both)", "find_pickups", pickups.list_pending),
        Route("POST", rf"/api/shipments/{_VERSIONS}/pickup/([a-z]+)", "rate_pickup", pickups.rate),
        Route("GET", rf"/api/pickup/{_VERSIONS}/countries/([A-Z]{{2}})", "list_states", pickups.list_states),
        Route(
            "POST", rf"/api/pickup/{_VERSIONS}/servicecenterlocations", "service_centers", pickups.list_service_centers
        ),
        Route("POST", rf"/api/locations/{_VERSIONS}/search/availabilities/(\d+)", "pickup_points", locations.search),
        Route("POST", rf"/api/addressvalidation/{_VERSIONS}/(\d)", "check_address", locations.validate_address),
        Route("POST", rf"{_PAPERS}/upload", "upload_document", documents.upload),
        Route("POST", rf"{_PAPERS}/image", "push_document", documents.push),
        Route("DELETE", rf"{_PAPERS}/DocumentId/ShipperNumber", "delete_document", documents.delete),
    )
    sign = staticmethod(alerts.sign)

    def find_route(self, request: Request) -> tuple[str, Handler] | None:
        """Return the route and its operation, which the body and the parameters refine."""
        found = super().find_route(request)
        if found is None:
            return None
        operation, handler = found
        return self._refine(operation, request), handler

    def handle(self, request: Request, operation: str, handler: Handler) -> Answer:
        answer = super().handle(request, operation, handler)
        if operation == "transit_times" and answer.status >= 400:
            answer.body = answer.body["response"]
        return answer

    def admit(self, request: Request, operation: str) -> None:
        account = self.store.get("account", request.account) or {}
        of_all = (account.get("rate_limit", RATE_LIMIT) or math.inf, 1)
        requests, seconds = account.get("limits", {}).get(operation, of_all)
        if self.seconds_over_limit((request.account, operation), requests, seconds) is not None:
            raise UpsRefusal(429, *FAILURES[429])
        if operation == "token":
            return
        auth.authenticate(self, request)
        # Lengths of the two headers that every call may have.
        if len(request.headers.get("transid", "")) > 32 or len(request.headers.get("transactionsrc", "")) > 512:
            raise Invalid("10002", f"{errors.NOT_VALID}: transId, transactionSrc")

    def unreadable(self, message: str) -> Answer:
        return Invalid("10001", f"The request is not well formed. {message}").answer

    def error_body(self, status: int, message: str = "", operation: str = "") -> dict[str, Any]:
        body = errors.error_body(status, message)
        return body["response"] if operation == "transit_times" else body

    def account_of(self, request: Request) -> str:
        token = self.store.get("ups_token", request.token)
        return token["account"] if token else auth.client_of(request)

    def describe_call(self, request: Request) -> tuple[Any, str]:
        body, _ = super().describe_call(request)
        shipment = _read_shipment(request)
        references = shipments.references_of(shipment) if isinstance(shipment, dict) else []
        return body, next(iter(references), "")

    def order_fault(self, request: Request, operation: str) -> dict[str, Any] | None:
        if operation not in ("create_label", "create_return"):
            return None
        return faults.find_order_fault(shipments.magic_texts(_read_shipment(request)))

    def advance(self, number: str, change: dict[str, Any]) -> dict[str, Any]:
        return scans.advance(self, number, change)

    def complete_pickup(self, name: str) -> dict[str, Any]:
        return pickups.complete(self, name)

    def _refine(self, operation: str, request: Request) -> str:
        match operation:
            case "create_label":
                shipment = _read_shipment(request)
                return "create_return" if isinstance(shipment, dict) and "ReturnService" in shipment else operation
            case "track":
                wanted = (request.query.get("returnSignature"), request.query.get("returnPOD"))
                return "proof_of_delivery" if "true" in wanted else operation
            case "documents":
                return "find_by_reference" if b'"ReferenceValues"' in request.body else operation
            case "pickup_points":
                return "pickup_point" if re.search(rb'"%s"' % _ACCESS_POINT.encode(), request.body) else operation
        return operation


def _read_shipment(request: Request) -> Any:
    """Return the ``Shipment`` element of a label request, or None."""
    try:
        return request.json()["ShipmentRequest"]["Shipment"]
    except (ValueError, KeyError, TypeError):
        return None
