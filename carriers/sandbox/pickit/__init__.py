"""Pickit's side of the wire, from ``docs/carriers/pickit.md``: accounts, tokens, shipments, scans, webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from carriers.sandbox import labels, magic, pictures
from carriers.sandbox.messages import Answer, Request, now, rfc3339
from carriers.sandbox.pickit import points
from carriers.sandbox.store import Store
from carriers.sandbox.webhooks import Pusher

ACCOUNTS = ("test-client-id", "test-client", "pickit-platform")
SECRET = "test-secret"  # noqa: S105 of the document's own examples
TOKEN_SECONDS = 3600
RATE_LIMIT = 20  # requests a second
MAX_KG = 30
# Code and sentence by HTTP status; any other failure is Pickit's own fault.
LOGIN_REFUSED = ("INVALID_CLIENT", "Unknown client or wrong secret")
FAILURES = {
    400: ("VALIDATION_ERROR", "The request is not valid"),
    401: ("INVALID_TOKEN", "The access token is missing, unknown or expired"),
    403: ("FORBIDDEN", "This account is suspended"),
    429: ("RATE_LIMITED", f"At most {RATE_LIMIT} requests a second"),
}

# What a way may look like; a shipment with a pickup point ends there.
TO_THE_DOOR = ("created", "picked_up", "in_transit", "out_for_delivery", "delivered")
TO_A_POINT = ("created", "picked_up", "in_transit", "at_pickup_point", "delivered")
STATUSES = {*TO_THE_DOOR, *TO_A_POINT, "exception", "returned", "cancelled"}
EVENT_OF_STATUS = {"exception": "shipment.failed"}
SILENT = {"out_for_delivery", "returned", "cancelled"}  # the document has no webhook for these
FINAL = {"delivered", "returned", "cancelled"}
# Orders that go a way of their own as soon as they are bought, by the same magic words as faults.
_OUT = ("picked_up", "in_transit", "out_for_delivery")
WAYS = {
    "SANDBOX-PICKED-UP": _OUT[:1],
    "SANDBOX-IN-TRANSIT": _OUT[:2],
    "SANDBOX-OUT-FOR-DELIVERY": _OUT,
    "SANDBOX-AT-PICKUP-POINT": (*_OUT[:2], "at_pickup_point"),
    "SANDBOX-DELIVERED": (*_OUT, "delivered"),
    "SANDBOX-EXCEPTION": (*_OUT, "exception"),
    "SANDBOX-RETURNED": (*_OUT, "exception", "returned"),
    "SANDBOX-CANCELLED": ("cancelled",),
    "SANDBOX-UNKNOWN": (*_OUT[:2], "held_at_customs"),
}
FACTORS = {"standard": 1.0, "express": 1.8, "pickup_point": 0.9}
DAYS = {"standard": 2, "express": 1, "pickup_point": 2}
UNSERVED = ("00000", "999")
# What tracking tells of a scan beyond its webhook.
TRACKED_ONLY = {"in_transit": {"vehicle": "VAN-123"}}
# Of a proof: a parcel that waited at a point is taken with its code, and nobody is there to take pictures.
BY_A_DRIVER = ("signature_image", "delivery_photo", "coordinates", "notes")
# The document's own number answers as its examples do: in transit, and yet with a proof of delivery.
DOCUMENTED = "PKT-1234567890"


class Problem(Exception):
    """A refusal in Pickit's words."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None, **headers: str) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"error": {"code": code, "message": message, "field": field}}, headers)


class Pickit:
    """The simulated carrier. ``route`` finds the operation of a request, ``handle`` answers it."""

    name = "pickit"
    accounts = ACCOUNTS
    prefix = "/pickit/v2"

    def __init__(self, store: Store, pusher: Pusher) -> None:
        self.store, self.pusher = store, pusher
        self._recent: dict[str, deque[float]] = {}
        pusher.signers[self.name] = sign
        for account in ACCOUNTS:
            if not store.get("account", account):
                self.configure(account, {})
        if not store.get("shipment", DOCUMENTED):
            self._documented_shipments()

    # The carrier's API -----------------------------------------------------------------------------------------------

    def route(self, request: Request) -> tuple[str, Callable[[Request], Answer]] | None:
        """The name of the operation and its handler."""
        for method, pattern, operation in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                handler = getattr(self, f"_{operation}")
                return operation, lambda request, handler=handler, match=match: handler(request, *match.groups())
        return None

    def handle(self, request: Request, operation: str, handler: Callable[[Request], Answer]) -> Answer:
        """Authenticate, count, do."""
        try:
            if operation != "token":
                self._count(request.account)
                self._authorize(request)
            return handler(request)
        except Problem as problem:
            return problem.answer
        except ValueError as error:
            return Problem(400, "VALIDATION_ERROR", f"The body cannot be read: {error}").answer

    def error(self, status: int, message: str = "", operation: str = "") -> dict[str, Any]:
        """A failure's body, in Pickit's own words unless others are given."""
        known = LOGIN_REFUSED if (status, operation) == (401, "token") else FAILURES.get(status)
        code, words = known or ("INTERNAL_ERROR", "Internal server error")
        return {"error": {"code": code, "message": message or words, "field": None}}

    def account_of(self, request: Request) -> str:
        """Who calls, by token; empty for nobody."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        known = self.store.get("token", token) or {}
        return known.get("account", "")

    def magic(self, request: Request, operation: str) -> dict[str, Any] | None:
        """A fault that the order itself asks for (``SANDBOX-TIMEOUT`` as order id or recipient)."""
        if operation != "create_label":
            return None
        try:
            return magic.fault(_words_of(request.json()))
        except (ValueError, AttributeError):
            return None

    def _token(self, request: Request) -> Answer:
        body = request.json()
        given = self._proved(body)
        if body.get("grant_type", "client_credentials") != "client_credentials":
            raise Problem(400, "VALIDATION_ERROR", "Unsupported grant type", "grant_type")
        token = secrets.token_urlsafe(32)
        expires = time.time() + TOKEN_SECONDS
        self.store.put("token", token, {"account": body["client_id"], "secret": given, "expires": expires})
        return Answer(200, {"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})

    def _rotate_credentials(self, request: Request) -> Answer:
        """A new secret; the one before works for another day."""
        body = request.json()
        if body.get("client_id") != request.account:
            raise Problem(400, "VALIDATION_ERROR", "The token is another client's", "client_id")
        with self.store.changing():
            self._proved(body)
            account = self.store.get("account", request.account)
            until = time.time() + 86_400
            fresh = secrets.token_urlsafe(24)
            before = [one for one in account.get("previous", []) if one[1] > time.time()]
            row = account | {"secret": fresh, "previous": [*before, [account["secret"], until]]}
            self.store.put("account", request.account, row)
        valid_until = rfc3339(datetime.fromtimestamp(until, UTC))
        answer = {"client_id": request.account, "client_secret": fresh, "previous_valid_until": valid_until}
        return Answer(200, answer)

    def _proved(self, body: dict[str, Any]) -> str:
        """The secret that a client has shown, if it is one of its own."""
        account, given = self.store.get("account", str(body.get("client_id"))), str(body.get("client_secret"))
        if not account or not any(hmac.compare_digest(one.encode(), given.encode()) for one in _secrets_of(account)):
            raise Problem(401, *LOGIN_REFUSED)
        return given

    def _pickup_points(self, request: Request) -> Answer:
        lat, lng = _query_number(request, "lat", -90, 90), _query_number(request, "lng", -180, 180)
        radius = _query_number(request, "radius", 0.1, 50, 5.0)
        limit = int(_query_number(request, "limit", 1, 100, 20))
        return Answer(200, {"data": points.near(lat, lng, radius, limit)})

    def _pickup_point(self, request: Request, name: str) -> Answer:
        return Answer(200, {"data": _point(name, 404, "PICKUP_POINT_NOT_FOUND")})

    def _quote(self, request: Request) -> Answer:
        body = request.json()
        service = _check_route(body, need_street=False)
        chosen = points.by_id(str(body["pickup_point_id"])) if body.get("pickup_point_id") else points.DOCUMENTED
        usable = {"pickup_point_available": bool(chosen) and chosen["status"] == "active"}
        return Answer(200, {"quote_id": f"QT-{secrets.randbelow(10**6):06}"} | price(body, service) | usable)

    def _create_label(self, request: Request) -> Answer:
        body = request.json()
        service = _check_route(body, need_street=True)
        _check_label(body)
        point = (
            _point(body["pickup_point_id"], 422, "PICKUP_POINT_UNAVAILABLE") if body.get("pickup_point_id") else None
        )
        shipment = self._new_shipment(request.account, body, service, point)
        with self.store.changing():
            self._keep(shipment)
        self._tell(shipment, shipment["events"][0], _created_data(shipment))
        answer = Answer(201, shown(shipment))
        for status in next((WAYS[word] for word in _words_of(body) if word in WAYS), ()):
            self.advance(shipment["tracking_number"], {"to": status, "force": True})
        return answer

    def _find_by_reference(self, request: Request) -> Answer:
        reference = request.query.get("reference", "")
        if not reference:
            raise Problem(400, "VALIDATION_ERROR", "This parameter is required", "reference")
        found = self.store.by_reference("shipment", reference)
        return Answer(200, {"data": [shown(one) for one in found if one["account"] == request.account]})

    def _track(self, request: Request, number: str) -> Answer:
        shipment = self._shipment(request, number)
        fields = (
            "tracking_number",
            "shipment_id",
            "status",
            "estimated_delivery",
            "pickup_point",
            "pickup_code",
            "events",
        )
        return Answer(
            200,
            {name: shipment[name] for name in fields}
            | {
                "current_location": next((e["location"] for e in reversed(shipment["events"]) if e["location"]), ""),
                "delivery_attempts": sum(event["status"] == "exception" for event in shipment["events"]),
            },
        )

    def _cancel(self, request: Request, number: str) -> Answer:
        reason = str(request.json().get("reason", ""))
        with self.store.changing():
            shipment = self._shipment(request, number)
            if shipment["status"] in FINAL:
                raise Problem(409, "CANNOT_CANCEL", f"The shipment is {shipment['status'].replace('_', ' ')} already")
            event = _event("cancelled", now(), "Shipment cancelled", "", {"reason": reason} if reason else {})
            shipment["events"].append(event)
            shipment["status"] = "cancelled"
            self._keep(shipment)
        return Answer(
            200,
            {
                "tracking_number": number,
                "cancelled_at": event["timestamp"],
                "reason": reason,
                "refund_status": "pending",
                "refund_amount": shipment["total_price"],
            },
        )

    def _proof_of_delivery(self, request: Request, number: str) -> Answer:
        shipment = self._shipment(request, number)
        delivered = next((event for event in shipment["events"] if event["status"] == "delivered"), None)
        if number == DOCUMENTED and delivered is None:
            return Answer(200, _proof(number, "2024-01-17T14:32:00Z", "Jane Smith", None, "Front door"))
        if delivered is None:
            raise Problem(404, "POD_NOT_AVAILABLE", "The shipment has not been delivered yet")
        recipient = (
            delivered["details"].get("collected_by") or shipment["destination"].get("contact_name") or "Recipient"
        )
        code = shipment["pickup_code"] if shipment["pickup_point"] else None
        proof = _proof(number, delivered["timestamp"], recipient or "Recipient", code, delivered["location"])
        collected = any(event["status"] == "at_pickup_point" for event in shipment["events"])
        return Answer(200, proof | (dict.fromkeys(BY_A_DRIVER) if collected else {}))

    def _schedule_pickup(self, request: Request) -> Answer:
        body = request.json()
        for field in ("pickup_date", "window", "address", "packages_count"):
            if not body.get(field):
                raise Problem(400, "VALIDATION_ERROR", "This field is required", field)
        name = f"PCK-{secrets.randbelow(10**9):09}"
        pickup = {
            "pickup_id": name,
            "account": request.account,
            "confirmation_number": f"CONF-{secrets.randbelow(10**8):08}",
            "status": "scheduled",
            "scheduled_date": body["pickup_date"],
            "window": body["window"],
            "driver": {"name": "John Driver", "phone": "+1555123456"},
            "estimated_arrival": body["pickup_date"],
            "tracking_url": f"https://track.pickit.net/pickup/{name}",
            "shipment_ids": [str(number) for number in body.get("shipment_ids") or []],
            "address": body["address"],
            "total_weight_kg": body.get("total_weight_kg"),
            "packages_count": body["packages_count"],
        }
        self.store.put("pickup", name, pickup)
        place = {key: body["address"].get(key, "") for key in ("street", "city", "state")}
        self._push(
            request.account,
            "pickup.scheduled",
            now(),
            {key: pickup[key] for key in ("pickup_id", "confirmation_number", "scheduled_date")}
            | {"pickup_window": pickup["window"], "address": place, "driver_assigned": False},
            subject=name,
        )
        return Answer(201, {key: value for key, value in pickup.items() if key not in ("account", "address")})

    def _cancel_pickup(self, request: Request, name: str) -> Answer:
        """The same answer for each repetition."""
        reason = str(request.json().get("reason", ""))
        with self.store.changing():
            pickup = self.store.get("pickup", name)
            if not pickup or pickup["account"] != request.account:
                raise Problem(404, "PICKUP_NOT_FOUND", f"No pickup {name}")
            if pickup["status"] == "completed":
                raise Problem(409, "CANNOT_CANCEL", "The pickup is completed already")
            if pickup["status"] != "cancelled":
                pickup |= {"status": "cancelled", "cancelled_at": now(), "reason": reason}
                self.store.put("pickup", name, pickup)
        return Answer(200, {key: pickup[key] for key in ("pickup_id", "status", "cancelled_at", "reason")})

    def _coverage(self, request: Request) -> Answer:
        missing = next((name for name in ("postal_code", "city") if not request.query.get(name)), None)
        if missing:
            raise Problem(400, "VALIDATION_ERROR", "This parameter is required", missing)
        code, country = request.query["postal_code"], request.query.get("country", "US")
        served = not code.startswith(UNSERVED)
        return Answer(
            200,
            {
                "data": {
                    "postal_code": code,
                    "city": request.query["city"],
                    "country": country,
                    "service_available": served,
                    "service_types": [name.upper() for name in FACTORS] if served else [],
                    "estimated_transit_days": {name.upper(): days for name, days in DAYS.items()} if served else {},
                    "nearby_pickup_points": 15 if served else 0,
                    "coverage_quality": "EXCELLENT" if served else "NONE",
                    "restrictions": [],
                    "surcharges": {"residential": False, "extended_area": False},
                }
            },
        )

    # The world: what makes scans happen ------------------------------------------------------------------------------

    def advance(self, number: str, wish: dict[str, Any]) -> dict[str, Any]:
        """Let something happen to a shipment: ``to`` (default: the next step), ``at``, ``details``, ``webhook``,
        ``pickup_point_id``. Raises ``KeyError`` for an unknown number and ``ValueError`` for an unknown status."""
        with self.store.changing():
            shipment = self.store.get("shipment", number)
            if shipment is None:
                raise KeyError(number)
            status = wish.get("to") or self._next(shipment)
            if status not in STATUSES and not wish.get("force"):
                raise ValueError(f"unknown status {status}; known: {', '.join(sorted(STATUSES))}")
            if status == "at_pickup_point":
                self._assign_point(shipment, wish.get("pickup_point_id") or points.DOCUMENTED["id"])
            data = _event_data(shipment, status) | (wish.get("details") or {})
            details = TRACKED_ONLY.get(status, {}) | _details(data)
            event = _event(status, wish.get("at") or now(), *_words(shipment, status, data), details)
            shipment["events"] = sorted([*shipment["events"], event], key=lambda one: _instant(one["timestamp"]))
            shipment["status"] = shipment["events"][-1]["status"]
            self._keep(shipment)
        if wish.get("webhook", status not in SILENT):
            self._tell(shipment, event, data)
        return event

    def complete_pickup(self, name: str) -> dict[str, Any]:
        """The van was there. Raises ``KeyError``."""
        pickup = self.store.get("pickup", name)
        if pickup is None:
            raise KeyError(name)
        at = now()
        self.store.put("pickup", name, pickup | {"status": "completed"})
        data = {
            "pickup_id": name,
            "completed_at": at,
            "packages_collected": pickup["packages_count"],
            "total_weight_kg": pickup["total_weight_kg"],
            "driver": {"name": "John Driver", "id": "DRV-123"},
            "shipment_ids": pickup["shipment_ids"],
            "notes": "All packages collected successfully",
        }
        for number in pickup["shipment_ids"]:
            if self.store.get("shipment", number):
                self.advance(number, {"to": "picked_up", "at": at, "webhook": False})
        self._push(pickup["account"], "pickup.completed", at, data, subject=name)
        return data

    def configure(self, account: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Create or change an account: ``secret webhook_url webhook_secret rate_limit suspended``."""
        fresh = {
            "secret": SECRET,
            "previous": [],
            "webhook_url": "",
            "webhook_secret": SECRET,
            "rate_limit": RATE_LIMIT,
            "suspended": False,
        }
        row = (self.store.get("account", account) or fresh) | {k: v for k, v in changes.items() if k in fresh}
        self.store.put("account", account, row)
        return row

    # Inside ----------------------------------------------------------------------------------------------------------

    def _authorize(self, request: Request) -> None:
        token = self.store.get("token", request.headers.get("authorization", "").removeprefix("Bearer "))
        account = self.store.get("account", token["account"]) if token else None
        if not token or not account or token["expires"] < time.time() or token["secret"] not in _secrets_of(account):
            raise Problem(401, *FAILURES[401])
        if account.get("suspended"):
            raise Problem(403, *FAILURES[403])

    def _count(self, account: str) -> None:
        limit = (self.store.get("account", account) or {}).get("rate_limit", RATE_LIMIT)
        recent = self._recent.setdefault(account, deque())
        moment = time.monotonic()
        while recent and recent[0] <= moment - 1:
            recent.popleft()
        if limit and len(recent) >= limit:
            raise Problem(429, "RATE_LIMITED", f"At most {limit} requests a second", **{"Retry-After": "1"})
        recent.append(moment)

    def _shipment(self, request: Request, number: str) -> dict[str, Any]:
        shipment = self.store.get("shipment", number)
        if shipment is None or shipment["account"] not in ("", request.account):
            raise Problem(404, "SHIPMENT_NOT_FOUND", f"No shipment {number}")
        return shipment

    def _keep(self, shipment: dict[str, Any]) -> None:
        self.store.put("shipment", shipment["tracking_number"], shipment, reference=shipment["reference"])

    def _new_shipment(
        self, account: str, body: dict[str, Any], service: str, point: dict[str, Any] | None
    ) -> dict[str, Any]:
        created = datetime.now(UTC)
        offer = price(body, service)
        number = f"PKT-{secrets.randbelow(10**10):010}"
        place = ", ".join(filter(None, (body["origin"].get("city"), body["origin"].get("state"))))
        return {
            "account": account,
            "shipment_id": f"SHP-{secrets.randbelow(10**9):09}",
            "tracking_number": number,
            "reference": str(body.get("reference") or ""),
            "order_id": str(body.get("order_id") or ""),
            "status": "created",
            "service_type": service,
            "created_at": rfc3339(created),
            "estimated_delivery": offer["estimated_delivery"],
            "barcode": f"{secrets.randbelow(10**18):018}",
            "pickup_code": _pickup_code() if point else None,
            "pickup_point": _short(point) if point else None,
            "total_price": offer["total_price"],
            "currency": offer["currency"],
            "origin": body["origin"],
            "destination": body["destination"],
            "packages": body["packages"],
            "label": _label_wish(body),
            "events": [_event("created", rfc3339(created), "Shipment created", place, {})],
        }

    def _assign_point(self, shipment: dict[str, Any], name: str) -> None:
        if not shipment["pickup_point"]:
            point = points.by_id(name)
            if point is None:
                raise ValueError(f"unknown pickup point {name}")
            shipment["pickup_point"] = _short(point)
        shipment["pickup_code"] = shipment["pickup_code"] or _pickup_code()

    def _next(self, shipment: dict[str, Any]) -> str:
        way = TO_A_POINT if shipment["pickup_point"] else TO_THE_DOOR
        reached = [way.index(event["status"]) for event in shipment["events"] if event["status"] in way]
        return way[min(max(reached, default=-1) + 1, len(way) - 1)]

    def _tell(self, shipment: dict[str, Any], event: dict[str, Any], data: dict[str, Any]) -> None:
        kind = EVENT_OF_STATUS.get(event["status"], f"shipment.{event['status']}")
        body = {"tracking_number": shipment["tracking_number"]} | data
        for field in ("pickup_time", "delivered_at"):
            if field in body:
                body[field] = event["timestamp"]
        account = shipment["account"] or "pickit-platform"
        self._push(account, kind, event["timestamp"], body, subject=shipment["tracking_number"])

    def _push(self, account: str, kind: str, at: str, data: dict[str, Any], *, subject: str) -> None:
        row = self.store.get("account", account) or {}
        if row.get("webhook_url"):
            event = {"event_type": kind, "timestamp": at, "data": data}
            self.pusher.push(self.name, row["webhook_url"], row["webhook_secret"], event, subject=subject)

    def _documented_shipments(self) -> None:
        body = {
            "origin": {"city": "Brooklyn", "state": "NY", "postal_code": "11201", "country": "US"},
            "destination": {"city": "Manhattan", "state": "NY", "postal_code": "10001", "country": "US"},
            "packages": [{"weight_kg": 2.5, "declared_value": 100}],
        }
        for number in (DOCUMENTED, "PKT-1234567891", "PKT-1234567892"):
            shipment = self._new_shipment("", body, "standard", points.DOCUMENTED)
            shipment |= {
                "tracking_number": number,
                "shipment_id": f"SHP-45678{number[-1]}",
                "created_at": "2024-01-15T10:00:00Z",
                "estimated_delivery": "2024-01-17T15:00:00Z",
                "pickup_code": "PICKUP-123456",
                "events": [
                    _event("created", "2024-01-15T10:00:00Z", "Shipment created", "Brooklyn, NY", {}),
                    _event("picked_up", "2024-01-15T14:00:00Z", "Package picked up", "Brooklyn, NY", {}),
                    _event(
                        "in_transit",
                        "2024-01-16T08:00:00Z",
                        "Package in transit to destination",
                        "New York, NY",
                        {"vehicle": "VAN-123", "route": "NYC-001"},
                    ),
                ],
                "status": "in_transit",
            }
            self._keep(shipment)


ROUTES = (
    ("POST", r"/auth/token", "token"),
    ("POST", r"/auth/rotate", "rotate_credentials"),
    ("GET", r"/pickup-points", "pickup_points"),
    ("GET", r"/pickup-points/([^/]+)", "pickup_point"),
    ("POST", r"/shipments/quote", "quote"),
    ("POST", r"/shipments", "create_label"),
    ("GET", r"/shipments", "find_by_reference"),
    ("GET", r"/shipments/([^/]+)/tracking", "track"),
    ("POST", r"/shipments/([^/]+)/cancel", "cancel"),
    ("GET", r"/shipments/([^/]+)/proof-of-delivery", "proof_of_delivery"),
    ("POST", r"/pickups", "schedule_pickup"),
    ("POST", r"/pickups/([^/]+)/cancel", "cancel_pickup"),
    ("GET", r"/service-coverage", "coverage"),
)


def sign(body: bytes, secret: str, event_type: str) -> dict[str, str]:
    """The document's three headers, stamped now."""
    told_at = now()
    signature = hmac.new(secret.encode(), told_at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-Pickit-Signature": signature,
        "X-Pickit-Timestamp": told_at,
        "X-Pickit-Event": event_type,
    }


def shown(shipment: dict[str, Any]) -> dict[str, Any]:
    """The shipment object of the API, with its label drawn."""
    hidden = ("account", "origin", "destination", "packages", "events")
    number = shipment["tracking_number"]
    kind, size = shipment["label"]["format"], shipment["label"]["size"]
    label = shipment["label"] | {
        "url": f"https://labels.pickit.net/{number}.{kind.lower()}",
        "data": base64.b64encode(labels.drawn(shipment, kind, size)).decode(),
    }
    public = {name: value for name, value in shipment.items() if name not in hidden}
    return public | {"label": label, "qr_code": pictures.qr(number)}


def price(body: dict[str, Any], service: str) -> dict[str, Any]:
    """7.50 and 1.00 a kg, times the service; 15 % fuel, 0.5 % of the declared value, 0.50 a package."""
    packages = body["packages"]
    base = round((7.5 + sum(float(package["weight_kg"]) for package in packages)) * FACTORS[service], 2)
    parts = {
        "base_rate": base,
        "fuel_surcharge": round(base * 0.15, 2),
        "insurance": round(sum(float(package.get("declared_value") or 0) for package in packages) * 0.005, 2),
        "handling_fee": round(0.5 * len(packages), 2),
        "pickup_point_fee": 0.0,
    }
    delivery = datetime.now(UTC).replace(hour=15, minute=0, second=0, microsecond=0) + timedelta(days=DAYS[service])
    return parts | {
        "total_price": round(sum(parts.values()), 2),
        "currency": packages[0].get("currency") or "USD",
        "estimated_transit_days": DAYS[service],
        "service_level": service.upper(),
        "estimated_delivery": rfc3339(delivery),
        "pickup_point_available": True,
        "valid_until": rfc3339(datetime.now(UTC) + timedelta(hours=24)),
    }


def _check_route(body: dict[str, Any], *, need_street: bool) -> str:
    needed = ("city", "postal_code", "country") + (("street",) if need_street else ())
    for end in ("origin", "destination"):
        address = body.get(end)
        if not isinstance(address, dict):
            raise Problem(400, "VALIDATION_ERROR", "An address is expected", end)
        for field in needed:
            if not isinstance(address.get(field), str) or not address[field]:
                raise Problem(400, "VALIDATION_ERROR", "This field is required", f"{end}.{field}")
        if address["postal_code"].startswith(UNSERVED):
            raise Problem(422, "NOT_SERVICEABLE", "Pickit does not serve this postal code", f"{end}.postal_code")
    _check_packages(body.get("packages"))
    service = str(body.get("service_type") or "standard").lower()
    if service not in FACTORS:
        raise Problem(400, "VALIDATION_ERROR", f"Unknown service; known: {', '.join(FACTORS)}", "service_type")
    return service


def _check_packages(packages: Any) -> None:
    if not isinstance(packages, list) or not packages:
        raise Problem(400, "VALIDATION_ERROR", "At least one package is needed", "packages")
    for number, package in enumerate(packages):
        weight = package.get("weight_kg") if isinstance(package, dict) else None
        if not isinstance(weight, int | float) or not 0 < weight <= MAX_KG:
            text = f"The weight must be above 0 and at most {MAX_KG} kg"
            raise Problem(400, "VALIDATION_ERROR", text, f"packages[{number}].weight_kg")


def _words_of(body: dict[str, Any]) -> list[str]:
    """Where an order may hold a magic word: its id, and the recipient's name."""
    return [str(body.get("order_id")), str((body.get("destination") or {}).get("contact_name"))]


def _check_label(body: dict[str, Any]) -> None:
    label = _label_wish(body)
    if label["format"] not in labels.FORMATS:
        raise Problem(400, "VALIDATION_ERROR", f"Label formats: {', '.join(labels.FORMATS)}", "label.format")
    sizes = labels.FORMATS[label["format"]]
    if label["size"] not in sizes:
        raise Problem(400, "VALIDATION_ERROR", f"{label['format']} label sizes: {', '.join(sizes)}", "label.size")


def _label_wish(body: dict[str, Any]) -> dict[str, str]:
    label = body.get("label") or {}
    return {"format": str(label.get("format", "PDF")), "size": str(label.get("size", "4x6"))}


def _query_number(request: Request, name: str, low: float, high: float, default: float | None = None) -> float:
    text = request.query.get(name)
    try:
        value = default if text is None else float(text)
        if value is None or not low <= value <= high:
            raise ValueError
    except ValueError:
        raise Problem(400, "VALIDATION_ERROR", f"A number from {low} to {high} is expected", name) from None
    return value


def _point(name: str, status: int, code: str) -> dict[str, Any]:
    point = points.by_id(str(name))
    if point is None or (status == 422 and point["status"] != "active"):
        raise Problem(status, code, f"No usable pickup point {name}", "pickup_point_id" if status == 422 else None)
    return point


def _short(point: dict[str, Any]) -> dict[str, Any]:
    place = point["address"]
    line = f"{place['street']}, {place['city']}, {place['state']} {place['postal_code']}"
    return {"id": point["id"], "name": point["name"], "type": point["type"], "address": line}


def _secrets_of(account: dict[str, Any]) -> list[str]:
    before = [secret for secret, until in account.get("previous", []) if until > time.time()]
    return [account["secret"], *before]


def _pickup_code() -> str:
    return f"PICKUP-{secrets.randbelow(10**6):06}"


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _event(status: str, at: str, description: str, location: str, details: dict[str, Any]) -> dict[str, Any]:
    return {"timestamp": at, "status": status, "description": description, "location": location, "details": details}


def _created_data(shipment: dict[str, Any]) -> dict[str, Any]:
    ends = {
        end: {key: shipment[end].get(key, "") for key in ("city", "state", "country")}
        for end in ("origin", "destination")
    }
    return ends | {
        "shipment_id": shipment["shipment_id"],
        "service_type": shipment["service_type"].upper(),
        "estimated_delivery": shipment["estimated_delivery"],
    }


def _event_data(shipment: dict[str, Any], status: str) -> dict[str, Any]:
    """What the document's webhook of this status holds beyond the number."""
    place = ", ".join(filter(None, (shipment["origin"].get("city"), shipment["origin"].get("state"))))
    attempts = 1 + sum(event["status"] == "exception" for event in shipment["events"])
    point = shipment["pickup_point"]
    match status:
        case "created":
            return _created_data(shipment)
        case "picked_up":
            driver = {"name": "John Driver", "id": "DRV-123"}
            return {"pickup_time": "", "driver": driver, "vehicle": "VAN-456", "location": place}
        case "in_transit":
            return {
                "current_location": "New York Distribution Center",
                "next_location": "Manhattan Hub",
                "estimated_arrival": shipment["estimated_delivery"],
                "route": "NYC-001",
                "progress_percentage": 65,
            }
        case "at_pickup_point":
            return {
                "pickup_point": point,
                "pickup_code": shipment["pickup_code"],
                "locker_number": "A-15",
                "hold_until": rfc3339(datetime.now(UTC) + timedelta(days=7)),
                "customer_notified": True,
                "notification_channels": ["SMS", "EMAIL"],
            }
        case "delivered":
            data = {"delivered_at": "", "delivery_type": "PICKUP_POINT" if point else "HOME_DELIVERY"}
            if point:
                data |= {"pickup_point": {key: point[key] for key in ("id", "name")}}
                data |= {"pickup_code_used": shipment["pickup_code"]}
            data["collected_by"] = shipment["destination"].get("contact_name") or "Recipient"
            return data | {"proof_of_delivery": {"signature": True, "photo": True, "id_verified": bool(point)}}
        case "exception":
            return {
                "failure_reason": "CUSTOMER_NOT_AVAILABLE",
                "failure_details": "No answer at door, no safe location",
                "attempts": attempts,
                "next_action": "RETURN_TO_DEPOT",
                "rescheduled_for": rfc3339(datetime.now(UTC) + timedelta(days=1)),
            }
    return {}


_WORDS = {
    "created": "Shipment created",
    "picked_up": "Package picked up",
    "in_transit": "Package in transit to destination",
    "at_pickup_point": "Available at pickup point",
    "out_for_delivery": "Out for delivery",
    "delivered": "Successfully delivered",
    "returned": "Returned to sender",
    "cancelled": "Shipment cancelled",
}


def _words(shipment: dict[str, Any], status: str, data: dict[str, Any]) -> tuple[str, str]:
    """Text and place of a tracking event."""
    text = data.get("failure_details") or _WORDS.get(status, status)
    point = shipment["pickup_point"]
    place = data.get("location") or data.get("current_location")
    if not place and point and status in ("at_pickup_point", "delivered"):
        place = point["name"]
    return text, place or shipment["destination"].get("city", "")


def _details(data: dict[str, Any]) -> dict[str, Any]:
    own = ("pickup_time", "delivered_at", "location", "current_location")
    return {key: value for key, value in data.items() if key not in own}


def _proof(number: str, at: str, name: str, code: str | None, location: str) -> dict[str, Any]:
    return {
        "tracking_number": number,
        "delivered_at": at,
        "signed_by": name,
        "signature_image": pictures.signature(name),
        "delivery_photo": pictures.photo(number),
        "location": location or "Front door",
        "pickup_code_used": code,
        "delivery_type": "PICKUP_POINT" if code else "HOME_DELIVERY",
        "coordinates": {"lat": 40.7128, "lng": -74.0060},
        "notes": "Left with receptionist" if not code else "",
    }


def masked(body: bytes) -> Any:
    """A body for the call record, without secrets."""
    try:
        value = json.loads(body or b"null")
    except ValueError:
        return f"<{len(body)} bytes>"
    if isinstance(value, dict):
        value |= {name: "***" for name in ("client_secret", "password") if name in value}
    return value
