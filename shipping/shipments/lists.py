"""List units by page."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q
from django.db.models.functions import Coalesce

from apikeys.db.tenancy import Tenant
from apikeys.http.fields import Moment
from apikeys.http.pagination import newest_first
from carriers.adapters.registry import adapter_class
from shipping.common import lookup
from shipping.models import UNIT_STATES, Shipment
from shipping.models.text_indexes import SEARCHED
from shipping.reports import counters

MAX_COUNTED = 10_000  # totals are exact up to this number; counting more rows is slow
_MAX_PARCELS = 1000  # of all merchants with one number
PAGING = ("limit", "offset", "cursor")
_SHOWN = (
    "tracking_number", "status", "location", "delivered_at", "estimated_delivery", "checkpoint_count", "first_at",
    "last_at", "created_at", "carrier", "order_id",
)  # fmt: skip
# The times as responses show them and as they are indexed.
_SHOWN_TIMES = {"created": Coalesce("first_at", "created_at"), "updated": Coalesce("last_at", "created_at")}


def list_units(tenant: Tenant, query: Mapping[str, Any]) -> tuple[list[Shipment], dict[str, Any]]:
    """Return a page of units, the newest first, and its ``pagination``.

    Raises ``ValidationFailed`` for an unknown carrier.
    """
    counted, others = _build_counted_filters(query), _build_other_filters(query)
    rows = Shipment.objects.of(tenant).alias(**_SHOWN_TIMES)
    rows = rows.filter(*others, booking_state__in=UNIT_STATES, **counted)
    if others:
        total = rows.order_by()[: MAX_COUNTED + 1].count()
        total, is_exact = min(total, MAX_COUNTED), total <= MAX_COUNTED
        if is_exact:
            # Select the rows by an unordered id subquery. With ORDER BY, PostgreSQL may read every row instead of using
            # the filter's index.
            rows = Shipment.objects.filter(id__in=rows.order_by().values("id")[: MAX_COUNTED + 1])
    else:
        total, is_exact = counters.units(tenant, **counted), True
    page, pagination = newest_first(
        rows.only(*_SHOWN), limit=query["limit"], cursor=query.get("cursor"), offset=query["offset"]
    )
    return page, {"total": total, "total_is_exact": is_exact, "offset": query["offset"], **pagination}


def describe_filters(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters of a query in the form that the response shows."""
    return {name: _describe(name, value) for name, value in query.items() if name not in PAGING}


def build_range_filters(name: str, since: Moment | None, until: Moment | None) -> list[Q]:
    """Return the conditions of a time range, both ends included. A date without a time ends with its day."""
    filters = []
    if since:
        filters.append(Q(**{f"{name}__gte": since.at}))
    if until and until.is_day and until.at < datetime.max.replace(tzinfo=UTC) - timedelta(days=1):
        filters.append(Q(**{f"{name}__lt": until.at + timedelta(days=1)}))
    elif until:
        filters.append(Q(**{f"{name}__lte": until.at}))
    return filters


def _describe(name: str, value: Any) -> Any:
    if isinstance(value, Moment):
        return value.text
    if isinstance(value, uuid.UUID):
        return str(value)
    return value.upper() if name == "status" else value


def _build_counted_filters(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters by which the stored counters count units too."""
    filters: dict[str, Any] = {}
    if "status" in query:
        filters["status"] = query["status"]
    if "carrier" in query:
        filters["carrier"] = adapter_class(query["carrier"]).slug
    if "store" in query:
        filters["store_id"] = query["store"]
    return filters


def _build_other_filters(query: Mapping[str, Any]) -> list[Q]:
    filters = [
        *build_range_filters("created", query.get("created_from"), query.get("created_to")),
        *build_range_filters("updated", query.get("updated_from"), query.get("updated_to")),
    ]
    if order_id := query.get("order_id"):
        filters.append(Q(order_id__any_case=order_id))
    if text := query.get("q"):
        texts = dict.fromkeys(SEARCHED, text) | {"tracking_number": "".join(text.split())}
        # The second condition is redundant, but the indexes leave out empty values and need it to be used.
        matches = [Q(**{f"{name}__istartswith": one}) & ~Q(**{name: ""}) for name, one in texts.items()]
        if ids := _find_by_parcel(texts["tracking_number"]):
            matches.append(Q(id__in=ids))
        filters.append(Q(*matches, _connector="OR"))
    return filters


def _find_by_parcel(text: str) -> list[uuid.UUID]:
    """Return the ids of shipments with a parcel of this whole number, which has a digit in it.

    A query of its own: PostgreSQL would not combine a subquery with the indexes of the other columns.
    """
    if not any(one.isdigit() for one in text):
        return []
    parcels = lookup.numbered_parcels().filter(tracking_number__any_case=text)
    return list(parcels.values_list("shipment_id", flat=True)[:_MAX_PARCELS])
