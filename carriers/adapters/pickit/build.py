"""Build Pickit's request bodies (``docs/carriers/pickit.md``) from the canonical types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carriers import types


def login(fields: Mapping[str, str]) -> dict[str, str]:
    return {
        "client_id": fields["client_id"],
        "client_secret": fields["client_secret"],
        "grant_type": "client_credentials",
    }


def quote(order: types.Order) -> dict[str, Any]:
    return {
        "origin": _address(order.origin),
        "destination": _address(order.destination),
        "packages": [_package(package) for package in order.packages],
        "service_type": order.service_type,
        "pickup_point_id": order.pickup_point.id if order.pickup_point else None,
    }


def shipment(order: types.Order) -> dict[str, Any]:
    return quote(order) | {
        "reference": order.reference,
        "order_id": order.order_id,
        "label": {"format": order.label_format, "size": order.label_size},
        "customer_reference": order.customer_reference or None,
    }


def pickup(request: types.PickupRequest) -> dict[str, Any]:
    address = request.address
    return {
        "pickup_date": request.pickup_date.isoformat().replace("+00:00", "Z"),  # in UTC it may be another day
        "window": {"start": request.window_start, "end": request.window_end},
        "address": _address(address),
        "contact": {"name": address.contact_name, "phone": address.contact_phone, "email": address.contact_email},
        "packages_count": request.packages_count,
        "total_weight_kg": request.total_weight_kg,
        "special_instructions": request.special_instructions,
        "shipment_ids": list(request.tracking_numbers),
    }


def _address(address: types.Address) -> dict[str, str]:
    """Return the fields that Pickit's addresses have. Its street is one text."""
    lines = [" ".join(filter(None, (address.street, address.house_number))), address.street2, address.street3]
    parts = {
        "country": address.country,
        "postal_code": address.postal_code,
        "city": address.city,
        "state": address.state,
        "street": ", ".join(filter(None, lines)),
        "company": address.company,
        "contact_name": address.contact_name,
        "contact_phone": address.contact_phone,
        "contact_email": address.contact_email,
    }
    return {name: value for name, value in parts.items() if value}


def _package(package: types.Package) -> dict[str, Any]:
    """Return the fields that Pickit's packages have."""
    parts = {
        "weight_kg": package.weight_kg,
        "length_cm": package.length_cm,
        "width_cm": package.width_cm,
        "height_cm": package.height_cm,
        "declared_value": package.declared_value,
        "currency": package.currency,
        "description": package.description,
    }
    return {name: value for name, value in parts.items() if value not in (None, "")}
