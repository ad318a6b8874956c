"""Exact conversion of weights and lengths, in ``Decimal``.

Definitions: the international yard and pound agreement of 1959 (1 lb = 0.45359237 kg, 1 in = 2.54 cm).
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from types import MappingProxyType

_POUND = Decimal("0.45359237")
# Units in kg and in cm.
WEIGHTS = MappingProxyType({"kg": Decimal(1), "g": Decimal("0.001"), "lb": _POUND, "oz": _POUND / 16})
LENGTHS = MappingProxyType({"cm": Decimal(1), "in": Decimal("2.54")})


def convert(value: Decimal, unit: str, to: str) -> Decimal:
    """Convert a weight or a length to another unit, unrounded. Raises ``ValueError`` if the units do not match."""
    for units in (WEIGHTS, LENGTHS):
        if unit in units and to in units:
            return value if unit == to else value * units[unit] / units[to]
    raise ValueError(f"{unit} cannot be converted to {to}")


def round_up(value: Decimal, places: int) -> Decimal:
    """Round up a measure for an announced parcel: carriers charge for the excess over the announced value."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_CEILING)
