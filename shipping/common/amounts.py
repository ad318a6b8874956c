"""Check the decimals of an order's amounts against their currencies (ISO 4217)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from django.utils.translation import gettext as _

from apikeys.http.currencies import minor_digits
from carriers.types import Order

_USUAL = 2  # decimals of most currencies


def find_problems(order: Order) -> Iterator[tuple[str, list[str]]]:
    """Yield each field with more decimals than its currency has, and why it is refused; two are always accepted."""
    for field, amount, currency in _list_amounts(order):
        if _count_decimals(amount) > max(_USUAL, minor_digits(currency)):
            unknown = _("State the currency: amounts without one have two decimals.")
            yield field, [_describe(currency) if currency else unknown]


def find_doubtful(order: Order) -> Iterator[tuple[str, str]]:
    """Yield each accepted field with more decimals than its currency has, and why it is doubtful."""
    for field, amount, currency in _list_amounts(order):
        if minor_digits(currency) < _count_decimals(amount) <= _USUAL:
            yield field, _describe(currency)


def _describe(currency: str) -> str:
    digits = minor_digits(currency)
    if digits:
        return _("Amounts in %(currency)s have %(digits)d decimals.") % {"currency": currency, "digits": digits}
    return _("Amounts in %s have no decimals.") % currency


def _list_amounts(order: Order) -> Iterator[tuple[str, Decimal, str]]:
    """Yield the amounts of an order, with their fields in the request and their currencies."""
    for number, package in enumerate(order.packages):
        if package.declared_value is not None:
            yield f"packages[{number}].declared_value", package.declared_value, package.currency or order.currency
    for number, item in enumerate(order.items):
        for name in ("unit_price", "unit_value", "discount", "tax"):
            if (amount := getattr(item, name)) is not None:
                yield f"items[{number}].{name}", amount, order.currency
    single = {"cod_amount": order.cod_amount, "options.insured_value": order.options.insured_value}
    if order.customs:
        single |= {f"customs.{name}": getattr(order.customs, name) for name in ("freight", "insurance")}
    for field, amount in single.items():
        if amount is not None:
            yield field, amount, order.currency


def _count_decimals(amount: Decimal) -> int:
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
