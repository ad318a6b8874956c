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

from carriers.sandbox import labels
from carriers.sandbox.messages import Answer, Request, now
from carriers.sandbox.store import Store
from carriers.sandbox.webhooks import Pusher

ACCOUNTS = ("+910000000000", "velocity-platform")
SECRET = "test-secret"  # noqa: S105 everybody may know it
ZONE = ZoneInfo("Asia/Kolkata")
TOKEN_SECONDS = 24 * 3600
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
REPORTS = {"orders", "billing", "performance", "cod_remittance", "weight_discrepancy", "ndr"}
MAGIC = {
    "SANDBOX-TIMEOUT": {"kind": "timeout", "delay_s": 60},
    "SANDBOX-HANG-AFTER": {"kind": "hang_after", "delay_s": 60},
    "SANDBOX-500": {"kind": "status", "status": 500},
    "SANDBOX-429": {"kind": "status", "status": 429},
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

    def error(self, status: int, message: str) -> dict[str, Any]:
        """A failure's body."""
        if status == 401:
            return {"error": message}
        return {"message": message, "error": message} if status >= 500 else {"message": message}

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
        """A fault that the order itself asks for, by the recipient's name."""
        if operation not in ("create_label", "create_return"):
            return None
        try:
            body = request.json()
        except ValueError:
            return None
        named = (body.get(f"{role}_customer_name") for role in ("shipping", "billing", "pickup"))
        return next((MAGIC[name] for name in named if name in MAGIC), None)

    def _token(self, request: Request) -> Answer:
        body = request.json()
        account = self.store.get("account", str(body.get("username")))
        if not account or not hmac.compare_digest(account["secret"].encode(), str(body.get("password")).encode()):
            raise Problem(401, {"error": "Invalid credentials"})
        token = secrets.token_urlsafe(48)
        row = {"account": body["username"], "secret": account["secret"], "expires": time.time() + TOKEN_SECONDS}
        self.store.put("velocity_token", token, row)
        return Answer(200, {"token": token})

    def _serviceability(self, request: Request) -> Answer:
        body = request.json()
        errors = {
            name: "Invalid pincode format"
            for name in ("pickup_pincode", "delivery_pincode")
            if not _pincode(body.get(name))
        }
        if not _number(body.get("weight"), 0.001, 1000):
            errors["weight"] = "Weight is required"
        if body.get("cod", 0) not in (0, 1):
            errors["cod"] = "0 or 1 is expected"
        _refuse_if(errors)
        code = body["delivery_pincode"]
        if {code, body["pickup_pincode"]} & UNSERVED:
            text = "No carriers service this pincode"
            answer = {"delivery_pincode": code, "is_serviceable": False, "available_carriers": [], "message": text}
            raise Problem(422, answer)
        offers = [_offer(courier, body["weight"]) for courier in COURIERS if courier["cod"] or not body.get("cod")]
        return Answer(200, {"delivery_pincode": code, "is_serviceable": True, "available_carriers": offers})

    def _forward_order(self, request: Request) -> Answer:
        return self._order(request, "billing", COURIERS[0])

    def _chosen_forward_order(self, request: Request) -> Answer:
        return self._order(request, "billing", _chosen(request.json()))

    def _reverse_order(self, request: Request) -> Answer:
        return self._order(request, "pickup", COURIERS[0])

    def _chosen_reverse_order(self, request: Request) -> Answer:
        return self._order(request, "pickup", _chosen(request.json()))

    def _order(self, request: Request, role: str, courier: dict[str, Any]) -> Answer:
        body = request.json()
        _refuse_if(_mistakes(body, role))
        self._check_warehouse(request.account, body, needed=role == "billing")
        buyer = "shipping" if body.get("shipping_is_billing") is False or role == "pickup" else "billing"
        code = body.get(f"{buyer}_pincode") or ""
        if {code, body.get("pickup_pincode")} & UNSERVED:
            text = "Destination pincode not serviceable"
            raise Problem(422, {"message": text, "pincode": code, "available_carriers": []})
        with self.store.changing():
            taken = self.store.by_reference("velocity_order", body["order_id"])
            if any(order["account"] == request.account for order in taken):
                raise _invalid({"order_id": "Order already exists"})
            order = _new_order(request, body, courier, buyer if role == "billing" else "shipping")
            self._keep(order)
        self._tell(order, "NEW", {"location": "", "timestamp": order["created_at"], "description": "Order created"}, {})
        shown = _shown(order)
        return Answer(200, {name: shown[name] for name in shown if name not in ("status_code", "created_at")})

    def _check_warehouse(self, account: str, body: dict[str, Any], *, needed: bool) -> None:
        name = body.get("warehouse_id")
        if name is None and not needed:
            return
        place = self.store.get("velocity_warehouse", str(name))
        if place is None or place["account"] != account:
            raise Problem(404, {"message": "Warehouse not found", "warehouse_id": name})

    def _order_update(self, request: Request) -> Answer:
        body = request.json()
        with self.store.changing():
            order = self._find(request, body.get("awb"))
            if order["status_code"] not in CANCELLABLE:
                raise self._too_late("Cannot update order in current status", order)
            changed = sorted(name for name in body if name in CHANGEABLE)
            if not changed:
                raise _invalid({"awb": "Nothing to update"})
            order["body"] |= {name: body[name] for name in changed}
            self._keep(order)
        told = {"message": "Order updated successfully", "awb": order["awb"], "order_id": order["order_id"]}
        return Answer(200, told | {"updated_fields": changed})

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
            self._happen(order, "CANCELLED", {"description": "Order cancelled"})
            self._keep(order)
        told = {"message": "Order cancelled successfully", "awb": order["awb"], "status": "CANCELLED"}
        return Answer(200, told)

    def _warehouse(self, request: Request) -> Answer:
        body = request.json()
        needed = ("name", "phone", "address", "city", "state", "country", "pin_code")
        errors = {name: "This field is required" for name in needed if not body.get(name)}
        if body.get("pin_code") and not _pincode(body["pin_code"]):
            errors["pin_code"] = "Invalid pincode format"
        if body.get("phone") and not re.fullmatch(r"\d{10}", str(body["phone"])):
            errors["phone"] = "10 digits are expected"
        _refuse_if(errors)
        name = body.get("warehouse_id")
        if name:
            self._check_warehouse(request.account, body, needed=True)
        made = name or f"WH{secrets.token_hex(3).upper()}"
        self.store.put("velocity_warehouse", made, body | {"account": request.account, "warehouse_id": made})
        text = f"Warehouse {'updated' if name else 'created'} successfully"
        return Answer(200, {"warehouse_id": made, "name": body["name"], "status": "active", "message": text})

    def _reports(self, request: Request) -> Answer:
        kind = request.query.get("type", "")
        if kind not in REPORTS:
            raise _invalid({"type": f"One of {', '.join(sorted(REPORTS))} is expected"})
        reference = request.query.get("order_id")
        found = self.store.by_reference("velocity_order", reference) if reference else self.store.all("velocity_order")
        mine = [order for order in found if order["account"] == request.account and _within(order, request.query)]
        totals = {"orders": len(mine), "freight_charges": sum(order["freight_charges"] for order in mine)}
        return Answer(200, {"type": kind, "data": [_shown(order) for order in mine], "totals": totals})

    def _file(self, request: Request, kind: str, name: str) -> Answer:
        order = next((one for one in self.store.all("velocity_order") if one["shipment_id"] == name), None)
        if order is None:
            raise Problem(404, {"message": "File not found"})
        return Answer(
            200, raw=labels.pdf(_printed(order), carrier="Velocity"), headers={"Content-Type": "application/pdf"}
        )

    # The world: what makes scans happen ------------------------------------------------------------------------------

    def advance(self, number: str, wish: dict[str, Any]) -> dict[str, Any]:
        """Let something happen to an order: ``to`` (default: the next step), ``at``, ``details``, ``webhook``.

        Raises ``KeyError`` for an unknown AWB and ``ValueError`` for an unknown code.
        """
        with self.store.changing():
            order = self.store.get("velocity_order", number)
            if order is None:
                raise KeyError(number)
            code = str(wish.get("to") or _next(order)).upper()
            if code not in WORDS and not wish.get("force"):
                raise ValueError(f"unknown code {code}; known: {', '.join(WORDS)}")
            details = (wish.get("details") or {}) | (_ndr(order) if code == "NDR" else {})
            event = self._happen(order, code, details | ({"timestamp": wish["at"]} if wish.get("at") else {}))
            self._keep(order)
        if wish.get("webhook", True):
            self._tell(order, code, event, details)
        return event

    def configure(self, account: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Create or change an account: ``secret webhook_url webhook_secret rate_limit`` (0: no limits)."""
        fresh = {"secret": SECRET, "webhook_url": "", "webhook_secret": SECRET, "rate_limit": 1}
        row = (self.store.get("account", account) or fresh) | {k: v for k, v in changes.items() if k in fresh}
        self.store.put("account", account, row)
        return row

    # Inside ----------------------------------------------------------------------------------------------------------

    def _authorize(self, request: Request) -> None:
        token = self.store.get("velocity_token", _token_of(request))
        account = self.store.get("account", token["account"]) if token else None
        if not token or not account or token["expires"] < time.time() or token["secret"] != account["secret"]:
            raise Problem(401, {"error": "Invalid or expired token"})

    def _count(self, account: str, operation: str) -> None:
        if operation not in LIMITS or not (self.store.get("account", account) or {"rate_limit": 1})["rate_limit"]:
            return
        name, limit, seconds = LIMITS[operation]
        recent = self._recent.setdefault((account, name), deque())
        moment = time.monotonic()
        while recent and recent[0] <= moment - seconds:
            recent.popleft()
        if len(recent) >= limit:
            wait = math.ceil(recent[0] + seconds - moment)
            raise Problem(429, {"message": "Too many requests"}, **{"Retry-After": str(max(1, wait))})
        recent.append(moment)

    def _find(self, request: Request, number: Any) -> dict[str, Any]:
        order = self.store.get("velocity_order", str(number))
        if order is None or order["account"] != request.account:
            raise Problem(404, {"message": "Shipment not found", "awb": number})
        return order

    def _too_late(self, text: str, order: dict[str, Any]) -> Problem:
        return Problem(400, {"message": text, "awb": order["awb"], "current_status": WORDS[order["status_code"]]})

    def _happen(self, order: dict[str, Any], code: str, details: dict[str, Any]) -> dict[str, Any]:
        at = details.get("timestamp") or _local_now()
        event = {
            "status": WORDS.get(code, code.lower()),
            "location": details.get("location") or _place(order, code),
            "timestamp": at,
            "description": details.get("description") or _DESCRIPTIONS.get(code, code),
        }
        event |= {key: value for key, value in details.items() if key not in event}
        order["history"] = sorted([*order["history"], event], key=lambda one: one["timestamp"])
        order["status_code"] = _CODES.get(order["history"][-1]["status"], code)
        return event

    def _keep(self, order: dict[str, Any]) -> None:
        self.store.put("velocity_order", order["awb"], order, reference=order["order_id"])

    def _tell(self, order: dict[str, Any], code: str, event: dict[str, Any], details: dict[str, Any]) -> None:
        row = self.store.get("account", order["account"]) or {}
        if row.get("webhook_url"):
            told = {"event_type": "status_update", "event": "status_update", "awb": order["awb"]}
            told |= {"order_id": order["order_id"], "status_code": code, "courier_name": order["courier_name"]}
            told |= {"estimated_delivery": order["estimated_delivery"]} | details | event
            self.pusher.push(self.name, row["webhook_url"], row["webhook_secret"], told, subject=order["awb"])


CHANGEABLE = {
    *(
        f"shipping_{name}"
        for name in ("customer_name", "last_name", "address", "city", "pincode", "state", "country", "email", "phone")
    ),
    *("weight", "length", "breadth", "height", "order_items", "sub_total", "payment_method", "cod_collectible"),
}
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
        "freight_charges": _offer(courier, body["weight"])["rate"],
        "estimated_delivery": day.date().isoformat(),
        "to": to,
        "body": body,
        "history": [],
    }


def _shown(order: dict[str, Any]) -> dict[str, Any]:
    names = ("shipment_id", "order_id", "awb", "courier_name", "courier_company_id", "label_url", "manifest_url")
    return {name: order[name] for name in names} | {
        "status": "CANCELLED"
        if order["status_code"] == "CANCELLED"
        else "NEW"
        if not order["history"]
        else order["status_code"],
        "status_code": order["status_code"],
        "created_at": order["created_at"],
        "freight_charges": order["freight_charges"],
    }


def _track(order: dict[str, Any]) -> dict[str, Any]:
    return {
        "awb": order["awb"],
        "order_id": order["order_id"],
        "status": WORDS.get(order["status_code"], order["status_code"].lower()),
        "status_code": order["status_code"],
        "courier_name": order["courier_name"],
        "current_location": order["history"][-1]["location"] if order["history"] else "",
        "estimated_delivery": order["estimated_delivery"],
        "tracking_history": order["history"],
    }


def _printed(order: dict[str, Any]) -> dict[str, Any]:
    """What the label shows."""
    body, vendor = order["body"], order["body"].get("vendor_details") or {}
    to = order["to"]
    sender = {
        "company": vendor.get("name") or body.get("pickup_customer_name") or "",
        "street": vendor.get("address") or body.get("pickup_address") or "",
        "city": vendor.get("city") or body.get("pickup_city") or "",
        "postal_code": vendor.get("pin_code") or body.get("pickup_pincode") or "",
        "country": "IN",
    }
    recipient = {
        "contact_name": f"{body.get(f'{to}_customer_name', '')} {body.get(f'{to}_last_name', '')}".strip(),
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


def _mistakes(body: dict[str, Any], role: str) -> dict[str, str]:
    """What the document's validation schema says of an order."""
    errors = {}
    for name, most in (("customer_name", 100), ("address", 200), ("city", 50), ("state", 50)):
        value = body.get(f"{role}_{name}")
        if not isinstance(value, str) or not value:
            errors[f"{role}_{name}"] = "This field is required"
        elif len(value) > most:
            errors[f"{role}_{name}"] = f"At most {most} characters"
    if not _pincode(body.get(f"{role}_pincode")):
        errors[f"{role}_pincode"] = "Invalid pincode format"
    if not re.fullmatch(r"\d{10}", str(body.get(f"{role}_phone"))):
        errors[f"{role}_phone"] = "10 digits are expected"
    order_id = body.get("order_id")
    if not isinstance(order_id, str) or not 0 < len(order_id) <= 50:
        errors["order_id"] = "1 to 50 characters are expected"
    if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", str(body.get("order_date"))):
        errors["order_date"] = "YYYY-MM-DD HH:mm is expected"
    for name in ("length", "breadth", "height"):
        if not _number(body.get(name), 1, 200):
            errors[name] = "1 to 200 cm are expected"
    if not _number(body.get("weight"), 0.1, 30):
        errors["weight"] = "Weight exceeds maximum limit" if _number(body.get("weight"), 30, 10**9) else "0.1 to 30 kg"
    if not body.get("order_items"):
        errors["order_items"] = "At least one item is needed"
    if body.get("payment_method") not in ("COD", "PREPAID"):
        errors["payment_method"] = "COD or PREPAID is expected"
    elif body["payment_method"] == "COD" and not _number(body.get("cod_collectible"), 0.01, 10**9):
        errors["cod_collectible"] = "Required for COD orders"
    return errors


def _refuse_if(errors: dict[str, str]) -> None:
    if errors:
        raise _invalid(errors)


def _invalid(errors: dict[str, str]) -> Problem:
    return Problem(400, {"message": "Validation failed", "errors": errors})


def _chosen(body: dict[str, Any]) -> dict[str, Any]:
    found = [one for one in COURIERS if one["courier_company_id"] == str(body.get("courier_company_id"))]
    if not found:
        raise _invalid({"courier_company_id": "Unknown courier"})
    return found[0]


def _offer(courier: dict[str, Any], weight: float) -> dict[str, Any]:
    return {
        "courier_name": courier["courier_name"],
        "courier_company_id": courier["courier_company_id"],
        "estimated_delivery_days": courier["days"],
        "rate": courier["rate"] + 20 * max(0, math.ceil(float(weight) * 2) - 1),
        "cod_available": courier["cod"],
    }


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


def _local_now() -> str:
    return datetime.now(ZONE).strftime("%Y-%m-%d %H:%M:%S")


def _pincode(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d{6}", value))


def _number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
