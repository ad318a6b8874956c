"""The rows and totals of Velocity's reports, from its orders. All of it is assumed: ``docs/carriers/velocity.md``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Order = dict[str, Any]
Row = dict[str, Any]


def freight(rate: float, weight: float) -> float:
    """INR: the courier's rate for the first half kilogram, and 20 for each further one."""
    return rate + 20 * max(0, math.ceil(float(weight) * 2) - 1)


def shown(order: Order) -> Row:
    """An order as a look-up tells it: the label's answer, where it is now, and what it costs."""
    names = ("shipment_id", "order_id", "awb", "courier_name", "courier_company_id", "label_url", "manifest_url")
    code = order["status_code"]
    told = {"status": code, "status_code": code, "created_at": order["created_at"]}
    return {name: order[name] for name in names} | told | {"freight_charges": order["freight_charges"]}


def report(kind: str, orders: Sequence[Order]) -> dict[str, Any]:
    """``type data totals`` of a kind of ``KINDS``."""
    rows = KINDS[kind](orders)
    totals = {"orders": len({row["awb"] for row in rows if "awb" in row}) or sum(row.get("orders", 0) for row in rows)}
    for name in _SUMMED:
        if any(name in row for row in rows) or (kind == "orders" and name == "freight_charges"):
            totals[name] = round(sum(row.get(name, 0) for row in rows), 2)
    return {"type": kind, "data": rows, "totals": totals}


def _orders(orders: Sequence[Order]) -> list[Row]:
    return [shown(order) for order in orders]


def _billing(orders: Sequence[Order]) -> list[Row]:
    return [_bill(order) for order in orders if order["status_code"] != "CANCELLED"]


def _bill(order: Order) -> Row:
    cod = _collected(order)
    parts = {
        "freight_charges": order["freight_charges"] + _extra(order),
        "cod_charges": max(30.0, round(cod * 0.02, 2)) if cod else 0,
    }
    bill = _named(order) | {"courier_name": order["courier_name"], "charged_weight": _charged_weight(order)}
    return bill | parts | {"total_charges": sum(parts.values()), "billed_at": order["created_at"]}


def _performance(orders: Sequence[Order]) -> list[Row]:
    """A row a courier."""
    couriers = sorted({(order["courier_name"], order["courier_company_id"]) for order in orders})
    return [
        _figures(name, number, [o for o in orders if o["courier_company_id"] == number]) for name, number in couriers
    ]


def _figures(name: str, number: str, orders: Sequence[Order]) -> Row:
    codes = [order["status_code"] for order in orders]
    counts = {"delivered": codes.count("DEL"), "rto": codes.count("RTO")}
    counts |= {"lost": codes.count("LOST"), "damaged": codes.count("DAMAGED")}
    attempts = sum(event["status"] == "ndr" for order in orders for event in order["history"])
    return {"courier_name": name, "courier_company_id": number, "orders": len(codes), "ndr": attempts} | counts


def _cod_remittance(orders: Sequence[Order]) -> list[Row]:
    """What was collected at the door; remitted on the spot."""
    return [
        _named(order)
        | {"remittance_id": f"REM-{order['shipment_id']}", "amount": _collected(order), "remitted_at": delivered}
        for order in orders
        if _collected(order) and (delivered := _time_of(order, "delivered"))
    ]


def _weight_discrepancy(orders: Sequence[Order]) -> list[Row]:
    return [
        _named(order)
        | {"declared_weight": order["body"]["weight"], "charged_weight": _charged_weight(order)}
        | {"extra_charges": _extra(order)}
        for order in orders
        if _charged_weight(order) != order["body"]["weight"]
    ]


def _ndr(orders: Sequence[Order]) -> list[Row]:
    """A row an attempt."""
    return [
        _named(order)
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
_SUMMED = ("freight_charges", "cod_charges", "total_charges", "amount", "extra_charges")


def _named(order: Order) -> Row:
    return {"awb": order["awb"], "order_id": order["order_id"]}


def _collected(order: Order) -> float:
    return order["body"]["cod_collectible"] if order["body"]["payment_method"] == "COD" else 0


def _charged_weight(order: Order) -> float:
    """What the courier's scale said, where a scan told it."""
    scaled = [event["charged_weight"] for event in order["history"] if "charged_weight" in event]
    return scaled[-1] if scaled else order["body"]["weight"]


def _extra(order: Order) -> float:
    return freight(0, _charged_weight(order)) - freight(0, order["body"]["weight"])


def _time_of(order: Order, word: str) -> str:
    return next((event["timestamp"] for event in order["history"] if event["status"] == word), "")
