"""Prices and serviceability of a route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from apikeys.db.tenancy import Tenant
from carriers.adapters.base import CarrierAdapter
from carriers.credentials import opening, selection
from carriers.types import Address, Offer, Order, PickupPoint, TransitTime
from carriers.types.errors import CarrierError, NotServiceable
from shipping.common import carrier_limits
from shipping.common.conversion import to_builtins, to_order, to_request
from shipping.models import Quote
from shipping.points import suggestions


def request_quotes(tenant: Tenant, route: Mapping[str, Any]) -> list[tuple[Quote, Offer]]:
    """Request a carrier's offers and store them. Returns them, the best first.

    Raises ``CarrierError``, also as ``NotServiceable``.
    """
    credential = selection.select_credential(tenant, route["carrier"])
    adapter = opening.open_adapter(credential, merchant_id=tenant.merchant_id)
    order = to_order(route, type(adapter))
    carrier_limits.check(type(adapter), order)
    offers = _add_nearest_point(adapter, adapter.quote(order), order.pickup_point)
    rows = [
        Quote(
            merchant_id=tenant.merchant_id,
            mode=tenant.mode,
            carrier=credential.carrier,
            credential=credential,
            carrier_quote_id=offer.carrier_quote_id,
            service_type=offer.service_type,
            total_price=offer.total_price,
            currency=offer.currency,
            breakdown=to_builtins(offer.breakdown),
            transit_days=offer.transit_days,
            estimated_delivery=offer.estimated_delivery,
            request=to_request(order, route),
        )
        for offer in offers
    ]
    Quote.objects.bulk_create(rows)
    return list(zip(rows, offers, strict=True))


def check_serviceability(tenant: Tenant, route: Mapping[str, Any]) -> tuple[CarrierAdapter, Sequence[Offer], str]:
    """Check whether a carrier serves a route: by its coverage if it can be queried, else by its prices.

    Returns: the adapter, the services (none: the route is not served), and why it is not served.
    Raises: ``CarrierError``.
    """
    credential = selection.select_credential(tenant, route["carrier"])
    adapter = opening.open_adapter(credential, merchant_id=tenant.merchant_id)
    order = to_order({**route, "packages": [{"weight_kg": route["weight_kg"]}]}, type(adapter))
    if reason := carrier_limits.find_route_problem(type(adapter), order):
        return adapter, (), reason
    carrier_limits.check(type(adapter), order)
    try:
        if "coverage" not in adapter.capabilities():
            return adapter, _quote(adapter, order), ""
        if order.origin.city:  # carriers cannot be asked without it
            _read_coverage(adapter, "origin", order.origin)
        return adapter, _read_coverage(adapter, "destination", order.destination), ""
    except NotServiceable as error:
        return adapter, (), error.carrier_message or str(error)


def find_transit_times(tenant: Tenant, route: Mapping[str, Any]) -> tuple[CarrierAdapter, Sequence[TransitTime]]:
    """Return the adapter, and how long each of its services takes on a route; none: the route is not served.

    Raises: ``CarrierError``, also as ``CarrierUnsupported``.
    """
    credential = selection.select_credential(tenant, route["carrier"])
    adapter = opening.open_adapter(credential, merchant_id=tenant.merchant_id)
    adapter.need("transit_times")
    order = to_order(route)
    carrier_limits.check(type(adapter), order)
    return adapter, adapter.transit_times(order)


def _add_nearest_point(adapter: CarrierAdapter, offers: Sequence[Offer], point: PickupPoint | None) -> list[Offer]:
    """Add the nearest usable pickup point to offers if the carrier cannot use the chosen one."""
    if point is None or all(offer.extras.get("pickup_point_available") is not False for offer in offers):
        return list(offers)
    other = suggestions.find_nearest_point(adapter, point)
    extras = {"nearest_pickup_point": {"id": other.id, "name": other.name} if other else None}
    return [replace(offer, extras={**offer.extras, **extras}) for offer in offers]


def _read_coverage(adapter: CarrierAdapter, field: str, address: Address) -> list[Offer]:
    try:
        coverage = adapter.coverage(postal_code=address.postal_code, city=address.city, country=address.country)
    except CarrierError as error:
        error.details = {f"{field}.{name}": texts for name, texts in error.details.items()}
        raise
    if not coverage.service_available:
        raise NotServiceable(carrier=adapter.name, carrier_message="; ".join(coverage.restrictions))
    days = coverage.estimated_transit_days
    return [
        Offer(service_type=name, total_price=None, currency="", breakdown={}, transit_days=days.get(name))
        for name in coverage.service_types
    ]


def _quote(adapter: CarrierAdapter, order: Order) -> Sequence[Offer]:
    try:
        return adapter.quote(order)
    except CarrierError as error:  # the request has no packages, only the weight of one
        details = error.details.items()
        error.details = {"weight_kg" if name.startswith("packages") else name: texts for name, texts in details}
        raise
