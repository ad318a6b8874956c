"""Pages of units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apikeys.tenancy import Tenant
from carriers.adapters import adapter_class
from shipping.models import UNIT_STATES, Shipment

# Counting further than this costs more than the number is worth.
COUNTED = 10_000


def page_of_units(tenant: Tenant, asked: Mapping[str, Any]) -> tuple[list[Shipment], dict[str, Any]]:
    """The asked page, the newest first, and its ``pagination``. Raises ``ValidationFailed`` for an unknown carrier."""
    rows = Shipment.objects.of(tenant).filter(booking_state__in=UNIT_STATES).order_by("-id")
    if status := asked.get("status"):
        rows = rows.filter(status=status)
    if carrier := asked.get("carrier"):
        rows = rows.filter(carrier=adapter_class(carrier).slug)
    if order_id := asked.get("order_id"):
        rows = rows.filter(order_id=order_id)
    limit, offset = asked["limit"], asked["offset"]
    page = list(rows[offset : offset + limit + 1])
    total = rows.order_by()[: COUNTED + 1].count()
    return page[:limit], {
        "total": min(total, COUNTED),
        "total_is_exact": total <= COUNTED,
        "limit": limit,
        "offset": offset,
        "has_more": len(page) > limit,
    }
