"""Values that the OpenAPI document cannot describe: ids that exist, and bodies that the simulated carriers accept."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from config.management.commands.seed_demo import OWN_CREDENTIAL
from deploy.tests import things
from deploy.tests.things import CARRIER, Things

# Values of path parameters. The longest key that is part of "METHOD /path" applies.
PATH: dict[str, Callable[[Things], str]] = {
    "{carrier}": lambda _: CARRIER,
    "{key_id}": things.api_key,
    "{call_id}": things.carrier_call,
    "{credential_id}": lambda _: str(OWN_CREDENTIAL),
    "{member_id}": things.member,
    "{own_credential_id}": lambda _: str(OWN_CREDENTIAL),
    "DELETE /api/v1/courier-credentials/{own_credential_id}": things.indian_credential,
    "{key}": lambda _: "a-key",
    "{carrier}/reports": lambda _: "velocity",
    "PATCH /api/v1/shipments/{name}": things.indian_shipment,
    "{warehouse_id}": things.warehouse,
    "{warehouse_id}/registrations": things.indian_warehouse,
    "{name}": things.shipment,
    "{name}/proof-of-delivery": things.delivered,
    "{name}/manifest": things.indian_shipment,
    "{pickup}": things.pickup,
    "{point_id}": lambda _: "PP-12345",
    "{name}/documents": things.documented_shipment,
    "documents/{document_id}": things.document,
    # A manifest and its file have the same id, since the longest key has both names.
    "{manifest_id}": things.manifest,
    "{manifest_id}/documents/{document_id}": things.manifest,
}
# Operations that delete or change what they name: each call gets an object of its own.
DESTRUCTIVE = re.compile(r"^DELETE |/(cancel|revoke|regenerate|logout)\b")


def _future(text: str | None) -> str | None:
    """Move a time to a future year."""
    return f"{2100 + int(text[:4]) % 50}{text[4:]}" if text else None


def _past(text: str) -> str:
    """Move a time to a past leap year of this century: one before 2000 is refused."""
    return f"{2004 + 4 * (int(text[:4]) % 5)}{text[4:]}"


def _rounded(places: int, most: float = 1e15) -> Callable[[Things, Any], Any]:
    """Round floats, because the document asks for multiples of decimal fractions."""
    return lambda world, drawn: min(round(drawn, places), most) if isinstance(drawn, float) else drawn


def _weight(world: Things, drawn: Any) -> Any:
    """Keep weights within what the carrier takes; larger integers are numbers too."""
    is_number = isinstance(drawn, int | float) and not isinstance(drawn, bool)
    return min(max(round(drawn, 3), 0.1), 30) if is_number else drawn


def _visible(drawn: Any) -> str:
    """Drop characters that identifiers may not contain."""
    return re.sub("[^!-~]", "", str(drawn))


def _first(drawn: Any, count: int) -> list[Any]:
    """Return the first elements of a list; a free object may have another value under the list's name."""
    return drawn[:count] if isinstance(drawn, list) else []


def _address(world: Things, drawn: Any) -> Any:
    """Move an address to a country and postal code that belong together; the carrier needs the code."""
    return drawn | {"country": "US", "postal_code": "10001", "state": "NY"} if isinstance(drawn, dict) else drawn


# Replacements for the generated values of fields in bodies, queries and headers.
FIELDS: dict[str, Callable[[Things, Any], Any]] = {
    "carrier": lambda world, drawn: CARRIER,
    "order_id": lambda world, drawn: f"{_visible(drawn)[:60]}{uuid.uuid4().hex}",
    **dict.fromkeys(("origin", "destination", "address", "return_address", "billing_address"), _address),
    "location": lambda world, drawn: f"Depot {_visible(drawn)}"[:200] if isinstance(drawn, str) else drawn,
    "waybill_number": lambda world, drawn: None,
    "latitude": lambda world, drawn: round(drawn, 4) if isinstance(drawn, float) else drawn,
    "longitude": lambda world, drawn: round(drawn, 4) if isinstance(drawn, float) else drawn,
    "tracking_number": lambda world, drawn: world.some(things.tracking_number),
    "tracking_numbers": lambda world, drawn: sorted({world.some(things.tracking_number) for _ in _first(drawn, 3)}),
    "shipment_ids": lambda world, drawn: [world.some(things.shipment) for _ in _first(drawn, 3)],
    "pickup_point_id": lambda world, drawn: "PP-12345",
    "credentials": lambda world, drawn: things.OWN_CREDENTIAL_FIELDS,
    "environment": lambda world, drawn: "sandbox",
    "currency": lambda world, drawn: ("USD", "inr")[len(str(drawn)) % 2],
    "email": lambda world, drawn: f"{uuid.uuid4().hex}@example.com",
    "Idempotency-Key": lambda world, drawn: f"{str(drawn)[:200]}{uuid.uuid4().hex}",
    # The simulated carrier's own limits.
    "service_type": lambda world, drawn: ("standard", "express")[len(str(drawn)) % 2],
    "label_format": lambda world, drawn: "PDF",
    "label_size": lambda world, drawn: "4x6",
    # Options and declarations that the simulated carrier does not serve.
    **dict.fromkeys(("options", "customs", "ship_at", "wanted_documents", "attachments"), lambda world, drawn: None),
    "packaging": lambda world, drawn: "",
    "unit_value": lambda world, drawn: None,
    "parcel": lambda world, drawn: 1,
    "warehouse_id": lambda world, drawn: world.some(things.warehouse),
    "carriers": lambda world, drawn: [],
    "cod_amount": _rounded(2, most=1e6),
    "unit_price": _rounded(2, most=1e4),
    "quantity": lambda world, drawn: min(drawn, 10) if isinstance(drawn, int) else drawn,
    "discount": lambda world, drawn: 0,
    "tax": _rounded(2, most=1e6),
    "weight_kg": _weight,
    "total_weight_kg": _rounded(3),
    "weight": _rounded(3),
    "length_cm": _rounded(2),
    "width_cm": _rounded(2),
    "height_cm": _rounded(2),
    "declared_value": _rounded(2),
}


def checkpoint(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Use a unit that may take this status next, a past time, and an estimate close to it."""
    name = things.unit(world, before=body["status"].lower())
    changes = {"tracking_id": name, "timestamp": _past(body["timestamp"])}
    if body.get("estimated_delivery"):
        changes["estimated_delivery"] = changes["timestamp"]
    return body | changes


def pickup(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Let the window end after it starts."""
    start, end = sorted((body["pickup_window_start"], body["pickup_window_end"]))
    return body | {"pickup_window_start": start, "pickup_window_end": end if end > start else "23:59"}


def key(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Let the key expire in the future, belong to no store and stay within the plan."""
    changes = {
        "store_id": None,
        "expires_at": _future(body.get("expires_at")),
        "allowed_ips": ["203.0.113.7", "2001:db8::/32"][: len(body.get("allowed_ips", ()))],
        "per_minute": min(body.get("per_minute") or 1, 60),
        "per_hour": min(body.get("per_hour") or 1, 3600),
    }
    return body | {name: value for name, value in changes.items() if name in body}


def person(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Sign in a member of one merchant without second factor."""
    return body | things.PERSON | {name: "" for name in ("otp", "merchant") if name in body}


def refresh(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Use an unused token."""
    return body | {"refresh": things.refresh_token(world)}


def period(world: Things, query: dict[str, Any]) -> dict[str, Any]:
    """Use a period of at most a year that ends after it starts."""
    days = {name: f"2026-{text[5:]}" for name, text in query.items() if name in ("from", "to") and text[5:] != "02-29"}
    rest = {name: value for name, value in query.items() if name not in ("from", "to")}
    return rest | (dict(zip(("from", "to"), sorted(days.values()), strict=False)) if len(days) == 2 else {})


def covered(world: Things, query: dict[str, Any]) -> dict[str, Any]:
    """Ask for a postal code of a country that has them."""
    return query | {"country": "US", "postal_code": "10001"}


def near(world: Things, query: dict[str, Any]) -> dict[str, Any]:
    """Search near coordinates: the carrier takes no address."""
    return {"latitude": 40.7, "longitude": -74.0} | {
        name: value for name, value in query.items() if name not in ("country", "postal_code", "city", "street")
    }


def filters(world: Things, query: dict[str, Any]) -> dict[str, Any]:
    """Remove the store, as there is none, and order the times."""
    kept = {name: value for name, value in query.items() if name != "store"}
    for name in ("created", "updated"):
        if f"{name}_from" in kept and f"{name}_to" in kept:
            moments = (f"{2000 + 4 * place}{kept[f'{name}_{end}'][4:]}" for place, end in enumerate(("from", "to")))
            kept |= dict(zip((f"{name}_from", f"{name}_to"), moments, strict=True))
    return kept


def paid(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Send an amount to collect with cash on delivery only."""
    if body.get("payment_method") == "cod":
        return body | {"cod_amount": body.get("cod_amount") or 1}
    rest = {name: value for name, value in body.items() if name != "cod_amount"}
    return rest or {"payment_method": "prepaid"}


def prepaid(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Collect no cash on delivery and name no return address: the carrier does not offer them."""
    return paid(world, body | {"payment_method": "prepaid", "return_address": None})


def tracked(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Send either one number or several."""
    if "tracking_numbers" in body:
        return {name: value for name, value in body.items() if name != "tracking_number"}
    return {"tracking_number": world.some(things.tracking_number)} | body


def return_label(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Return a shipment of a carrier that supports returns."""
    free = {"reason": body["reason"]} if "reason" in body else {}
    return free | {"shipment_id": things.indian_shipment(world)}


def indicated(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Send a service indicator with S10 numbers only."""
    return body | ({"number_format": "s10"} if "service_indicator" in body else {})


def all_indicated(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Apply ``indicated`` to each number of a list."""
    return body | {"numbers": [indicated(world, one) for one in body["numbers"]]}


def india(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Use addresses and the currency that the carrier serves."""
    return paid(world, body) | {
        "carrier": "velocity",
        "currency": "INR",
        "origin": {"postal_code": "560102", "country": "IN"},
        "destination": {"postal_code": "400001", "country": "IN"},
    }


def warehouse(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Use a unique name."""
    return body | {"name": f"Warehouse {uuid.uuid4().hex}"}


def changed(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Use an address and parcels that the carrier accepts."""
    parcel = {"weight_kg": 1, "length_cm": 10, "width_cm": 10, "height_cm": 10}
    taken = {"destination": things.INDIAN_ADDRESS, "packages": [parcel]}
    known = ("payment_method", "cod_amount", "items")
    body = body if any(name in body for name in (*taken, *known)) else taken
    return paid(world, {name: taken.get(name, body[name]) for name in (*taken, *known) if name in body})


def american(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Ask the carrier that has these operations."""
    return paid(world, body) | {"carrier": "ups", "currency": "USD", "metadata": {}}


def registration(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Register at the carrier that requires registration."""
    return body | {"carrier": "velocity"}


def new_account(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Use a carrier for which the merchant has no credential."""
    world.system.api("DELETE", f"/api/v1/courier-credentials/{things.indian_credential(world)}")
    return {"carrier": "velocity", "environment": "sandbox", "credentials": things.INDIAN_CREDENTIAL_FIELDS}


def report(world: Things, query: dict[str, Any]) -> dict[str, Any]:
    """Request a report of the merchant's own credential, over days that the carrier returns at once."""
    things.indian_credential(world)
    found = {"kind": "orders", "since": "2026-01-01", "until": "2026-01-31"}
    return found | ({"carrier": "velocity"} if "carrier" in query else {})


def feed(world: Things, query: dict[str, Any]) -> dict[str, Any]:
    """Read either a feed, with a cursor that exists, or a list."""
    if "after" not in query:
        return query
    kept = {name: value for name, value in query.items() if name not in ("cursor", "since", "until")}
    return kept | {"after": ("0", "latest")[len(str(query["after"])) % 2]}


Change = Callable[[Things, dict[str, Any]], dict[str, Any]]
# Changes of whole bodies and queries, by "METHOD /path".
BODIES: dict[str, Change] = {
    r"POST /api/v1/checkpoints$": checkpoint,
    r"POST /api/v1/pickups$": pickup,
    r"POST /api/v1/(labels|quotes)$": prepaid,
    r"POST /api/v1/tracking$": tracked,
    r"POST /api/v1/returns$": return_label,
    r"POST /api/v1/tracking-numbers$": all_indicated,
    r"POST /api/v1/serviceability$": india,
    r"(POST|PUT) /api/v1/warehouses(/{warehouse_id})?$": warehouse,
    r"/registrations$": registration,
    r"POST /api/v1/transit-times$": lambda world, body: american(world, prepaid(world, body)),
    r"POST /api/v1/address-check$": lambda world, body: {"carrier": "ups", "address": body["address"]},
    r"PATCH /api/v1/shipments/{name}$": changed,
    r"POST /api/v1/courier-credentials$": new_account,
    r"/api-keys(/{key_id})?$": key,
    r"POST /api/v1/auth/token$": person,
    r"/auth/token/(refresh|logout)$": refresh,
}
QUERIES: dict[str, Change] = {
    r"/reports$": report,
    r"/service-coverage$": covered,
    r"/pickup-points$": near,
    r"GET /next-tracking-number$": indicated,
    r"GET /api/v1/usage$": period,
    r"GET /api/v1/analytics/performance$": period,
    r"GET /api/v1/shipments$": filters,
    r"GET /api/v1/(audit-)?events$": feed,
}
# Operations that no simulated carrier offers: valid requests are refused.
NOT_OFFERED = re.compile(r"POST /api/v1/(pickup-windows|manifests)$")
# Operations for keys of the platform's operator.
OF_PLATFORM_KEYS = re.compile(r"GET /api/v1/audit-events$")
# Headers to send besides the key, from the bytes of the body.
PROOFS: dict[str, Callable[[bytes], dict[str, str]]] = {r"POST /webhooks/": things.signature}
# Repairs after a call, so that it does not affect the next ones.
AFTERWARDS: dict[str, Callable[[Things], None]] = {
    r"POST .*/credentials$": Things.restore_credential,
    r"PUT .*/courier-credentials/": Things.restore_credential,
    r"DELETE .*/courier-credentials/": things.indian_credential,  # later calls use what was booked with it
}
