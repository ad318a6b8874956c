"""The one converter of weights and lengths; exact, in ``Decimal``.

Definitions: the international yard and pound agreement of 1959 (1 lb = 0.45359237 kg, 1 in = 2.54 cm).
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from types import MappingProxyType

_POUND = Decimal("0.45359237")
# How much of the base unit (kg, cm) one of each is.
WEIGHTS = MappingProxyType({"kg": Decimal(1), "g": Decimal("0.001"), "lb": _POUND, "oz": _POUND / 16})
LENGTHS = MappingProxyType({"cm": Decimal(1), "in": Decimal("2.54")})


def convert(value: Decimal, unit: str, to: str) -> Decimal:
    """``value`` in another unit of its kind, not rounded. Raises ``ValueError`` for units that do not go together."""
    for units in (WEIGHTS, LENGTHS):
        if unit in units and to in units:
            return value if unit == to else value * units[unit] / units[to]
    raise ValueError(f"{unit} cannot be turned into {to}")


def announced(value: Decimal, places: int) -> Decimal:
    """Rounded up, as a parcel is announced: a carrier that weighs more than it was told charges for it."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_CEILING)
