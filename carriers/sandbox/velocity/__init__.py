"""Velocity Shipfast's side of the wire, from ``docs/carriers/velocity.md``: orders, couriers, scans, webhooks."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from carriers.sandbox import labels, magic
from carriers.sandbox.messages import Answer, Request, now
from carriers.sandbox.store import Store
from carriers.sandbox.velocity import manifests, reports, rules
from carriers.sandbox.webhooks import Pusher

ACCOUNTS = ("+910000000000", "velocity-platform")
SECRET = "test-secret"  # noqa: S105 everybody may know it
ZONE = ZoneInfo("Asia/Kolkata")
TOKEN_SECONDS = 24 * 3600
WRONG_PASSWORD, WRONG_TOKEN, TOO_MANY = "Invalid credentials", "Invalid or expired token", "Too many requests"
# Requests in so many seconds, by operation; those of one name share them.
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
WORDS = {
    "NEW": "new",
    "PKP": "picked_up",
    "IT": "in_transit",
    "OFD": "out_for_delivery",
    "DEL": "delivered",
    "NDR": "ndr",
    "RTO": "rto",
    "LOST": "lost",
    "DAMAGED": "damaged",
    "CANCELLED": "cancelled",
}
WAY = ("NEW", "PKP", "IT", "OFD", "DEL")
CANCELLABLE = {"NEW", "PKP", "IT"}
COURIERS = (
    {"courier_name": "Delhivery Surface", "courier_company_id": "1", "days": 3, "rate": 45, "cod": True},
    {"courier_name": "DTDC Express", "courier_company_id": "5", "days": 2, "rate": 60, "cod": True},
    {"courier_name": "Xpressbees Air", "courier_company_id": "9", "days": 1, "rate": 95, "cod": False},
)
UNSERVED = {"999999", "000000"}
# Faults by the recipient's pincode, beside those by magic words.
MAGIC_PINCODES = {
    "999408": magic.FAULTS["SANDBOX-TIMEOUT"],
    "999504": magic.FAULTS["SANDBOX-HANG-AFTER"],
    "999500": magic.FAULTS["SANDBOX-500"],
    "999429": magic.FAULTS["SANDBOX-429"],
    "999401": magic.FAULTS["SANDBOX-401"],
    "999400": magic.FAULTS["SANDBOX-REJECT"],
}
# Pincodes whose orders go a way of their own as soon as they are booked.
WAYS = {
    "999001": ("PKP",),
    "999002": ("PKP", "IT"),
    "999003": ("PKP", "IT", "OFD"),
    "999004": ("PKP", "IT", "OFD", "DEL"),
    "999005": ("PKP", "IT", "OFD", "NDR"),
    "999006": ("PKP", "IT", "OFD", "NDR", "RTO"),
    "999007": ("PKP", "IT", "LOST"),
    "999008": ("PKP", "IT", "DAMAGED"),
    "999009": ("CANCELLED",),
    "999010": ("PKP", "HELD"),  # a code that no table has
}
API = "/custom/api/v1"
ROUTES = (
    ("POST", rf"{API}/auth-token", "token", "_token"),
    ("POST", rf"{API}/forward-order", "create_label", "_forward_order"),
    ("POST", rf"{API}/forward-order-shipment", "create_label", "_chosen_forward_order"),
    ("POST", rf"{API}/reverse-order", "create_return", "_reverse_order"),
    ("POST", rf"{API}/reverse-order-shipment", "create_return", "_chosen_reverse_order"),
    ("POST", rf"{API}/order-update", "update_order", "_order_update"),
    ("POST", rf"{API}/order-tracking", "track", "_order_tracking"),
    ("POST", rf"{API}/cancel-order", "cancel", "_cancel_order"),
    ("POST", rf"{API}/serviceability", "quote", "_serviceability"),
    ("POST", rf"{API}/warehouse", "register_warehouse", "_warehouse"),
    ("GET", rf"{API}/reports", "reports", "_reports"),
    ("GET", r"/api/(label|manifest)/(\d+)\.pdf", "label_file", "_file"),
)


class Problem(Exception):
    """A refusal in Velocity's words."""

    def __init__(self, status: int, body: dict[str, Any], **headers: str) -> None:
        super().__init__(str(body))
        self.answer = Answer(status, body, headers)


class Velocity:
    """The simulated carrier. ``route`` finds the operation of a request, ``handle`` answers it."""

    name = "velocity"
    accounts = ACCOUNTS
    prefix = "/velocity"

    def __init__(self, store: Store, pusher: Pusher) -> None:
        self.store, self.pusher = store, pusher
        self._recent: dict[tuple[str, str], deque[float]] = {}
        pusher.signers[self.name] = sign
        for account in ACCOUNTS:
            if not store.get("account", account):
                self.configure(account, {})

    # The carrier's API -----------------------------------------------------------------------------------------------

    def route(self, request: Request) -> tuple[str, Callable[[Request], Answer]] | None:
        """The name of the operation and its handler."""
        for method, pattern, operation, name in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                if operation == "reports" and request.query.get("order_id"):
                    operation = "find_by_reference"
                handler = getattr(self, name)
                return operation, lambda request, handler=handler, match=match: handler(request, *match.groups())
        return None

    def handle(self, request: Request, operation: str, handler: Callable[[Request], Answer]) -> Answer:
        """Count, authenticate, do."""
        try:
            self._count(request.account, operation)
            if operation not in ("token", "label_file"):
                self._authorize(request)
            return handler(request)
        except Problem as problem:
            return problem.answer
        except ValueError as error:
            return Problem(400, {"message": f"The body cannot be read: {error}"}).answer

    def error(self, status: int, message: str = "", operation: str = "") -> dict[str, Any]:
        """A failure's body, in the document's words unless others are given."""
        if status == 401:
            return {"error": message or (WRONG_PASSWORD if operation == "token" else WRONG_TOKEN)}
        if status >= 500:
            booking = operation in ("create_label", "create_return")
            words = ("Failed to create shipment", "Carrier API timeout") if booking else ("Server error",) * 2
            return {"message": message or words[0], "error": message or words[1]}
        if status == 400:
            return {"message": message or "Validation failed", "errors": {}}
        return {"message": message or (TOO_MANY if status == 429 else "Refused")}

    def account_of(self, request: Request) -> str:
        """Who calls, by token, or who logs in; empty for nobody."""
        token = self.store.get("velocity_token", _token_of(request))
        if token:
            return token["account"]
        try:
            return str(request.json().get("username", ""))
        except ValueError:
            return ""

    def magic(self, request: Request, operation: str) -> dict[str, Any] | None:
        """A fault that the order itself asks for."""
        if operation not in ("create_label", "create_return"):
            return None
        try:
            body = request.json()
        except ValueError:
            return None
        words = [body.get("order_id"), *(body.get(f"{role}_customer_name") for role in _ROLES)]
        asked = [magic.fault(words), *(MAGIC_PINCODES.get(str(body.get(f"{role}_pincode"))) for role in _ROLES)]
        return next((fault for fault in asked if fault), None)

    def _token(self, request: Request) -> Answer:
        body = request.json()
        account = self.store.get("account", str(body.get("username")))
        if not account or not hmac.compare_digest(account["secret"].encode(), str(body.get("password")).encode()):
            raise Problem(401, {"error": WRONG_PASSWORD})
        token = secrets.token_urlsafe(48)
        row = {"account": body["username"], "secret": account["secret"], "expires": time.time() + TOKEN_SECONDS}
        self.store.put("velocity_token", token, row)
        return Answer(200, {"token": token})

    def _serviceability(self, request: Request) -> Answer:
        body = request.json()
        _refuse_if(rules.of_route(body))
        code = body["delivery_pincode"]
        if {code, body["pickup_pincode"]} & UNSERVED:
            text = "No carriers service this pincode"
            answer = {"delivery_pincode": code, "is_serviceable": False, "available_carriers": [], "message": text}
            raise Problem(422, answer)
        offers = [_offer(courier, body["weight"]) for courier in COURIERS if courier["cod"] or not body.get("cod")]
        return Answer(200, {"delivery_pincode": code, "is_serviceable": True, "available_carriers": offers})

    def _forward_order(self, request: Request) -> Answer:
        return self._order(request, rules.of_order, COURIERS[0])

    def _chosen_forward_order(self, request: Request) -> Answer:
        return self._order(request, rules.of_order, _chosen(request.json()))

    def _reverse_order(self, request: Request) -> Answer:
        return self._order(request, rules.of_return, COURIERS[0])

    def _chosen_reverse_order(self, request: Request) -> Answer:
        return self._order(request, rules.of_return, _chosen(request.json()))

    def _order(self, request: Request, mistakes: _Mistakes, courier: dict[str, Any]) -> Answer:
        body = request.json()
        _refuse_if(mistakes(body))
        returned = mistakes is rules.of_return
        place = self._warehouse_of(request.account, body, needed=not returned)
        if returned and body.get("shipping_pincode") is None:
            body |= _destination(place)
        to = "shipping" if returned or body.get("shipping_is_billing") is False else "billing"
        _refuse_unserved(body[f"{to}_pincode"], body.get("pickup_pincode"), place.get("pin_code"))
        with self.store.changing():
            taken = self.store.by_reference("velocity_order", body["order_id"])
            if any(order["account"] == request.account for order in taken):
                raise _invalid({"order_id": "Order already exists"})
            order = _new_order(request, body, courier, to)
            order["from"] = {} if returned else body.get("vendor_details") or place
            self._keep(order)
            self.store.put("velocity_file", order["shipment_id"], {"awb": order["awb"]})
        event = {"status": "new", "location": "", "timestamp": order["created_at"], "description": "Order created"}
        self._tell(order, "NEW", event)
        for code in WAYS.get(body[f"{to}_pincode"], ()):
            self.advance(order["awb"], {"to": code, "force": True})
        return Answer(200, {name: order[name] for name in _BOOKED} | {"status": "NEW"})

    def _warehouse_of(self, account: str, body: dict[str, Any], *, needed: bool) -> dict[str, Any]:
        """The body's warehouse; empty where it names none and need not."""
        name = body.get("warehouse_id")
        if name is None and not needed:
            return {}
        place = self.store.get("velocity_warehouse", str(name))
        if place is None or place["account"] != account:
            raise Problem(404, {"message": "Warehouse not found", "warehouse_id": name})
        return place

    def _order_update(self, request: Request) -> Answer:
        body = request.json()
        with self.store.changing():
            order = self._find(request, body.get("awb"))
            if order["status_code"] not in CANCELLABLE:
                raise self._too_late("Cannot update order in current status", order)
            sent = {name: body[name] for name in body if name in rules.CHANGEABLE}
            if not sent:
                raise _invalid({"awb": "Nothing to update"})
            before = _with_recipient(order)
            _refuse_if(rules.of_update(sent, before=before))
            _refuse_unserved(sent.get("shipping_pincode"))
            order |= {"body": before | sent, "to": "shipping"}
            order["freight_charges"] = reports.freight(_RATES[order["courier_company_id"]], order["body"]["weight"])
            self._keep(order)
        told = {"message": "Order updated successfully", "awb": order["awb"], "order_id": order["order_id"]}
        return Answer(200, told | {"updated_fields": [name for name in sent if sent[name] != before.get(name)]})

    def _order_tracking(self, request: Request) -> Answer:
        numbers = request.json().get("awbs")
        if not isinstance(numbers, list) or not numbers or len(numbers) > 50:
            raise _invalid({"awbs": "1 to 50 AWBs are expected"})
        found = [self.store.get("velocity_order", str(number)) for number in numbers]
        return Answer(200, [_track(order) for order in found if order and order["account"] == request.account])

    def _cancel_order(self, request: Request) -> Answer:
        with self.store.changing():
            order = self._find(request, request.json().get("awb"))
            if order["status_code"] not in CANCELLABLE:
                raise self._too_late("Cannot cancel order in current status", order)
            event = self._happen(order, "CANCELLED", {})
            self._keep(order)
        self._tell(order, "CANCELLED", event)
        told = {"message": "Order cancelled successfully", "awb": order["awb"], "status": "CANCELLED"}
        return Answer(200, told)

    def _warehouse(self, request: Request) -> Answer:
        body = request.json()
        _refuse_if(rules.of_warehouse(body))
        name = body.get("warehouse_id")
        if name:
            self._warehouse_of(request.account, body, needed=True)
        made = name or f"WH{secrets.token_hex(3).upper()}"
        self.store.put("velocity_warehouse", made, body | {"account": request.account, "warehouse_id": made})
        text = f"Warehouse {'updated' if name else 'created'} successfully"
        return Answer(200, {"warehouse_id": made, "name": body["name"], "status": "active", "message": text})

    def _reports(self, request: Request) -> Answer:
        kind = request.query.get("type", "")
        if kind not in reports.KINDS:
            raise _invalid({"type": f"One of {', '.join(sorted(reports.KINDS))} is expected"})
        reference = request.query.get("order_id")
        found = self.store.by_reference("velocity_order", reference) if reference else self.store.all("velocity_order")
        mine = [order for order in found if order["account"] == request.account and _within(order, request.query)]
        return Answer(200, reports.report(kind, mine))

    def _file(self, request: Request, kind: str, name: str) -> Answer:
        known = self.store.get("velocity_file", name)
        if known is None:
            raise Problem(404, {"message": "File not found"})
        draw = labels.pdf if kind == "label" else manifests.pdf
        file = draw(_printed(self.store.get("velocity_order", known["awb"])), carrier="Velocity")
        return Answer(200, raw=file, headers={"Content-Type": "application/pdf"})

    # The world: what makes scans happen ------------------------------------------------------------------------------

    def advance(self, number: str, wish: dict[str, Any]) -> dict[str, Any]:
        """Let something happen to an order: ``to`` (default: the next step), ``at``, ``details``, ``webhook``.

        Raises ``KeyError`` for an unknown AWB and ``ValueError`` for an unknown code.
        """
        at = _local(wish["at"]) if wish.get("at") else _local_now()
        with self.store.changing():
            order = self.store.get("velocity_order", number)
            if order is None:
                raise KeyError(number)
            code = str(wish.get("to") or _next(order))
            code = code.upper() if code.upper() in WORDS else _CODES.get(code.lower(), code)
            if code not in WORDS and not wish.get("force"):
                raise ValueError(f"unknown code {code}; known: {', '.join(WORDS)}")
            details = (_ndr(order) if code == "NDR" else {}) | (wish.get("details") or {})
            event = self._happen(order, code, {"timestamp": at} | details)
            self._keep(order)
        if wish.get("webhook", True):
            self._tell(order, code, event)
        return event

    def remit(self, number: str) -> dict[str, Any]:
        """Pay out what was collected for an order.

        Raises ``KeyError`` for an unknown AWB and ``ValueError`` where nothing was collected.
        """
        order = self.store.get("velocity_order", number)
        if order is None:
            raise KeyError(number)
        rows = reports.report("cod_remittance", [order])["data"]
        if not rows:
            raise ValueError("nothing was collected for this order")
        event = {"event": "cod_remittance", "timestamp": _local_now()}
        event |= {name: rows[0][name] for name in ("remittance_id", "amount")}
        self._push(order, event)
        return event

    def configure(self, account: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Create or change an account: ``secret webhook_url webhook_secret rate_limit`` (0: no limits) and ``limits``,
        other numbers than the documented ones (``{"quote": 5}``)."""
        fresh = {"secret": SECRET, "webhook_url": "", "webhook_secret": SECRET, "rate_limit": 1, "limits": {}}
        row = (self.store.get("account", account) or fresh) | {k: v for k, v in changes.items() if k in fresh}
        self.store.put("account", account, row)
        return row

    # Inside ----------------------------------------------------------------------------------------------------------

    def _authorize(self, request: Request) -> None:
        token = self.store.get("velocity_token", _token_of(request))
        account = self.store.get("account", token["account"]) if token else None
        if not token or not account or token["expires"] < time.time() or token["secret"] != account["secret"]:
            raise Problem(401, {"error": WRONG_TOKEN})

    def _count(self, account: str, operation: str) -> None:
        row = self.store.get("account", account) or {"rate_limit": 1}
        if operation not in LIMITS or not row["rate_limit"]:
            return
        name, limit, seconds = LIMITS[operation]
        limit = row.get("limits", {}).get(name, limit)
        recent = self._recent.setdefault((account, name), deque())
        moment = time.monotonic()
        while recent and recent[0] <= moment - seconds:
            recent.popleft()
        if len(recent) >= limit:
            wait = math.ceil(recent[0] + seconds - moment)
            raise Problem(429, {"message": TOO_MANY}, **{"Retry-After": str(max(1, wait))})
        recent.append(moment)

    def _find(self, request: Request, number: Any) -> dict[str, Any]:
        order = self.store.get("velocity_order", str(number))
        if order is None or order["account"] != request.account:
            raise Problem(404, {"message": "Shipment not found", "awb": number})
        return order

    def _too_late(self, text: str, order: dict[str, Any]) -> Problem:
        return Problem(400, {"message": text, "awb": order["awb"], "current_status": _word(order["status_code"])})

    def _happen(self, order: dict[str, Any], code: str, details: dict[str, Any]) -> dict[str, Any]:
        event = {
            "status": _word(code),
            "location": _place(order, code),
            "timestamp": _local_now(),
            "description": _DESCRIPTIONS.get(code, code),
        } | details
        order["history"] = sorted([*order["history"], event], key=lambda one: one["timestamp"])
        last = order["history"][-1]["status"]
        order["status_code"] = _CODES.get(last, last.upper())
        return event

    def _keep(self, order: dict[str, Any]) -> None:
        self.store.put("velocity_order", order["awb"], order, reference=order["order_id"])

    def _tell(self, order: dict[str, Any], code: str, event: dict[str, Any]) -> None:
        told = {"event": "status_update", "awb": order["awb"], "order_id": order["order_id"], "status_code": code}
        told |= {"courier_name": order["courier_name"], "estimated_delivery": order["estimated_delivery"]} | event
        self._push(order, told)

    def _push(self, order: dict[str, Any], event: dict[str, Any]) -> None:
        row = self.store.get("account", order["account"]) or {}
        if row.get("webhook_url"):
            self.pusher.push(self.name, row["webhook_url"], row["webhook_secret"], event, subject=order["awb"])


_Mistakes = Callable[[dict[str, Any]], dict[str, str]]
_TIME = "%Y-%m-%d %H:%M:%S"
_ADDRESS = ("customer_name", "last_name", "address", "city", "pincode", "state", "country", "email", "phone")
_RATES = {courier["courier_company_id"]: courier["rate"] for courier in COURIERS}
_ROLES = ("billing", "shipping", "pickup")
_BOOKED = ("shipment_id", "order_id", "awb", "courier_name", "courier_company_id", "label_url", "manifest_url")
_CODES = {word: code for code, word in WORDS.items()}
_DESCRIPTIONS = {
    "NEW": "Order created",
    "PKP": "Shipment picked up",
    "IT": "In transit to destination",
    "OFD": "Out for delivery",
    "DEL": "Delivered",
    "NDR": "Delivery attempted",
    "RTO": "Returning to origin",
    "LOST": "Shipment lost",
    "DAMAGED": "Shipment damaged",
    "CANCELLED": "Order cancelled",
}


def sign(body: bytes, secret: str, event_type: str) -> dict[str, str]:
    """The two headers, stamped now."""
    told_at = now()
    signature = hmac.new(secret.encode(), told_at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-Velocity-Signature": signature,
        "X-Velocity-Timestamp": told_at,
    }


def _new_order(request: Request, body: dict[str, Any], courier: dict[str, Any], to: str) -> dict[str, Any]:
    name = f"{secrets.randbelow(9 * 10**7) + 10**7}"
    base = f"http://{request.headers.get('host', '127.0.0.1')}{Velocity.prefix}/api"
    day = datetime.now(ZONE) + timedelta(days=courier["days"])
    return {
        "account": request.account,
        "shipment_id": name,
        "order_id": body["order_id"],
        "awb": f"SHPHYB{secrets.randbelow(10**9):09}",
        "courier_name": courier["courier_name"],
        "courier_company_id": courier["courier_company_id"],
        "label_url": f"{base}/label/{name}.pdf",
        "manifest_url": f"{base}/manifest/{name}.pdf",
        "status_code": "NEW",
        "created_at": _local_now(),
        "freight_charges": reports.freight(courier["rate"], body["weight"]),
        "estimated_delivery": day.date().isoformat(),
        "to": to,
        "body": body,
        "history": [],
    }


def _with_recipient(order: dict[str, Any]) -> dict[str, Any]:
    """The order's body with who receives it in ``shipping_*``, wherever it was told."""
    body, role = order["body"], order["to"]
    return body | {f"shipping_{name}": body[f"{role}_{name}"] for name in _ADDRESS if f"{role}_{name}" in body}


def _destination(place: dict[str, Any]) -> dict[str, Any]:
    """A warehouse as the place to which a return goes."""
    there = place | {"pincode": place["pin_code"], "customer_name": place["name"]}
    return {f"shipping_{name}": there[name] for name in _ADDRESS if name in there}


def _track(order: dict[str, Any]) -> dict[str, Any]:
    return {
        "awb": order["awb"],
        "order_id": order["order_id"],
        "status": _word(order["status_code"]),
        "status_code": order["status_code"],
        "courier_name": order["courier_name"],
        "current_location": order["history"][-1]["location"] if order["history"] else "",
        "estimated_delivery": order["estimated_delivery"],
        "tracking_history": order["history"],
    }


def _printed(order: dict[str, Any]) -> dict[str, Any]:
    """What the label shows."""
    body, vendor, to = order["body"], order["from"], order["to"]
    sender = {
        "company": vendor.get("name") or body.get("pickup_customer_name") or "",
        "street": vendor.get("address") or body.get("pickup_address") or "",
        "city": vendor.get("city") or body.get("pickup_city") or "",
        "postal_code": vendor.get("pin_code") or body.get("pickup_pincode") or "",
        "country": "IN",
    }
    recipient = {
        "contact_name": f"{body[f'{to}_customer_name']} {body.get(f'{to}_last_name') or ''}".strip(),
        "street": body.get(f"{to}_address", ""),
        "city": body.get(f"{to}_city", ""),
        "state": body.get(f"{to}_state", ""),
        "postal_code": body.get(f"{to}_pincode", ""),
        "country": "IN",
        "contact_phone": body.get(f"{to}_phone", ""),
    }
    cod = f"COD {body['cod_collectible']}" if body.get("payment_method") == "COD" else "PREPAID"
    return {
        "tracking_number": order["awb"],
        "service_type": f"{order['courier_name']} {cod}",
        "origin": sender,
        "destination": recipient,
        "packages": [{"weight_kg": body["weight"]}],
        "order_id": order["order_id"],
        "reference": order["shipment_id"],
    }


def _refuse_if(errors: dict[str, str]) -> None:
    if errors:
        raise _invalid(errors)


def _refuse_unserved(pincode: str | None, *others: str | None) -> None:
    unserved = next((code for code in (pincode, *others) if code in UNSERVED), None)
    if unserved:
        text = "Destination pincode not serviceable" if unserved == pincode else "Pickup pincode not serviceable"
        raise Problem(422, {"message": text, "pincode": unserved, "available_carriers": []})


def _invalid(errors: dict[str, str]) -> Problem:
    return Problem(400, {"message": "Validation failed", "errors": errors})


def _chosen(body: dict[str, Any]) -> dict[str, Any]:
    found = [one for one in COURIERS if one["courier_company_id"] == str(body.get("courier_company_id"))]
    if not found:
        raise _invalid({"courier_company_id": "Unknown courier"})
    if body.get("payment_method") == "COD" and not found[0]["cod"]:
        raise _invalid({"courier_company_id": "This courier does not collect cash"})
    return found[0]


def _offer(courier: dict[str, Any], weight: float) -> dict[str, Any]:
    return {
        "courier_name": courier["courier_name"],
        "courier_company_id": courier["courier_company_id"],
        "estimated_delivery_days": courier["days"],
        "rate": reports.freight(courier["rate"], weight),
        "cod_available": courier["cod"],
    }


def _word(code: str) -> str:
    """How histories and refusals write a code; one of no table is its own word."""
    return WORDS.get(code, code.lower())


def _within(order: dict[str, Any], query: dict[str, str]) -> bool:
    day = order["created_at"][:10]
    return query.get("from", "") <= day <= query.get("to", "9999")


def _ndr(order: dict[str, Any]) -> dict[str, Any]:
    return {
        "ndr_reason": "CUSTOMER_NOT_AVAILABLE",
        "attempt": 1 + sum(event["status"] == "ndr" for event in order["history"]),
    }


def _next(order: dict[str, Any]) -> str:
    reached = WAY.index(order["status_code"]) if order["status_code"] in WAY else len(WAY) - 2
    return WAY[min(reached + 1, len(WAY) - 1)]


def _place(order: dict[str, Any], code: str) -> str:
    body = order["body"]
    if code in ("NEW", "PKP"):
        return (
            f"{(body.get('vendor_details') or {}).get('city') or body.get('pickup_city') or 'Origin'} Warehouse".title()
        )
    return f"{body.get(order['to'] + '_city', '')} Hub".strip()


def _token_of(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _local(text: str) -> str:
    """A time as Velocity writes it. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    return (moment.astimezone(ZONE) if moment.tzinfo else moment).strftime(_TIME)


def _local_now() -> str:
    return datetime.now(ZONE).strftime(_TIME)
