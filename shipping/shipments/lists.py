"""Pages of units."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce

from apikeys.db.tenancy import Tenant
from apikeys.http.fields import Moment
from apikeys.http.pagination import newest_first
from carriers.adapters.registry import adapter_class
from shipping.models import UNIT_STATES, Shipment
from shipping.models.text_indexes import SEARCHED
from shipping.reports import counters

# Counting further than this costs more than the number is worth.
COUNTED = 10_000
PAGING = ("limit", "offset", "cursor")
_SHOWN = (
    "tracking_number", "status", "location", "delivered_at", "estimated_delivery", "checkpoint_count", "first_at",
    "last_at", "created_at", "carrier", "order_id",
)  # fmt: skip
# As ``wire`` shows them, and as they are indexed.
_SHOWN_TIMES = {"created": Coalesce("first_at", "created_at"), "updated": Coalesce("last_at", "created_at")}
_DATE_ALONE = 10  # characters


def page_of_units(tenant: Tenant, asked: Mapping[str, Any]) -> tuple[list[Shipment], dict[str, Any]]:
    """The asked page, the newest first, and its ``pagination``. Raises ``ValidationFailed`` for an unknown carrier."""
    by_key, further = _by_key(asked), _further(asked)
    rows = Shipment.objects.of(tenant).alias(**_SHOWN_TIMES)
    rows = rows.filter(*further, booking_state__in=UNIT_STATES, **by_key)
    total, is_exact = _counted(rows) if further else (counters.units(tenant, **by_key), True)
    if further and is_exact:
        rows = _narrowed(rows)
    page, pagination = newest_first(
        rows.only(*_SHOWN), limit=asked["limit"], cursor=asked.get("cursor"), offset=asked["offset"]
    )
    return page, {"total": total, "total_is_exact": is_exact, "offset": asked["offset"], **pagination}


def _counted(rows: QuerySet[Shipment]) -> tuple[int, bool]:
    """How many there are, and whether that is all of them."""
    found = rows.order_by()[: COUNTED + 1].count()
    return min(found, COUNTED), found <= COUNTED


def _narrowed(rows: QuerySet[Shipment]) -> QuerySet[Shipment]:
    """The same few rows, found by the filter's own index first: else the wish for an order may have all rows read."""
    return Shipment.objects.filter(id__in=rows.order_by().values("id")[: COUNTED + 1])


def filters_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The filters of a query, as they are told in its answer."""
    return {name: _told(name, value) for name, value in asked.items() if name not in PAGING}


def _told(name: str, value: Any) -> Any:
    if isinstance(value, Moment):
        return value.text
    if isinstance(value, uuid.UUID):
        return str(value)
    return value.upper() if name == "status" else value


def _by_key(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the kept counts know too."""
    found: dict[str, Any] = {}
    if "status" in asked:
        found["status"] = asked["status"]
    if "carrier" in asked:
        found["carrier"] = adapter_class(asked["carrier"]).slug
    if "store" in asked:
        found["store_id"] = asked["store"]
    return found


def _further(asked: Mapping[str, Any]) -> list[Q]:
    found = [
        *within("created", asked.get("created_from"), asked.get("created_to")),
        *within("updated", asked.get("updated_from"), asked.get("updated_to")),
    ]
    if order_id := asked.get("order_id"):
        found.append(Q(order_id=order_id))
    if text := asked.get("q"):
        # Said twice, for the indexes leave out what is empty.
        found.append(Q(*(Q(**{f"{name}__istartswith": text}) & ~Q(**{name: ""}) for name in SEARCHED), _connector="OR"))
    return found


def within(name: str, since: Moment | None, until: Moment | None) -> list[Q]:
    """From the one moment to the other, both included; a date alone ends with its day."""
    found = []
    if since:
        found.append(Q(**{f"{name}__gte": since.at}))
    if until and len(until.text) == _DATE_ALONE and until.at < datetime.max.replace(tzinfo=UTC) - timedelta(days=1):
        found.append(Q(**{f"{name}__lt": until.at + timedelta(days=1)}))
    elif until:
        found.append(Q(**{f"{name}__lte": until.at}))
    return found
