"""Prices for a route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apikeys.tenancy import Tenant
from carriers import accounts
from carriers.types import Offer, QuoteRequest
from shipping.models import Quote
from shipping.services.canonical import as_address, as_packages, plain


def create(tenant: Tenant, route: Mapping[str, Any]) -> list[tuple[Quote, Offer]]:
    """Ask the carrier and keep its offers, best first. Raises ``CarrierError``, ``NotServiceable`` among them."""
    credential = accounts.find(tenant, route["carrier"])
    adapter = accounts.open_adapter(credential, merchant_id=tenant.merchant_id)
    offers = adapter.quote(
        QuoteRequest(
            origin=as_address(route["origin"]),
            destination=as_address(route["destination"]),
            packages=as_packages(route["packages"]),
            service_type=route["service_type"],
            pickup_point_id=route["metadata"].get("pickup_point_id", ""),
            extras=route["metadata"],
        )
    )
    rows = [_row(tenant, credential, route, offer) for offer in offers]
    Quote.objects.bulk_create(rows)
    return list(zip(rows, offers, strict=True))


def _row(tenant: Tenant, credential: Any, route: Mapping[str, Any], offer: Offer) -> Quote:
    return Quote(
        merchant_id=tenant.merchant_id,
        mode=tenant.mode,
        carrier=credential.carrier,
        credential=credential,
        carrier_quote_id=offer.carrier_quote_id,
        service_type=offer.service_type,
        total_price=offer.total_price,
        currency=offer.currency,
        breakdown=plain(offer.breakdown),
        transit_days=offer.transit_days,
        estimated_delivery=offer.estimated_delivery,
        request=plain(route),
    )
