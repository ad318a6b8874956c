"""Check the requested options, customs data and parcels of an order against what its carrier serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from django.utils.translation import gettext as _
from jsonschema import Draft202012Validator, ValidationError

from carriers.adapters.base import CarrierAdapter
from carriers.types import Options, Order
from carriers.types.errors import CarrierUnsupported

Problems = Iterator[tuple[str, list[str]]]
_DEFAULTS = Options()


def refuse_unserved(kind: type[CarrierAdapter], order: Order) -> None:
    """Raise ``CarrierUnsupported`` naming each option and each part of an order that the carrier does not serve."""
    names = [*_list_unserved_options(kind, order.options), *_list_unserved_fields(kind, order)]
    if names:
        text = _("%(carrier)s does not offer this: %(names)s") % {"carrier": kind.name, "names": ", ".join(names)}
        details = dict.fromkeys(names, [_("%s does not offer this.") % kind.name])
        raise CarrierUnsupported(text, carrier=kind.name, carrier_code=names[0], details=details)


def find_problems(kind: type[CarrierAdapter], order: Order) -> Problems:
    """Yield the field of an order's options and parcels that exceeds a limit of its carrier."""
    if len(order.packages) > kind.max_parcels:
        limit = {"carrier": kind.name, "number": kind.max_parcels}
        yield "packages", [_("%(carrier)s takes at most %(number)d parcels in one shipment.") % limit]
    yield from _find_option_problems(kind, order.options.carrier)


def _list_unserved_options(kind: type[CarrierAdapter], options: Options) -> Iterator[str]:
    for field in fields(options):
        is_set = getattr(options, field.name) != getattr(_DEFAULTS, field.name)
        if is_set and field.name != "carrier" and field.name not in kind.served_options:
            yield f"options.{field.name}"


def _list_unserved_fields(kind: type[CarrierAdapter], order: Order) -> Iterator[str]:
    for name in kind.unserved_fields:
        if name == "packaging":
            yield from (f"packages[{number}].packaging" for number, one in enumerate(order.packages) if one.packaging)
        elif getattr(order, name):
            yield name


def _find_option_problems(kind: type[CarrierAdapter], options: Mapping[str, Any]) -> Problems:
    for violation in Draft202012Validator(kind.options_schema).iter_errors(options):
        path = "options.carrier" + "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in violation.absolute_path
        )
        for name in _violating_names(violation):
            yield f"{path}.{name}" if name else path, [_describe_violation(violation)]


def _violating_names(violation: ValidationError) -> Sequence[str]:
    """Return the fields that are missing in an object or unknown; of another violation, the value itself as ""."""
    match violation.validator:
        case "required":
            return [name for name in violation.validator_value if name not in violation.instance]
        case "additionalProperties":
            known = violation.schema.get("properties", {})
            return [name for name in violation.instance if name not in known]
    return [""]


def _describe_violation(violation: ValidationError) -> str:
    expected = violation.validator_value
    match violation.validator:
        case "required":
            return _("This field is required.")
        case "additionalProperties":
            return _("The carrier has no such option.")
        case "enum":
            return _("One of these is expected: %s") % ", ".join(map(str, expected))
        case "type":
            names = [expected] if isinstance(expected, str) else expected
            return _("A value of this type is expected: %s") % ", ".join(names)
    return _("The carrier does not accept this value.")
