"""Weights and lengths are converted without loss."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carriers.types.units import LENGTHS, WEIGHTS, convert, round_up

SIZES = st.decimals(min_value=0, max_value=10**6, places=6, allow_nan=False)
PAIRS = st.sampled_from([(one, other) for units in (WEIGHTS, LENGTHS) for one in units for other in units])


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        ("1", "lb", "kg", "0.45359237"),
        ("1", "lb", "oz", "16"),
        ("1", "oz", "g", "28.349523125"),
        ("2.5", "kg", "g", "2500"),
        ("10", "in", "cm", "25.4"),
        ("0", "kg", "lb", "0"),
    ],
)
def test_unit_is_converted_by_its_definition(value, unit, to, expected):
    assert convert(Decimal(value), unit, to) == Decimal(expected)


@given(SIZES, PAIRS)
def test_conversion_there_and_back_gives_the_same_value(value, pair):
    unit, other = pair
    assert abs(convert(convert(value, unit, other), other, unit) - value) <= value * Decimal("1e-24")


@given(SIZES, SIZES, PAIRS)
def test_conversion_keeps_the_order_of_values(one, other, pair):
    assert (one < other) == (convert(one, *pair) < convert(other, *pair)) or one == other


@given(SIZES, PAIRS, PAIRS)
def test_conversion_through_another_unit_gives_the_same_value(value, first, second):
    if first[1] != second[0]:
        return
    direct, indirect = convert(value, first[0], second[1]), convert(convert(value, *first), *second)
    assert abs(direct - indirect) <= direct * Decimal("1e-24")


@given(SIZES, st.integers(min_value=0, max_value=3))
def test_announced_measure_is_at_most_one_step_above_the_value(value, places):
    found = round_up(value, places)
    assert value <= found < value + Decimal(1).scaleb(-places)
    assert round_up(found, places) == found


@pytest.mark.parametrize(("unit", "to"), [("kg", "cm"), ("in", "lb"), ("stone", "kg"), ("kg", "")])
def test_units_of_different_kinds_are_refused(unit, to):
    with pytest.raises(ValueError, match="cannot be converted"):
        convert(Decimal(1), unit, to)
