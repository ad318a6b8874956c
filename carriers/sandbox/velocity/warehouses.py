"""Warehouses, where forward orders are picked up."""

from __future__ import annotations

import secrets
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Refusal, Request
from carriers.sandbox.velocity import validation
from carriers.sandbox.velocity.errors import refuse_if


def save(carrier: SimulatedCarrier, request: Request) -> Answer:
    """Create a warehouse, or update the one of ``warehouse_id``."""
    body = request.json()
    refuse_if(validation.check_warehouse(body))
    existing = body.get("warehouse_id")
    if existing:
        get(carrier, request.account, existing)
    warehouse_id = existing or f"WH{secrets.token_hex(3).upper()}"
    row = body | {"account": request.account, "warehouse_id": warehouse_id}
    carrier.store.put("velocity_warehouse", warehouse_id, row)
    text = f"Warehouse {'updated' if existing else 'created'} successfully"
    return Answer(200, {"warehouse_id": warehouse_id, "name": body["name"], "status": "active", "message": text})


def get(carrier: SimulatedCarrier, account: str, warehouse_id: Any) -> dict[str, Any]:
    """Return a warehouse of an account. Raises ``Refusal``."""
    warehouse = carrier.store.get("velocity_warehouse", str(warehouse_id))
    if warehouse is None or warehouse["account"] != account:
        raise Refusal(404, {"message": "Warehouse not found", "warehouse_id": warehouse_id})
    return warehouse
