"""What of an order its carrier can do: seen to before anything is asked or reserved, for not every carrier notices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from apikeys.http.errors import ValidationFailed
from carriers.adapters.base import CarrierAdapter
from carriers.types import PaymentMethod


def check(kind: type[CarrierAdapter], order: Mapping[str, Any]) -> None:
    """Raises ``ValidationFailed`` naming each field of an order, a route or a change that this carrier cannot take."""
    problems = dict(_problems(kind, order))
    if problems:
        raise ValidationFailed(details=problems)


def printable(kind: type[CarrierAdapter], order: Mapping[str, Any]) -> dict[str, str]:
    """The wished label format and size as the carrier writes them, taken in any case.

    Raises ``ValidationFailed`` for what it never prints.
    """
    printed = {"label_format": kind.label_formats, "label_size": kind.label_sizes}
    found = {
        name: next((one for one in known if one.lower() == order[name].lower()), "") for name, known in printed.items()
    }
    problems = {name: _expected(printed[name]) for name, one in found.items() if not one}
    if problems:
        raise ValidationFailed(details=problems)
    return found


def unserved(kind: type[CarrierAdapter], order: Mapping[str, Any]) -> str:
    """Why the carrier cannot bring this there; empty where it is for the carrier itself to say."""
    if kind.countries and any(order[name]["country"] not in kind.countries for name in ("origin", "destination")):
        return _("%(carrier)s serves only: %(countries)s.") % {
            "carrier": kind.name,
            "countries": ", ".join(kind.countries),
        }
    return _uncollectable(kind, order)


def _uncollectable(kind: type[CarrierAdapter], order: Mapping[str, Any]) -> str:
    if order.get("payment_method") != PaymentMethod.COD or PaymentMethod.COD in kind.payment_methods:
        return ""
    return _("%s collects no cash on delivery.") % kind.name


def _problems(kind: type[CarrierAdapter], order: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    if reason := _uncollectable(kind, order):
        yield "payment_method", [reason]
    for name in ("origin", "destination", "address", "return_address"):
        if order.get(name) and kind.countries and order[name]["country"] not in kind.countries:
            yield f"{name}.country", _expected(kind.countries)
    if order.get("metadata", {}).get("pickup_point_id") and "pickup_point" not in kind.capabilities():
        yield "metadata.pickup_point_id", [_("%s has no pickup points.") % kind.name]
    if not _is_known(kind.currencies, order.get("currency")):
        yield "currency", _expected(kind.currencies)
    for number, package in enumerate(order.get("packages", ())):
        if not _is_known(kind.currencies, package.get("currency")):
            yield f"packages[{number}].currency", _expected(kind.currencies)
    if kind.service_pattern and not re.fullmatch(kind.service_pattern, order.get("service_type", "standard")):
        yield "service_type", _expected(kind.services)


def _is_known(currencies: tuple[str, ...], given: str | None) -> bool:
    return not given or not currencies or given.upper() in currencies


def _expected(known: Any) -> list[str]:
    return [_("One of these is expected: %s") % ", ".join(known)]
