"""Read a unit's history by its tracking number, the most frequent request: one statement, no model instances."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet, Subquery

from apikeys.db.prepared import Select
from apikeys.db.tenancy import Tenant
from shipping.checkpoints import merging
from shipping.common import lookup
from shipping.models import UNIT_STATES, Checkpoint, Shipment

MAX_SHOWN = 1000
COLUMNS = (
    *merging.COLUMNS,
    "shipment__tracking_number",
    "shipment__status",
    "shipment__booking_state",
    "shipment__store_id",
    "shipment__checkpoint_count",
    "shipment__first_at",
    "shipment__last_at",
    "shipment__delivered_at",
    "shipment__estimated_delivery",
)


def select_checkpoints(merchant_id: uuid.UUID, mode: str, number: str) -> QuerySet[Checkpoint]:
    """Select the checkpoints of the newest shipment with this number, the latest first."""
    named = Shipment.objects.filter(merchant_id=merchant_id, mode=mode, tracking_number__any_case=number)
    newest = Subquery(named.order_by(lookup.exact_first(number), "-id").values("id")[:1])
    rows = Checkpoint.objects.filter(shipment_id=newest).annotate(other_reports=merging.OtherReports())
    return rows.order_by("-occurred_at", "-id")[:MAX_SHOWN]


_select = Select(select_checkpoints, COLUMNS, [uuid.UUID(int=1), "mode", "a number"])


def read_history(tenant: Tenant, name: str) -> list[Any]:
    """Return a unit's checkpoints with the unit's own columns (``shipment__…``), latest first.

    An empty list means that ``lookup`` must be used: the unit has another kind of name, or no checkpoints with a time
    that can be right, which is rare.
    """
    if not name or lookup.is_id(name):
        return []
    rows = _select.all(tenant.merchant_id, tenant.mode, lookup.clean_name(name))
    if not rows or rows[0].shipment__booking_state not in UNIT_STATES or not rows[0].shipment__first_at:
        return []
    if tenant.store_id not in (None, rows[0].shipment__store_id):
        return []
    return rows
