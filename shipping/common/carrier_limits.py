"""Check an order against its carrier's limits before anything is sent or reserved; not every carrier refuses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from apikeys.http.errors import ValidationFailed
from carriers.adapters.base import CarrierAdapter
from carriers.types import Address, Order, PaymentMethod
from shipping.common import amounts, option_limits

Problems = Iterator[tuple[str, list[str]]]


def check(kind: type[CarrierAdapter], order: Order, *, fields: Collection[str] | None = None) -> None:
    """Raise ``ValidationFailed`` naming each field of an order that the carrier cannot serve.

    Raises ``CarrierUnsupported`` for options that the carrier does not offer.

    Args:
        fields: Check only these fields of the request, as a change or a return states few of them. None: all.
    """
    option_limits.refuse_unserved(kind, order)
    problems = dict(_find_problems(kind, order))
    if fields is not None:
        problems = {name: texts for name, texts in problems.items() if re.split(r"[.\[]", name)[0] in fields}
    if problems:
        raise ValidationFailed(details=problems)


def check_purchase(adapter: CarrierAdapter, order: Order, *, fields: Collection[str] | None = None) -> Order:
    """Check an order that is about to be bought, also by the adapter's own rules. Nothing is reserved or sent yet.

    Returns: the order with a label that the carrier prints. Raises what ``check`` and ``with_printable_label`` raise.
    """
    check(type(adapter), order, fields=fields)
    order = with_printable_label(type(adapter), order)
    if problems := adapter.problems(order):
        raise ValidationFailed(details={name: list(texts) for name, texts in problems.items()})
    return order


def check_addresses(kind: type[CarrierAdapter], addresses: Mapping[str, Address | None]) -> None:
    """Raise ``ValidationFailed`` naming each address outside the carrier's countries."""
    problems = dict(_find_address_problems(kind, addresses))
    if problems:
        raise ValidationFailed(details=problems)


def with_printable_label(kind: type[CarrierAdapter], order: Order) -> Order:
    """Return the order with the label's format and size as the carrier spells them; any case is accepted.

    Raises ``ValidationFailed`` for a format or size that the carrier does not print.
    """
    printed = {"label_format": kind.label_formats, "label_size": kind.label_sizes}
    spelled = {
        name: next((one for one in known if one.lower() == getattr(order, name).lower()), "")
        for name, known in printed.items()
    }
    problems = {name: _expect_one_of(printed[name]) for name, spelling in spelled.items() if not spelling}
    if problems:
        raise ValidationFailed(details=problems)
    return replace(order, **spelled)


def find_route_problem(kind: type[CarrierAdapter], order: Order) -> str:
    """Return why the carrier cannot serve a route; empty if only the carrier can decide that."""
    if kind.countries and not {order.origin.country, order.destination.country} <= set(kind.countries):
        return _("%(carrier)s serves only: %(countries)s.") % {
            "carrier": kind.name,
            "countries": ", ".join(kind.countries),
        }
    return _find_payment_problem(kind, order)


def _find_payment_problem(kind: type[CarrierAdapter], order: Order) -> str:
    if order.payment_method != PaymentMethod.COD or PaymentMethod.COD in kind.payment_methods:
        return ""
    return _("%s collects no cash on delivery.") % kind.name


def _find_problems(kind: type[CarrierAdapter], order: Order) -> Problems:
    if reason := _find_payment_problem(kind, order):
        yield "payment_method", [reason]
    yield from _find_address_problems(kind, {"origin": order.origin, "destination": order.destination})
    if (
        kind.needs_recipient_name
        and order.order_id
        and not (order.destination.contact_name or order.destination.company)
    ):
        yield "destination.contact_name", [_("%s needs the recipient's name.") % kind.name]
    if order.pickup_point and "pickup_point" not in kind.capabilities():
        yield "metadata.pickup_point_id", [_("%s has no pickup points.") % kind.name]
    if not _is_known(kind.currencies, order.currency):
        yield "currency", _expect_one_of(kind.currencies)
    for number, package in enumerate(order.packages):
        if not _is_known(kind.currencies, package.currency):
            yield f"packages[{number}].currency", _expect_one_of(kind.currencies)
    yield from amounts.find_problems(order)
    yield from option_limits.find_problems(kind, order)
    yield from _find_service_problem(kind, order)


def _find_service_problem(kind: type[CarrierAdapter], order: Order) -> Problems:
    if order.service_type is None:  # any: only in quotes, which have no order id
        if order.order_id:
            unknown = [_("State the carrier's service.")]
            yield "service_type", _expect_one_of(kind.services) if kind.services else unknown
    elif kind.service_pattern and not re.fullmatch(kind.service_pattern, order.service_type):
        yield "service_type", _expect_one_of(kind.services)


def _find_address_problems(kind: type[CarrierAdapter], addresses: Mapping[str, Address | None]) -> Problems:
    for name, address in addresses.items():
        if address and kind.countries and address.country not in kind.countries:
            yield f"{name}.country", _expect_one_of(kind.countries)


def _is_known(currencies: tuple[str, ...], currency: str) -> bool:
    return not currency or not currencies or currency.upper() in currencies


def _expect_one_of(known: Any) -> list[str]:
    return [_("One of these is expected: %s") % ", ".join(known)]
