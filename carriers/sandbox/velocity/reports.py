"""Reports about orders. All rows and totals are assumed: ``docs/carriers/velocity.md``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.velocity.couriers import freight
from carriers.sandbox.velocity.errors import Invalid
from carriers.sandbox.velocity.scans import local_now

Order = dict[str, Any]
Row = dict[str, Any]
_SHOWN = ("shipment_id", "order_id", "awb", "courier_name", "courier_company_id", "label_url", "manifest_url")
_SUMMED = ("freight_charges", "cod_charges", "total_charges", "amount", "extra_charges")


def show(carrier: SimulatedCarrier, request: Request) -> Answer:
    """Answer with a report of the account's orders, of all or of one ``order_id``."""
    kind = request.query.get("type", "")
    if kind not in KINDS:
        raise Invalid({"type": f"One of {', '.join(sorted(KINDS))} is expected"})
    reference = request.query.get("order_id")
    store = carrier.store
    found = store.by_reference("velocity_order", reference) if reference else store.all("velocity_order")
    since, until = request.query.get("from", ""), request.query.get("to", "9999")
    orders = [
        order for order in found if order["account"] == request.account and since <= order["created_at"][:10] <= until
    ]
    return Answer(200, make_report(kind, orders))


def remit(carrier: SimulatedCarrier, number: str) -> dict[str, Any]:
    """Pay out the cash that was collected for an order, and send the webhook.

    Raises: KeyError for an unknown AWB, ValueError if nothing was collected.
    """
    order = carrier.store.get("velocity_order", number)
    if order is None:
        raise KeyError(number)
    rows = _cod_remittance([order])
    if not rows:
        raise ValueError("nothing was collected for this order")
    event = {"event": "cod_remittance", "timestamp": local_now()}
    event |= {name: rows[0][name] for name in ("remittance_id", "amount")}
    carrier.send_webhook(order["account"], event, subject=order["awb"])
    return event


def make_report(kind: str, orders: Sequence[Order]) -> dict[str, Any]:
    """Return ``type``, ``data`` and ``totals`` of one of ``KINDS``."""
    rows = KINDS[kind](orders)
    totals = {"orders": len({row["awb"] for row in rows if "awb" in row}) or sum(row.get("orders", 0) for row in rows)}
    for name in _SUMMED:
        if any(name in row for row in rows) or (kind == "orders" and name == "freight_charges"):
            totals[name] = round(sum(row.get(name, 0) for row in rows), 2)
    return {"type": kind, "data": rows, "totals": totals}


def _orders(orders: Sequence[Order]) -> list[Row]:
    """Return the answer to the booking, with status, creation time and price."""
    return [
        {name: order[name] for name in _SHOWN}
        | {"status": order["status_code"], "status_code": order["status_code"], "created_at": order["created_at"]}
        | {"freight_charges": order["freight_charges"]}
        for order in orders
    ]


def _billing(orders: Sequence[Order]) -> list[Row]:
    rows = []
    for order in orders:
        if order["status_code"] == "CANCELLED":
            continue
        cod = _collected(order)
        charges = {
            "freight_charges": order["freight_charges"] + _extra_charges(order),
            "cod_charges": max(30.0, round(cod * 0.02, 2)) if cod else 0,
        }
        row = _ids(order) | {"courier_name": order["courier_name"], "charged_weight": _charged_weight(order)}
        rows.append(row | charges | {"total_charges": sum(charges.values()), "billed_at": order["created_at"]})
    return rows


def _performance(orders: Sequence[Order]) -> list[Row]:
    """Return one row per courier."""
    rows = []
    for name, courier_id in sorted({(order["courier_name"], order["courier_company_id"]) for order in orders}):
        own = [order for order in orders if order["courier_company_id"] == courier_id]
        codes = [order["status_code"] for order in own]
        attempts = sum(event["status"] == "ndr" for order in own for event in order["history"])
        row = {"courier_name": name, "courier_company_id": courier_id, "orders": len(codes), "ndr": attempts}
        row |= {"delivered": codes.count("DEL"), "rto": codes.count("RTO")}
        rows.append(row | {"lost": codes.count("LOST"), "damaged": codes.count("DAMAGED")})
    return rows


def _cod_remittance(orders: Sequence[Order]) -> list[Row]:
    """Return the cash collected on delivery. It is remitted at once."""
    rows = []
    for order in orders:
        amount = _collected(order)
        delivered = [event["timestamp"] for event in order["history"] if event["status"] == "delivered"]
        if amount and delivered:
            remittance = {"remittance_id": f"REM-{order['shipment_id']}", "amount": amount}
            rows.append(_ids(order) | remittance | {"remitted_at": delivered[0]})
    return rows


def _weight_discrepancy(orders: Sequence[Order]) -> list[Row]:
    return [
        _ids(order)
        | {"declared_weight": order["body"]["weight"], "charged_weight": _charged_weight(order)}
        | {"extra_charges": _extra_charges(order)}
        for order in orders
        if _charged_weight(order) != order["body"]["weight"]
    ]


def _ndr(orders: Sequence[Order]) -> list[Row]:
    """Return one row per delivery attempt that failed."""
    return [
        _ids(order)
        | {name: event.get(name) for name in ("ndr_reason", "attempt", "location", "timestamp", "description")}
        | {"status_code": order["status_code"]}
        for order in orders
        for event in order["history"]
        if event["status"] == "ndr"
    ]


KINDS: dict[str, Callable[[Sequence[Order]], list[Row]]] = {
    "orders": _orders,
    "billing": _billing,
    "performance": _performance,
    "cod_remittance": _cod_remittance,
    "weight_discrepancy": _weight_discrepancy,
    "ndr": _ndr,
}


def _ids(order: Order) -> Row:
    return {"awb": order["awb"], "order_id": order["order_id"]}


def _collected(order: Order) -> float:
    return order["body"]["cod_collectible"] if order["body"]["payment_method"] == "COD" else 0


def _charged_weight(order: Order) -> float:
    """Return the weight that the courier measured, else the declared one."""
    measured = [event["charged_weight"] for event in order["history"] if "charged_weight" in event]
    return measured[-1] if measured else order["body"]["weight"]


def _extra_charges(order: Order) -> float:
    return freight(0, _charged_weight(order)) - freight(0, order["body"]["weight"])
