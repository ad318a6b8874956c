"""Prices for a route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from apikeys.db.tenancy import Tenant
from carriers.adapters.base import CarrierAdapter
from carriers.credentials import opening, selection
from carriers.types import Address, Offer, Order
from carriers.types.errors import CarrierError, NotServiceable
from shipping.common import carrier_limits
from shipping.common.conversion import to_builtins, to_order, to_request
from shipping.models import Quote
from shipping.points import suggestions


def create(tenant: Tenant, route: Mapping[str, Any]) -> list[tuple[Quote, Offer]]:
    """Ask the carrier and keep its offers, best first. Raises ``CarrierError``, ``NotServiceable`` among them."""
    credential = selection.select_credential(tenant, route["carrier"])
    adapter = opening.open_adapter(credential, merchant_id=tenant.merchant_id)
    order = to_order(route)
    carrier_limits.check(type(adapter), order)
    offers = _with_alternative(adapter, adapter.quote(order), order.pickup_point_id)
    rows = [_row(tenant, credential, to_request(order, route), offer) for offer in offers]
    Quote.objects.bulk_create(rows)
    return list(zip(rows, offers, strict=True))


def _with_alternative(adapter: CarrierAdapter, offers: Sequence[Offer], point_id: str) -> list[Offer]:
    """Where the carrier says that the chosen pickup point cannot take it: with the nearest one that is open."""
    if not point_id or all(offer.extras.get("pickup_point_available") is not False for offer in offers):
        return list(offers)
    other = suggestions.find_nearest_point(adapter, point_id)
    told = {"nearest_pickup_point": {"id": other.id, "name": other.name} if other else None}
    return [replace(offer, extras={**offer.extras, **told}) for offer in offers]


def serviceability(tenant: Tenant, asked: Mapping[str, Any]) -> tuple[CarrierAdapter, Sequence[Offer], str]:
    """Whether a carrier goes from one place to another: its services (none: it does not), and why not.

    A carrier that tells what it serves by place is asked that, any other for its prices. Raises ``CarrierError``.
    """
    credential = selection.select_credential(tenant, asked["carrier"])
    adapter = opening.open_adapter(credential, merchant_id=tenant.merchant_id)
    order = to_order({**asked, "packages": [{"weight_kg": asked["weight_kg"]}]})
    if reason := carrier_limits.unserved(type(adapter), order):
        return adapter, (), reason
    carrier_limits.check(type(adapter), order)
    try:
        if "coverage" in adapter.capabilities():
            if order.origin.city:  # carriers cannot be asked without it
                _by_coverage(adapter, "origin", order.origin)
            return adapter, _by_coverage(adapter, "destination", order.destination), ""
        return adapter, _by_price(adapter, order), ""
    except NotServiceable as error:
        return adapter, (), error.carrier_message or str(error)


def _by_coverage(adapter: CarrierAdapter, field: str, address: Address) -> list[Offer]:
    try:
        found = adapter.coverage(postal_code=address.postal_code, city=address.city, country=address.country)
    except CarrierError as error:
        error.details = {f"{field}.{name}": told for name, told in error.details.items()}
        raise
    if not found.service_available:
        raise NotServiceable(carrier=adapter.name, carrier_message="; ".join(found.restrictions))
    days = found.estimated_transit_days
    return [
        Offer(service_type=name, total_price=None, currency="", breakdown={}, transit_days=days.get(name))
        for name in found.service_types
    ]


def _by_price(adapter: CarrierAdapter, order: Order) -> Sequence[Offer]:
    try:
        return adapter.quote(order)
    except CarrierError as error:  # the one package of the route is no more than a weight here
        details = error.details.items()
        error.details = {"weight_kg" if name.startswith("packages") else name: told for name, told in details}
        raise


def _row(tenant: Tenant, credential: Any, request: Mapping[str, Any], offer: Offer) -> Quote:
    return Quote(
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
        request=request,
    )
